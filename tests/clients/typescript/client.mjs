// Asks an MCP server what the standard input says, with the official TypeScript SDK. The README beside says how.

import { parseArgs } from "node:util";
import { text } from "node:stream/consumers";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const { values, positionals } = parseArgs({
  options: { mode: { type: "string", default: "auto" } },
  allowPositionals: true,
});

function transport([first, ...rest]) {
  return /^https?:/.test(first)
    ? new StreamableHTTPClientTransport(new URL(first))
    : new StdioClientTransport({ command: first, args: rest, env: process.env });
}

// What the server tells, by method, until it is asked for.
const told = Object.fromEntries(
  ["notifications/tools/list_changed", "notifications/resources/updated"].map((method) => [method, queue()]),
);

function queue() {
  const [kept, waiting] = [[], []];
  return {
    put: (params) => (waiting.length ? waiting.shift()(params) : kept.push(params)),
    next: () => (kept.length ? kept.shift() : new Promise((resolve) => waiting.push(resolve))),
  };
}

function ask(client, method, params) {
  switch (method) {
    case "tools/list":
      return client.listTools();
    case "tools/call":
      return client.callTool(params);
    case "resources/list":
      return client.listResources();
    case "resources/templates/list":
      return client.listResourceTemplates();
    case "resources/read":
      return client.readResource(params);
    case "resources/subscribe":
      return client.subscribeResource(params);
    case "subscriptions/listen":
      return client.listen(params.notifications).then(({ honoredFilter }) => honoredFilter);
    case "prompts/list":
      return client.listPrompts();
    case "prompts/get":
      return client.getPrompt(params);
    case "notifications/tools/list_changed":
    case "notifications/resources/updated":
      return told[method].next();
    default:
      throw new Error(`no such method: ${method}`);
  }
}

const say = (line) => console.log(JSON.stringify(line));

const client = new Client(
  { name: "mcp-operator-test-client", version: "1" },
  { versionNegotiation: { mode: values.mode } },
);
for (const [method, { put }] of Object.entries(told)) {
  client.setNotificationHandler(method, ({ params }) => put(params ?? {}));
}
await client.connect(transport(positionals));
say({ server: client.getServerVersion(), protocolVersion: client.getNegotiatedProtocolVersion() });
for (const line of (await text(process.stdin)).split("\n").filter(Boolean)) {
  const { method, params } = JSON.parse(line);
  try {
    say({ result: await ask(client, method, params) });
  } catch (error) {
    if (typeof error.code !== "number") throw error;
    say({ error: { code: error.code, message: error.message } });
  }
}
await client.close();
