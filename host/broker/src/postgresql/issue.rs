//! Making a login, and letting it live longer: one question, which finds out all that could be wrong, and then one
//! transaction in one message.

use std::time::Duration;

use attorn_core::{Grant, LeaseId, PostgresqlSettings, SqlName};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::connect::Connection;
use super::{Order, look, quote};
use crate::kind::{KindError, Outside};

/// Make a login.
pub(super) async fn login(
    connection: &Connection,
    (settings, log_id): (&PostgresqlSettings, &str),
    grant: &Grant,
    (order, password): (&Order, &[u8]),
) -> Result<(), KindError> {
    let user = grant.behalf.as_ref().map(|behalf| &behalf.user);
    if user.is_some() && settings.user_table.is_none() {
        return Err(KindError::misconfigured("the target has no table of users, and the grant is held for a user"));
    }
    let Times { until, deadline } = before(connection, settings, (&order.roles, user.is_some()), order.life).await?;
    // Whoever stopped waiting has the login ended later than this, so it must not be made then: also not by a database
    // that was stopped meanwhile, and finds this message when it goes on. Beyond the deadline this divides by zero.
    let in_time = format!("SELECT 1 / (clock_timestamp() < {}::timestamptz)::int", quote::text(&deadline));
    // Its derivation takes long on purpose.
    let verifier = postgres_protocol::password::scram_sha_256(password);
    let name = quote::name(&order.outside.name);
    let comment = comment(log_id, &order.outside.lease, grant);
    let mut statements = vec![
        "BEGIN".to_owned(),
        in_time.clone(),
        format!(
            "CREATE ROLE {name} LOGIN CONNECTION LIMIT {} PASSWORD {} VALID UNTIL {}",
            settings.connections_max,
            quote::text(&verifier),
            quote::text(&until),
        ),
        format!("COMMENT ON ROLE {name} IS {}", quote::text(&comment)),
    ];
    // Ending its sessions needs membership, and must not have to wait for anything that the login can lock.
    statements.push(format!("GRANT {name} TO CURRENT_USER"));
    statements.extend(order.roles.iter().map(|role| format!("GRANT {} TO {name}", quote::name(role))));
    if let (Some(user), Some(table)) = (user, &settings.user_table) {
        let (schema, table) = (quote::name(&table.schema), quote::name(&table.table));
        let (login, user) = (quote::text(order.outside.name.as_str()), quote::text(user.as_str()));
        statements.push(format!("INSERT INTO {schema}.{table} (login, user_id) VALUES ({login}, {user})"));
    }
    statements.extend([in_time, "COMMIT".to_owned()]);
    Ok(connection.client.batch_execute(&statements.join("; ")).await?)
}

/// Let a login of ours live so much longer from now on.
pub(super) async fn renew(
    connection: &Connection,
    comment_begins: &str,
    (outside, life): (&Outside, Duration),
) -> Result<(), KindError> {
    let Some(found) = look::login(connection, &outside.name).await? else {
        return Err(KindError::refused("there is no such login any more"));
    };
    if !found.comment.starts_with(comment_begins) || !found.can_login {
        return Err(KindError::refused("the login of this name is not this lease's, or is being ended"));
    }
    let rows = connection.client.simple_query(&format!("SELECT {}", until_of(life))).await?;
    let until = first_row(&rows)?.get(0).unwrap_or_default().to_owned();
    let statement = format!("ALTER ROLE {} VALID UNTIL {}", quote::name(&outside.name), quote::text(&until));
    Ok(connection.client.batch_execute(&statement).await?)
}

/// By the database's own clock.
struct Times {
    /// Until when the login lives.
    until: String,
    /// Until when it may be made.
    deadline: String,
}

/// See that all that is given may be given, and what times these are.
async fn before(
    connection: &Connection,
    settings: &PostgresqlSettings,
    (roles, for_user): (&[SqlName], bool),
    life: Duration,
) -> Result<Times, KindError> {
    let table = settings.user_table.as_ref().filter(|_| for_user);
    let others = table.map_or_else(|| "false".to_owned(), look::others_write);
    let (until, deadline) = (until_of(life), until_of(super::ACT));
    let question = format!("SELECT {until}, {}, {others}, {deadline}, {}", look::good_roles(roles), look::VERSION);
    let rows = connection.client.simple_query(&question).await?;
    let row = first_row(&rows)?;
    if row.get(1).and_then(|count| count.parse().ok()) != Some(roles.len()) {
        let text = "a role of the target's rules is not there, or is one that must not be given: `attorn target check`";
        return Err(KindError::misconfigured(text));
    }
    if row.get(2) != Some("f") {
        let text =
            "the table of users is not there, or others than the administrator may write it: `attorn target check`";
        return Err(KindError::misconfigured(text));
    }
    if row.get(4).and_then(|version| version.parse().ok()).is_none_or(|version: i32| version < look::VERSION_MIN) {
        // Before, every login may make others members of itself, and they live on.
        return Err(KindError::misconfigured("the database is older than PostgreSQL 15: `attorn target check`"));
    }
    let text = |at: usize| row.get(at).unwrap_or_default().to_owned();
    Ok(Times { until: text(0), deadline: text(3) })
}

/// When a login ends that lives so long from now on, as the database's clock has it.
fn until_of(life: Duration) -> String {
    let milliseconds = life.as_millis();
    let at = format!("clock_timestamp() + interval '{milliseconds} milliseconds'");
    format!("to_char(({at}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
}

fn first_row(messages: &[SimpleQueryMessage]) -> Result<&SimpleQueryRow, KindError> {
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.ok_or_else(|| KindError::unreachable("the database answered with no row"))
}

/// What a login was made for. Anybody in the database can read it, so it names no user.
fn comment(log_id: &str, lease: &LeaseId, grant: &Grant) -> String {
    format!("{} agent={} grant={}", comment_begins(log_id, lease), grant.agent, grant.id)
}

/// What says that a login is this lease's.
pub(super) fn comment_begins(log_id: &str, lease: &LeaseId) -> String {
    format!("{}{lease}", comment_of(log_id))
}

/// What says that a login is this server's; the lease stands behind it.
pub(super) fn comment_of(log_id: &str) -> String {
    format!("attorn log={log_id} lease=")
}
