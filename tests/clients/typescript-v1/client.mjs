// Asks an MCP server over HTTP what the standard input says, with the first TypeScript SDK.

import { text } from "node:stream/consumers";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const url = process.argv.at(-1);

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

const client = new Client({ name: "mcp-operator-test-client", version: "1" });
client.fallbackNotificationHandler = async ({ method, params }) => told[method]?.put(params ?? {});
const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);
say({ server: client.getServerVersion(), protocolVersion: transport.protocolVersion });
for (const line of (await text(process.stdin)).split("\n").filter(Boolean)) {
  const { method, params } = JSON.parse(line);
  try {
    say({ result: await ask(client, method, params) });
  } catch (error) {
    if (typeof error.code !== "number") throw error;
    say({ error: { code: error.code, message: error.message } });
  }
}
await transport.terminateSession();
await client.close();
