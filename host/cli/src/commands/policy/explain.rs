//! `attorn policy explain`.

use std::collections::BTreeMap;

use attorn_api::decisions::{CredentialKind, DecisionKind, DecisionRequest, Reason};
use attorn_api::policies::Mode;
use attorn_api::simulations::{SimulatedPolicy, Simulation, SimulationRequest, Terms};
use attorn_core::{Action, AgentId, DelegationId, InstanceName, PolicyId, Purpose, Resource, SessionId};
use clap::Args;
use serde_json::value::RawValue;

use crate::approvers;
use crate::commands::load;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;

/// Try what would be decided, and see what each policy says and why. Nothing is granted or charged; the
/// audit log says that it was tried. Ends with 0 for allow, 3 for deny, 4 for challenge.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn policy explain --agent support-bot --action faq.read --resource article/42 --purpose answer-questions
  attorn policy explain --agent support-bot --action faq.read --resource article/42 --purpose answer-questions \\
    --with read-only=3 --without old-rules")]
pub(crate) struct Explain {
    /// The agent that would ask
    #[arg(long, value_parser = parse::id::<AgentId>)]
    agent: AgentId,
    /// Which of its instances; the first whose key has not expired if it is not said
    #[arg(long, value_parser = parse::id::<InstanceName>)]
    instance: Option<InstanceName>,
    /// What is to be done: `faq.read`
    #[arg(long, value_parser = parse::id::<Action>)]
    action: Action,
    /// What it is to be done to: `article/42`
    #[arg(long, value_parser = parse::id::<Resource>)]
    resource: Resource,
    /// Why: a purpose that the agent is registered for
    #[arg(long, value_parser = parse::id::<Purpose>)]
    purpose: Purpose,
    /// The action's arguments, one JSON object
    #[arg(long, value_name = "JSON", value_parser = parse::raw_json)]
    arguments: Option<Box<RawValue>>,
    /// What else the agent would claim, one JSON object
    #[arg(long, value_name = "JSON", value_parser = parse::raw_json)]
    claims: Option<Box<RawValue>>,
    /// The session that this belongs to
    #[arg(long, value_parser = parse::id::<SessionId>)]
    session: Option<SessionId>,
    /// The delegation that the agent would act by: `dlg_…`
    #[arg(long, value_name = "ID", value_parser = parse::id::<DelegationId>)]
    delegation: Option<DelegationId>,
    /// As if this version were in force. Repeat it for more
    #[arg(long, value_name = "ID=VERSION", value_parser = parse::policy_version)]
    with: Vec<(PolicyId, u32)>,
    /// As if this policy were not in force. Repeat it for more
    #[arg(long, value_name = "ID", value_parser = parse::id::<PolicyId>)]
    without: Vec<PolicyId>,
}

impl Explain {
    pub(super) async fn run(self, client: &OperatorClient, output: &Output) -> Result<Exit, Failure> {
        let mut with = BTreeMap::new();
        let versions = self.with.iter().map(|(id, version)| (id, Some(*version)));
        for (id, version) in versions.chain(self.without.iter().map(|id| (id, None))) {
            if with.insert(id.to_string(), version).is_some() {
                return Err(Failure::usage(format!("the policy `{id}` is named twice")));
            }
        }
        let request = SimulationRequest {
            agent: self.agent.to_string(),
            instance: self.instance.map(|name| name.to_string()),
            request: DecisionRequest {
                action: self.action.to_string(),
                resource: self.resource.to_string(),
                purpose: self.purpose.to_string(),
                session: self.session.map(|session| session.to_string()),
                delegation: self.delegation.map(|delegation| delegation.to_string()),
                user: None,
                credential: CredentialKind::Token,
                arguments: self.arguments.as_deref(),
                claims: self.claims.as_deref(),
            },
            with,
        };
        let simulation: Simulation = load::post(client, output, "/v1/simulations", &request).await?;
        if output.json {
            output.json(&simulation)?;
        } else {
            print(output, &simulation);
        }
        Ok(simulation.decision.into())
    }
}

