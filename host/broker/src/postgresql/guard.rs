//! The connection that ends sessions where nothing else goes: when the table in which a database keeps its locks is
//! full. Any session can fill it (`pg_advisory_lock`, temporary tables), and then nobody reads who is who.
//!
//! So it waits in a transaction that holds all locks that are needed for that: to lock again what one holds takes no
//! room. They are the weakest, and whoever waits for one gets it, by `Guard::look_after`. It holds back no clean-up: a
//! transaction that is idle has no snapshot. It does nothing but end sessions.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::SimpleQueryMessage;

use super::connect::{Connection, Connector};
use super::errors::within;
use super::issue::comment_of;
use super::{PREFIX, quote};
use crate::kind::{KindError, Outside};

/// How long one question to it may take.
const ASK: Duration = Duration::from_secs(3);
/// How long sessions may take to go, and how often it is looked.
const GO: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);
/// What is read to end sessions, also by a session that has forgotten all that it knew of the database. Reading locks
/// each and its indexes until the transaction ends.
const READ: [&str; 23] = [
    "pg_roles",
    "pg_auth_members",
    "pg_shdescription",
    "pg_database",
    "pg_tablespace",
    "pg_proc",
    "pg_type",
    "pg_operator",
    "pg_class",
    "pg_attribute",
    "pg_index",
    "pg_namespace",
    "pg_aggregate",
    "pg_amop",
    "pg_amproc",
    "pg_opclass",
    "pg_am",
    "pg_cast",
    "pg_collation",
    "pg_rewrite",
    "pg_stats",
    "pg_statistic_ext",
    // From 18 on: what may not be null stands there.
    "pg_constraint",
];
/// It lives as long as it may take; the newest versions end long transactions by another setting.
const LIVES: &str = "SET application_name = 'attorn guard'; SET idle_session_timeout = 0; \
                     SET idle_in_transaction_session_timeout = 0; \
                     SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'";
/// Whether somebody waits for a lock that it holds.
const IN_THE_WAY: &str = "SELECT 1 FROM pg_lock_status() l WHERE NOT l.granted \
                          AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid)) LIMIT 1";

/// The connection, once there was a login to end by it.
#[derive(Default)]
pub(super) struct Guard {
    kept: Mutex<Option<Connection>>,
}

impl Guard {
    /// See that it is there.
    pub(super) async fn see_to(&self, connector: &Connector) -> Result<(), KindError> {
        see_to(&mut *self.kept.lock().await, connector).await
    }

    /// See that it still answers, and let whoever waits for its locks have them. One that is gone is made anew.
    pub(super) async fn look_after(&self, connector: &Connector) -> Result<(), KindError> {
        // Whoever uses it now sees whether it answers.
        let Ok(mut kept) = self.kept.try_lock() else { return Ok(()) };
        if let Some(connection) = kept.as_ref() {
            connection.allow();
            if within(ASK, "looking after the guard", wait_no_longer(connection)).await.is_err() {
                *kept = None;
            }
        }
        see_to(&mut kept, connector).await
    }

    /// End the sessions of this login, and those of others of this server's that have more locks than the database
    /// counts with for each: they keep this one, and all others, from being ended. Says whether that was done.
    pub(super) async fn make_room(&self, log_id: &str, outside: &Outside) -> Result<bool, KindError> {
        let kept = self.kept.lock().await;
        let Some(connection) = kept.as_ref().filter(|kept| !kept.client.is_closed()) else { return Ok(false) };
        connection.allow();
        let (ends, began) = (ends(log_id, outside), Instant::now());
        let mut told = 0;
        loop {
            let left = within(ASK, "ending sessions", ask(connection, &ends)).await??;
            let left = left.and_then(|count| count.parse().ok()).unwrap_or(0_u64);
            if left == 0 {
                tracing::warn!(login = %outside.name, sessions = told, "the database had no room for locks");
                return Ok(true);
            }
            if began.elapsed() > GO {
                return Err(KindError::not_now(format!("{left} sessions that take all locks do not end")));
            }
            told = told.max(left);
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn see_to(kept: &mut Option<Connection>, connector: &Connector) -> Result<(), KindError> {
    if kept.as_ref().is_none_or(|kept| kept.client.is_closed()) {
        let made = connector.to(&connector.settings.database).await?;
        made.client.batch_execute(LIVES).await?;
        hold(&made).await?;
        *kept = Some(made);
    }
    Ok(())
}

/// Take the locks, in a transaction that stays.
async fn hold(connection: &Connection) -> Result<(), KindError> {
    let read = READ.map(|name| format!("SELECT 1 FROM pg_catalog.{name} LIMIT 0"));
    let takes = format!("BEGIN ISOLATION LEVEL READ COMMITTED; {}", read.join("; "));
    Ok(connection.client.batch_execute(&takes).await?)
}

/// Give way to whoever waits for a lock, and stand behind them. An error says that the locks are not held any more.
async fn wait_no_longer(connection: &Connection) -> Result<(), KindError> {
    if ask(connection, IN_THE_WAY).await?.is_ok_and(|found| found.is_some()) {
        connection.client.batch_execute("ROLLBACK").await?;
        hold(connection).await?;
    }
    Ok(())
}

/// Ask. The inner error is a refusal, after which the locks are held as before; the outer says that they are not.
async fn ask(connection: &Connection, question: &str) -> Result<Result<Option<String>, KindError>, KindError> {
    let asked = connection.client.simple_query(&format!("SAVEPOINT asked; {question}; RELEASE asked")).await;
    match asked {
        Ok(rows) => Ok(Ok(last(&rows).map(str::to_owned))),
        Err(refused) => {
            connection.client.batch_execute("ROLLBACK TO asked").await?;
            Ok(Err(refused.into()))
        }
    }
}

/// What ends the sessions. A transaction sees others' sessions as they were when it first looked, unless it is told to
/// forget them. No view is read: what a view means may be kept where it takes another lock.
fn ends(log_id: &str, outside: &Outside) -> String {
    let (name, ours) = (quote::text(&quote::name(&outside.name)), quote::text(&comment_of(log_id)));
    let is_ours = format!(
        "EXISTS (SELECT 1 FROM pg_catalog.pg_shdescription d WHERE d.objoid = a.usesysid \
         AND d.classoid = 'pg_catalog.pg_authid'::regclass AND starts_with(d.description, {ours}))"
    );
    let prefix = quote::text(PREFIX);
    format!(
        "SELECT pg_stat_clear_snapshot(); SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_get_activity(NULL) a \
         WHERE starts_with(pg_get_userbyid(a.usesysid)::text, {prefix}) AND {is_ours} \
         AND (a.usesysid = to_regrole({name}) OR (SELECT count(*) FROM pg_lock_status() l \
         WHERE l.pid = a.pid AND NOT l.fastpath) > current_setting('max_locks_per_transaction')::int)"
    )
}

/// The last row's first column.
fn last(messages: &[SimpleQueryMessage]) -> Option<&str> {
    messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use attorn_core::LeaseId;

    use super::*;

    #[test]
    fn whose_sessions_end_is_quoted() {
        let outside =
            Outside { lease: LeaseId::from_random([1; 16]), name: "attorn_o'\"x".parse().unwrap(), roles: vec![] };
        let ends = ends("l'og", &outside);
        assert!(ends.contains(r#"to_regrole('"attorn_o''""x"')"#), "{ends}");
        assert!(ends.contains("'attorn log=l''og lease='"), "{ends}");
    }
}
