//! On whose behalf an agent asks: the chain of delegations and all that it hangs on, read as it stands now, each
//! with the version that the commit names. Whether it holds is `core::behalf`'s business.

use std::sync::Arc;

use attorn_core::context::{Delegation, Group, User};
use attorn_core::reason::HostReason;
use attorn_core::{Behalf, DelegationId, Delegator, Hop, Roots, TimeMs};
use attorn_identity::UserKey;
use attorn_store::records::{
    AgentRecord, DelegationBody, DelegationRecord, Evidence, ProviderRecord, Record as _, SessionRecord,
};
use attorn_store::{Key, Require, Versioned};

use crate::app::App;
use crate::http::failure::Failure;
use crate::users::{self, KnownUser, entitled};

/// A chain that was read.
pub(crate) struct Chain {
    pub(crate) behalf: Behalf,
    /// The user's key: what is recorded speaks of them in pseudonyms.
    pub(crate) key: Arc<UserKey>,
    /// The provider's own name for the user.
    pub(crate) subject: String,
}

/// Read the chain that ends with this delegation. What is not there is named in `require`, too, so that a chain
/// that comes to be meanwhile makes the decision anew.
pub(crate) async fn read(
    app: &App,
    last: &DelegationId,
    now: TimeMs,
    require: &mut Vec<(Key, Require)>,
) -> Result<Result<Chain, HostReason>, Failure> {
    let (user, mut chain) = match standing(app, last, require).await? {
        Ok(found) => found,
        Err(reason) => return Ok(Err(reason)),
    };
    chain.behalf.entitlements = entitled::resolve(app, &user, now, require).await?;
    Ok(Ok(chain))
}

/// As [`read`], without what the user may do: enough to say whether the chain stands, and covering no request.
pub(crate) async fn standing(
    app: &App,
    last: &DelegationId,
    require: &mut Vec<(Key, Require)>,
) -> Result<Result<(KnownUser, Chain), HostReason>, Failure> {
    let records = match delegations(app, last, require).await? {
        Ok(records) => records,
        Err(reason) => return Ok(Err(reason)),
    };
    let Some(root) = records.first() else { return Ok(Err(HostReason::DelegationUnknown)) };
    let id = root.user.clone();
    let Some(user) = users::known(app, &id).await? else {
        // Also where their record is still there, and only their key is gone.
        let left = app.store.get(&Key::user(&id)).await?;
        require.push((Key::user(&id), left.map_or(Require::Absent, |left| Require::Version(left.version))));
        return Ok(Err(HostReason::UserErased));
    };
    require.push((Key::user(&id), Require::Version(user.record.version)));
    if records.iter().any(|record| record.user != id) {
        return Ok(Err(HostReason::ChainBroken));
    }
    let roots = roots(app, (root, &records), &user, require).await?;
    let (mut hops, mut evidence) = (Vec::with_capacity(records.len()), None);
    for record in &records {
        let place = record.key();
        let body = users::open(&user.key, &place, &record.sealed)?;
        let body = DelegationBody::decode(&place, &body).map_err(Failure::internal)?;
        let agent_key = Key::agent(&record.to_agent);
        let agent = app.store.record::<AgentRecord>(&agent_key).await?;
        let agent = agent.ok_or_else(|| Failure::internal(format_args!("agent {} is gone", record.to_agent)))?;
        require.push((agent_key, Require::Version(agent.version)));
        evidence = evidence.or(body.evidence.clone());
        hops.push(hop(record, body, &agent.value));
    }
    let (key, subject) = (Arc::clone(&user.key), user.body.subject.clone());
    let behalf = Behalf { user: shown(&user, evidence.as_ref()), roots, hops, entitlements: Vec::new() };
    Ok(Ok((user, Chain { behalf, key, subject })))
}

