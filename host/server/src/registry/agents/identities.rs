//! `/v1/agents/{id}/identities`: who an agent is where it was not given a key of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::agents as api;
use attorn_api::audit::EntryType;
use attorn_core::{Agent, AgentId, AgentState, Identity, IdentityMethod, IdentitySubject, OperatorId};
use attorn_store::records::{AgentRecord, AgentRecordError, IdentityOwnerRecord, Record as _};
use attorn_store::{Batch, Key, Require, Versioned};
use serde_json::{Value, json};

use super::{by, find, refused, replace, wire};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, count, trust_domains, workload_issuers};

/// The most identities that an agent has.
const IDENTITIES_MAX: usize = 16;

/// Identities that a registrar sends.
pub(super) fn parse(wire: &[api::Identity]) -> Result<Vec<Identity>, Failure> {
    count("identities", wire.len(), 0, IDENTITIES_MAX)?;
    wire.iter().map(identity).collect()
}

fn identity(wire: &api::Identity) -> Result<Identity, Failure> {
    count("methods", wire.methods.len(), 1, IdentityMethod::ALL.len())?;
    let method = |method: &api::IdentityMethod| match method {
        api::IdentityMethod::X509 => IdentityMethod::X509,
        api::IdentityMethod::Jwt => IdentityMethod::Jwt,
    };
    let methods: BTreeSet<_> = wire.methods.iter().map(method).collect();
    Ok(Identity { subject: subject(&wire.subject)?, instance: wire.instance.parse()?, methods })
}

fn subject(wire: &api::IdentitySubject) -> Result<IdentitySubject, Failure> {
    match wire {
        api::IdentitySubject::Spiffe(id) => Ok(IdentitySubject::Spiffe(id.parse()?)),
        api::IdentitySubject::Workload(api::Workload { issuer, subject }) => {
            Ok(IdentitySubject::Workload { issuer: issuer.parse()?, subject: subject.parse()? })
        }
    }
}

/// Make identities an agent's own. Each stays its own for ever; one that it had before it may get back.
pub(super) async fn own(
    app: &App,
    batch: &mut Batch,
    identities: &[Identity],
    (agent, registrar): (&AgentId, OperatorId),
) -> Result<(), Failure> {
    let mut vouching = BTreeSet::new();
    for Identity { subject, .. } in identities {
        let (key, version) = voucher(app, subject).await?;
        if vouching.insert(key.clone()) {
            batch.require.push((key, Require::Version(version)));
        }
        let key = IdentityOwnerRecord::key_of(subject);
        let record =
            IdentityOwnerRecord { subject: subject.clone(), agent: agent.clone(), registrar: Some(registrar.clone()) };
        match app.store.record::<IdentityOwnerRecord>(&key).await? {
            None => {
                batch.require.push((key, Require::Absent));
                batch.put_record(&record);
            }
            Some(owner) if owner.value.agent == *agent => {
                batch.require.push((key, Require::Version(owner.version)));
                batch.put_record(&record);
            }
            Some(_) => return Err(taken(subject)),
        }
    }
    Ok(())
}

/// The record of who vouches for such an identity, and its version.
async fn voucher(app: &App, subject: &IdentitySubject) -> Result<(Key, u64), Failure> {
    match subject {
        IdentitySubject::Spiffe(id) => {
            let domain = trust_domains::find_unrevoked(app, id.trust_domain()).await?;
            Ok((domain.value.key(), domain.version))
        }
        IdentitySubject::Workload { issuer, .. } => {
            let found = workload_issuers::unrevoked_of(app, issuer).await?;
            Ok((found.value.key(), found.version))
        }
    }
}

fn taken(subject: &IdentitySubject) -> Failure {
    Failure::of(ProblemCode::IdentityTaken, format!("the identity `{subject}` is another agent's, or was"))
        .with_help("every agent has identities of its own, so that a name never comes to mean another")
}

pub(crate) async fn add(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (wire, id): (api::Identity, AgentId) = (call.json()?, call.path("id")?);
    let new = identity(&wire)?;
    let Versioned { value, version, .. } = find(&app, &id).await?;
    let mut batch = Batch::new(app.clock.now());
    let mut agent = value.agent().clone();
    if agent.state == AgentState::Retired {
        return Err(refused(&AgentRecordError::Retired));
    }
    if agent.identities.iter().any(|other| other.subject == new.subject) {
        let detail = format!("agent `{id}` has the identity `{}` already", new.subject);
        return Err(Failure::of(ProblemCode::IdentityTaken, detail).with_help("revoke it first to change it"));
    }
    own(&app, &mut batch, std::slice::from_ref(&new), (&id, by(call.operator()?)?)).await?;
    let about = json!({ "id": id.as_str(), "identity": in_entry(&new) });
    agent.identities.push(new);
    count("identities", agent.identities.len(), 0, IDENTITIES_MAX)?;
    let record = changed(&value, agent)?;
    entry::act(&mut batch, call.operator()?, EntryType::AgentIdentityAdded, about)?;
    batch.require.push((Key::agent(&id), Require::Version(version)));
    batch.put_record(&record);
    commit(&app, batch, crate::registry::moved).await?;
    Reply::ok(&wire::shown(&record))
}

/// One durable write: every decision's commit names the version of the agent's record, so nothing that this
/// identity was shown for is allowed afterwards.
pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (wire, id): (api::RevokeIdentity, AgentId) = (call.json()?, call.path("id")?);
    let subject = subject(&wire.subject)?;
    let Versioned { value, version, .. } = find(&app, &id).await?;
    let mut agent = value.agent().clone();
    let before = agent.identities.len();
    agent.identities.retain(|identity| identity.subject != subject);
    if agent.identities.len() == before {
        return Err(Failure::not_found("identity", &subject));
    }
    let record = changed(&value, agent)?;
    let about = json!({ "id": id.as_str(), "subject": subject.to_string() });
    replace(&app, call.operator()?, (EntryType::AgentIdentityRevoked, about), &record, version).await?;
    Reply::ok(&wire::shown(&record))
}

fn changed(record: &AgentRecord, agent: Agent) -> Result<AgentRecord, Failure> {
    let (jwks, history) = (record.jwks().clone(), record.history().to_vec());
    AgentRecord::new(agent, jwks, history, record.created_at()).map_err(|error| refused(&error))
}

/// An identity as operators see it.
pub(super) fn shown(identity: &Identity) -> api::Identity {
    let method = |method: &IdentityMethod| match method {
        IdentityMethod::X509 => api::IdentityMethod::X509,
        IdentityMethod::Jwt => api::IdentityMethod::Jwt,
    };
    let subject = match &identity.subject {
        IdentitySubject::Spiffe(id) => api::IdentitySubject::Spiffe(id.to_string()),
        IdentitySubject::Workload { issuer, subject } => {
            let (issuer, subject) = (issuer.to_string(), subject.to_string());
            api::IdentitySubject::Workload(api::Workload { issuer, subject })
        }
    };
    api::Identity {
        subject,
        instance: identity.instance.to_string(),
        methods: identity.methods.iter().map(method).collect(),
    }
}

/// An identity as it stands in the log.
pub(super) fn in_entry(identity: &Identity) -> Value {
    let methods: Vec<&str> = identity.methods.iter().map(|method| method.as_str()).collect();
    json!({ "subject": identity.subject.to_string(), "instance": identity.instance.as_str(), "methods": methods })
}
