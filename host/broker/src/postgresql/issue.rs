//! Making a login, and letting it live longer: one transaction in one message. What has to be found out before is
//! [`super::ready`]'s.

use std::time::Instant;

use attorn_core::{Grant, LeaseId, PostgresqlSettings};

use super::connect::Connection;
use super::ready::{Before, Clock, NOW_MS, Ready, first_row};
use super::{Order, look, quote};
use crate::kind::{KindError, Outside};

/// Make a login.
pub(super) async fn login(
    Ready { connection, before: Before { clock, version, ends_others }, verifier, .. }: &Ready,
    (settings, log_id): (&PostgresqlSettings, &str),
    grant: &Grant,
    (order, (lives, made)): (&Order, (Instant, Instant)),
) -> Result<(), KindError> {
    let (until, deadline) = (clock.at(lives).to_string(), clock.at(made).to_string());
    // Whoever stopped waiting has the login ended later than this, so it must not be made then: also not by a database
    // that was stopped meanwhile, and finds this message when it goes on. Beyond the deadline this divides by zero.
    let in_time = format!("SELECT 1 / (clock_timestamp() < {}::timestamptz)::int", quote::text(&deadline));
    let name = quote::name(&order.outside.name);
    let comment = comment(log_id, &order.outside.lease, grant);
    let mut statements = vec![
        "BEGIN".to_owned(),
        in_time.clone(),
        format!(
            "CREATE ROLE {name} LOGIN CONNECTION LIMIT {} PASSWORD {} VALID UNTIL {}",
            settings.connections_max,
            quote::text(verifier),
            quote::text(&until),
        ),
        format!("COMMENT ON ROLE {name} IS {}", quote::text(&comment)),
    ];
    // Where the database's locks run out sessions can be ended, and nobody can be made a member of anything. To be a
    // member of many logins is slow, though: PostgreSQL 15 finds out of which roles somebody is one in time with the
    // square of how many they are, in every statement here.
    if !*ends_others {
        statements.push(format!("GRANT {name} TO CURRENT_USER"));
    }
    // What a login makes is its own where it cannot become its roles.
    let how = if *version >= VERSION_SET { " WITH INHERIT TRUE, SET FALSE" } else { "" };
    statements.extend(order.roles.iter().map(|role| format!("GRANT {} TO {name}{how}", quote::name(role))));
    let user = grant.behalf.as_ref().map(|behalf| &behalf.user);
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
    (outside, until): (&Outside, Instant),
) -> Result<(), KindError> {
    let Some(found) = look::login(connection, &outside.name).await? else {
        return Err(KindError::refused("there is no such login any more"));
    };
    if !found.comment.starts_with(comment_begins) || !found.can_login {
        return Err(KindError::refused("the login of this name is not this lease's, or is being ended"));
    }
    let rows = connection.client.simple_query(&format!("SELECT {NOW_MS}")).await?;
    let until = Clock::read(first_row(&rows)?.get(0))?.at(until).to_string();
    let statement = format!("ALTER ROLE {} VALID UNTIL {}", quote::name(&outside.name), quote::text(&until));
    Ok(connection.client.batch_execute(&statement).await?)
}

/// The first version in which a login can be kept from becoming its roles.
const VERSION_SET: i32 = 160_000;

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
