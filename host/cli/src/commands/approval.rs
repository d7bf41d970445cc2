//! `attorn approval`.

use attorn_api::approvals::{Approval as Shown, ApprovalArguments, ApprovalList, AskedCredential, CastBallot};
use attorn_core::{AgentId, ApprovalId, Digest, TimeMs};
use clap::{Args, Subcommand};

use super::Why;
use crate::approvers;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::page::{Page, note_next};
use crate::parse;

/// What people are asked to approve.
#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    /// List what waits for operators or groups, and who is asked (duty: approver, as for all of these)
    #[command(after_help = "Examples:
  attorn approval list
  attorn approval list --state all --agent support-bot --json")]
    List(Filter),
    /// Show what is asked, and by whom
    #[command(after_help = "Examples:\n  attorn approval show apr_…")]
    Show(Which),
    /// Show all of the arguments, of which `show` cuts long texts
    #[command(after_help = "Examples:\n  attorn approval arguments apr_…")]
    Arguments(Which),
    /// Say yes to exactly what was shown
    Approve(Ballot),
    /// Say no: nobody can approve it any more, and the same is denied for a while
    Refuse(Ballot),
}

#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Those in this state instead: approved, refused, lapsed, spent, or all
    #[arg(long, value_name = "STATE", value_parser = ["pending", "approved", "refused", "lapsed", "spent", "all"])]
    state: Option<String>,
    /// Only those of this agent
    #[arg(long, value_name = "ID", value_parser = parse::id::<AgentId>)]
    agent: Option<AgentId>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id: `apr_…`
    #[arg(value_parser = parse::id::<ApprovalId>)]
    id: ApprovalId,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn approval show apr_…
  attorn approval approve apr_… --digest 5d0c…
  attorn approval refuse apr_… --digest 5d0c… --reason 'not by telephone'")]
pub(crate) struct Ballot {
    #[command(flatten)]
    which: Which,
    /// The digest that `attorn approval show` printed: a vote on anything else is none
    #[arg(long, value_parser = parse::id::<Digest>)]
    digest: Digest,
    #[command(flatten)]
    why: Why,
}

const PATH: &str = "/v1/approvals";
const NO_SAY: &str =
    "where no operator is asked, an operator's yes or no does not count: those who are sign in on its page";

impl Approval {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.operator()?, &context.output);
        let (ballot, verb) = match self {
            Self::List(Filter { state, agent, page }) => {
                let parts = [("state", state), ("agent", agent.map(|agent| agent.to_string()))];
                let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
                let query = parts.collect::<Vec<_>>().join("&");
                let path = if query.is_empty() { PATH.to_owned() } else { format!("{PATH}?{query}") };
                return list(output, &client.get(&page.of(&path)).await?);
            }
            Self::Show(Which { id }) => return print(output, &client.get(&format!("{PATH}/{id}")).await?),
            Self::Arguments(Which { id }) => {
                return whole(output, &client.get(&format!("{PATH}/{id}/arguments")).await?);
            }
            Self::Approve(ballot) => (ballot, "approve"),
            Self::Refuse(ballot) => (ballot, "refuse"),
        };
        let Ballot { which: Which { id }, digest, why } = ballot;
        let body = CastBallot { digest: digest.to_string(), reason: why.reason };
        print(output, &client.post(&format!("{PATH}/{id}/{verb}"), &body).await?)
    }
}

