//! A Redis that asks for a password, which gateways have in a file.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;

use super::{knows, lists};
use crate::support::gateway::{Gateway, Objects};
use crate::support::redis::Redis;
use crate::support::wait;

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

/// A file with a password, or the place of one. Dropping this removes it.
struct PasswordFile {
    folder: TempDir,
}

impl PasswordFile {
    fn missing() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn holding(password: &str) -> Self {
        let this = Self::missing();
        this.write(password);
        this
    }

    /// Writes it, at once for who reads it.
    fn write(&self, content: impl AsRef<[u8]>) {
        let aside = self.folder.path().join("aside");
        fs::write(&aside, content).expect("write a password");
        fs::rename(aside, self.path()).expect("rename it");
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("password")
    }
}

/// A gateway that serves nothing, with this Redis.
async fn mk_gateway(objects: &Objects, redis: &Redis, file: &PasswordFile) -> Gateway {
    let (address, path) = (redis.address(), file.path().display().to_string());
    let arguments = ["--redis", &address, "--redis-password-file", &path];
    Gateway::start(objects, NOWHERE, &arguments, &[]).await
}

/// Waits until a gateway has logged a line with all of these.
async fn says(gateway: &Gateway, texts: &[&str]) {
    wait::until(format!("it says {texts:?}"), async || {
        let lines = gateway.process.output.containing("redis cannot be reached");
        let is_said = lines.iter().any(|line| texts.iter().all(|text| line.contains(text)));
        if is_said { Ok(()) } else { Err(format!("{lines:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_new_password_is_taken_up_without_a_restart() {
    let redis = Redis::start().await;
    assert_eq!(redis.ask("CONFIG SET requirepass fir5t").await.unwrap(), "+OK\r\n");
    let (file, objects) = (PasswordFile::holding("fir5t\n"), Objects::new(&[]));
    let gateways = [mk_gateway(&objects, &redis, &file).await, mk_gateway(&objects, &redis, &file).await];
    let [a, b] = [0, 1].map(|at| gateways[at].client());
    let session = a.session().await;
    assert_eq!(lists(&b, &session).await, 200);
    let change = "AUTH fir5t\r\nCONFIG SET requirepass s3cond\r\nCLIENT KILL SKIPME yes";
    assert_eq!(redis.ask(change).await.unwrap(), "+OK\r\n+OK\r\n:2\r\n");
    for gateway in &gateways {
        knows(gateway, false).await;
        says(gateway, &["WRONGPASS"]).await;
    }
    file.write("s3cond\n");
    for gateway in &gateways {
        knows(gateway, true).await;
    }
    assert_eq!(lists(&b, &session).await, 200, "it was never gone");
    let after = b.session().await;
    assert_eq!((lists(&a, &after).await, a.end(&after).await.status), (200, 204));
    assert_eq!(lists(&b, &after).await, 404, "what one pod does the other knows");
    for gateway in &gateways {
        assert_eq!(gateway.process.exit_code(), None);
        for password in ["fir5t", "s3cond"] {
            assert!(gateway.process.output.containing(password).is_empty());
        }
    }
}

#[tokio::test]
async fn a_password_that_cannot_be_read_is_said_and_waited_for() {
    let redis = Redis::start().await;
    assert_eq!(redis.ask("CONFIG SET requirepass s3cret").await.unwrap(), "+OK\r\n");
    let (file, objects) = (PasswordFile::missing(), Objects::new(&[]));
    let gateway = mk_gateway(&objects, &redis, &file).await;
    says(&gateway, &[file.path().to_str().unwrap(), "No such file"]).await;
    assert_eq!(gateway.admin("/capabilities").await["redis"], json!({"ready": false}));
    let client = gateway.client();
    assert_eq!(lists(&client, &client.session().await).await, 200, "it serves without Redis");
    file.write(b"\xff\xfe");
    says(&gateway, &["UTF-8"]).await;
    file.write("");
    says(&gateway, &["NOAUTH"]).await;
    file.write("s3cret");
    knows(&gateway, true).await;
    assert_eq!(lists(&client, &client.session().await).await, 200);
    let said = gateway.process.output.containing("redis cannot be reached");
    assert_eq!(said.len(), 3, "each reason once: {said:?}");
}

#[tokio::test]
async fn tls_and_a_password() {
    let redis = Redis::secured("s3cret").await;
    let (authority, address) = (redis.authority(), format!("localhost:{}", redis.port));
    let (right, guessed, objects) =
        (PasswordFile::holding("s3cret"), PasswordFile::holding("guess"), Objects::new(&[]));
    let start = async |file: &PasswordFile, authority: &str| {
        let path = file.path().display().to_string();
        let arguments = ["--redis", &address, "--redis-tls", "--redis-database", "3"];
        let variables = [("MCP_GATEWAY_REDIS_PASSWORD_FILE", &*path), ("SSL_CERT_FILE", authority)];
        Gateway::start(&objects, NOWHERE, &arguments, &variables).await
    };
    let (good, also) = (start(&right, &authority).await, start(&right, &authority).await);
    let session = good.client().session().await;
    assert_eq!(lists(&also.client(), &session).await, 200);
    assert_eq!(good.admin("/capabilities").await["redis"], json!({"ready": true}));
    let wrong = start(&guessed, &authority).await;
    assert_eq!(wrong.admin("/capabilities").await["redis"], json!({"ready": false}));
    let stranger = start(&right, "/etc/ssl/certs/ca-certificates.crt").await;
    assert_eq!(stranger.admin("/capabilities").await["redis"], json!({"ready": false}));
    for gateway in [&good, &wrong, &stranger] {
        assert!(gateway.process.output.containing("s3cret").is_empty());
        assert!(gateway.process.output.containing("guess").is_empty());
    }
}