fn print(output: &Output, simulation: &Simulation) {
    output.line(format!("would {}", word(simulation.decision)));
    print_reasons(output, "", &simulation.reasons);
    for requirement in &simulation.approvers {
        output.line(format!("approvers {}", approvers::required(requirement)));
    }
    if let Some(terms) = &simulation.terms {
        output.line(format!("terms     {}", line_of(terms)));
    }
    for policy in &simulation.policies {
        print_policy(output, policy);
    }
    let rows: Vec<Vec<String>> = simulation
        .not_asked
        .iter()
        .map(|one| vec![one.policy.clone(), one.version.to_string(), one.because_of.join(", ")])
        .collect();
    if !rows.is_empty() {
        output.line("");
        output.line(format!("not asked: {}", simulation.not_asked_count));
        output.table(&["POLICY", "VERSION", "SELECTOR DOES NOT MATCH IN"], &rows);
    }
    output.line("");
    let (set, entry) = (&simulation.active_set, &simulation.entry);
    output.line(format!("in force: revision {}, digest {}", set.revision, set.digest));
    if let Some(digest) = &simulation.tried_set_digest {
        output.line(format!("tried: a set with digest {digest} (not in force)"));
    }
    output.line(format!("recorded: entry {}/{}/{}", entry.log_id, entry.epoch, entry.index));
}

fn print_policy(output: &Output, policy: &SimulatedPolicy) {
    let mode = match (policy.mode, policy.required) {
        (Mode::Shadow, _) => ", shadow",
        (Mode::Enforce, true) => ", required",
        (Mode::Enforce, false) => "",
    };
    output.line("");
    output.line(format!("policy {} version {}{mode}: {}", policy.policy, policy.version, policy.outcome));
    if let Some(would) = policy.would {
        output.line(format!("  if it counted: {}", word(would)));
    }
    print_reasons(output, "  ", &policy.reasons);
    if let Some(detail) = &policy.failure_detail {
        output.line(format!("  failure   {detail}"));
    }
    for requirement in &policy.approvers {
        output.line(format!("  approvers {}", approvers::required(requirement)));
    }
    if let Some(terms) = &policy.terms {
        output.line(format!("  terms     {}", line_of(terms)));
    }
    for fact in &policy.facts {
        let name = fact.name.as_deref().unwrap_or(&fact.template);
        let value = fact.value.as_ref().map_or_else(|| "missing".into(), ToString::to_string);
        output.line(format!("  fact      {name} = {value}"));
    }
    for counter in &policy.counters {
        output.line(format!("  counter   {} = {}", counter.name, counter.used));
    }
    for line in &policy.log {
        output.line(format!("  log       {}: {}", line.level, line.message));
    }
    if policy.log_cut {
        output.line("  log       (more was written, and cut)");
    }
    let fuel = policy.fuel.map_or_else(|| "fuel unknown".into(), |fuel| format!("fuel {fuel}"));
    let SimulatedPolicy { cpu_us, wall_us, memory_bytes, .. } = policy;
    output.line(format!("  used      {fuel}, {cpu_us} us of CPU, {wall_us} us in all, {memory_bytes} bytes of memory"));
}

fn print_reasons(output: &Output, indent: &str, reasons: &[Reason]) {
    for reason in reasons {
        let policy = reason.policy.as_deref().map_or(String::new(), |policy| format!("  (policy {policy})"));
        output.line(format!("{indent}reason    {}: {}{policy}", reason.code, reason.text));
    }
}

const fn word(decision: DecisionKind) -> &'static str {
    match decision {
        DecisionKind::Allow => "allow",
        DecisionKind::Challenge => "challenge",
        DecisionKind::Deny => "deny",
    }
}

fn line_of(terms: &Terms) -> String {
    let debits = terms.debits.iter().map(|debit| {
        format!("charges {} to {}/{}, at most {}", debit.amount, debit.policy, debit.counter, debit.at_most)
    });
    let obligations = terms.obligations.iter().map(|one| format!("obliges to {} {}", one.kind, one.parameters));
    let lives = terms.grant_ms_max.map_or_else(|| "no limit of time".into(), |ms| format!("{ms} ms"));
    let parts = [format!("{lives}, {} uses", terms.uses_max)];
    parts.into_iter().chain(debits).chain(obligations).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_say_so_where_a_policy_sets_no_limit() {
        let terms = |grant_ms_max| Terms { grant_ms_max, uses_max: 2, debits: Vec::new(), obligations: Vec::new() };
        for (grant_ms_max, expect) in [(None, "no limit of time, 2 uses"), (Some(5_000), "5000 ms, 2 uses")] {
            assert_eq!(line_of(&terms(grant_ms_max)), expect);
        }
    }
}
