//! `attorn proxy`.
//!
//! What a service answers goes to standard output as it comes; to a terminal line by line, with everything escaped that
//! would drive it. What Attorn says of it goes to standard error.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;
use std::time::Duration;

use attorn_agent::{Error, ProxyAnswer, ProxyRequest};
use attorn_api::Problem;
use attorn_core::{DelegationId, ProxyMethod, Purpose, SessionId, TargetId, TimeMs};
use clap::{Args, Subcommand};
use data_encoding::BASE64;
use serde::Serialize;

use super::decide::waits_for;
use crate::agent_source::AgentSource;
use crate::approvers;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_bytes;
use crate::output::Output;
use crate::parse::{self, Span};

/// More than the server takes, so that it is the server that says so.
const BODY_BYTES_MAX: u64 = 64 << 10;
/// The longest answer that is held to be printed as JSON.
const JSON_BYTES_MAX: usize = 16 << 20;
/// The longest line that is held for a terminal.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Services that are called for agents.
#[derive(Debug, Subcommand)]
pub(crate) enum Proxy {
    /// Call a service, as the agent whose key or certificate is given
    Call(Box<Call>),
}

/// Call a service, as the agent whose key or certificate is given. Attorn decides about the request and sends it on with
/// the service's key in it. Ends with 0 if the service answered with less than 400, 1 if with more or not at all, 3 if it
/// was denied, 4 if it needs an approval.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn proxy call crm GET '/v2/contacts/42?fields=name' --key bot.key --purpose serve-customers
  attorn proxy call crm POST /v2/contacts/42/notes --body note.json --key bot.key --purpose serve-customers \\
    --on-behalf-of dlg_… --wait-for-approval 5m
  echo '{\"text\":\"called back\"}' | attorn proxy call crm POST /v2/contacts/42/notes --body - --json \\
    --key bot.key --purpose serve-customers

The answer goes to standard output as it comes, and what Attorn says of it to standard error.")]
pub(crate) struct Call {
    /// The target's id
    #[arg(value_parser = parse::id::<TargetId>)]
    target: TargetId,
    /// The method: `GET`
    #[arg(value_parser = parse::id::<ProxyMethod>)]
    method: ProxyMethod,
    /// The path and query at the service: `/v2/contacts/42?fields=name`
    path: String,
    #[command(flatten)]
    agent: AgentSource,
    /// Why: a purpose that the agent is registered for
    #[arg(long, value_parser = parse::id::<Purpose>)]
    purpose: Purpose,
    /// The delegation that the agent acts by, on behalf of the user whom it is from: `dlg_…`
    #[arg(long, visible_alias = "delegation", value_name = "ID", value_parser = parse::id::<DelegationId>)]
    on_behalf_of: Option<DelegationId>,
    /// The session that this belongs to
    #[arg(long, value_parser = parse::id::<SessionId>)]
    session: Option<SessionId>,
    /// A file with the body, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// What the body is
    #[arg(long, value_name = "TYPE", requires = "body", default_value = "application/json")]
    media_type: String,
    /// A header that goes on: 'if-match: \"7\"'. Repeat it for more. Refused where the target's settings do not name it
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// If it needs an approval, wait for so long at most until somebody has approved it, and send it again
    #[arg(long, value_name = "SPAN")]
    wait_for_approval: Option<Span>,
}

