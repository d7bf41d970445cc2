//! When each permission of an agent's ceiling was last used: the newest allow that the agent asked for itself and the
//! permission covers.
//!
//! What an agent asks for a user stands in the log with a pseudonym for the resource's id. There only the type of the
//! resource can be compared, and the answer says so.
//!
//! Only the epoch that the log is in is indexed. Where there are earlier ones the answer names them, and what was used
//! in them is not looked for: they are read entry by entry, and whoever looks at an agent does not wait for that.

use std::sync::Arc;

use attorn_api::agents::{CeilingUses, PermissionUse};
use attorn_api::audit::EntryReference;
use attorn_core::{Agent, Permission, Purpose, UserPresence};
use attorn_store::{EntryIndex, Next, Order, Search, Term};

use super::terms::{self, Field};
use crate::app::App;
use crate::http::failure::Failure;

/// How many steps are taken in the index for all permissions of an agent.
const STEPS_MAX: u64 = 50_000;

/// The uses of a ceiling, never-used permissions first; none while there is no index.
pub(crate) async fn of(app: &Arc<App>, agent: &Agent) -> Result<Option<CeilingUses>, Failure> {
    let Some(index) = app.queries.index() else { return Ok(None) };
    let agent = agent.clone();
    super::reading(app, move |app| read(app, &index, &agent)).await.map(Some)
}

fn read(app: &App, index: &EntryIndex, agent: &Agent) -> Result<CeilingUses, Failure> {
    let through = index.through();
    let since_ms = match through {
        0 => None,
        _ => match app.store.entry(0) {
            // Its file is damaged, which lists and verifications say.
            Err(error) if error.damage().is_some() => None,
            bytes => bytes?.map(|bytes| terms::of_bytes(&bytes).time.0),
        },
    };
    let (mut permissions, mut steps_left) = (Vec::new(), STEPS_MAX);
    for (purpose, ceiling) in agent.ceiling.purposes() {
        for permission in &ceiling.permissions {
            let wanted = wanted(agent, purpose, (ceiling.user, permission));
            permissions.push(last_use(app, index, (purpose, permission), wanted, &mut steps_left)?);
        }
    }
    // Those about which nobody knows come after those that were never used.
    permissions.sort_by_key(|one: &PermissionUse| (one.last_used_at_ms.is_some(), !one.complete, one.last_used_at_ms));
    let earlier = crate::audit::epochs::earlier(app);
    Ok(CeilingUses { indexed_through: through, since_ms, earlier, permissions })
}

/// What an entry has that is a use, and whether its resource can be compared no further than its type.
fn wanted(agent: &Agent, purpose: &Purpose, (user, permission): (UserPresence, &Permission)) -> (Vec<Term>, bool) {
    let mut terms = vec![
        Field::Asker.term(agent.id.as_str()),
        Field::Decision.term("allow"),
        Field::Purpose.term(purpose.as_str()),
    ];
    let (action, mut resource) = (permission.action.to_string(), permission.resource.to_string());
    let mut by_type = false;
    if user == UserPresence::WithUser
        && let Some((kind, id)) = resource.split_once('/')
        && id != "*"
    {
        (resource, by_type) = (format!("{kind}/*"), true);
    }
    terms.extend((action != "*").then(|| Field::Action.term(&action)));
    terms.extend((resource != "*").then(|| Field::Resource.term(&resource)));
    (terms, by_type)
}

fn last_use(
    app: &App,
    index: &EntryIndex,
    (purpose, permission): (&Purpose, &Permission),
    (wanted, by_type): (Vec<Term>, bool),
    steps_left: &mut u64,
) -> Result<PermissionUse, Failure> {
    let search = Search { terms: wanted.clone(), times_ms: (0, u64::MAX), within: 0..u64::MAX, order: Order::Newest };
    let mut walk = index.walk(search, *steps_left);
    let (mut found, mut complete, mut reader) = (None, true, app.store.entry_reader());
    while found.is_none() {
        match walk.step().map_err(|error| super::unreadable(&error))? {
            Next::Entry(at) => {
                let entry = match reader.entry(at) {
                    // It may be a use, and nobody can tell.
                    Err(error) if error.damage().is_some() => {
                        complete = false;
                        continue;
                    }
                    bytes => bytes?.map(|bytes| terms::of_bytes(&bytes)),
                };
                found = entry.filter(|entry| wanted.iter().all(|term| entry.terms.contains(term))).map(|one| (at, one));
            }
            Next::Tired => {
                complete = false;
                break;
            }
            Next::End => break,
        }
    }
    *steps_left = walk.steps_left();
    let head = app.store.log_head()?;
    Ok(PermissionUse {
        purpose: purpose.to_string(),
        action: permission.action.to_string(),
        resource: permission.resource.to_string(),
        last_used_at_ms: found.as_ref().map(|(_, entry)| entry.time.0),
        entry: found.map(|(at, _)| EntryReference { log_id: head.log_id.to_string(), epoch: head.epoch.0, index: at }),
        by_type,
        complete,
    })
}
