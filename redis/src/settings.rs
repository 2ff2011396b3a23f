//! Which Redis, and how it is spoken to.

use std::fmt;
use std::str::FromStr;

use http::uri::Authority;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo,
};
use thiserror::Error;

/// The port of Redis where none is given.
const PORT: u16 = 6379;

/// Which Redis, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `HOST` or `HOST:PORT`
    pub address: String,
    /// Which of its databases.
    pub database: u16,
    /// Whether it is spoken to over TLS, and its certificate checked against this machine's authorities.
    pub tls: bool,
}

/// Who speaks to Redis, as it lists its clients.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// A password, which is not shown.
#[derive(Clone)]
pub struct Password(String);

impl FromStr for Password {
    type Err = std::convert::Infallible;

    /// A file's last line end is no part of a password.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// The settings name no Redis.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// What should be an address is none.
    #[error("{0:?} is no address of a Redis; it must be HOST or HOST:PORT")]
    Address(String),
    /// TLS cannot be set up.
    #[error("redis cannot be spoken to as the settings say")]
    Client(#[from] redis::RedisError),
}

impl Settings {
    /// A client, which has connected to nobody yet, and shows this password. With TLS it needs the process's own provider of
    /// cryptography.
    ///
    /// # Errors
    /// Where the settings name no Redis, or the machine's certificate authorities cannot be read.
    pub fn client(&self, program: Program, password: Option<&Password>) -> Result<Client, SettingsError> {
        Ok(Client::open(self.info(program, password)?)?)
    }

    fn info(&self, program: Program, password: Option<&Password>) -> Result<ConnectionInfo, SettingsError> {
        let wrong = || SettingsError::Address(self.address.clone());
        let authority: Authority = self.address.parse().map_err(|_| wrong())?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || self.address.contains('@') {
            return Err(wrong());
        }
        let port = authority.port_u16().unwrap_or(PORT);
        let address = if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        // Its third protocol can tell a client something without being asked, on the connection that asks as well.
        let mut redis = RedisConnectionInfo::default()
            .set_db(self.database.into())
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name(program.name, program.version);
        if let Some(Password(password)) = password.filter(|it| !it.0.is_empty()) {
            redis = redis.set_password(password);
        }
        Ok(address.into_connection_info()?.set_redis_settings(redis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: Program = Program { name: "tests", version: "1" };

    fn mk_settings(address: &str) -> Settings {
        Settings { address: address.to_owned(), database: 2, tls: false }
    }

    #[test]
    fn an_address_is_a_host_and_maybe_a_port() {
        for (address, expected) in [
            ("redis", "redis:6379"),
            ("redis.ns.svc:6380", "redis.ns.svc:6380"),
            ("[::1]:1", "::1:1"),
            ("10.0.0.1", "10.0.0.1:6379"),
        ] {
            assert_eq!(mk_settings(address).info(TESTS, None).unwrap().addr().to_string(), expected);
        }
        for address in ["", "a b", "me@redis", "redis://redis"] {
            assert!(mk_settings(address).info(TESTS, None).is_err(), "{address}");
        }
    }

    #[test]
    fn a_password_is_sent_and_never_shown() {
        let password: Password = "secret\n".parse().unwrap();
        let info = mk_settings("redis").info(TESTS, Some(&password)).unwrap();
        assert_eq!(info.redis_settings().password(), Some("secret"));
        assert!(!format!("{password:?}").contains("secret"));
    }
}
