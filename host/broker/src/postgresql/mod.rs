//! Logins in a PostgreSQL for one grant each.
//!
//! A login is a role with a random name, a comment that says what it was made for, a SCRAM-SHA-256 verifier that is
//! computed here (the password never reaches the database, its log or its statistics), an end (`VALID UNTIL`, by the
//! database's own clock), a limit of connections, and membership in the roles that the target's rules give for the
//! grant's action. All of it, and the row that says which user it is for, is one transaction.
//!
//! Nothing that a login can set is trusted: row-level security finds the user by `session_user`, which only a
//! superuser changes, in a table that only the administrator may write. Which roles may be given is checked in the
//! database each time: none that could sign in itself, or is or becomes more than a plain role.

mod connect;
mod errors;
mod guard;
mod issue;
mod kept;
mod look;
mod owned;
mod quote;
mod ready;
mod revoke;
mod stream;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use attorn_core::{Grant, LeaseId, PostgresqlSettings, SqlName};
use attorn_store::Recorded;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use zeroize::Zeroizing;

use crate::kind::{CredentialKind, Ended, KindError, Outside};
use connect::Connector;
pub use connect::Passwords;
use errors::within;
pub use ready::Ready;

/// How long making, renewing or looking may take, over all.
pub const ACT: Duration = Duration::from_secs(10);
/// How long ending one login may take, over all: its sessions have to go first.
pub const REVOKE: Duration = Duration::from_secs(20);

/// How often it is tried to make room for locks before a login counts as not ended this time.
const ROOM_ATTEMPTS: u32 = 3;
/// What a database says that has no room for locks, or other memory.
const OUT_OF_MEMORY: &str = "53200";
/// So much time is needed to make a login. With less none is begun.
const ACT_MIN: Duration = Duration::from_secs(1);
/// How many bytes the list of all logins may have.
const LOGINS_BYTES_MAX: u64 = 64 << 20;

/// With what the names of all logins begin.
const PREFIX: &str = "attorn_";

/// A PostgreSQL in which logins are made.
pub struct Postgresql {
    connector: Connector,
    /// Which server's logins are its own: the id of its audit log.
    log_id: String,
}

/// What login is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its name, and the lease that it is for.
    pub outside: Outside,
    /// The roles that it is a member of.
    pub roles: Vec<SqlName>,
    /// How long it lives from now on.
    pub life: Duration,
    /// Within which time from now on it may be made. Whoever asks has it ended after that.
    pub within: Duration,
}

impl Order {
    /// Until when it lives, and until when it may be made.
    fn bounds(&self) -> Result<(Instant, Instant), KindError> {
        if self.within < ACT_MIN || self.life < ACT_MIN {
            return Err(KindError::not_now("there is no time left to make the login"));
        }
        let now = Instant::now();
        Ok((now + self.life, now + self.within.min(ACT)))
    }
}

/// A login. Its password is shown once and kept nowhere.
pub struct Login {
    /// Where the database answers.
    pub host: String,
    /// At which port.
    pub port: u16,
    /// Which database.
    pub database: String,
    /// The name of the login.
    pub user: String,
    /// Its password.
    pub password: Zeroizing<String>,
}

/// What is wrong with a target as it is now, in sentences for its operator.
pub type Problems = Vec<String>;

impl Postgresql {
    /// A target, as it is registered. Nothing is connected to yet.
    #[must_use]
    pub fn new(settings: PostgresqlSettings, passwords: Passwords, own: SocketAddr, log_id: String) -> Self {
        Self { connector: Connector::new(settings, passwords, own), log_id }
    }

