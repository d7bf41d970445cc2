//! Ending a login: nobody signs in with it any more, its sessions go, what it owns goes, it goes.
//!
//! Each step may have been taken before, by an attempt that did not come to its end. What it owns is dropped and given
//! to nobody: a function of an agent's would otherwise run as whoever gets it.

use std::time::Duration;

use attorn_core::SqlName;

use super::connect::{Connection, Connector};
use super::look::{self, Found};
use super::quote;
use crate::kind::{Ended, KindError, Outside};

/// How long sessions may take to go, and how often it is looked.
const SESSIONS: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_millis(25);
/// In how many other databases a login may own something.
const DATABASES_MAX: i64 = 64;

/// End a login that was made for this lease.
pub(super) async fn login(
    connector: &Connector,
    connection: &Connection,
    comment_begins: &str,
    outside: &Outside,
) -> Result<Ended, KindError> {
    let found = look::login(connection, &outside.name).await?;
    // A role of the same name that somebody else made is theirs.
    let Some(found) = found.filter(|found| found.comment.starts_with(comment_begins)) else {
        return Ok(Ended::Before);
    };
    let name = quote::name(&outside.name);
    // So that nobody comes in while sessions end. Membership is what lets the administrator end and drop what is its.
    let closed = format!("ALTER ROLE {name} NOLOGIN CONNECTION LIMIT 0; GRANT {name} TO CURRENT_USER");
    connection.client.batch_execute(&closed).await?;
    end_sessions(connection, &found).await?;
    for database in elsewhere(connection, &found).await? {
        let other = connector.to(&database).await?;
        other.client.batch_execute(&format!("DROP OWNED BY {name} CASCADE")).await?;
    }
    let mut statements = vec!["BEGIN".to_owned()];
    if let Some(table) = &connector.settings.user_table {
        let (schema, table) = (quote::name(&table.schema), quote::name(&table.table));
        let login = quote::text(outside.name.as_str());
        statements.push(format!("DELETE FROM {schema}.{table} WHERE login = {login}"));
    }
    statements.extend([format!("DROP OWNED BY {name} CASCADE"), format!("DROP ROLE {name}"), "COMMIT".to_owned()]);
    // A connection on which this fails is not kept, and its transaction ends with it.
    connection.client.batch_execute(&statements.join("; ")).await?;
    // One that was signing in while it was closed shows only now.
    end_sessions(connection, &found).await?;
    Ok(Ended::Now)
}

/// End its sessions until there is none.
async fn end_sessions(connection: &Connection, found: &Found) -> Result<(), KindError> {
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usesysid = $1";
    let began = tokio::time::Instant::now();
    loop {
        let left: i64 = connection.client.query_one(terminate, &[&found.oid]).await?.try_get(0)?;
        if left == 0 {
            return Ok(());
        }
        if began.elapsed() > SESSIONS {
            return Err(KindError::not_now(format!("{left} sessions of the login do not end")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The other databases in which it owns something, or was given something.
async fn elsewhere(connection: &Connection, found: &Found) -> Result<Vec<SqlName>, KindError> {
    let question = "SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid \
                    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1 \
                    AND d.datname <> current_database() LIMIT $2";
    let rows = connection.client.query(question, &[&found.oid, &DATABASES_MAX]).await?;
    let name =
        |text: &str| text.parse().map_err(|error: attorn_core::ParseError| KindError::refused(error.to_string()));
    rows.iter().map(|row| name(row.try_get(0)?)).collect()
}
