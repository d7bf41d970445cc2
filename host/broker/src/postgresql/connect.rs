//! Connections to the database, as its administrator. Each has limits of its own on the other side, too, so that what
//! we do not wait for any more does not go on there for ever.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use attorn_core::{PostgresqlSettings, SqlName, TargetTls};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::errors::within;
use super::kept::Kept;
use super::stream::{Allowance, Bounded};
use crate::address;
use crate::fault::Fault;
use crate::kind::KindError;
use crate::tls;

/// How long connecting may take, with name and sign-in.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);
/// How long after it was let in a connection is used again: a password that counts no more is noticed then at the latest,
/// however busy the target is.
const LET_IN: Duration = Duration::from_mins(1);
/// How many of those are kept.
const IDLE_MAX: usize = 8;
/// How many bytes an answer may have, with all that comes before it is used again: what is asked for is short.
const ANSWERS_BYTES_MAX: u64 = 1 << 20;
/// How soon it is found out that nobody is there any more: what is kept for ending logins may be needed at any time.
const ALIVE: Duration = Duration::from_secs(10);
/// What the database itself does not let take longer, and which names mean what: nothing in a schema that others may
/// write to.
const OPTIONS: &str = "-c statement_timeout=5000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=10000 \
                       -c search_path=pg_catalog -c standard_conforming_strings=on";

/// The passwords that the administrator may have: one, or two while it is being changed.
pub type Passwords = Vec<Zeroizing<Vec<u8>>>;

/// How to get a connection.
pub(super) struct Connector {
    pub(super) settings: PostgresqlSettings,
    pub(super) passwords: Passwords,
    /// Where this server listens.
    pub(super) own: SocketAddr,
    idle: Mutex<Vec<(Instant, Connection)>>,
    /// For ending logins alone.
    pub(super) kept: Arc<Kept>,
}

/// A connection. What drives it ends with it.
pub(super) struct Connection {
    pub(super) client: Client,
    allowance: Allowance,
    driver: AbortHandle,
    /// Since when.
    since: Instant,
}

impl Connection {
    /// The next answers may be so long together.
    pub(super) fn expect(&self, bytes: u64) {
        self.allowance.set(bytes);
    }

    /// The next answers may be as long as usual.
    pub(super) fn allow(&self) {
        self.expect(ANSWERS_BYTES_MAX);
    }
}

/// Why there is no connection, and whether that is because of the password.
type Unconnected = (KindError, bool);

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connector {
    pub(super) fn new(settings: PostgresqlSettings, passwords: Passwords, own: SocketAddr) -> Self {
        Self { settings, passwords, own, idle: Mutex::default(), kept: Arc::default() }
    }

    /// What another kept for ending logins is kept by this one from now on, where it is for the same database. What it
    /// keeps may be all that there is still room for.
    pub(super) fn take_over(&mut self, earlier: &Self) {
        let place = |settings: &PostgresqlSettings| {
            let PostgresqlSettings { host, port, database, admin, tls, .. } = settings;
            (host.clone(), *port, database.clone(), admin.clone(), tls.clone())
        };
        if place(&self.settings) == place(&earlier.settings) {
            self.kept = Arc::clone(&earlier.kept);
        }
    }

    /// A connection to the database of the target: one that is kept, or a new one.
    pub(super) async fn connection(&self) -> Result<Connection, KindError> {
        while let Some((since, kept)) = self.lock().pop() {
            if since.elapsed() < IDLE && kept.since.elapsed() < LET_IN && !kept.client.is_closed() {
                kept.allow();
                return Ok(kept);
            }
        }
        self.to(&self.settings.database).await
    }

    /// Keep a connection on which nothing failed.
    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.lock();
        if idle.len() < IDLE_MAX && !connection.client.is_closed() {
            idle.push((Instant::now(), connection));
        }
    }

    /// A new connection to this database.
    pub(super) async fn to(&self, database: &SqlName) -> Result<Connection, KindError> {
        // What it holds on to is large, and nobody's caller should carry it.
        Box::pin(within(CONNECT, "connecting", self.connect(database))).await
    }

    async fn connect(&self, database: &SqlName) -> Result<Connection, KindError> {
        let settings = &self.settings;
        let addresses = address::resolve(&settings.host, settings.port, self.own).await?;
        if settings.tls == TargetTls::Loopback
            && let Some(far) = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback())
        {
            let text = format!("`{}` is `{}`: without TLS only a loopback address is good", settings.host, far.ip());
            return Err(KindError::misconfigured(text));
        }
        let mut last = KindError::misconfigured("the target has no password");
        for password in &self.passwords {
            for address in &addresses {
                match self.connect_to(*address, database, password).await {
                    Ok(connection) => return Ok(connection),
                    Err((error, wrong)) => {
                        last = error;
                        // The database is there, and knows another password.
                        if wrong {
                            break;
                        }
                    }
                }
            }
        }
        if last.fault() == Fault::SignIn {
            // Whoever is not let in any more does not go on by having been let in before.
            self.lock().clear();
        }
        Err(last)
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        database: &SqlName,
        password: &[u8],
    ) -> Result<Connection, Unconnected> {
        let settings = &self.settings;
        let broken =
            |error: std::io::Error| (KindError::unreachable(format!("the database is not to be had: {error}")), false);
        let refused = |error: tokio_postgres::Error| {
            let wrong = error.code() == Some(&SqlState::INVALID_PASSWORD);
            (KindError::from(error), wrong)
        };
        let stream = TcpStream::connect(address).await.map_err(broken)?;
        watched(&stream).map_err(broken)?;
        let allowance = Allowance::of(ANSWERS_BYTES_MAX);
        let mut config = Config::new();
        config
            .dbname(database.as_str())
            .user(settings.admin.as_str())
            .password(password)
            .application_name("attorn")
            .options(OPTIONS);
        let (client, driver) = match &settings.tls {
            TargetTls::Loopback => {
                let stream = Bounded::plain(stream, allowance.clone());
                config.ssl_mode(SslMode::Disable);
                let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(refused)?;
                (client, tokio::spawn(connection).abort_handle())
            }
            TargetTls::Verified(roots) => {
                // With the channel bound, whoever answers knows the password's verifier and holds the certificate.
                config.ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require);
                let stream = Bounded::over_tls(stream, allowance.clone());
                let mut maker = MakeRustlsConnect::new(tls::config(Some(roots)).map_err(|error| (error, false))?);
                let host = settings.host.as_str();
                let tls = MakeTlsConnect::<Bounded<TcpStream>>::make_tls_connect(&mut maker, host);
                let tls = tls.unwrap_or_else(|never| match never {});
                let (client, connection) = config.connect_raw(stream, tls).await.map_err(refused)?;
                (client, tokio::spawn(connection).abort_handle())
            }
        };
        Ok(Connection { client, allowance, driver, since: Instant::now() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Find out also in a long silence that nobody is there any more.
fn watched(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(ALIVE).with_interval(ALIVE / 3).with_retries(3))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(ALIVE))?;
    Ok(())
}
