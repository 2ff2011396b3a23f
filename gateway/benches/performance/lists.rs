//! `tools/list`.

use super::children::{SERVER, Server};
use super::load::{Load, print, settle};
use super::objects;

pub(crate) fn measure() -> anyhow::Result<()> {
    for count in [50, 833] {
        let folder = objects::write(&objects::tools(count))?;
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        let gateway = Server::gateway(folder.path(), nowhere, &[])?;
        let answer = answer(&gateway)?;
        let file = tempfile::NamedTempFile::new()?.into_temp_path();
        std::fs::write(&file, &answer)?;
        let bare = Server::own(SERVER, "bytes", &[&file.display().to_string()])?;
        let load = Load::modern("tools/list", None, "", 16)?;
        settle();
        let figures = load.compare(&[&bare, &gateway])?;
        if let [bare, gateway] = figures.as_slice() {
            let title = format!(
                "`tools/list`, {count} tools, {} bytes; target: 80 % of the bare handler",
                answer.len()
            );
            print(&title, &[("bare axum handler", bare), ("gateway", gateway)]);
        }
    }
    Ok(())
}

/// What the gateway answers to a list.
fn answer(gateway: &Server) -> anyhow::Result<String> {
    use std::io::{Read as _, Write as _};
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{meta}}}}}"#);
    let mut stream = std::net::TcpStream::connect(gateway.address)?;
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    anyhow::ensure!(text.starts_with("HTTP/1.1 200"), "{text}");
    Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
