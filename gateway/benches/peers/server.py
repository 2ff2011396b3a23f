"""The benchmark's tool, written by hand on FastMCP: without sessions, answering with JSON."""

import sys
from typing import Annotated

import httpx2
from fastmcp import FastMCP
from pydantic import Field

port, backend = int(sys.argv[1]), sys.argv[2]
server = FastMCP("peer")
client = httpx2.AsyncClient()
Tag = Annotated[str, Field(pattern="^[a-z]+$")]


@server.tool
async def called(
    text: Annotated[str, Field(min_length=1, max_length=4096)],
    count: Annotated[int, Field(ge=0, le=1000)],
    tags: Annotated[list[Tag], Field(max_length=10)],
) -> dict:
    answer = await client.post(backend, json={"text": text, "count": count, "tags": tags})
    return answer.json()


server.run(
    transport="http", host="127.0.0.1", port=port, path="/mcp", stateless_http=True, json_response=True,
    log_level="critical", show_banner=False, uvicorn_config={"access_log": False},
)