/// What came of a call, for programs.
#[derive(Serialize)]
struct Answered<'a> {
    decision_id: &'a str,
    status: u16,
    headers: BTreeMap<&'a str, &'a str>,
    /// If it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    /// Otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl Proxy {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self::Call(call) = self;
        let (client, output, request) = (context.agent(&call.agent)?, &context.output, call.request()?);
        let answer = match call.wait_for_approval {
            None => client.call(&request).await,
            Some(Span { ms }) => {
                let wait = Duration::from_millis(ms);
                client.call_when_approved(&request, wait, |approval| output.note(waits_for(approval))).await
            }
        };
        let mut answer = answer.or_else(|error| Err(refused(output, error)?))?;
        let (status, decision) = (answer.status(), answer.decision_id().to_owned());
        output.note(format!("{status}, sent by {decision}"));
        if output.json {
            json(output, &mut answer).await?;
        } else if stdout().is_terminal() {
            lines(output, &mut answer).await?;
        } else {
            // When nobody reads any more, nobody asks for more.
            while !output.is_broken()
                && let Some(piece) = answer.chunk().await?
            {
                output.bytes(&piece);
            }
        }
        Ok(if status < 400 { Exit::Done } else { Exit::Error })
    }
}

impl Call {
    fn request(&self) -> Result<ProxyRequest, Failure> {
        let Self { target, method, path, purpose, .. } = self;
        let mut request = ProxyRequest::new(target.as_str(), method.as_str(), path.as_str(), purpose.as_str());
        if let Some(delegation) = &self.on_behalf_of {
            request = request.on_behalf_by(delegation.as_str());
        }
        if let Some(session) = &self.session {
            request = request.session(session.as_str());
        }
        for (name, value) in &self.header {
            request = request.header(name, value)?;
        }
        if let Some(file) = &self.body {
            request = request.body(&self.media_type, read_bytes(file, BODY_BYTES_MAX)?)?;
        }
        Ok(request)
    }
}

/// Say what was decided, where something was, and give what the command ends with.
fn refused(output: &Output, error: Error) -> Result<Failure, Failure> {
    if let Some(problem) = error.problem().filter(|problem| problem.decision_id.is_some()) {
        if output.json {
            output.json(problem)?;
        } else {
            decided(output, problem);
        }
    }
    let failure = Failure::from(error);
    // The server's words are for programs, which look at the approval themselves.
    Ok(match failure.exit {
        Exit::Challenge => failure.with_help(
            "`--wait-for-approval 5m` waits until it is approved, and sends the same again; so does asking anew then",
        ),
        _ => failure,
    })
}

fn decided(output: &Output, problem: &Problem) {
    output.note(format!("decision    {}", problem.decision_id.as_deref().unwrap_or("-")));
    for reason in &problem.reasons {
        output.note(format!("reason      {}: {}", reason.code, reason.text));
    }
    for requirement in &problem.approvers {
        output.note(format!("approvers   {}", approvers::required(requirement)));
    }
    if let Some(approval) = &problem.approval {
        output.note(format!("approval    {}, until {}", approval.id, TimeMs(approval.expires_at_ms)));
        output.note(format!("code        {}  (whoever approves sees the same)", approval.code));
        if let Some(page) = &approval.page {
            output.note(format!("page        {page}  (for the user, or those of a group, who is asked)"));
        }
    }
}

async fn json(output: &Output, answer: &mut ProxyAnswer) -> Result<(), Failure> {
    let bytes = answer.bytes(JSON_BYTES_MAX).await?;
    let body = std::str::from_utf8(&bytes).ok();
    output.json(&Answered {
        decision_id: answer.decision_id(),
        status: answer.status(),
        headers: answer.headers().collect(),
        body_base64: body.is_none().then(|| BASE64.encode(&bytes)),
        body,
    })
}

/// For people: whoever wrote the answer does not drive their terminal.
async fn lines(output: &Output, answer: &mut ProxyAnswer) -> Result<(), Failure> {
    let mut held = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        held.extend_from_slice(&piece);
        while let Some(end) = held.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = held.drain(..=end).collect();
            output.line(String::from_utf8_lossy(&line[..end]).trim_end_matches('\r'));
        }
        if held.len() > LINE_BYTES_MAX {
            output.line(String::from_utf8_lossy(&std::mem::take(&mut held)));
        }
    }
    if !held.is_empty() {
        output.line(String::from_utf8_lossy(&held));
    }
    Ok(())
}

/// A header, as one argument.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("it has no `:`; as 'if-match: \"7\"'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
