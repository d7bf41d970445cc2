//! `attorn agent`.

mod identity;
mod key;
mod show;

use std::collections::BTreeMap;

use attorn_api::agents::{self, AgentList, ChangeCeiling, ChangeState, IdentitySubject, RegisterAgent};
use attorn_core::{AgentId, LabelName, Owner, SpiffeId};
use clap::{ArgGroup, Args, Subcommand};

use crate::ceiling::CeilingArgs;
use crate::confirm::ForEver;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::{KEY_SOURCES, RegisteredKey};
use crate::page::{Page, note_next};
use crate::parse::{self, Span};

/// Who asks.
#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Register an agent with its first key or identity (duty: registrar, as for all of these)
    Register(Box<Register>),
    /// List agents
    List(Page),
    /// Show an agent with its ceiling, keys and history
    Show(Which),
    /// Suspend an agent: its very next request is denied, and all that users delegated to it ends for good
    Suspend(Change),
    /// Let a suspended agent go on; what was delegated to it stays ended, and users sign in and delegate anew
    Resume(Change),
    /// Retire an agent for ever; its id stays taken
    Retire(Retire),
    /// Say anew what an agent may do at the very most: it holds for its very next request
    Ceiling(Box<Ceiling>),
    /// An agent's keys
    #[command(subcommand)]
    Key(key::Key),
    /// Identities that others vouch for
    #[command(subcommand)]
    Identity(identity::Identity),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn agent register support-bot --owner support@example.org --new-key bot.key \\
    --allow 'answer-questions:without-user:faq.read:article/*'
  attorn agent register report-bot --owner finance --key-file report-bot.jwk --ceiling ceiling.json
  attorn agent register mesh-bot --owner support@example.org --identity spiffe://example.org/ns/support/bot \\
    --allow 'answer-questions:without-user:faq.read:article/*'")]
#[command(group(ArgGroup::new("who_it_is").required(true).multiple(true).args(KEY_SOURCES).arg("identity")))]
pub(crate) struct Register {
    /// Its id, never used again for another
    #[arg(value_parser = parse::id::<AgentId>)]
    id: AgentId,
    /// Who answers for it
    #[arg(long, value_parser = parse::id::<Owner>)]
    owner: Owner,
    /// A label, for selectors and policies. Repeat it for more
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::label)]
    label: Vec<(LabelName, String)>,
    /// The longest that a grant of its may live
    #[arg(long, value_name = "SPAN", default_value = "60s")]
    grant_max: Span,
    #[command(flatten)]
    ceiling: CeilingArgs,
    #[command(flatten)]
    key: key::KeyArgs,
    /// A SPIFFE ID that it is known by, beside a key or instead of one; its trust domain has to be registered. Repeat
    /// it for more
    #[arg(long, value_name = "SPIFFE_ID", value_parser = parse::id::<SpiffeId>)]
    identity: Vec<SpiffeId>,
    /// How its identities may be shown; by `jwt` only beside a key
    #[arg(long, value_enum, value_delimiter = ',', default_value = "x509", requires = "identity")]
    identity_method: Vec<identity::Method>,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id
    #[arg(value_parser = parse::id::<AgentId>)]
    id: AgentId,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn agent suspend support-bot --reason 'INC-4711'
  attorn agent resume support-bot --reason 'INC-4711 is closed'")]
pub(crate) struct Change {
    /// Its id
    #[arg(value_parser = parse::id::<AgentId>)]
    id: AgentId,
    /// Why; kept in the audit log
    #[arg(long)]
    reason: Option<String>,
}

const RETIRES: ForEver = ForEver { does: "retires the agent", not_done: "nothing was retired", noun: "agent" };

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn agent retire support-bot --reason 'replaced by support-bot-2'
  attorn agent retire support-bot --yes

