//! mcp-certs
