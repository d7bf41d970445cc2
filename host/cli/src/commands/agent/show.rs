//! How an agent is printed.

use attorn_api::agents::{
    Agent, AgentState, CeilingUses, Identity, IdentityMethod, IdentitySubject, PermissionUse, UserPresence,
};
use attorn_api::audit::{EarlierEpoch, EntryType};
use attorn_core::TimeMs;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

pub(super) const fn state(state: AgentState) -> &'static str {
    match state {
        AgentState::Active => "active",
        AgentState::Suspended => "suspended",
        AgentState::Retired => "retired",
    }
}

pub(super) fn print(output: &Output, agent: &Agent) -> Result<Exit, Failure> {
    if output.json {
        return output.json(agent).map(|()| Exit::Done);
    }
    output.line(format!("agent    {}  {}", agent.id, state(agent.state)));
    output.line(format!("owner    {}", agent.owner));
    let labels: Vec<String> = agent.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    output.line(format!("labels   {}", if labels.is_empty() { "-".to_owned() } else { labels.join(" ") }));
    output.line(format!("grants   at most {} ms", agent.grant_ms_max));
    output.line("");
    print_ceiling(output, agent);
    let rows: Vec<Vec<String>> = agent
        .keys
        .iter()
        .map(|key| vec![key.thumbprint.clone(), key.instance.clone(), TimeMs(key.expires_at_ms).to_string()])
        .collect();
    output.line("");
    output.table(&["KEY", "INSTANCE", "EXPIRES"], &rows);
    print_identities(output, agent);
    let rows: Vec<Vec<String>> = agent
        .history
        .iter()
        .map(|change| vec![TimeMs(change.at_ms).to_string(), state(change.state).to_owned(), change.by.clone()])
        .collect();
    output.line("");
    output.table(&["SINCE", "STATE", "BY"], &rows);
    if let Some(kind) = said_why(agent.state) {
        // The record of the agent has no words: these stand in the log, for those who may read it.
        output.note(format!("why, if anybody said it: `attorn audit list --agent {} --type {kind} --wide`", agent.id));
    }
    Ok(Exit::Done)
}

/// The type of the entries that say why an agent is in this state.
const fn said_why(state: AgentState) -> Option<EntryType> {
    match state {
        AgentState::Active => None,
        AgentState::Suspended => Some(EntryType::AgentSuspended),
        AgentState::Retired => Some(EntryType::AgentRetired),
    }
}

fn print_ceiling(output: &Output, agent: &Agent) {
    let permission = |purpose: &str, action: &str, resource: &str| {
        let user = agent.ceiling.get(purpose).map_or("-", |ceiling| match ceiling.user {
            UserPresence::With => "with-user",
            UserPresence::Without => "without-user",
        });
        [purpose, user, action, resource].map(str::to_owned).to_vec()
    };
    let Some(uses) = &agent.uses else {
        let all = agent.ceiling.iter().flat_map(|(purpose, ceiling)| {
            ceiling.permissions.iter().map(|one| permission(purpose, &one.action, &one.resource))
        });
        return output.table(&["PURPOSE", "USER", "ACTION", "RESOURCE"], &all.collect::<Vec<_>>());
    };
    let rows: Vec<Vec<String>> = uses
        .permissions
        .iter()
        .map(|one| {
            let mut row = permission(&one.purpose, &one.action, &one.resource);
            row.push(last_use(one, uses));
            row
        })
        .collect();
    output.table(&["PURPOSE", "USER", "ACTION", "RESOURCE", "LAST USED"], &rows);
    if uses.permissions.iter().any(|one| one.by_type) {
        output.note("(type): for users the log shows only the resource's type, so it may have been another one");
    }
    if uses.permissions.iter().any(|one| one.last_used_at_ms.is_none())
        && let Some(note) = not_looked_at(&agent.id, &uses.earlier)
    {
        output.note(note);
    }
}

/// When a permission was last used. That it was not can be said only of what was looked at.
fn last_use(one: &PermissionUse, uses: &CeilingUses) -> String {
    let kind = if one.by_type { " (type)" } else { "" };
    match (one.last_used_at_ms, one.complete, uses.since_ms) {
        (Some(at), _, _) => format!("{}{kind}", TimeMs(at)),
        (None, false, _) => "not known: there is too much to look at".to_owned(),
        (None, true, None) => "not known: the log is not indexed yet".to_owned(),
        (None, true, Some(since)) if uses.earlier.is_empty() => format!("never since {}", TimeMs(since)),
        // It may have been, before the log began this epoch.
        (None, true, Some(since)) => format!("not since {}, before not looked at", TimeMs(since)),
    }
}

/// That there are earlier epochs, where a permission may have been used, and how to look; none if there are none.
fn not_looked_at(agent: &str, earlier: &[EarlierEpoch]) -> Option<String> {
    let last = earlier.last()?.epoch;
    let each: Vec<_> = earlier.iter().map(|one| one.epoch.to_string()).collect();
    let epochs = if earlier.len() == 1 { "epoch" } else { "epochs" };
    Some(format!(
        "the log began a new epoch since: what was used in {epochs} {} is not looked at here. `attorn audit list --epoch \
         {last} --agent {agent} --decision allow` lists it",
        each.join(", ")
    ))
}

fn print_identities(output: &Output, agent: &Agent) {
    if agent.identities.is_empty() {
        return;
    }
    let row = |identity: &Identity| {
        let subject = match &identity.subject {
            IdentitySubject::Spiffe(id) => id.clone(),
            IdentitySubject::Workload(workload) => format!("{} {}", workload.issuer, workload.subject),
        };
        let method = |method: &IdentityMethod| match method {
            IdentityMethod::X509 => "x509",
            IdentityMethod::Jwt => "jwt",
        };
        let methods: Vec<&str> = identity.methods.iter().map(method).collect();
        vec![subject, identity.instance.clone(), methods.join(",")]
    };
    let rows: Vec<Vec<String>> = agent.identities.iter().map(row).collect();
    output.line("");
    output.table(&["IDENTITY", "INSTANCE", "METHODS"], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_said_than_is_known() {
        let one = |last_used_at_ms, by_type, complete| PermissionUse {
            purpose: "p".into(),
            action: "a".into(),
            resource: "r/*".into(),
            last_used_at_ms,
            entry: None,
            by_type,
            complete,
        };
        let uses = |since_ms, earlier: &[u64]| CeilingUses {
            indexed_through: 7,
            since_ms,
            earlier: earlier.iter().map(|epoch| EarlierEpoch { epoch: *epoch, size: 7 }).collect(),
            permissions: Vec::new(),
        };
        let now = uses(Some(0), &[]);
        for (one, uses, expect) in [
            (one(Some(0), false, true), &now, "1970-01-01T00:00:00.000Z"),
            (one(Some(0), true, true), &now, "1970-01-01T00:00:00.000Z (type)"),
            (one(None, false, true), &now, "never since 1970-01-01T00:00:00.000Z"),
            (one(None, true, true), &uses(None, &[]), "not known: the log is not indexed yet"),
            (one(None, false, false), &now, "not known: there is too much to look at"),
            (one(None, false, true), &uses(Some(0), &[1]), "not since 1970-01-01T00:00:00.000Z, before not looked at"),
        ] {
            assert_eq!(last_use(&one, uses), expect);
        }
        assert_eq!(not_looked_at("bot", &[]), None);
        let said = not_looked_at("bot", &uses(None, &[1, 2]).earlier).unwrap();
        assert!(said.contains("in epochs 1, 2 is not") && said.contains("--epoch 2 --agent bot"), "{said}");
    }
}
