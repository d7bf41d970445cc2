//! How an agent is printed.

use attorn_api::agents::{Agent, AgentState, Identity, IdentityMethod, IdentitySubject, UserPresence};
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
    let presence = |user| match user {
        UserPresence::With => "with-user",
        UserPresence::Without => "without-user",
    };
    let permission = |purpose: &str, user, action: &str, resource: &str| {
        vec![purpose.to_owned(), presence(user).to_owned(), action.to_owned(), resource.to_owned()]
    };
    let rows: Vec<Vec<String>> = agent
        .ceiling
        .iter()
        .flat_map(|(name, purpose)| {
            purpose.permissions.iter().map(move |one| permission(name, purpose.user, &one.action, &one.resource))
        })
        .collect();
    output.line("");
    output.table(&["PURPOSE", "USER", "ACTION", "RESOURCE"], &rows);
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
