//! The user of a case, and the delegations from them to the agent that acts.

use attorn_core::context::{Delegation, Group, User};
use attorn_core::{Agent, DelegationId, Permission, Request, SessionId, TimeMs};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::context::{object, text};

/// How long before the time of the case the user authenticated and delegated, and how long after it the
/// delegations end, in milliseconds.
const HOUR_MS: u64 = 3_600_000;

/// The most groups of a user, and the most characters of what a provider says.
const GROUPS_MAX: usize = 128;
const CHARS_MAX: usize = 256;

/// The most hops; a host is configured for fewer.
const HOPS_MAX: usize = 16;

/// The most permissions of a hop.
const PERMISSIONS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object that describes a user")]
pub(super) struct UserWire {
    id: Option<String>,
    issuer: Option<String>,
    authenticated_at_ms: Option<u64>,
    acr: Option<String>,
    #[serde(default)]
    groups: Vec<GroupWire>,
    claims: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a group, such as `{ \"name\": \"staff\" }`")]
struct GroupWire {
    issuer: Option<String>,
    name: String,
    asserted_at_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object that describes a delegation")]
pub(super) struct DelegationWire {
    id: Option<String>,
    to_agent: Option<String>,
    permissions: Option<Vec<PermissionWire>>,
    purpose: Option<String>,
    session: Option<String>,
    created_at_ms: Option<u64>,
    expires_at_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a permission: an object with `action` and `resource`")]
struct PermissionWire {
    action: String,
    resource: String,
}

impl UserWire {
    pub(super) fn parse(self, now: TimeMs) -> Result<User, String> {
        let issuer = self.issuer.as_deref().unwrap_or("https://issuer.example");
        let authenticated_at = self.authenticated_at_ms.map_or(an_hour_before(now), TimeMs);
        if self.groups.len() > GROUPS_MAX {
            return Err(format!("a user of {} groups, and {GROUPS_MAX} is the most", self.groups.len()));
        }
        let groups = self.groups.into_iter().map(|group| group.parse(issuer, authenticated_at));
        Ok(User {
            id: self.id.as_deref().unwrap_or("test-user").parse().map_err(text)?,
            issuer: issuer.parse().map_err(text)?,
            authenticated_at,
            acr: self.acr.map(|acr| said("acr", acr)).transpose()?,
            groups: groups.collect::<Result<_, _>>()?,
            claims: object("claims", self.claims.as_deref())?,
        })
    }
}

impl GroupWire {
    fn parse(self, issuer: &str, asserted_at: TimeMs) -> Result<Group, String> {
        Ok(Group {
            issuer: self.issuer.as_deref().unwrap_or(issuer).parse().map_err(text)?,
            name: said("name of a group", self.name)?,
            asserted_at: self.asserted_at_ms.map_or(asserted_at, TimeMs),
        })
    }
}

/// The chain from the user to the agent; without any said, the user gave the agent just what it asks for.
pub(super) fn chain(
    wires: Option<Vec<DelegationWire>>,
    agent: &Agent,
    request: &Request,
    session: &SessionId,
    now: TimeMs,
) -> Result<Vec<Delegation>, String> {
    let wires = wires.unwrap_or_else(|| vec![DelegationWire::plain()]);
    if wires.len() > HOPS_MAX {
        return Err(format!("`delegations` has {} hops, and {HOPS_MAX} is the most", wires.len()));
    }
    let hops = wires.into_iter().enumerate().map(|(at, wire)| wire.parse(at, agent, request, session, now));
    let hops = hops.collect::<Result<Vec<_>, String>>()?;
    match hops.last() {
        None => Err("`delegations` is empty, and the agent acts for a user".to_owned()),
        Some(last) if last.to_agent != agent.id => {
            Err(format!("the last of `delegations` leads to `{}`, and `{}` acts", last.to_agent, agent.id))
        }
        Some(_) => Ok(hops),
    }
}

impl DelegationWire {
    const fn plain() -> Self {
        Self {
            id: None,
            to_agent: None,
            permissions: None,
            purpose: None,
            session: None,
            created_at_ms: None,
            expires_at_ms: None,
        }
    }

    fn parse(
        self,
        at: usize,
        agent: &Agent,
        request: &Request,
        session: &SessionId,
        now: TimeMs,
    ) -> Result<Delegation, String> {
        let id = self.id.map_or_else(|| format!("test-delegation-{at}").parse(), |id| id.parse::<DelegationId>());
        let permissions = match self.permissions {
            Some(wires) if wires.is_empty() || wires.len() > PERMISSIONS_MAX => {
                return Err(format!("a delegation of {} permissions; 1 to {PERMISSIONS_MAX} are right", wires.len()));
            }
            Some(wires) => wires.into_iter().map(PermissionWire::parse).collect::<Result<_, _>>()?,
            None => vec![exactly(request)?],
        };
        let to_agent = self.to_agent.map(|id| id.parse()).transpose().map_err(text)?;
        let purpose = self.purpose.map(|purpose| purpose.parse()).transpose().map_err(text)?;
        let own_session = self.session.map(|session| session.parse()).transpose().map_err(text)?;
        Ok(Delegation {
            id: id.map_err(text)?,
            to_agent: to_agent.unwrap_or_else(|| agent.id.clone()),
            permissions,
            purpose: purpose.unwrap_or_else(|| request.purpose.clone()),
            session: own_session.unwrap_or_else(|| session.clone()),
            created_at: self.created_at_ms.map_or(an_hour_before(now), TimeMs),
            expires_at: self.expires_at_ms.map_or(now.plus_ms(HOUR_MS), TimeMs),
        })
    }
}

impl PermissionWire {
    fn parse(self) -> Result<Permission, String> {
        Ok(Permission { action: self.action.parse().map_err(text)?, resource: self.resource.parse().map_err(text)? })
    }
}

/// The permission for what is asked for, and nothing else.
fn exactly(request: &Request) -> Result<Permission, String> {
    Ok(Permission {
        action: request.action.as_str().parse().map_err(text)?,
        resource: request.resource.as_str().parse().map_err(text)?,
    })
}

fn an_hour_before(now: TimeMs) -> TimeMs {
    TimeMs(now.0.saturating_sub(HOUR_MS))
}

fn said(what: &str, said: String) -> Result<String, String> {
    match said.chars().count() {
        1..=CHARS_MAX => Ok(said),
        count => Err(format!("the {what} has {count} characters, and 1 to {CHARS_MAX} are right")),
    }
}
