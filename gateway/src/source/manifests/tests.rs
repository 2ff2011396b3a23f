use serde_json::json;

use super::*;

fn server(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "MCPServer",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"toolSelector": {}},
    })
}

/// Which server is served where this one is asked for, or why none is.
fn served(servers: &[(&str, &str)], asked: Option<&str>) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    for (namespace, name) in servers {
        let file = folder.path().join(format!("{namespace}-{name}.json"));
        fs::write(file, server(namespace, name).to_string()).unwrap();
    }
    let loaded = Manifests::new(folder.path().to_owned(), asked.map(Into::into)).load();
    let server = loaded.map_err(|error| error.to_string())?.snapshot.server;
    Ok(format!("{}/{}", server.namespace, server.name))
}

#[test]
fn a_server_is_asked_for_by_its_name_or_by_its_namespace_and_name() {
    let servers = [("blue", "main"), ("green", "main"), ("green", "other")];
    assert_eq!(served(&servers, Some("other")).unwrap(), "green/other");
    assert_eq!(served(&servers, Some("green/main")).unwrap(), "green/main");
    assert_eq!(served(&servers, Some("blue/main")).unwrap(), "blue/main");
    assert_eq!(
        served(&servers, Some("blue/other")).unwrap_err(),
        "there is no MCPServer \"blue/other\" among the objects"
    );
}

#[test]
fn a_name_that_several_servers_have_is_not_enough() {
    let servers = [("blue", "main"), ("green", "main"), ("green", "other")];
    assert_eq!(
        served(&servers, Some("main")).unwrap_err(),
        "there is an MCPServer \"main\" in several namespaces (blue/main, green/main): say which with --server NAMESPACE/NAME"
    );
    assert_eq!(
        served(&servers, None).unwrap_err(),
        "there are several MCPServers (blue/main, green/main, green/other): name one with --server, or leave one in the folder"
    );
    assert_eq!(served(&servers[..1], None).unwrap(), "blue/main");
}
