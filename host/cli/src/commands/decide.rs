//! `attorn decide`.

use attorn_agent::Request;
use std::time::Duration;

use attorn_api::decisions::{ApprovalReference, DecisionAnswer, DecisionKind};
use attorn_core::TimeMs;
use attorn_core::{Action, DelegationId, Purpose, Resource, SessionId};
use clap::Args;

use crate::agent_source::AgentSource;
use crate::approvers;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::parse::{self, Span};

/// Ask for a decision, as the agent whose key or certificate is given. Ends with 0 for allow, 3 for deny, 4 for
/// challenge.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn decide --key bot.key --action faq.read --resource article/42 --purpose answer-questions
  attorn decide --key bot.key --action faq.read --resource article/42 --purpose answer-questions \\
    --arguments '{\"section\":\"billing\"}' --json
  attorn decide --key bot.key --action invoice.read --resource invoice/17 --purpose serve-customers \\
    --delegation dlg_…
  attorn decide --key bot.key --action invoice.refund --resource invoice/17 --purpose serve-customers \\
    --delegation dlg_… --idempotency-key refund-17 --wait-for-approval 5m
  attorn decide --certificate svid.pem --certificate-key svid.key --action faq.read --resource article/42 \\
    --purpose answer-questions")]
pub(crate) struct Decide {
    #[command(flatten)]
    agent: AgentSource,
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
    #[arg(long, value_name = "JSON")]
    arguments: Option<String>,
    /// The session that this belongs to
    #[arg(long, value_parser = parse::id::<SessionId>)]
    session: Option<SessionId>,
    /// The delegation that the agent acts by, on behalf of the user whom it is from: `dlg_…`
    #[arg(long, value_name = "ID", value_parser = parse::id::<DelegationId>)]
    delegation: Option<DelegationId>,
    /// Decide once, however often it is asked under this key
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Ask for a login in the PostgreSQL that the resource type is tied to, instead of a token
    #[arg(long)]
    login: bool,
    /// If it is a challenge, wait for so long at most until it is approved, and ask again
    #[arg(long, value_name = "SPAN")]
    wait_for_approval: Option<Span>,
}

impl Decide {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut request = Request::new(self.action.as_str(), self.resource.as_str(), self.purpose.as_str());
        if let Some(arguments) = &self.arguments {
            request = request.arguments_json(arguments)?;
        }
        if let Some(session) = &self.session {
            request = request.session(session.as_str());
        }
        if let Some(delegation) = &self.delegation {
            request = request.on_behalf_by(delegation.as_str());
        }
        if self.login {
            request = request.login();
        }
        if let Some(key) = self.idempotency_key {
            request = request.idempotency_key(key)?;
        }
        let (client, output) = (context.agent(&self.agent)?, &context.output);
        let answer = match self.wait_for_approval {
            None => client.answer(&request).await,
            Some(wait) => {
                let wait = Duration::from_millis(wait.ms);
                client.answer_when_approved(&request, wait, |approval| output.note(waits_for(approval))).await
            }
        };
        // What was decided and came to nothing is found by its decision.
        let answer = answer.inspect_err(|error| {
            if let Some(decision) = error.problem().and_then(|problem| problem.decision_id.as_deref()) {
                output.note(format!("decision    {decision}"));
            }
        })?;
        // Whoever reads the exit code gets an allow only for an answer that is one.
        attorn_agent::Decision::try_from(answer.clone())?;
        if context.output.json {
            context.output.json(&answer)?;
        } else {
            print(&context.output, &answer);
        }
        Ok(answer.decision.into())
    }
}

pub(super) fn waits_for(approval: &ApprovalReference) -> String {
    let (id, code, until) = (&approval.id, &approval.code, TimeMs(approval.expires_at_ms));
    let page = approval
        .page
        .as_ref()
        .map_or_else(String::new, |page| format!("; whoever is asked at their provider answers at {page}"));
    format!("waiting for approval {id}, code {code}, until {until}{page}")
}

fn print(output: &Output, answer: &DecisionAnswer) {
    let decision = match answer.decision {
        DecisionKind::Allow => "allow",
        DecisionKind::Challenge => "challenge",
        DecisionKind::Deny => "deny",
    };
    output.line(format!("{decision}  {}", answer.decision_id));
    for reason in &answer.reasons {
        let policy = reason.policy.as_deref().map_or(String::new(), |policy| format!("  (policy {policy})"));
        output.line(format!("reason      {}: {}{policy}", reason.code, reason.text));
    }
    for requirement in &answer.approvers {
        output.line(format!("approvers   {}", approvers::required(requirement)));
    }
    if let Some(approval) = &answer.approval {
        output.line(format!("approval    {}, until {}", approval.id, TimeMs(approval.expires_at_ms)));
        output.line(format!("code        {}  (whoever approves sees the same)", approval.code));
        if let Some(page) = &approval.page {
            output.line(format!("page        {page}  (for the user, or those of a group, who is asked)"));
        }
    }
    if let Some(grant) = &answer.grant {
        output.line(format!("grant       {}", grant.id));
        output.line(format!("accepted by {}", grant.audience));
        output.line(format!("uses        {}, until {}", grant.uses_max, TimeMs(grant.expires_at_ms)));
    }
    if let Some(credential) = &answer.credential {
        output.line(format!("credential  {} {}", credential.token_type, credential.access_token));
    }
    if let Some(login) = &answer.login {
        output.line(format!("lease       {}, until {}", login.lease, TimeMs(login.expires_at_ms)));
        output.line(format!("database    {} at {}:{}", login.database, login.host, login.port));
        output.line(format!("user        {}", login.user));
        let shown = "(it was shown when this was asked first; ask under another idempotency key for another login)";
        output.line(format!("password    {}", login.password.as_deref().unwrap_or(shown)));
    }
    let entry = &answer.entry;
    output.line(format!("entry       {}/{}/{}", entry.log_id, entry.epoch, entry.index));
}
