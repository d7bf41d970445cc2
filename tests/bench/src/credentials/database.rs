//! A PostgreSQL of its own. It syncs what it commits.

use std::path::Path;

use attorn_tests::postgresql::Postgresql;
use tokio_postgres::Client;

/// Of the administrator by whom the server makes logins.
pub(super) const ADMIN_PASSWORD: &str = "administrator";

/// A database.
pub(super) struct Database {
    pub(super) port: u16,
    server: Postgresql,
}

impl Database {
    /// A new one below this directory, which runs and has a role to give.
    pub(super) async fn start(parent: &Path) -> Self {
        let directory = tempfile::Builder::new().prefix("credentials").tempdir_in(parent).unwrap();
        let mut server = Postgresql::make(directory).await;
        server.start(&[]).await;
        // From 16 on whoever makes logins needs to be told which roles it may give; before, that changes nothing.
        let roles = format!(
            "CREATE ROLE attorn LOGIN CREATEROLE IN ROLE pg_signal_backend PASSWORD '{ADMIN_PASSWORD}'; \
             CREATE ROLE reader; GRANT reader TO attorn WITH ADMIN OPTION"
        );
        server.superuser("postgres").await.batch_execute(&roles).await.unwrap();
        Self { port: server.port, server }
    }

    /// As the administrator by whom the server makes logins.
    pub(super) async fn administrator(&self) -> Client {
        self.server.connect("postgres", "attorn", ADMIN_PASSWORD).await.unwrap()
    }
}
