"""Asks an MCP server what the standard input says, with the official Python SDK. The README beside says how."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections import defaultdict

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


class Told:
    """What the server tells, by method, until it is asked for."""

    def __init__(self):
        self.queues = defaultdict(asyncio.Queue)

    async def take(self, message):
        if isinstance(message, Exception):
            raise message
        self.queues[message.method].put_nowait(message.params)

    async def next(self, method):
        return await asyncio.wait_for(self.queues[method].get(), TIMEOUT_SECONDS)


async def ask(client, told, subscriptions, method, params):
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
        case "resources/subscribe":
            return await client.subscribe_resource(params["uri"])
        case "subscriptions/listen":
            wanted = params["notifications"]
            subscription = await subscriptions.enter_async_context(
                client.listen(
                    tools_list_changed=wanted.get("toolsListChanged", False),
                    resource_subscriptions=wanted.get("resourceSubscriptions", ()),
                )
            )
            return subscription.honored
        case told_of if told_of.startswith("notifications/"):
            return await told.next(told_of)
    raise SystemExit(f"no such method: {method}")


def plain(model):
    return {} if model is None else model.model_dump(mode="json", by_alias=True, exclude_none=True)


def say(line):
    print(json.dumps(line), flush=True)


async def main():
    given = arguments()
    told = Told()
    client = Client(
        target(given.server), mode=given.mode, read_timeout_seconds=TIMEOUT_SECONDS, message_handler=told.take
    )
    async with client, contextlib.AsyncExitStack() as subscriptions:
        say({"server": plain(client.server_info), "protocolVersion": client.protocol_version})
        # The whole input first: a read would hold up the loop.
        for line in sys.stdin.read().splitlines():
            request = json.loads(line)
            try:
                result = await ask(client, told, subscriptions, request["method"], request.get("params", {}))
            except MCPError as error:
                say({"error": {"code": error.error.code, "message": error.error.message}})
            else:
                say({"result": plain(result)})


asyncio.run(main())
