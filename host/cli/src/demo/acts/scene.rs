//! What every act has: a server with its operators, agents that ask, and services that accept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use attorn_agent::{AgentKey, Algorithm, Client, Decision, Request, ResourceServerClient};
use attorn_api::agents::{self, Permission, PurposeCeiling, RegisterAgent, RegisterKey, UserPresence};
use attorn_api::decisions::PostgresqlLogin;
use attorn_api::resource_servers::{self, RegisterResourceServer, UseCounting};

use crate::demo::host::Host;
use crate::demo::narrator::{Narrator, Tally};
use crate::demo::operators::{self, Operators};
use crate::demo::policies::{self, NewPolicy};
use crate::demo::registry::{KEY_LIFE, jwk};
use crate::failure::Failure;
use crate::operator_client::OperatorClient;

/// What was counted, and what was left out.
pub(super) type Ended = (Tally, Vec<&'static str>);

/// The longest that a grant lives here, in milliseconds.
const GRANT_MS_MAX: u64 = 60_000;

/// A server and who there is.
pub(super) struct Scene<'a> {
    pub(super) narrator: Narrator<'a>,
    pub(super) directory: PathBuf,
    pub(super) host: Host,
    pub(super) operators: Operators,
    left_out: Vec<&'static str>,
}

/// A login, and the decision that it came of.
pub(super) struct Login {
    pub(super) login: PostgresqlLogin,
    /// The decision's entry.
    pub(super) entry: u64,
}

impl<'a> Scene<'a> {
    /// An empty server.
    pub(super) async fn begin(mut narrator: Narrator<'a>, directory: &Path) -> Result<Self, Failure> {
        narrator.part("A server of its own");
        let (host, bootstrap) = Host::init(directory).await?;
        let operators = operators::hire_all(&host, bootstrap, directory).await?;
        let came =
            format!("it listens on {}; its operators are carol, registrar, policy-admin and auditor", host.url());
        narrator.step("attorn init, attorn serve, attorn operator register", came, true)?;
        Ok(Self { narrator, directory: directory.to_owned(), host, operators, left_out: Vec::new() })
    }

    /// Stop the server, which has to end well.
    pub(super) async fn end(mut self) -> Result<Ended, Failure> {
        let status = self.host.stop().await?;
        self.narrator.step("SIGTERM to the server", format!("it finished: {status}"), status.success())?;
        Ok((self.narrator.tally, self.left_out))
    }

    /// Say what is left out, for want of what, and how to get that.
    pub(super) fn leave_out(&mut self, what: &'static str, missing: &str, help: &str) {
        self.left_out.push(what);
        leave_out(&mut self.narrator, what, missing, help);
    }

    pub(super) fn registrar(&self) -> Result<OperatorClient, Failure> {
        self.host.client(Some(&self.operators.registrar))
    }

    pub(super) fn auditor(&self) -> Result<OperatorClient, Failure> {
        self.host.client(Some(&self.operators.auditor))
    }

    /// A client of a registered agent's.
    pub(super) fn agent(&self, id: &str) -> Result<Client, Failure> {
        Ok(Client::new(self.host.url(), AgentKey::load(&self.key_path(id))?)?)
    }

    fn key_path(&self, id: &str) -> PathBuf {
        self.directory.join("keys").join(format!("{id}.key"))
    }

    /// Register an agent with this ceiling.
    pub(super) async fn register(
        &self,
        id: &str,
        (purpose, ceiling): (&str, PurposeCeiling),
        at_most: &str,
    ) -> Result<(), Failure> {
        let key = AgentKey::generate(Algorithm::Es256)?;
        key.save(&self.key_path(id))?;
        let body = RegisterAgent {
            id: id.into(),
            owner: "support-team".into(),
            labels: BTreeMap::new(),
            ceiling: BTreeMap::from([(purpose.into(), ceiling)]),
            identities: Vec::new(),
            grant_ms_max: GRANT_MS_MAX,
            keys: vec![RegisterKey { instance: "demo".into(), jwk: jwk(&key)?, expires_at_ms: KEY_LIFE.ends_at_ms() }],
        };
        let agent: agents::Agent = self.registrar()?.post("/v1/agents", &body).await?;
        let asked = format!("the registrar registers the agent {id}, which may at most {at_most}");
        self.narrator.step(asked, "registered; nobody else has its private key", agent.ceiling == body.ceiling)
    }

    /// Register a service that accepts credentials for one type of resource, and counts their uses here.
    pub(super) async fn serve(&self, id: &str, resource_type: &str) -> Result<ResourceServerClient, Failure> {
        let key = AgentKey::generate(Algorithm::EdDsa)?;
        let body = RegisterResourceServer {
            id: id.into(),
            audience: format!("https://{id}.example"),
            resource_types: vec![resource_type.into()],
            jwk: jwk(&key)?,
            counts_uses: UseCounting::Reports,
        };
        let server: resource_servers::ResourceServer = self.registrar()?.post("/v1/resource-servers", &body).await?;
        let asked = format!("the registrar registers the service {id}, which keeps {resource_type}s");
        self.narrator.step(asked, "registered", server.key_thumbprint == key.thumbprint())?;
        Ok(ResourceServerClient::new(self.host.url(), key)?)
    }

    /// Push a policy and put it in force.
    pub(super) async fn put_in_force(&self, policy: &NewPolicy<'_>) -> Result<(), Failure> {
        policies::put_in_force(&self.narrator, (&self.host, &self.operators), policy).await
    }

    /// An agent asks for something, and this has to be true of what comes.
    pub(super) async fn ask(
        &mut self,
        asked: &str,
        (agent, request): (&str, &Request),
        as_told: impl FnOnce(&Decision) -> bool,
    ) -> Result<Decision, Failure> {
        let answer = self.agent(agent)?.decide(request).await;
        let as_told = answer.as_ref().is_ok_and(as_told);
        self.narrator.answered(asked, &answer, as_told)?;
        Ok(answer?)
    }

    /// An agent asks for something that is denied for this reason; give the decision's entry.
    pub(super) async fn denied(
        &mut self,
        asked: &str,
        (agent, request): (&str, &Request),
        reason: &str,
    ) -> Result<u64, Failure> {
        let denied = |decision: &Decision| matches!(decision, Decision::Deny { .. }) && decision.has_reason(reason);
        Ok(self.ask(asked, (agent, request), denied).await?.decided().entry.index)
    }

    /// An agent asks for a login, and gets it.
    pub(super) async fn login(&mut self, asked: &str, agent: &str, request: Request) -> Result<Login, Failure> {
        let allowed = |decision: &Decision| matches!(decision, Decision::AllowLogin { .. });
        match self.ask(asked, (agent, &request.login()), allowed).await? {
            Decision::AllowLogin { login, decided, .. } => Ok(Login { login, entry: decided.entry.index }),
            _ => Err(Failure::new("there is no login")),
        }
    }
}

/// Say what is left out, for want of what, and how to get that.
pub(super) fn leave_out(narrator: &mut Narrator<'_>, what: &str, missing: &str, help: &str) {
    narrator.part(&format!("Left out: {what}"));
    narrator.say(format!("   {missing}."));
    narrator.say(format!("   {help}"));
}

/// What an agent may do at most, with or without a user.
pub(super) fn ceiling(user: UserPresence, actions: &[&str], resource: &str) -> PurposeCeiling {
    let permission = |action: &&str| Permission { action: (*action).into(), resource: resource.into() };
    PurposeCeiling { user, permissions: actions.iter().map(permission).collect() }
}
