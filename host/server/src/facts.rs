//! `/v1/facts` and `/v1/resource-facts`: operators say what is so, and resource servers what is so of
//! their own resources.
//!
//! What an operator said, no resource server replaces: the operator may know that it is wrong.
//!
//! What a decision reads of them is looked up in `decisions::known`; a fact that changes before the
//! decision is committed makes it anew. Entries name facts and the salted digests of their values, which may
//! be personal, and never the values. A fact whose name has users' ids in it is about these users: its value is sealed
//! under the key of the first, entries name it with the pseudonyms of all, and it says nothing any more once one of them
//! was erased.

use std::collections::BTreeSet;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::facts as api;
use attorn_api::json::canonical;
use attorn_core::{FactName, FactPrefix, ResourceServerId, TimeMs, UserId};
use attorn_identity::UserKey;
use attorn_store::records::{FactBody, FactRecord, FactSource, Kept, Record as _, ResourceServerRecord};
use attorn_store::{Batch, Key, KeyPrefix, Require};
use serde_json::{Value, json};

use crate::app::App;
use crate::decisions::veil;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::random;
use crate::registry::{commit, count, moved};
use crate::users::{kept, seal};

/// The most bytes of a request: 128 values and their names.
pub(crate) const BODY_BYTES_MAX: usize = 640 << 10;
/// How many facts one request has.
const FACTS_MAX: usize = 128;
/// How many bytes their names have together, so that one entry can hold them.
const NAMES_BYTES_MAX: usize = 24 << 10;

const _: () = assert!(api::VALUE_BYTES_MAX == FactBody::VALUE_BYTES_MAX);
/// How the ids of users begin.
const USER_PREFIX: &str = "usr_";

/// Whose word replaces what stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Operator,
    ResourceServer,
}

/// A fact that is set now.
struct Said {
    record: FactRecord,
    body: FactBody,
    /// The name, as entries have it.
    shown_name: String,
}

pub(crate) async fn set(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::SetFacts) = (call.operator()?, call.json()?);
    let id = operator.id.clone().ok_or_else(|| Failure::internal("a token without operator set facts"))?;
    let mut batch = Batch::new(app.clock.now());
    let facts = records(&app, &wire, &FactSource::Operator(id), &mut batch).await?;
    entry::act(&mut batch, operator, EntryType::FactsSet, json!({ "facts": in_entry(&facts) }))?;
    put(&app, batch, Speaker::Operator, &facts).await
}

pub(crate) async fn set_own(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (server, wire): (_, api::SetFacts) = (call.resource_server()?, call.json()?);
    let mut batch = Batch::new(app.clock.now());
    let facts = records(&app, &wire, &FactSource::ResourceServer(server.clone()), &mut batch).await?;
    owned(&app, &mut batch, server, facts.iter().map(|fact| &fact.record.name)).await?;
    let members = json!({ "resource_server": server.as_str(), "facts": in_entry(&facts) });
    batch.entries.push(entry::body(batch.now, EntryType::FactsSet, members)?);
    put(&app, batch, Speaker::ResourceServer, &facts).await
}

pub(crate) async fn delete(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::DeleteFacts) = (call.operator()?, call.json()?);
    let names = names(wire.names.iter().map(String::as_str))?;
    let batch = Batch::new(app.clock.now());
    remove(&app, batch, Speaker::Operator, names, |batch, names| {
        entry::act(batch, operator, EntryType::FactsDeleted, json!({ "names": names }))
    })
    .await
}

pub(crate) async fn delete_own(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (server, wire): (_, api::DeleteFacts) = (call.resource_server()?, call.json()?);
    let names = names(wire.names.iter().map(String::as_str))?;
    let mut batch = Batch::new(app.clock.now());
    owned(&app, &mut batch, server, names.iter()).await?;
    remove(&app, batch, Speaker::ResourceServer, names, |batch, names| {
        let members = json!({ "resource_server": server.as_str(), "names": names });
        batch.entries.push(entry::body(batch.now, EntryType::FactsDeleted, members)?);
        Ok(())
    })
    .await
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let prefix = call.query::<FactPrefix>("prefix")?;
    let prefix = prefix.map_or_else(|| "".parse::<FactPrefix>(), Ok)?;
    let after = call.query::<FactName>("after")?.map(|name| Key::fact(&name));
    let page = app.store.scan(&KeyPrefix::facts(&prefix), after.as_ref(), call.limit()?).await?;
    let records = page.items.iter().map(|(key, stored)| FactRecord::decode(key, &stored.value));
    let records: Vec<FactRecord> = records.collect::<Result<_, _>>().map_err(Failure::internal)?;
    let (now, revoked) = (app.clock.now(), revoked(&app, &records).await?);
    let next = page.next.is_some().then(|| records.last().map(|fact| fact.name.to_string())).flatten();
    let mut facts = Vec::new();
    for record in &records {
        // What was about a user who was erased says nothing any more.
        if let Some(body) = body(&app, record).await? {
            facts.push(shown(record, &body, now, &revoked));
        }
    }
    Reply::ok(&api::FactList { facts, next })
}

