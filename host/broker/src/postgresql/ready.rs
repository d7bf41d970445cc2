//! Getting ready to make a login: one question, which finds out all that could be wrong, and a password with its verifier,
//! whose derivation takes long on purpose. Nothing of it depends on whose grant it will be, and nothing exists outside by
//! it, so it is done while the grant is being recorded.

use std::time::{Duration, Instant};

use attorn_core::{PostgresqlSettings, SqlName, TimeMs};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};
use zeroize::Zeroizing;

use super::connect::{Connection, Connector};
use super::issue::comment_of;
use super::{look, owned, password};
use crate::kind::KindError;

/// How long what was found out is good for: roles and clocks may change meanwhile.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// All that a login is made with, beside its grant. A password is for one login and shown with it alone.
pub struct Ready {
    pub(super) connection: Connection,
    pub(super) before: Before,
    pub(super) password: Zeroizing<String>,
    pub(super) verifier: String,
    /// What was looked at.
    roles: Vec<SqlName>,
    for_user: bool,
}

impl Ready {
    pub(super) async fn new(
        (connector, log_id): (&Connector, &str),
        roles: &[SqlName],
        for_user: bool,
    ) -> Result<Self, KindError> {
        let settings = &connector.settings;
        if for_user && settings.user_table.is_none() {
            let text = "the target has no table of users, and the grant is held for a user";
            return Err(KindError::misconfigured(text));
        }
        let password = password()?;
        // It would hold up others on the threads that answer.
        let secret = password.clone();
        let verifier = tokio::task::spawn_blocking(move || scram_sha_256(&secret));
        let looked = async {
            // None is made that may not be ended any more when those that there are have taken all connections.
            connector.kept.see_to(connector).await?;
            let connection = connector.connection().await?;
            let before = before((connector, log_id), &connection, (roles, for_user)).await?;
            Ok::<_, KindError>((connection, before))
        };
        let (looked, verifier) = tokio::join!(looked, verifier);
        let (connection, before) = looked?;
        let verifier = verifier.map_err(|error| KindError::not_now(error.to_string()))?;
        Ok(Self { connection, before, password, verifier, roles: roles.to_vec(), for_user })
    }

    /// Whether this was looked at a moment ago.
    pub(super) fn is_for(&self, roles: &[SqlName], for_user: bool) -> bool {
        let of_now = self.before.clock.heard.elapsed() < GOOD_FOR && !self.connection.client.is_closed();
        of_now && self.roles == roles && self.for_user == for_user
    }
}

fn scram_sha_256(password: &Zeroizing<String>) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}

/// The database's own clock, in milliseconds.
pub(super) const NOW_MS: &str = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// What the database's clock said when it was asked, and when the answer came, which was later. What counts from there on
/// is put no later than it should be, however long the answer took.
pub(super) struct Clock {
    said: TimeMs,
    heard: Instant,
}

impl Clock {
    pub(super) fn read(said: Option<&str>) -> Result<Self, KindError> {
        let said = said.and_then(|said| said.parse().ok());
        let said = said.ok_or_else(|| KindError::unreachable("the database does not know the time"))?;
        Ok(Self { said: TimeMs(said), heard: Instant::now() })
    }

    /// What it says then.
    pub(super) fn at(&self, then: Instant) -> TimeMs {
        let left = then.saturating_duration_since(self.heard);
        self.said.plus_ms(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }
}

/// What is known before a login is made.
pub(super) struct Before {
    pub(super) clock: Clock,
    pub(super) version: i32,
    /// Whether the administrator may end sessions without being a member of their roles.
    pub(super) ends_others: bool,
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

pub(super) fn first_row(messages: &[SimpleQueryMessage]) -> Result<&SimpleQueryRow, KindError> {
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.ok_or_else(|| KindError::unreachable("the database answered with no row"))
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
