//! Flags and the environment.

use std::io::Write;

use clap::CommandFactory;

use super::*;

#[test]
fn the_flags_fit_together() {
    Options::command().debug_assert();
}

#[test]
fn the_transports_are_those_of_an_mcp_server() {
    for (text, expected) in [
        ("stdio", Transport::Stdio),
        ("http", Transport::Http),
        ("streamable-http", Transport::StreamableHttp),
    ] {
        let options = Options::try_parse_from(["mcp-k8s-server", "--transport", text]).unwrap();
        assert_eq!(options.transport, expected);
    }
    assert!(Options::try_parse_from(["mcp-k8s-server", "--transport", "sse"]).is_err());
}

#[test]
fn a_path_is_one_and_leaves_the_probes_theirs() {
    assert_eq!(path("/a/b-c"), Ok("/a/b-c".to_owned()));
    for wrong in ["", "mcp", "/health", "/ready", "/{a}", "/a b", "/*rest"] {
        assert!(path(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn origins_come_from_a_file_that_need_not_be_there() {
    assert_eq!(allowed_origins(None).unwrap(), Vec::<String>::new());
    assert_eq!(allowed_origins(Some(Path::new("/nonexistent/config.json"))).unwrap(), Vec::<String>::new());

    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        r#"{{ "allowedOrigins": "https://a.example, https://b.example:8443,", "LOG_LEVEL": "info" }}"#
    )
    .unwrap();
    assert_eq!(allowed_origins(Some(file.path())).unwrap(), ["https://a.example", "https://b.example:8443"]);

    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "[").unwrap();
    assert!(allowed_origins(Some(file.path())).is_err());
}
