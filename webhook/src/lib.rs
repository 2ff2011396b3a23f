//! mcp-webhook