/// The names, each once.
fn names<'a>(texts: impl Iterator<Item = &'a str>) -> Result<BTreeSet<FactName>, Failure> {
    let (mut names, mut bytes, mut how_many) = (BTreeSet::new(), 0, 0);
    for text in texts {
        let name: FactName = text.parse()?;
        (bytes, how_many) = (bytes + name.as_str().len(), how_many + 1);
        count("facts", how_many, 0, FACTS_MAX)?;
        if bytes > NAMES_BYTES_MAX {
            let detail = format!("the names have more than {NAMES_BYTES_MAX} bytes together");
            return Err(Failure::of(ProblemCode::InvalidField, detail).with_help("send fewer facts at a time"));
        }
        if !names.insert(name) {
            return Err(Failure::of(ProblemCode::InvalidField, format!("the fact `{text}` is named twice")));
        }
    }
    count("facts", how_many, 1, FACTS_MAX)?;
    Ok(names)
}

async fn records(
    app: &App,
    wire: &api::SetFacts,
    set_by: &FactSource,
    batch: &mut Batch,
) -> Result<Vec<Said>, Failure> {
    names(wire.facts.iter().map(|fact| fact.name.as_str()))?;
    let now = batch.now;
    let parsed = wire.facts.iter().map(|fact| parsed(fact, now)).collect::<Result<Vec<_>, _>>()?;
    let mut all = Vec::new();
    for (name, body, expires_at) in parsed {
        let about = about(app, &name).await?;
        // Nothing is said of somebody who is erased at this moment.
        let stands = Require::Unexpired { expires_at: TimeMs(u64::MAX) };
        batch.require.extend(about.iter().map(|(user, _)| (Key::user(user), stands)));
        let said = match about.first() {
            None => Kept::Plain(body.clone()),
            Some((user, key)) => {
                Kept::Sealed { user: user.clone(), sealed: seal(key, &Key::fact(&name), &body.encode())? }
            }
        };
        let shown_name = veiled(&name, &about);
        let record = FactRecord { name, said, set_by: set_by.clone(), set_at: now, expires_at };
        all.push(Said { record, body, shown_name });
    }
    Ok(all)
}

