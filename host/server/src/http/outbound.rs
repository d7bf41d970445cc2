//! What the server asks of others over HTTP goes through a client that follows nobody: no redirects, no proxies of the
//! environment's, and an end.

use std::time::Duration;

use reqwest::{Client, redirect};

use super::failure::Failure;

/// A client whose requests take so long at most. It reads the machine's certificates anew, which takes time that async
/// threads do not have.
pub(crate) async fn client(timeout: Duration) -> Result<Client, Failure> {
    let build = move || {
        Client::builder()
            .user_agent(concat!("attorn/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(timeout)
            .build()
    };
    tokio::task::spawn_blocking(build).await.map_err(Failure::internal)?.map_err(Failure::internal)
}
