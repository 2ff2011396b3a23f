// Asks an MCP server over HTTP what the standard input says, with the first TypeScript SDK.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { talk, told } from "./talk.mjs";

const url = process.argv.at(-1);

const client = new Client({ name: "mcp-operator-test-client", version: "1" });
client.fallbackNotificationHandler = async ({ method, params }) => told[method]?.put(params ?? {});
const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);
await talk(client, { server: client.getServerVersion(), protocolVersion: transport.protocolVersion });
await transport.terminateSession();
await client.close();
