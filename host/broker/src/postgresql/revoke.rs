//! Ending a login: what it was given is taken back, its sessions go, nobody signs in with it any more, what it owns goes,
//! it goes.
//!
//! Each step may have been taken before, by an attempt that did not come to its end. What it owns is dropped and given
//! to nobody: a function of an agent's would otherwise run as whoever gets it.
//!
//! A session of the login may lock the login's own row (`ALTER ROLE CURRENT_USER PASSWORD`), so nothing here waits for
//! that row before the sessions were told to go, and closing and ending are repeated until both hold.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attorn_core::SqlName;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::connect::{Connection, Connector};
use super::errors::within;
use super::look::{self, Found};
use super::{owned, quote};
use crate::kind::{Ended, KindError, Outside};

/// How long sessions may take to go, and how often it is looked.
const SESSIONS: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_millis(25);
/// How long closing the login may wait, in milliseconds, before its sessions are told to go once more.
const LOCK_MS: u32 = 250;
/// How long one that is signing in may do so before it is told to go: others that sign in are done by then.
const SIGN_IN: Duration = Duration::from_millis(500);
/// How long a database may take to say how a login stands.
const ANSWER: Duration = Duration::from_secs(5);
/// What ends the sessions of a role. The count is how many there were.
const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usesysid = ";
/// Those that have begun and do not say yet who they are: from PostgreSQL 18 on they show without a name, before not at
/// all. Each holds a lock on its own transaction from its begin.
const HIDDEN: &str = "SELECT DISTINCT l.pid FROM pg_locks l WHERE l.locktype = 'virtualxid' AND l.pid IS NOT NULL \
                      AND NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.pid = l.pid \
                      AND (a.usesysid IS NOT NULL OR a.datid IS NOT NULL))";

/// A login that is to end.
pub(super) struct Login<'a> {
    pub(super) connector: &'a Connector,
    /// How its comment begins.
    pub(super) comment_begins: &'a str,
    pub(super) outside: &'a Outside,
    /// Set once the database has said how it stands.
    pub(super) answered: &'a AtomicBool,
}

impl Login<'_> {
    /// End it.
    pub(super) async fn end(&self, connection: &Connection) -> Result<Ended, KindError> {
        let found = within(ANSWER, "looking at the login", look::login(connection, &self.outside.name)).await?;
        self.answered.store(true, Ordering::Relaxed);
        // A role of the same name that somebody else made is theirs.
        let Some(found) = found.filter(|found| found.comment.starts_with(self.comment_begins)) else {
            return Ok(Ended::Before);
        };
        let name = quote::name(&self.outside.name);
        let had = self.take_back(connection, &found).await?;
        close(connection, &name, &found).await?;
        end_hidden(connection, &name).await?;
        end_sessions(connection, &found).await?;
        for database in owned::elsewhere(connection, found.oid).await? {
            let other = self.connector.to(&database).await?;
            owned::drop_many(&other, found.oid).await?;
            other.client.batch_execute(&format!("DROP OWNED BY {name} CASCADE")).await?;
        }
        owned::drop_many(connection, found.oid).await?;
        let drop = format!("BEGIN; DROP OWNED BY {name} CASCADE; DROP ROLE {name}; COMMIT");
        // A connection on which this fails is not kept, and its transaction ends with it.
        connection.client.batch_execute(&drop).await?;
        // One that was signing in while it was closed shows only now.
        end_sessions(connection, &found).await?;
        self.take_what_it_left(connection, had).await;
        Ok(Ended::Now)
    }

    /// Take back its roles and the row that says which user it is for. This touches no row that the login can lock, and
    /// what goes on in a session is worth nothing from here on. Says which roles it had.
    async fn take_back(&self, connection: &Connection, found: &Found) -> Result<Vec<SqlName>, KindError> {
        let name = quote::name(&self.outside.name);
        let mut statements = vec!["BEGIN".to_owned()];
        // Membership is what lets the administrator end and drop what is its. It has it from here on, and no sooner
        // where that is good enough, so that it is never a member of many; or since an attempt that did not come to its
        // end.
        let is_member = "SELECT pg_has_role(current_user, $1::oid, 'USAGE')";
        if !connection.client.query_one(is_member, &[&found.oid]).await?.try_get::<_, bool>(0)? {
            statements.push(format!("GRANT {name} TO CURRENT_USER"));
        }
        let given =
            "SELECT r.rolname::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE m.member = $1";
        let mut had = self.outside.roles.clone();
        for row in connection.client.query(given, &[&found.oid]).await? {
            let role = owned::parsed(row.try_get(0)?)?;
            statements.push(format!("REVOKE {} FROM {name}", quote::name(&role)));
            had.push(role);
        }
        if let Some(table) = &self.connector.settings.user_table {
            let (schema, table) = (quote::name(&table.schema), quote::name(&table.table));
            let login = quote::text(self.outside.name.as_str());
            statements.push(format!("DELETE FROM {schema}.{table} WHERE login = {login}"));
        }
        statements.push("COMMIT".to_owned());
        connection.client.batch_execute(&statements.join("; ")).await?;
        Ok(had)
    }

    /// What was made under a role is taken from it. If that cannot be done the login has ended all the same, and nobody
    /// gets that role.
    async fn take_what_it_left(&self, connection: &Connection, had: Vec<SqlName>) {
        if let Err(error) = owned::take_from(self.connector, connection, &had).await {
            tracing::error!(why = %error, "a role that logins are given owns what was made under it");
            // If this fails, too, whoever uses the connection next finds out.
            drop(connection.client.batch_execute("ROLLBACK").await);
        }
    }
}

