//! Where the name in an address leads.

use std::io;
use std::net::{IpAddr, SocketAddr};

use redis::RedisFuture;
use redis::io::AsyncDNSResolver;
use tokio::net::lookup_host;

/// Where the name in an address leads. Whatever this finds, TLS holds the certificate to the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// To what it is in the first of these domains that has it, and else to what it is by itself. So a name means here what it
    /// means in a pod whose resolver searches these domains.
    Domains(Vec<String>),
    /// Here, whatever the name is.
    At(IpAddr),
}

impl Lookup {
    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let domains = match self {
            Self::Domains(domains) => domains,
            Self::At(address) => return Ok(vec![SocketAddr::new(*address, port)]),
        };
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for name in names(host, domains) {
            match lookup_host((name, port)).await {
                Ok(found) => {
                    let found: Vec<SocketAddr> = found.collect();
                    // redis' client panics where there is none.
                    if !found.is_empty() {
                        return Ok(found);
                    }
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// With a dot at the end, so that this machine's own resolver searches nowhere else.
fn names(host: &str, domains: &[String]) -> impl Iterator<Item = String> {
    domains.iter().map(move |domain| format!("{host}.{domain}.")).chain([format!("{host}.")])
}

impl AsyncDNSResolver for Lookup {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let addresses = self.addresses(host, port).await?;
            Ok(Box::new(addresses.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_every_domain_and_last_as_it_is() {
        let domains = ["team.svc.cluster.local", "svc.cluster.local"].map(str::to_owned);
        assert_eq!(
            names("redis.infra", &domains).collect::<Vec<_>>(),
            ["redis.infra.team.svc.cluster.local.", "redis.infra.svc.cluster.local.", "redis.infra."]
        );
    }
}