    /// The same database as it was registered before: what is kept for ending its logins is kept on.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        self.connector.take_over(&earlier.connector);
        self
    }

    /// See that what is kept for ending logins is good, if there was one to end. Whoever keeps this does so now and then.
    ///
    /// # Errors
    ///
    /// Why it cannot be had.
    pub async fn look_after(&self) -> Result<(), KindError> {
        within(ACT, "looking after what is kept", self.connector.kept.look_after(&self.connector)).await
    }

    /// What an operator should know: whether its administrator is let in now and can do what is needed, its roles are good
    /// to give, and its table of users is nobody else's to write.
    ///
    /// # Errors
    ///
    /// When it cannot be asked.
    pub async fn problems(&self) -> Result<Problems, KindError> {
        let act = async {
            // Whoever asks wants to know whether the password counts, and one that was let in before does not say.
            let connection = self.connector.to(&self.connector.settings.database).await?;
            let problems = look::problems(&connection, &self.connector.settings).await?;
            self.connector.keep(connection);
            Ok(problems)
        };
        within(ACT, "looking at the database", act).await
    }

    /// Look whether a login with these roles can be made, and get ready for it: while it is being recorded that one is to
    /// be made. Nothing exists outside by this.
    ///
    /// # Errors
    ///
    /// When none can be made.
    pub async fn ready(&self, roles: &[SqlName], for_user: bool) -> Result<Ready, KindError> {
        within(ACT, "looking whether a login can be made", Ready::new((&self.connector, &self.log_id), roles, for_user))
            .await
    }

    /// As [`CredentialKind::issue`], by what was made ready for it, if that is of now.
    ///
    /// # Errors
    ///
    /// As [`CredentialKind::issue`].
    pub async fn issue_ready(
        &self,
        grant: &Recorded<Grant>,
        order: &Order,
        ready: Option<Ready>,
    ) -> Result<Login, KindError> {
        let bounds = order.bounds()?;
        let (settings, for_user) = (&self.connector.settings, grant.get().behalf.is_some());
        let act = async {
            let ready = match ready.filter(|ready| ready.is_for(&order.roles, for_user)) {
                Some(ready) => ready,
                None => Ready::new((&self.connector, &self.log_id), &order.roles, for_user).await?,
            };
            issue::login(&ready, (settings, &self.log_id), grant.get(), (order, bounds)).await?;
            self.connector.keep(ready.connection);
            Ok(ready.password)
        };
        let within_ms = bounds.1.saturating_duration_since(Instant::now());
        let password = within(within_ms, "making the login", act).await?;
        Ok(Login {
            host: settings.host.to_string(),
            port: settings.port,
            database: settings.database.to_string(),
            user: order.outside.name.to_string(),
            password,
        })
    }

    /// Give the administrator this password. Whoever calls has recorded it before.
    ///
    /// # Errors
    ///
    /// When nobody knows whether it has it now.
    pub async fn change_password(&self, password: &[u8]) -> Result<(), KindError> {
        let act = async {
            // By a new connection, so that one that is there proves that a password of ours is right.
            let connection = self.connector.to(&self.connector.settings.database).await?;
            let verifier = postgres_protocol::password::scram_sha_256(password);
            let statement = format!("ALTER ROLE CURRENT_USER PASSWORD {}", quote::text(&verifier));
            Ok(connection.client.batch_execute(&statement).await?)
        };
        within(ACT, "changing the password", act).await
    }

    /// Whether a new connection can be made.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn can_connect(&self) -> Result<(), KindError> {
        self.connector.to(&self.connector.settings.database).await.map(drop)
    }
}

impl CredentialKind for Postgresql {
    type Order = Order;
    type Credential = Login;

    async fn issue(&self, grant: &Recorded<Grant>, order: &Order) -> Result<Login, KindError> {
        self.issue_ready(grant, order, None).await
    }

    async fn renew(&self, _: &Recorded<Grant>, outside: &Outside, life: Duration) -> Result<(), KindError> {
        let until = Instant::now() + life;
        let act = async {
            let connection = self.connector.connection().await?;
            issue::renew(&connection, &self.comment_begins(&outside.lease), (outside, until)).await?;
            self.connector.keep(connection);
            Ok(())
        };
        within(ACT, "renewing the login", act).await
    }

    async fn revoke(&self, outside: &Outside) -> Result<Ended, KindError> {
        let answered = AtomicBool::new(false);
        let ended = within(REVOKE, "ending the login", self.end(outside, &answered)).await;
        // Once it answered, what goes wrong is this login's: whoever holds it can bring that about, and no other login
        // is to wait for it.
        ended.map_err(|error| if answered.load(Ordering::Relaxed) { error.of_credential() } else { error })
    }