/// See that nobody signs in any more. Its sessions are told to go first and in the same message: one that holds the
/// row's lock loses it, and whoever comes back stands behind us.
async fn close(connection: &Connection, name: &str, found: &Found) -> Result<(), KindError> {
    let closes =
        format!("BEGIN; SET LOCAL lock_timeout = {LOCK_MS}; ALTER ROLE {name} NOLOGIN CONNECTION LIMIT 0; COMMIT");
    let ends_and_closes = format!("{TERMINATE}{}; {closes}", found.oid);
    let began = Instant::now();
    loop {
        let Err(error) = connection.client.batch_execute(&ends_and_closes).await else { return Ok(()) };
        if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            // Whoever may not end its sessions can still see that it gets no more.
            connection.client.batch_execute(&format!("ROLLBACK; {closes}")).await?;
        }
        // The row is locked, or was changed while we waited for it.
        let again = [SqlState::LOCK_NOT_AVAILABLE, SqlState::INTERNAL_ERROR, SqlState::T_R_DEADLOCK_DETECTED];
        if !error.code().is_some_and(|code| again.contains(code)) || began.elapsed() > SESSIONS {
            return Err(error.into());
        }
        connection.client.batch_execute("ROLLBACK").await?;
    }
}

/// End what signed in before the login was closed and does not show yet (`post_auth_delay`, which the client chooses).
/// Whose it is cannot be asked, so each is told to go by the login itself, which may end its own sessions and nobody
/// else's.
async fn end_hidden(connection: &Connection, name: &str) -> Result<(), KindError> {
    let mut left = hidden(connection).await?;
    let (began, mut others) = (Instant::now(), BTreeSet::new());
    while !left.is_empty() {
        if began.elapsed() > SESSIONS {
            return Err(KindError::not_now(format!("{} sessions that are signing in do not end", left.len())));
        }
        if began.elapsed() > SIGN_IN {
            for pid in &left {
                let tells = format!("BEGIN; SET LOCAL ROLE {name}; SELECT pg_terminate_backend({pid}); COMMIT");
                let told = connection.client.batch_execute(&tells).await;
                match told {
                    Ok(()) => {}
                    Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                        connection.client.batch_execute("ROLLBACK").await?;
                        others.insert(*pid);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        tokio::time::sleep(LOOK).await;
        let now = hidden(connection).await?;
        left.retain(|pid| now.contains(pid) && !others.contains(pid));
    }
    Ok(())
}

async fn hidden(connection: &Connection) -> Result<BTreeSet<i32>, KindError> {
    let rows = connection.client.query(HIDDEN, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// End its sessions until there is none.
async fn end_sessions(connection: &Connection, found: &Found) -> Result<(), KindError> {
    let terminate = format!("{TERMINATE}$1");
    let began = Instant::now();
    loop {
        let left: i64 = connection.client.query_one(&terminate, &[&found.oid]).await?.try_get(0)?;
        if left == 0 {
            return Ok(());
        }
        if began.elapsed() > SESSIONS {
            return Err(KindError::not_now(format!("{left} sessions of the login do not end")));
        }
        tokio::time::sleep(LOOK).await;
    }
}