fn list(output: &Output, list: &ApprovalList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |approval: &Shown| {
        vec![
            approval.id.clone(),
            approval.code.clone(),
            approval.state.clone(),
            approval.agent.clone(),
            approvers::briefly(&approval.approvers),
            approval.asks.action.clone(),
            approval.asks.resource.clone(),
            TimeMs(approval.expires_at_ms).to_string(),
        ]
    };
    // Whoever waited longest comes first.
    let mut approvals: Vec<_> = list.approvals.iter().collect();
    approvals.sort_by_key(|approval| approval.created_at_ms);
    let rows: Vec<_> = approvals.into_iter().map(row).collect();
    output.table(&["APPROVAL", "CODE", "STATE", "AGENT", "ASKS", "ACTION", "RESOURCE", "UNTIL"], &rows);
    if list.approvals.iter().any(|approval| !approvers::asks_operators(&approval.approvers)) {
        output.note(NO_SAY);
    }
    if rows.is_empty() && list.next.is_none() {
        output.note("there is none; what asks its user alone is shown to nobody else");
    }
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

fn print(output: &Output, approval: &Shown) -> Result<Exit, Failure> {
    if output.json {
        return output.json(approval).map(|()| Exit::Done);
    }
    let asks = &approval.asks;
    output.line(format!("approval    {}  {}", approval.id, approval.state));
    output.line(format!("code        {}  (the agent shows the same)", approval.code));
    output.line(format!("agent       {}, of {}", approval.agent, asks.owner));
    for agent in &asks.through {
        output.line(format!("through     {agent}"));
    }
    match &asks.user {
        Some(user) => output.line(format!("for         {} ({} at {})", user.id, user.subject, user.issuer)),
        None => output.line("for         nobody: on its own authority"),
    }
    output.line(format!("purpose     {}", asks.purpose));
    output.line(format!("action      {}", asks.action));
    output.line(format!("resource    {}", asks.resource));
    output.line(format!("arguments   {}", asks.arguments));
    if asks.arguments_cut_chars > 0 {
        let (cut, id) = (asks.arguments_cut_chars, &approval.id);
        output.line(format!("            {cut} characters are not shown: `attorn approval arguments {id}` has all"));
    }
    if asks.claims != "{}" {
        output.line(format!("claims      {}  (says the agent; nobody has checked it)", asks.claims));
    }
    if asks.claims_cut_chars > 0 {
        output.line(format!("            {} characters are not shown", asks.claims_cut_chars));
    }
    for one in &asks.look_alikes {
        output.line(format!(
            "look twice  {} is {}  (letters of several alphabets, or that look like others)",
            one.word, one.letters
        ));
    }
    if asks.look_alikes_more > 0 {
        output.line(format!("            {} more words like that", asks.look_alikes_more));
    }
    for reason in &asks.reasons {
        let policy = reason.policy.as_deref().unwrap_or("-");
        output.line(format!("because     {}: {}  (policy {policy})", reason.code, reason.text));
    }
    follows(output, approval);
    for needed in &approval.approvers {
        output.line(format!("approvers   {}", approvers::wanted(needed)));
    }
    if !approvers::asks_operators(&approval.approvers) {
        output.note(NO_SAY);
    }
    for vote in &approval.votes {
        output.line(format!("vote        {} {}: {}, {}", vote.role, vote.approver, vote.says, TimeMs(vote.at_ms)));
    }
    if approval.policies_changed {
        output.line(
            "policies    other ones are in force than when it was asked: if those that apply to it changed, a yes",
        );
        output.line("            comes to nothing, and the agent's next try asks for another approval");
    }
    if let Some(decision) = &approval.spent_by {
        output.line(format!("spent by    {decision}: `attorn audit show {decision}` names the grant that came of it"));
        output.line("            `attorn grant revoke` with its id ends that");
    }
    output.line(format!("until       {}", TimeMs(approval.expires_at_ms)));
    output.line(format!("digest      {}", approval.digest));
    Ok(Exit::Done)
}

fn whole(output: &Output, whole: &ApprovalArguments) -> Result<Exit, Failure> {
    if output.json {
        return output.json(whole).map(|()| Exit::Done);
    }
    output.line(&whole.arguments);
    Ok(Exit::Done)
}

fn follows(output: &Output, approval: &Shown) {
    let (asks, follows) = (&approval.asks, &approval.asks.follows);
    let (gives, to) = match asks.credential {
        AskedCredential::Token => ("gives       token", "at"),
        AskedCredential::Postgresql => ("gives       postgresql", "at"),
        AskedCredential::Proxy => ("sends on    this request", "to"),
    };
    let seconds = follows.grant_ms_max / 1_000;
    let at = asks.target.as_ref().map(|target| format!(" {to} {target}")).unwrap_or_default();
    let uses = if follows.uses_max == 1 { "1 use".to_owned() } else { format!("{} uses", follows.uses_max) };
    output.line(format!("{gives}{at} for {}, {uses} within {seconds} s", asks.accepted_by));
    for debit in &follows.debits {
        let (amount, at_most) = (&debit.amount, &debit.at_most);
        let what = format!("{} of policy {} per {}", debit.counter, debit.policy, debit.window);
        output.line(format!("charges     {amount} to {what}, of {at_most} at most"));
    }
    if follows.debits_more > 0 {
        output.line(format!("            {} more charges are not shown", follows.debits_more));
    }
}
