//! What a query asks for: filters that must all hold. They are parsed here, once, and nothing that is no filter is
//! passed over: whoever mistypes one would take all entries for those that they asked for.
//!
//! A user is named by the id that operators know. What stands for them in the log is made of their key, here and for
//! this query alone; so a query by a user gives something as long as that key is there.

use std::fmt::Display;
use std::str::FromStr;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_core::{
    ActionPattern, AgentId, DecisionId, DelegationId, GrantId, KeyThumbprint, OperatorId, Owner, PolicyId, Purpose,
    ReasonCode, Resource, ResourcePattern, SessionId, TimeMs, UserId,
};
use attorn_identity::UserKey;
use attorn_store::Indexed;
use attorn_store::records::SessionRecord;
use attorn_store::{Key, Term};

use super::terms::{Field, policy_version};
use crate::app::App;
use crate::decisions::veil;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::users::kept;

/// The names of all filters, as the document of the API has them.
pub(crate) const NAMES: [&str; 19] = [
    "agent",
    "key",
    "user",
    "owner",
    "operator",
    "delegation",
    "grant",
    "policy",
    "version",
    "purpose",
    "session",
    "action",
    "resource",
    "decision",
    "decision_id",
    "reason",
    "type",
    "since_ms",
    "until_ms",
];
/// How many filters one query may have.
pub(crate) const FILTERS_MAX: usize = 8;
/// What an entry must have.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) terms: Vec<Term>,
    /// Between which times it was written, both included.
    pub(crate) times_ms: (u64, u64),
    /// The user whose key the terms were made of.
    pub(crate) user: Option<UserId>,
}

/// What was decided.
struct Decided(&'static str);

impl FromStr for Decided {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = ["allow", "challenge", "deny"];
        all.into_iter().find(|kind| *kind == text).map(Self).ok_or("it is `allow`, `challenge` or `deny`")
    }
}

impl Display for Decided {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Filter {
    /// The filters of a call. Beside them it may have these parameters, and no others.
    pub(crate) async fn of(app: &App, call: &Call, beside: &[&str]) -> Result<Self, Failure> {
        for name in call.query.keys().filter(|name| !beside.contains(&name.as_str())) {
            if !NAMES.contains(&name.as_str()) {
                return Err(invalid(format!("`{}` is no filter", name.escape_default()))
                    .with_help(format!("filters are {}", NAMES.join(", "))));
            }
        }
        let count = call.query.keys().filter(|name| NAMES.contains(&name.as_str())).count();
        if count > FILTERS_MAX {
            return Err(invalid(format!("the query has {count} filters, and {FILTERS_MAX} is the most")));
        }
        let mut terms = simple(call)?;
        terms.extend(policy(call)?);
        let (user, key) = user(app, call, &mut terms).await?;
        terms.extend(session(app, call, key.as_deref()).await?);
        terms.extend(resource(call, key.as_deref())?);
        let times_ms =
            (call.query::<u64>("since_ms")?.unwrap_or(0), call.query::<u64>("until_ms")?.unwrap_or(u64::MAX));
        Ok(Self { terms, times_ms, user })
    }

    /// What is about this decision.
    pub(crate) fn about_decision(id: DecisionId) -> Self {
        Self { terms: vec![Field::DecisionId.term(&id.to_string())], times_ms: (0, u64::MAX), user: None }
    }

    /// The same, of decisions alone.
    pub(crate) fn of_decisions(mut self) -> Self {
        self.terms.push(Field::Type.term(EntryType::Decision.as_str()));
        self
    }

