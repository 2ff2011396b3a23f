// The benchmark's tool, written by hand on the TypeScript SDK: without sessions, answering with JSON.
import { createServer } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

const [port, backend] = [Number(process.argv[2]), process.argv[3]];

function peer() {
  const server = new McpServer({ name: "peer", version: "1" });
  const inputSchema = {
    text: z.string().min(1).max(4096),
    count: z.number().int().min(0).max(1000),
    tags: z.array(z.string().regex(/^[a-z]+$/)).max(10),
  };
  server.registerTool("called", { description: "The benchmark's tool.", inputSchema }, async (given) => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(backend, { method: "POST", headers, body: JSON.stringify(given) });
    const value = await answer.json();
    return { content: [{ type: "text", text: JSON.stringify(value) }], structuredContent: value };
  });
  return server;
}

createServer(async (request, response) => {
  // Without sessions the SDK wants a server and a transport for each request.
  const server = peer();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  response.on("close", () => {
    transport.close();
    server.close();
  });
  await server.connect(transport);
  await transport.handleRequest(request, response);
}).listen(port, "127.0.0.1");