fn parsed(fact: &api::SetFact, now: TimeMs) -> Result<(FactName, FactBody, Option<TimeMs>), Failure> {
    let (name, value) = (fact.name.parse::<FactName>()?, canonical(&fact.value.to_string())?);
    let bytes = value.as_str().len();
    if bytes > FactBody::VALUE_BYTES_MAX {
        let max = FactBody::VALUE_BYTES_MAX;
        let detail = format!("the value of the fact `{name}` has {bytes} bytes, and {max} is the most");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    let expires_at = fact.expires_at_ms.map(TimeMs);
    if let Some(problem) = expires_at.and_then(|at| no_expiry(at, now)) {
        return Err(Failure::of(ProblemCode::InvalidField, format!("the fact `{name}` {problem}"))
            .with_help("`expires_at_ms` is milliseconds since 1970, after now and at most ten years ahead; leave it out for a fact that stands until it is deleted"));
    }
    Ok((name, FactBody { value, salt: random::fact_salt()? }, expires_at))
}

/// How many users one fact is about: what stands of each is named by the commit.
const USERS_MAX: usize = 2;

/// Users, and their keys.
type About = Vec<(UserId, Arc<UserKey>)>;

/// The ids of users in a name.
fn users_in(name: &FactName) -> impl Iterator<Item = UserId> {
    let ids = name.as_str().split('/').filter(|segment| segment.starts_with(USER_PREFIX));
    ids.filter_map(|segment| segment.parse().ok())
}

/// The users whom a fact is about, each once. Nothing is said about those who were erased.
async fn about(app: &App, name: &FactName) -> Result<About, Failure> {
    let mut about: About = Vec::new();
    for user in users_in(name) {
        if about.iter().any(|(known, _)| *known == user) {
            continue;
        }
        if let Some(key) = kept::key(app, &user).await? {
            about.push((user, key));
            if about.len() > USERS_MAX {
                let detail = format!("the fact `{name}` is about more than {USERS_MAX} users");
                return Err(Failure::of(ProblemCode::InvalidField, detail)
                    .with_help("leave users out of the name until it has two at most, or say it in several facts"));
            }
            continue;
        }
        for left in [Key::erasure(&user), Key::user(&user)] {
            if app.store.get(&left).await?.is_some() {
                return Err(kept::erased(format!("the user `{user}`, whom the fact `{name}` is about, was erased")));
            }
        }
    }
    Ok(about)
}

/// The name of a fact as entries have it: the users whom it is about stand there as pseudonyms.
fn veiled(name: &FactName, about: &[(UserId, Arc<UserKey>)]) -> String {
    let segment = |segment: &str| match about.iter().find(|(user, _)| user.as_str() == segment) {
        Some((user, key)) => veil::user(user, key),
        None => segment.to_owned(),
    };
    name.as_str().split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// What a fact says; none if it is about a user who was erased.
pub(crate) async fn body(app: &App, record: &FactRecord) -> Result<Option<FactBody>, Failure> {
    let (user, sealed) = match &record.said {
        Kept::Plain(body) => return Ok(Some(body.clone())),
        Kept::Sealed { user, sealed } => (user, sealed),
    };
    // Those of before an erasure may be about more than the one whose key seals them.
    for other in users_in(&record.name).filter(|other| other != user) {
        if app.store.get(&Key::erasure(&other)).await?.is_some() {
            return Ok(None);
        }
    }
    let place = record.key();
    let Some(bytes) = kept::read(app, &place, (user, sealed)).await? else { return Ok(None) };
    FactBody::decode(&place, &bytes).map(Some).map_err(Failure::internal)
}

/// What is wrong with this as an expiry.
fn no_expiry(at: TimeMs, now: TimeMs) -> Option<&'static str> {
    match at {
        at if at <= now => Some("would have expired already"),
        at if at > now.plus_ms(api::EXPIRES_IN_MS_MAX) => Some("would expire in more than ten years"),
        _ => None,
    }
}

/// A resource server speaks of its own types only. The commit names what says that they are its own.
async fn owned<'a>(
    app: &App,
    batch: &mut Batch,
    server: &ResourceServerId,
    names: impl Iterator<Item = &'a FactName>,
) -> Result<(), Failure> {
    let key = Key::resource_server(server);
    let record = app.store.record::<ResourceServerRecord>(&key).await?;
    let record = record.filter(|record| record.value.revoked_at.is_none());
    let record = record.ok_or_else(|| Failure::not_found("resource server", server))?;
    for name in names {
        let own = name.resource_type().is_some_and(|of| record.value.server.resource_types.contains(&of));
        if !own {
            let detail = format!("the fact `{name}` is about no type of resource of `{server}`");
            return Err(Failure::of(ProblemCode::InvalidField, detail)
                .with_help("names of facts about a resource begin with `resource/`, its type and `/`"));
        }
    }
    batch.require.push((key, Require::Version(record.version)));
    Ok(())
}

/// What stands under these names gives way, and so does its place in the index of what expires. What an
/// operator said gives way to no resource server, for as long as it counts. The commit names what was found,
/// so that nothing that is said meanwhile is lost. What comes back are the names under which nothing stands.
async fn replace<'a>(
    app: &App,
    batch: &mut Batch,
    speaker: Speaker,
    names: impl Iterator<Item = &'a FactName>,
) -> Result<BTreeSet<FactName>, Failure> {
    let mut not_there = BTreeSet::new();
    for name in names {
        let key = Key::fact(name);
        let Some(found) = app.store.record::<FactRecord>(&key).await? else {
            batch.require.push((key, Require::Absent));
            not_there.insert(name.clone());
            continue;
        };
        let operator_s = matches!(found.value.set_by, FactSource::Operator(_));
        if speaker == Speaker::ResourceServer && operator_s && found.value.counts_at(batch.now) {
            let detail = format!("an operator set the fact `{name}`, and no resource server replaces or forgets it");
            return Err(Failure::of(ProblemCode::InvalidState, detail).with_help(
                "ask an operator who is a registrar: `attorn fact set`, or `attorn fact delete` to give it back",
            ));
        }
        batch.delete.extend(found.value.expires_at.map(|at| Key::expiry(at, &key)));
        batch.require.push((key, Require::Version(found.version)));
    }
    Ok(not_there)
}

