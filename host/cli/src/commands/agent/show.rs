//! How an agent is printed.

use attorn_api::agents::{Agent, AgentState, Identity, IdentityMethod, IdentitySubject, PermissionUse, UserPresence};
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
    Ok(Exit::Done)
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
            row.push(last_use(one, uses.since_ms));
            row
        })
        .collect();
    output.table(&["PURPOSE", "USER", "ACTION", "RESOURCE", "LAST USED"], &rows);
    if uses.permissions.iter().any(|one| one.by_type) {
        output.note("(type): for users the log shows only the resource's type, so it may have been another one");
    }
}

/// When a permission was last used. That it was not can be said only of what the log has.
fn last_use(one: &PermissionUse, since_ms: Option<u64>) -> String {
    let kind = if one.by_type { " (type)" } else { "" };
    match (one.last_used_at_ms, one.complete, since_ms) {
        (Some(at), _, _) => format!("{}{kind}", TimeMs(at)),
        (None, false, _) => "not known: there is too much to look at".to_owned(),
        (None, true, Some(since)) => format!("never since {}", TimeMs(since)),
        (None, true, None) => "never".to_owned(),
    }
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
        for (one, since_ms, expect) in [
            (one(Some(0), false, true), Some(0), "1970-01-01T00:00:00.000Z"),
            (one(Some(0), true, true), Some(0), "1970-01-01T00:00:00.000Z (type)"),
            (one(None, false, true), Some(0), "never since 1970-01-01T00:00:00.000Z"),
            (one(None, true, true), None, "never"),
            (one(None, false, false), Some(0), "not known: there is too much to look at"),
        ] {
            assert_eq!(last_use(&one, since_ms), expect);
        }
    }
}
