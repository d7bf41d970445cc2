//! Making a login, and letting it live longer: one question, which finds out all that could be wrong, and then one
//! transaction in one message.

use std::time::Instant;

use attorn_core::{Grant, LeaseId, PostgresqlSettings, SqlName, TimeMs};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::connect::{Connection, Connector};
use super::{Order, look, owned, quote};
use crate::kind::{KindError, Outside};

/// Make a login.
pub(super) async fn login(
    connection: &Connection,
    (connector, log_id): (&Connector, &str),
    grant: &Grant,
    (order, (lives, made), password): (&Order, (Instant, Instant), &[u8]),
) -> Result<(), KindError> {
    let settings = &connector.settings;
    let user = grant.behalf.as_ref().map(|behalf| &behalf.user);
    if user.is_some() && settings.user_table.is_none() {
        return Err(KindError::misconfigured("the target has no table of users, and the grant is held for a user"));
    }
    let Before { clock, version, ends_others } =
        before((connector, log_id), connection, (&order.roles, user.is_some())).await?;
    let (until, deadline) = (clock.at(lives).to_string(), clock.at(made).to_string());
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
    // Where the database's locks run out sessions can be ended, and nobody can be made a member of anything. To be a
    // member of many logins is slow, though: PostgreSQL 15 finds out of which roles somebody is one in time with the
    // square of how many they are, in every statement here.
    if !ends_others {
        statements.push(format!("GRANT {name} TO CURRENT_USER"));
    }
    // What a login makes is its own where it cannot become its roles.
    let how = if version >= VERSION_SET { " WITH INHERIT TRUE, SET FALSE" } else { "" };
    statements.extend(order.roles.iter().map(|role| format!("GRANT {} TO {name}{how}", quote::name(role))));
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

/// The database's own clock, in milliseconds.
const NOW_MS: &str = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// What the database's clock said when it was asked, and when the answer came, which was later. What counts from there on
/// is put no later than it should be, however long the answer took.
struct Clock {
    said: TimeMs,
    heard: Instant,
}

impl Clock {
    fn read(said: Option<&str>) -> Result<Self, KindError> {
        let said = said.and_then(|said| said.parse().ok());
        let said = said.ok_or_else(|| KindError::unreachable("the database does not know the time"))?;
        Ok(Self { said: TimeMs(said), heard: Instant::now() })
    }

    /// What it says then.
    fn at(&self, then: Instant) -> TimeMs {
        let left = then.saturating_duration_since(self.heard);
        self.said.plus_ms(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The first version in which a login can be kept from becoming its roles.
const VERSION_SET: i32 = 160_000;

/// What is known before a login is made.
struct Before {
    clock: Clock,
    version: i32,
    /// Whether the administrator may end sessions without being a member of their roles.
    ends_others: bool,
}

/// The same, and whether each role may be given.
struct Asked {
    before: Before,
    good: bool,
}

/// See that all that is given may be given and there is room for what the login may take, and what time it is.
async fn before(
    (connector, log_id): (&Connector, &str),
    connection: &Connection,
    (roles, for_user): (&[SqlName], bool),
) -> Result<Before, KindError> {
    let asked = ask(connection, &connector.settings, (roles, for_user)).await?;
    if asked.good {
        return Ok(asked.before);
    }
    // Whoever has a role may have made something under it.
    let given = owned::given(connection, roles, &comment_of(log_id)).await?;
    owned::take_from(connector, connection, &given).await.map_err(KindError::of_credential)?;
    let asked = ask(connection, &connector.settings, (roles, for_user)).await?;
    if asked.good {
        return Ok(asked.before);
    }
    // Others have other roles, so this is not the whole target's.
    Err(KindError::refused(
        "a role of the target's rules is not there, or is one that must not be given: `attorn target check`",
    ))
}

async fn ask(
    connection: &Connection,
    settings: &PostgresqlSettings,
    (roles, for_user): (&[SqlName], bool),
) -> Result<Asked, KindError> {
    let table = settings.user_table.as_ref().filter(|_| for_user);
    let others = table.map_or_else(|| "false".to_owned(), look::others_write);
    let (good, free) = (look::good_roles(roles), look::FREE);
    let question = format!("SELECT {NOW_MS}, {good}, {others}, {free}, {}, {}", look::VERSION, look::ENDS_OTHERS);
    let rows = connection.client.simple_query(&question).await?;
    let row = first_row(&rows)?;
    let clock = Clock::read(row.get(0))?;
    if row.get(2) != Some("f") {
        let text =
            "the table of users is not there, or others than the administrator may write it: `attorn target check`";
        return Err(KindError::misconfigured(text));
    }
    let version: i32 = row.get(4).and_then(|version| version.parse().ok()).unwrap_or_default();
    if version < look::VERSION_MIN {
        // Before, every login may make others members of itself, and they live on.
        return Err(KindError::misconfigured("the database is older than PostgreSQL 15: `attorn target check`"));
    }
    let free: i64 = row.get(3).and_then(|free| free.parse().ok()).unwrap_or_default();
    if free < i64::from(settings.connections_max) {
        let text =
            format!("the database has room for {free} connections, and a login may take {}", settings.connections_max);
        return Err(KindError::not_now(text));
    }
    let good = row.get(1).and_then(|count| count.parse().ok()) == Some(roles.len());
    Ok(Asked { before: Before { clock, version, ends_others: row.get(5) == Some("t") }, good })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_time_is_later_for_an_answer_that_took_long() {
        let asked = Instant::now();
        let clock = Clock { said: TimeMs(1_000_000), heard: asked + Duration::from_secs(4) };
        // Ten seconds after it was asked are six after the answer, which came four after the clock was read at most.
        assert_eq!(clock.at(asked + Duration::from_secs(10)), TimeMs(1_006_000));
        assert_eq!(clock.at(asked + Duration::from_secs(3)), TimeMs(1_000_000));
        assert_eq!(Clock::read(Some("12")).unwrap().said, TimeMs(12));
        for none in [None, Some(""), Some("soon"), Some("-1")] {
            assert!(Clock::read(none).is_err(), "{none:?}");
        }
    }
}