    /// Whether an entry is one of those that are asked for.
    pub(crate) fn takes(&self, entry: &Indexed) -> bool {
        let TimeMs(time) = entry.time;
        (self.times_ms.0..=self.times_ms.1).contains(&time) && self.terms.iter().all(|term| entry.terms.contains(term))
    }
}

/// The filters that stand in entries as they are asked for.
fn simple(call: &Call) -> Result<Vec<Term>, Failure> {
    let terms = [
        term::<AgentId>(call, Field::Agent)?,
        term::<KeyThumbprint>(call, Field::Key)?,
        term::<Owner>(call, Field::Owner)?,
        term::<OperatorId>(call, Field::Operator)?,
        term::<DelegationId>(call, Field::Delegation)?,
        term::<GrantId>(call, Field::Grant)?,
        term::<Purpose>(call, Field::Purpose)?,
        term::<ActionPattern>(call, Field::Action)?,
        term::<Decided>(call, Field::Decision)?,
        term::<DecisionId>(call, Field::DecisionId)?,
        term::<ReasonCode>(call, Field::Reason)?,
        term::<EntryType>(call, Field::Type)?,
    ];
    Ok(terms.into_iter().flatten().collect())
}

/// The term of a filter; none if it is not asked for, or asks for anything.
fn term<T: FromStr<Err: Display> + Display>(call: &Call, field: Field) -> Result<Option<Term>, Failure> {
    let text = call.query::<T>(field.name())?.map(|value| value.to_string());
    Ok(text.filter(|text| text != "*").map(|text| field.term(&text)))
}

fn policy(call: &Call) -> Result<Option<Term>, Failure> {
    let (policy, version) = (call.query::<PolicyId>("policy")?, call.query::<u32>("version")?);
    match (policy, version) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(invalid("`version` is one of a `policy`, and none is named")),
        (Some(policy), None) => Ok(Some(Field::Policy.term(policy.as_str()))),
        (Some(policy), Some(version)) => {
            Ok(Some(Field::PolicyVersion.term(&policy_version(policy.as_str(), version.into()))))
        }
    }
}

/// The user, and their key. A pseudonym is looked for as it stands, and names nobody.
async fn user(
    app: &App,
    call: &Call,
    terms: &mut Vec<Term>,
) -> Result<(Option<UserId>, Option<std::sync::Arc<UserKey>>), Failure> {
    let Some(user) = call.query::<UserId>("user")? else { return Ok((None, None)) };
    if is_pseudonym(user.as_str()) {
        terms.push(Field::User.term(user.as_str()));
        return Ok((None, None));
    }
    let Some(key) = kept::key(app, &user).await? else { return Err(kept::gone(app, &user).await?) };
    terms.push(Field::User.term(&veil::user(&user, &key)));
    Ok((Some(user), Some(key)))
}

/// A session is looked for as it stands for its user: the one who is named, or the one whose it is.
async fn session(app: &App, call: &Call, key: Option<&UserKey>) -> Result<Option<Term>, Failure> {
    let Some(session) = call.query::<SessionId>("session")? else { return Ok(None) };
    if is_pseudonym(session.as_str()) {
        return Ok(Some(Field::Session.term(session.as_str())));
    }
    if let Some(key) = key {
        return Ok(Some(Field::Session.term(&veil::session(&session, key))));
    }
    let text = match app.store.record::<SessionRecord>(&Key::session(&session)).await? {
        None => session.to_string(),
        Some(found) => {
            let key = kept::key(app, &found.value.user).await?;
            let key = key.ok_or_else(|| Failure::not_found("session", &session))?;
            veil::session(&session, &key)
        }
    };
    Ok(Some(Field::Session.term(&text)))
}

/// A resource is looked for as it stands: for a user who is named, as what stands for it.
fn resource(call: &Call, key: Option<&UserKey>) -> Result<Option<Term>, Failure> {
    let Some(pattern) = call.query::<ResourcePattern>("resource")? else { return Ok(None) };
    let text = pattern.to_string();
    if text == "*" {
        return Ok(None);
    }
    let (whole, id) = (text.parse::<Resource>(), text.split_once('/').map_or("", |(_, id)| id));
    let text = match (key, whole) {
        (None, _) => text,
        (Some(_), _) if id == "*" || is_pseudonym(id) => text,
        (Some(key), Ok(resource)) => veil::Veil::User(key).resource(&resource),
        (Some(_), Err(_)) => {
            return Err(invalid(format!("`resource`: the resources of a user cannot be found by `{text}`"))
                .with_help("the log has their types and pseudonyms of their ids: ask for one, or for `type/*`"));
        }
    };
    Ok(Some(Field::Resource.term(&text)))
}

fn is_pseudonym(text: &str) -> bool {
    text.starts_with("psn_") || text.starts_with("unread_")
}

pub(crate) fn invalid(detail: impl Into<String>) -> Failure {
    Failure::of(ProblemCode::InvalidQuery, detail)
}