/// The delegations of the chain, from the user on.
async fn delegations(
    app: &App,
    last: &DelegationId,
    require: &mut Vec<(Key, Require)>,
) -> Result<Result<Vec<DelegationRecord>, HostReason>, Failure> {
    let (mut records, mut next) = (Vec::new(), Some(last.clone()));
    while let Some(id) = next {
        if records.len() >= app.limits.hops_max {
            return Ok(Err(HostReason::ChainTooDeep));
        }
        let key = Key::delegation(&id);
        let Some(Versioned { value, version, .. }) = app.store.record::<DelegationRecord>(&key).await? else {
            require.push((key, Require::Absent));
            let reason = if records.is_empty() { HostReason::DelegationUnknown } else { HostReason::ChainBroken };
            return Ok(Err(reason));
        };
        require.push((key, Require::Version(version)));
        if app.clock.outlived(version) {
            return Ok(Err(HostReason::DelegationExpired));
        }
        let parent = value.parent.clone();
        records.push(value);
        next = parent;
    }
    records.reverse();
    Ok(Ok(records))
}

async fn roots(
    app: &App,
    (root, records): (&DelegationRecord, &[DelegationRecord]),
    user: &KnownUser,
    require: &mut Vec<(Key, Require)>,
) -> Result<Roots, Failure> {
    let provider_key = Key::provider(&user.body.provider);
    let provider = app.store.record::<ProviderRecord>(&provider_key).await?;
    require.push((provider_key, provider.as_ref().map_or(Require::Absent, |found| Require::Version(found.version))));
    let session_key = Key::session(&root.session);
    let session = app.store.record::<SessionRecord>(&session_key).await?;
    require.push((session_key, session.as_ref().map_or(Require::Absent, |found| Require::Version(found.version))));
    let revoked = |record: &DelegationRecord| {
        let now = user.body.agent_revocations.get(&record.to_agent).copied().unwrap_or(0);
        record.user_revocations != user.record.value.revocations || record.agent_revocations != now
    };
    let ended = |session: &SessionRecord| {
        session.ended_at.is_some()
            || session.user != user.record.value.id
            || (session.sealed_name.is_none() && session.unnamed_revocations != user.body.unnamed_revocations)
    };
    Ok(Roots {
        provider_trusted: provider.is_some_and(|found| found.value.revoked_at.is_none()),
        user_revoked: records.iter().any(revoked),
        session_ended: session.is_none_or(|found| ended(&found.value)),
    })
}

fn hop(record: &DelegationRecord, body: DelegationBody, agent: &AgentRecord) -> Hop {
    Hop {
        delegation: Delegation {
            id: record.id.clone(),
            to_agent: record.to_agent.clone(),
            permissions: body.permissions,
            purpose: record.purpose.clone(),
            session: record.session.clone(),
            created_at: record.created_at,
            expires_at: record.expires_at,
        },
        from: match &record.from_agent {
            Some(agent) => Delegator::Agent(agent.clone()),
            None => Delegator::User(record.user.clone()),
        },
        parent: record.parent.clone(),
        accepted: record.accepted_at.is_some(),
        revoked: record.revoked_at.is_some(),
        revocations: record.revocations,
        agent: agent.agent().clone(),
    }
}

/// The user as policies see them. How and when they authenticated is what the token said that began this chain:
/// a stronger login elsewhere lends nothing to it.
fn shown(user: &KnownUser, evidence: Option<&Evidence>) -> User {
    let body = &user.body;
    let group =
        |name: &String| Group { issuer: body.issuer.clone(), name: name.clone(), asserted_at: body.groups_asserted_at };
    User {
        id: user.record.value.id.clone(),
        issuer: body.issuer.clone(),
        authenticated_at: evidence.and_then(|evidence| evidence.auth_time).unwrap_or(TimeMs(0)),
        acr: evidence.and_then(|evidence| evidence.acr.clone()),
        groups: body.groups.iter().map(group).collect(),
        claims: body.claims.clone(),
    }
}