It is for ever: no agent gets this id again, and nothing brings this one back. `attorn agent suspend` stops it as soon, and can
be taken back.")]
pub(crate) struct Retire {
    /// Do not ask for the id to be typed
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn agent ceiling support-bot --allow 'answer-questions:without-user:faq.read:article/42'
  attorn agent ceiling report-bot --ceiling ceiling.json --reason 'a new quarter'")]
pub(crate) struct Ceiling {
    /// Its id
    #[arg(value_parser = parse::id::<AgentId>)]
    id: AgentId,
    #[command(flatten)]
    new: CeilingArgs,
    /// Why; kept in the audit log
    #[arg(long)]
    reason: Option<String>,
}

impl Ceiling {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let body = ChangeCeiling { ceiling: self.new.read()?, reason: self.reason };
        let path = format!("/v1/agents/{}/ceiling", self.id);
        let agent: agents::Agent = context.operator()?.post(&path, &body).await?;
        show::print(&context.output, &agent)
    }
}

impl Agent {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Register(register) => register.run(context).await,
            Self::List(page) => list(context, &page).await,
            Self::Show(Which { id }) => {
                let agent: agents::Agent = context.operator()?.get(&format!("/v1/agents/{id}")).await?;
                show::print(&context.output, &agent)
            }
            Self::Suspend(change) => change.run(context, "suspend").await,
            Self::Resume(change) => change.run(context, "resume").await,
            Self::Retire(Retire { yes, change }) => {
                if !yes {
                    RETIRES.confirm(&change.id)?;
                }
                change.run(context, "retire").await
            }
            Self::Ceiling(ceiling) => ceiling.run(context).await,
            Self::Key(key) => key.run(context).await,
            Self::Identity(identity) => identity.run(context).await,
        }
    }
}

impl Register {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.operator()?;
        let ceiling = self.ceiling.read()?;
        let mut labels = BTreeMap::new();
        for (name, value) in self.label {
            if labels.insert(name.to_string(), value).is_some() {
                return Err(Failure::usage(format!("the label `{name}` is given twice")));
            }
        }
        let instance = self.key.instance();
        let shown = |id: &SpiffeId| {
            let subject = IdentitySubject::Spiffe(id.to_string());
            identity::identity(subject, instance, &self.identity_method)
        };
        let identities = self.identity.iter().map(shown).collect();
        let (key, registered) = self.key.obtain_if_given()?.unzip();
        let body = RegisterAgent {
            id: self.id.to_string(),
            owner: self.owner.to_string(),
            labels,
            ceiling,
            grant_ms_max: self.grant_max.ms,
            keys: key.into_iter().collect(),
            identities,
        };
        let made = registered.as_ref().and_then(RegisteredKey::where_it_is);
        let done = client.post("/v1/agents", &body).await;
        let agent: agents::Agent = match registered {
            Some(key) => key.settle(done)?,
            None => done?,
        };
        show::print(&context.output, &agent)?;
        if let Some(made) = made {
            context.output.note(made);
        }
        Ok(Exit::Done)
    }
}

impl Change {
    async fn run(self, context: &Context, verb: &str) -> Result<Exit, Failure> {
        let path = format!("/v1/agents/{}/{verb}", self.id);
        let agent: agents::Agent = context.operator()?.post(&path, &ChangeState { reason: self.reason }).await?;
        if context.output.json {
            return context.output.json(&agent).map(|()| Exit::Done);
        }
        context.output.line(format!("agent `{}` is {}", agent.id, show::state(agent.state)));
        Ok(Exit::Done)
    }
}

async fn list(context: &Context, page: &Page) -> Result<Exit, Failure> {
    let list: AgentList = context.operator()?.get(&page.of("/v1/agents")).await?;
    if context.output.json {
        return context.output.json(&list).map(|()| Exit::Done);
    }
    let row = |agent: &agents::Agent| {
        let purposes: Vec<_> = agent.ceiling.keys().cloned().collect();
        let state = show::state(agent.state).to_owned();
        vec![agent.id.clone(), state, agent.owner.clone(), agent.keys.len().to_string(), purposes.join(",")]
    };
    let rows: Vec<_> = list.agents.iter().map(row).collect();
    context.output.table(&["AGENT", "STATE", "OWNER", "KEYS", "PURPOSES"], &rows);
    note_next(&context.output, list.next.as_ref());
    Ok(Exit::Done)
}
