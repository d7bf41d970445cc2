//! What the server asks of others over HTTP goes through a client that follows nobody: no redirects, no proxies of the
//! environment's, and an end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use attorn_broker::address;
use attorn_core::HostName;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
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

/// The same, for names whose every address is looked at before there is a connection: see [`address::check`]. Where a URL
/// has an address in place of a name, nothing is resolved, and whoever sends looks at it.
pub(crate) async fn checked_client(timeout: Duration, own: SocketAddr) -> Result<Client, Failure> {
    built(builder(timeout).dns_resolver(Arc::new(Checked { own }))).await
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

/// Resolves names, and refuses those that lead where nothing of ours goes.
struct Checked {
    own: SocketAddr,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let own = self.own;
        Box::pin(async move {
            let host: HostName = name.as_str().parse()?;
            // The port is the URL's, which is not known here.
            let addresses: Addrs = Box::new(address::resolve(&host, 0, own).await?.into_iter());
            Ok(addresses)
        })
    }
}
