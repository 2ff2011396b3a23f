#!/usr/bin/env python3
"""Collects the tools that public MCP servers offer, for the tests of crds: starts each server over stdio, asks tools/list, and
writes what it answers to crds/tests/it/corpus/tools.json. The servers are installed, at the versions named here, into a cache;
none of them needs credentials or reaches a network to list its tools.

    hack/corpus/collect-tools.py            # all servers; replaces the file
    hack/corpus/collect-tools.py NAME …     # prints what these would give

Only packages under the MIT or the Apache-2.0 licence are taken.
"""

import json
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "crds/tests/it/corpus/tools.json"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mcp-operator/corpus/servers"
LICENCES = {"MIT", "Apache-2.0"}
TIMEOUT = 90

# (registry, package, version, command, arguments)
SERVERS = [
    ("npm", "@modelcontextprotocol/server-everything", "2026.8.31", "mcp-server-everything", []),
    ("npm", "@modelcontextprotocol/server-filesystem", "2026.8.31", "mcp-server-filesystem", ["{tmp}"]),
    ("npm", "@modelcontextprotocol/server-memory", "2026.8.31", "mcp-server-memory", []),
    ("npm", "@modelcontextprotocol/server-sequential-thinking", "2026.8.31", "mcp-server-sequential-thinking", []),
    ("npm", "@antv/mcp-server-chart", "0.9.10", "mcp-server-chart", []),
    ("npm", "@notionhq/notion-mcp-server", "2.5.2", "notion-mcp-server", []),
    ("npm", "@playwright/mcp", "0.0.83", "playwright-mcp", []),
    ("npm", "kubernetes-mcp-server", "0.0.67", "kubernetes-mcp-server", ["--kubeconfig", "{tmp}/kubeconfig"]),
    ("pypi", "excel-mcp-server", "2.2.2", "excel-mcp-server", ["stdio"]),
    ("pypi", "mcp-server-fetch", "2026.10.24", "mcp-server-fetch", []),
    ("pypi", "mcp-server-git", "2026.10.19", "mcp-server-git", []),
    ("pypi", "mcp-server-time", "2026.10.19", "mcp-server-time", []),
]

KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: none, user: {}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
current-context: none
"""


def install(registry, package, version):
    """Installs a package into a directory of its own; returns that of its commands, and its licence."""
    directory = CACHE / f"{registry}-{re.sub('[^a-z0-9.-]', '_', package.lower())}-{version}"
    wanted = f"{package}{'@' if registry == 'npm' else '=='}{version}"
    if registry == "npm":
        if not (directory / "node_modules/.bin").is_dir():
            run("npm", "install", "--prefix", directory, "--no-audit", "--no-fund", "--loglevel=error", wanted)
        manifest = json.loads((directory / "node_modules" / package / "package.json").read_text())
        licence = manifest.get("license")
        if licence == "SEE LICENSE IN LICENSE":
            readme = (directory / "node_modules" / package / "README.md").read_text()
            licence = "MIT" if "licensed under the MIT License" in readme else licence
        return directory / "node_modules/.bin", licence
    if not (directory / "bin/python").exists():
        run(sys.executable, "-m", "venv", directory)
    if not any((directory / "bin").glob("*mcp*")):
        run(directory / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted)
    ask = (
        "import importlib.metadata as m, json; d = m.metadata({!r}); "
        "print(json.dumps([d.get('License-Expression') or d.get('License'), d.get_all('Classifier') or []]))"
    )
    output = subprocess.run(
        [directory / "bin/python", "-c", ask.format(package)], check=True, capture_output=True, text=True
    ).stdout
    licence, classifiers = json.loads(output)
    if licence not in LICENCES:
        known = {"License :: OSI Approved :: MIT License": "MIT", "License :: OSI Approved :: Apache Software License": "Apache-2.0"}
        licence = next((known[c] for c in classifiers if c in known), None) or licence_of_text(licence)
    return directory / "bin", licence


def licence_of_text(text):
    """Older packages put the licence's whole text, or its first words, where its name belongs."""
    first = (text or "").strip().split("\n")[0]
    return {"MIT License": "MIT", "Apache License": "Apache-2.0"}.get(first, first)


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def list_tools(command, arguments):
    """Speaks to a server over stdio until it has listed its tools."""
    with tempfile.TemporaryDirectory() as tmp:
        (pathlib.Path(tmp) / "kubeconfig").write_text(KUBECONFIG)
        arguments = [argument.replace("{tmp}", tmp) for argument in arguments]
        server = subprocess.Popen(
            [str(command), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp
        )
        try:
            ask(server, 1, "initialize", {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "collect-tools", "version": "1"},
            })
            send(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
            tools, cursor, number = [], None, 2
            while True:
                page = ask(server, number, "tools/list", {"cursor": cursor} if cursor else {})
                tools += page["tools"]
                cursor, number = page.get("nextCursor"), number + 1
                if not cursor:
                    return tools
        finally:
            server.stdin.close()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def send(server, message):
    server.stdin.write(json.dumps(message).encode() + b"\n")
    server.stdin.flush()


def ask(server, number, method, params):
    send(server, {"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    deadline = time.monotonic() + TIMEOUT
    while select.select([server.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
        line = server.stdout.readline()
        if not line:
            raise RuntimeError("the server ended")
        try:
            message = json.loads(line)
        except ValueError:
            continue  # some print plain text as well
        if message.get("id") == number and "method" not in message:
            if "error" in message:
                raise RuntimeError(message["error"])
            return message["result"]
    raise RuntimeError(f"no answer to {method} within {TIMEOUT} s")


def main():
    wanted = set(sys.argv[1:])
    corpus = []
    for registry, package, version, command, arguments in SERVERS:
        if wanted and package not in wanted:
            continue
        commands, licence = install(registry, package, version)
        if licence not in LICENCES:
            raise SystemExit(f"{package} is under {licence!r}, which is not taken")
        tools = list_tools(commands / command, arguments)
        print(f"{package} {version} ({licence}): {len(tools)} tools", file=sys.stderr)
        corpus.append({
            "package": f"{registry}:{package}",
            "version": version,
            "licence": licence,
            # Descriptions of tools can be pages long, and no rule reads them.
            "tools": [
                {"name": tool["name"], "description": (tool.get("description") or "").strip().split("\n")[0][:200]}
                | {field: tool[field] for field in ("inputSchema", "outputSchema") if field in tool}
                for tool in tools
            ],
        })
    text = json.dumps(corpus, indent=1, ensure_ascii=False) + "\n"
    if wanted:
        print(text)
    else:
        OUTPUT.write_text(text)
        print(f"{sum(len(server['tools']) for server in corpus)} tools, {len(text) // 1024} KiB", file=sys.stderr)


if __name__ == "__main__":
    main()
