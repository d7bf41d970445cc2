//! What the server asks of others over HTTP goes through a client that follows nobody: no redirects, no proxies of the
//! environment's, and an end.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect};

use super::failure::Failure;

/// A client whose requests take so long at most. It reads the machine's certificates anew, which takes time that async
/// threads do not have.
pub(crate) async fn client(timeout: Duration) -> Result<Client, Failure> {
    built(builder(timeout)).await
}

/// A client that finds this host at these addresses and no others: they were looked at.
pub(crate) async fn client_to(timeout: Duration, host: &str, addresses: &[SocketAddr]) -> Result<Client, Failure> {
    built(builder(timeout).resolve_to_addrs(host, addresses)).await
}

fn builder(timeout: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("attorn/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .timeout(timeout)
}

async fn built(builder: ClientBuilder) -> Result<Client, Failure> {
    tokio::task::spawn_blocking(|| builder.build()).await.map_err(Failure::internal)?.map_err(Failure::internal)
}