async fn put(app: &App, mut batch: Batch, speaker: Speaker, facts: &[Said]) -> Result<Reply, Failure> {
    replace(app, &mut batch, speaker, facts.iter().map(|fact| &fact.record.name)).await?;
    for fact in facts.iter().map(|fact| &fact.record) {
        if let Some(at) = fact.expires_at {
            let index = Key::expiry(at, &fact.key());
            // It may expire when the one before it would have.
            batch.delete.retain(|gone| *gone != index);
            batch.put.push((index, Vec::new()));
        }
        batch.put_record(fact);
    }
    commit(app, batch, moved).await?;
    app.metrics.facts_set(facts.len());
    Reply::ok(&api::FactsSet { set: facts.len() as u64 })
}

/// Forget those of these that there are, under an entry that names them. Where there are none, nothing changes
/// and nothing is recorded.
async fn remove(
    app: &App,
    mut batch: Batch,
    speaker: Speaker,
    mut names: BTreeSet<FactName>,
    say: impl FnOnce(&mut Batch, Vec<String>) -> Result<(), Failure>,
) -> Result<Reply, Failure> {
    let not_there = replace(app, &mut batch, speaker, names.iter()).await?;
    names.retain(|name| !not_there.contains(name));
    if !names.is_empty() {
        let mut shown = Vec::new();
        for name in &names {
            shown.push(match about(app, name).await {
                Ok(about) => veiled(name, &about),
                // Nobody knows any more what the log calls them.
                Err(failure) if failure.problem.code == ProblemCode::UserErased => "user/erased".to_owned(),
                Err(failure) => return Err(failure),
            });
        }
        say(&mut batch, shown)?;
        batch.delete.extend(names.iter().map(Key::fact));
        commit(app, batch, moved).await?;
    }
    let not_there = not_there.iter().map(ToString::to_string).collect();
    Reply::ok(&api::FactsDeleted { deleted: names.len() as u64, not_there })
}

fn in_entry(facts: &[Said]) -> Vec<Value> {
    let fact = |fact: &Said| {
        json!({
            "name": fact.shown_name,
            "value_digest": fact.body.value_digest().to_string(),
            "expires_at_ms": fact.record.expires_at.map(|at| at.0),
        })
    };
    facts.iter().map(fact).collect()
}

/// Those who set some of these and were revoked since.
async fn revoked(app: &App, records: &[FactRecord]) -> Result<BTreeSet<ResourceServerId>, Failure> {
    let server = |record: &FactRecord| match &record.set_by {
        FactSource::ResourceServer(server) => Some(server.clone()),
        FactSource::Operator(_) => None,
    };
    let mut servers: BTreeSet<_> = records.iter().filter_map(server).collect();
    for server in servers.clone() {
        let record = app.store.record::<ResourceServerRecord>(&Key::resource_server(&server)).await?;
        if record.is_some_and(|record| record.value.revoked_at.is_none()) {
            servers.remove(&server);
        }
    }
    Ok(servers)
}

fn shown(record: &FactRecord, body: &FactBody, now: TimeMs, revoked: &BTreeSet<ResourceServerId>) -> api::Fact {
    let source_counts = match &record.set_by {
        FactSource::ResourceServer(server) => !revoked.contains(server),
        FactSource::Operator(_) => true,
    };
    api::Fact {
        name: record.name.to_string(),
        value: serde_json::from_str(body.value.as_str()).unwrap_or(Value::Null),
        salt: body.salt.to_string(),
        set_by: record.set_by.to_string(),
        set_at_ms: record.set_at.0,
        expires_at_ms: record.expires_at.map(|at| at.0),
        counts: source_counts && record.counts_at(now),
    }
}
