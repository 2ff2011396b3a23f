//! `tools/call` through a local backend.

mod peers;
pub(crate) mod rmcp;

use super::children::{LOAD, SERVER, Server};
use super::load::{Load, print, settle};
use super::objects;

/// How many connections call at a time.
const CONNECTIONS: usize = 48;

/// How many come to about half of what the gateway can do.
const FEW: usize = 2;

pub(crate) fn measure() -> anyhow::Result<()> {
    let backend = Server::own(LOAD, "backend", &[])?;
    let at = backend.address.to_string();
    let folder = objects::write(&[objects::called()])?;
    let proxy = Server::own(SERVER, "proxy", &[&at])?;
    let gateway = Server::gateway(folder.path(), backend.address, &[])?;
    let rmcp = Server::own(SERVER, "rmcp", &[&at])?;
    let params = format!(r#""name":"called","arguments":{}"#, objects::arguments());
    let load = Load::modern("tools/call", Some("called"), &params, CONNECTIONS)?;
    settle();
    let figures = load.compare(&[&proxy, &gateway, &rmcp])?;
    let [of_proxy, of_gateway, of_rmcp] = figures.as_slice() else { return Ok(()) };
    print(
        "`tools/call`, 1 KiB of arguments, validated, 48 connections; target: 85 % of the bare proxy, twice rmcp's server",
        &[("bare axum proxy", of_proxy), ("gateway", of_gateway), ("rmcp's server", of_rmcp)],
    );
    let few = Load::modern("tools/call", Some("called"), &params, FEW)?.compare(&[&proxy, &gateway])?;
    if let [of_proxy, of_gateway] = few.as_slice() {
        print(
            "The same from two connections, about half of that rate; target: less than 1 ms added to the proxy's p99",
            &[("bare axum proxy", of_proxy), ("gateway", of_gateway)],
        );
        println!("\nThe gateway adds {:.2} ms to p99.", of_gateway.p99() - of_proxy.p99());
    }
    for peer in peers::all(&at)? {
        let legacy = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#);
        let headers =
            [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        let of_peer = Load::post(&headers, &legacy, CONNECTIONS)?.compare(&[&peer.server])?;
        let Some(of_peer) = of_peer.first() else { continue };
        print(
            &format!("The same call, written by hand; target: {} times", peer.target),
            &[("gateway", of_gateway), (peer.name, of_peer)],
        );
        println!(
            "\nThe gateway does {:.0} times what {} does.",
            of_gateway.rate() / of_peer.rate(),
            peer.name
        );
    }
    Ok(())
}
