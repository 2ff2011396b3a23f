//! Which Redis, and how it is spoken to.

use std::fmt;
use std::str::FromStr;

use ::redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo,
};
use http::uri::Authority;
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
    /// What it is shown, where it asks for one.
    pub password: Option<Password>,
    /// Whether it is spoken to over TLS, and its certificate checked against this machine's authorities.
    pub tls: bool,
    /// What becomes of what cannot be done without Redis.
    pub on_failure: OnFailure,
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

/// What becomes of what cannot be done without Redis, while there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnFailure {
    /// It is done as far as this pod can: sessions begin here, those of before are taken at their word, and limits are
    /// counted here
    #[default]
    Open,
    /// It is refused: with 503 what needs a session, and with an error a call of a tool that has a rate limit
    Closed,
}

/// The settings name no Redis.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// What should be an address is none.
    #[error("{0:?} is no address of a Redis; it must be HOST or HOST:PORT")]
    Address(String),
    /// TLS cannot be set up.
    #[error("redis cannot be spoken to as the settings say")]
    Client(#[from] ::redis::RedisError),
}

impl Settings {
    pub(super) fn client(&self) -> Result<Client, SettingsError> {
        Ok(Client::open(self.info()?)?)
    }

    fn info(&self) -> Result<ConnectionInfo, SettingsError> {
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
        // Its third protocol can tell this pod something without being asked, on the connection that asks as well.
        let mut redis = RedisConnectionInfo::default()
            .set_db(self.database.into())
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name("mcp-gateway", crate::VERSION);
        if let Some(Password(password)) = self.password.as_ref().filter(|it| !it.0.is_empty()) {
            redis = redis.set_password(password);
        }
        Ok(address.into_connection_info()?.set_redis_settings(redis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_settings(address: &str) -> Settings {
        let password = Some("secret\n".parse().unwrap());
        Settings {
            address: address.to_owned(),
            database: 2,
            password,
            tls: false,
            on_failure: OnFailure::Open,
        }
    }

    #[test]
    fn an_address_is_a_host_and_maybe_a_port() {
        for (address, expected) in [
            ("redis", "redis:6379"),
            ("redis.ns.svc:6380", "redis.ns.svc:6380"),
            ("[::1]:1", "::1:1"),
            ("10.0.0.1", "10.0.0.1:6379"),
        ] {
            assert_eq!(mk_settings(address).info().unwrap().addr().to_string(), expected);
        }
        for address in ["", "a b", "me@redis", "redis://redis"] {
            assert!(mk_settings(address).info().is_err(), "{address}");
        }
    }

    #[test]
    fn a_password_is_sent_and_never_shown() {
        let settings = mk_settings("redis");
        assert_eq!(settings.info().unwrap().redis_settings().password(), Some("secret"));
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
