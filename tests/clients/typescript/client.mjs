// Asks an MCP server what the standard input says, with the official TypeScript SDK. The README beside says how.

import { parseArgs } from "node:util";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import { talk, told } from "./talk.mjs";

const { values, positionals } = parseArgs({
  options: { mode: { type: "string", default: "auto" } },
  allowPositionals: true,
});

function transport([first, ...rest]) {
  return /^https?:/.test(first)
    ? new StreamableHTTPClientTransport(new URL(first))
    : new StdioClientTransport({ command: first, args: rest, env: process.env });
}

const listen = (client, { notifications }) => client.listen(notifications).then(({ honoredFilter }) => honoredFilter);

const client = new Client(
  { name: "mcp-operator-test-client", version: "1" },
  { versionNegotiation: { mode: values.mode } },
);
for (const [method, { put }] of Object.entries(told)) {
  client.setNotificationHandler(method, ({ params }) => put(params ?? {}));
}
await client.connect(transport(positionals));
const connected = { server: client.getServerVersion(), protocolVersion: client.getNegotiatedProtocolVersion() };
await talk(client, connected, { "subscriptions/listen": listen });
await client.close();
