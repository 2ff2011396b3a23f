// What the clients of both TypeScript SDKs share: asking what the standard input says, and keeping what the server tells.

import { text } from "node:stream/consumers";

// What the server tells, by method, until it is asked for.
export const told = {
  "notifications/tools/list_changed": queue(),
  "notifications/resources/updated": queue(),
};

function queue() {
  const [kept, waiting] = [[], []];
  return {
    put: (params) => (waiting.length ? waiting.shift()(params) : kept.push(params)),
    next: () => (kept.length ? kept.shift() : new Promise((resolve) => waiting.push(resolve))),
  };
}

const requests = {
  "tools/list": (client) => client.listTools(),
  "tools/call": (client, params) => client.callTool(params),
  "resources/list": (client) => client.listResources(),
  "resources/templates/list": (client) => client.listResourceTemplates(),
  "resources/read": (client, params) => client.readResource(params),
  "resources/subscribe": (client, params) => client.subscribeResource(params),
  "prompts/list": (client) => client.listPrompts(),
  "prompts/get": (client, params) => client.getPrompt(params),
};

const say = (line) => console.log(JSON.stringify(line));

// Says what the client is connected to, and then the answer to each request; `own` are those of one SDK alone.
export async function talk(client, connected, own = {}) {
  const ask = { ...requests, ...own };
  say(connected);
  for (const line of (await text(process.stdin)).split("\n").filter(Boolean)) {
    const { method, params } = JSON.parse(line);
    if (!(method in ask || method in told)) throw new Error(`no such method: ${method}`);
    try {
      say({ result: await (method in told ? told[method].next() : ask[method](client, params)) });
    } catch (error) {
      if (typeof error.code !== "number") throw error;
      say({ error: { code: error.code, message: error.message } });
    }
  }
}