    async fn check(&self) -> Result<Vec<Outside>, KindError> {
        let act = async {
            let connection = self.connector.connection().await?;
            connection.expect(LOGINS_BYTES_MAX);
            let found = look::logins(&connection, &self.log_id).await?;
            if !found.is_empty() {
                self.connector.kept.see_to(&self.connector).await?;
            }
            self.connector.keep(connection);
            Ok(found)
        };
        within(ACT, "looking for logins", act).await
    }
}

impl Postgresql {
    /// End a login. Where the database has no room for locks, room is made first.
    async fn end(&self, outside: &Outside, answered: &AtomicBool) -> Result<Ended, KindError> {
        for _ in 1..ROOM_ATTEMPTS {
            match self.end_once(outside, answered).await {
                Err(error) if error.code() == Some(OUT_OF_MEMORY) => {
                    if !self.connector.kept.guard.make_room(&self.log_id, outside).await? {
                        return Err(error);
                    }
                    answered.store(true, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        self.end_once(outside, answered).await
    }

    async fn end_once(&self, outside: &Outside, answered: &AtomicBool) -> Result<Ended, KindError> {
        let comment = self.comment_begins(&outside.lease);
        let login = revoke::Login { connector: &self.connector, comment_begins: &comment, outside, answered };
        match self.connector.connection().await {
            Ok(connection) => {
                let ended = Box::pin(login.end(&connection)).await?;
                self.connector.keep(connection);
                Ok(ended)
            }
            Err(error) => match self.connector.kept.ending().await {
                Some(kept) => Box::pin(login.end(&kept)).await,
                None => Err(error),
            },
        }
    }

    /// How the comment of a login begins that was made for this lease.
    fn comment_begins(&self, lease: &LeaseId) -> String {
        issue::comment_begins(&self.log_id, lease)
    }
}

/// A name for a new login, which nobody guesses.
///
/// # Errors
///
/// When the machine has no randomness.
pub fn login_name() -> Result<SqlName, KindError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| KindError::not_now(error.to_string()))?;
    let name = format!("{PREFIX}{}", HEXLOWER.encode(&random));
    name.parse().map_err(|error: attorn_core::ParseError| KindError::not_now(error.to_string()))
}

/// A new password: 256 bits, in characters that need no quoting anywhere.
///
/// # Errors
///
/// When the machine has no randomness.
pub fn password() -> Result<Zeroizing<String>, KindError> {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(random.as_mut()).map_err(|error| KindError::not_now(error.to_string()))?;
    Ok(Zeroizing::new(BASE64URL_NOPAD.encode(random.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_long_random_and_plain() {
        let (one, other) = (login_name().unwrap(), login_name().unwrap());
        assert_ne!(one, other);
        assert!(one.as_str().starts_with(PREFIX) && one.as_str().len() == PREFIX.len() + 32);
        let (one, other) = (password().unwrap(), password().unwrap());
        assert_ne!(*one, *other);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
    }

    #[test]
    fn nothing_is_begun_for_which_there_is_no_time() {
        let order = |life, within| Order {
            outside: Outside { lease: LeaseId::from_random([1; 16]), name: login_name().unwrap(), roles: Vec::new() },
            roles: Vec::new(),
            life: Duration::from_millis(life),
            within: Duration::from_millis(within),
        };
        for (life, within) in [(60_000, 999), (999, 20_000), (60_000, 0)] {
            let error = order(life, within).bounds().unwrap_err();
            assert!(error.is_temporary() && !error.is_of_target(), "{error}");
        }
        // Never longer than whoever waits does, and never longer than it is waited before it is ended.
        for (within, most) in [(2_000, Duration::from_secs(2)), (60_000, ACT)] {
            let before = Instant::now();
            let (lives, made) = order(60_000, within).bounds().unwrap();
            assert!(made <= Instant::now() + most && lives >= before + Duration::from_mins(1));
        }
    }
}
