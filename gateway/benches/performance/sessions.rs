//! Sessions begun, used once and ended, with Redis.

use super::children::{LOAD, SERVER, Server, free_port};
use super::load::{Load, print, settle};
use super::objects;

/// Each of wrk's threads goes through the life of a session again and again, on one connection: its responses come in the
/// order of its requests.
pub(crate) fn script(arguments: &str) -> String {
    format!(
        r#"
local session = nil
-- wrk asks for one request beforehand, to look at it: this is the step before the last.
local step = 2
local initialize = [==[{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"wrk","version":"1"}}}}}}]==]
local call = [==[{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"called","arguments":{arguments}}}}}]==]
local plain = {{["content-type"] = "application/json", ["accept"] = "application/json, text/event-stream"}}
function request()
    step = step % 3 + 1
    if step == 1 then return wrk.format("POST", nil, plain, initialize) end
    local headers = {{["content-type"] = "application/json", ["accept"] = "application/json, text/event-stream", ["mcp-session-id"] = session}}
    if step == 2 then return wrk.format("POST", nil, headers, call) end
    return wrk.format("DELETE", nil, headers, nil)
end
function response(status, headers, body)
    session = headers["mcp-session-id"] or session
end
"#
    )
}

pub(crate) fn measure() -> anyhow::Result<()> {
    let port = free_port()?;
    let text = port.to_string();
    let program =
        ["redis-server", "--port", &text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let redis = Server::start(LOAD, port, &program)?;
    let backend = Server::own(LOAD, "backend", &[])?;
    let (at, redis_at) = (backend.address.to_string(), redis.address.to_string());
    let folder = objects::write(&[objects::called()])?;
    let bare = Server::own(SERVER, "churn", &[&at, &redis_at])?;
    let gateway = Server::gateway(folder.path(), backend.address, &["--redis", &redis_at])?;
    // One connection a thread: only then a script knows to which request a response belongs.
    let load = Load::script(&script(&objects::arguments()), 1)?;
    settle();
    let figures = load.compare(&[&bare, &gateway])?;
    if let [bare, gateway] = figures.as_slice() {
        print(
            "Requests of `initialize`, `tools/call`, `DELETE`, with Redis; target: half the bare handler's rate",
            &[("bare axum handler", bare), ("gateway", gateway)],
        );
    }
    Ok(())
}
