"""Asks an MCP server what the standard input says, with the official Python SDK. The README beside says how."""

import argparse
import asyncio
import json
import os
import sys

from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError

TIMEOUT_SECONDS = 60


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["auto", "legacy"], default="auto")
    parser.add_argument("server", nargs="+", help="a URL, or after -- a command with its arguments")
    return parser.parse_args()


def target(words):
    if words[0].startswith(("http://", "https://")):
        return words[0]
    return StdioServerParameters(command=words[0], args=words[1:], env=dict(os.environ))


async def ask(client, method, params):
    match method:
        case "tools/list":
            return await client.list_tools()
        case "tools/call":
            return await client.call_tool(params["name"], params.get("arguments"))
        case "resources/list":
            return await client.list_resources()
        case "resources/templates/list":
            return await client.list_resource_templates()
        case "resources/read":
            return await client.read_resource(params["uri"])
        case "prompts/list":
            return await client.list_prompts()
        case "prompts/get":
            return await client.get_prompt(params["name"], params.get("arguments"))
    raise SystemExit(f"no such method: {method}")


def say(line):
    print(json.dumps(line), flush=True)


async def main():
    given = arguments()
    async with Client(target(given.server), mode=given.mode, read_timeout_seconds=TIMEOUT_SECONDS) as client:
        say(
            {
                "server": client.server_info.model_dump(mode="json", by_alias=True, exclude_none=True),
                "protocolVersion": client.protocol_version,
            }
        )
        # The whole input first: a read would hold up the loop.
        for line in sys.stdin.read().splitlines():
            request = json.loads(line)
            try:
                result = await ask(client, request["method"], request.get("params", {}))
            except MCPError as error:
                say({"error": {"code": error.error.code, "message": error.error.message}})
            else:
                say({"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)})


asyncio.run(main())
