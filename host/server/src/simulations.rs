//! `POST /v1/simulations`: what would be decided now, and why.
//!
//! The way is that of a decision: the same bounds, selectors, policies, facts and counters, in the phase
//! `simulate`. Shadow policies are asked too. What would be a challenge is said to be a deny where nobody could be asked. Nothing is granted, charged or approved, and an entry says
//! who tried what. What it shows, facts and what policies write, is what auditors may read; to run
//! versions that are not in force is for policy admins.

mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::json::{canonical, parse_body};
use attorn_api::simulations::{Simulation, SimulationRequest};
use attorn_core::context::{AuthenticationMethod, Phase};
use attorn_core::reason::HostReason;
use attorn_core::{
    Agent, AgentId, Decision, Denied, Duty, EvaluationContext, Holder, InstanceName, KeyThumbprint, Known, Met,
    PolicyId, Situation, WithinBounds, bounds,
};
use attorn_engine::Question;
use attorn_store::records::{AgentRecord, PolicyVersionRecord};
use attorn_store::{Batch, Key};
use serde_json::json;

use crate::active::{ActivePolicy, ActiveSet, load_checked, load_metered};
use crate::app::App;
use crate::approvals;
use crate::approvals::seek::Scene;
use crate::decisions::ask::Wanted;
use crate::decisions::behalf::Chain;
use crate::decisions::evaluate::among;
use crate::decisions::record::{Made, REASONS_MAX, kind, policy_in_entry, reason_in_entry, reasons};
use crate::decisions::veil::{self, Veil};
use crate::decisions::{ask, charge, gather};
use crate::entry;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::leases::place;
use crate::loads::LoadAsk;
use crate::policies;
use crate::registry::{commit, count, moved};

/// How many policies can be tried in other versions than those in force.
const WITH_MAX: usize = 16;
/// How many shadow policies are asked.
const SHADOWS_MAX: usize = 16;
/// How long one simulation waits for another.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// What is tried.
struct Trial {
    agent: Agent,
    thumbprint: KeyThumbprint,
    wanted: Wanted,
    with: BTreeMap<PolicyId, Option<u32>>,
    in_force: Arc<ActiveSet>,
    /// The same, with what is tried in its place.
    set: Arc<ActiveSet>,
    ask: LoadAsk,
}

impl Trial {
    /// The digest of the set that is tried, if it is another than the one in force.
    fn tried_set_digest(&self) -> Option<&str> {
        Some(self.set.digest.as_str()).filter(|digest| *digest != self.in_force.digest)
    }
}

/// What came of it.
struct Tried {
    made: Made,
    /// Fuel, for each policy that was asked.
    fuel: Vec<Option<u64>>,
    shadows: Vec<Shadow>,
    not_asked: Vec<attorn_api::simulations::NotAsked>,
}

/// A shadow policy, asked by itself.
struct Shadow {
    alone: Made,
    fuel: Option<u64>,
    would: Decision,
}

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let operator = call.operator()?;
    let turn = tokio::time::timeout(TURN_WAIT, app.simulating.lock()).await;
    let _turn = turn.map_err(|_| {
        Failure::of(ProblemCode::Busy, "another simulation is running").with_help("try again in a moment")
    })?;
    let trial = parse(&app, &call, operator).await?;
    Reply::ok(&run(&app, operator, trial).await?)
}

async fn parse(app: &App, call: &Call, operator: &OperatorCaller) -> Result<Trial, Failure> {
    let text =
        std::str::from_utf8(&call.body).map_err(|error| Failure::of(ProblemCode::InvalidBody, error.to_string()))?;
    canonical(text)?;
    let wire: SimulationRequest<'_> = parse_body(&call.body)?;
    count("policies in `with`", wire.with.len(), 0, WITH_MAX)?;
    if !wire.with.is_empty() && !operator.duties.contains(&Duty::PolicyAdmin) {
        let detail = "`with` runs versions that are not in force";
        return Err(Failure::of(ProblemCode::MissingDuty, detail).with_help("it needs the duty `policy_admin` too"));
    }
    let wanted = ask::wanted(wire.request)?;
    let id: AgentId = wire.agent.parse()?;
    let instance = wire.instance.map(|name| name.parse::<InstanceName>()).transpose()?;
    let agent = app.store.record::<AgentRecord>(&Key::agent(&id)).await?;
    let agent = agent.ok_or_else(|| Failure::not_found("agent", &id))?.value.agent().clone();
    let thumbprint = key(&agent, instance.as_ref(), app.clock.now())?;
    let with = wire.with.into_iter().map(|(id, version)| Ok((id.parse::<PolicyId>()?, version)));
    let with = with.collect::<Result<BTreeMap<_, _>, Failure>>()?;
    let ask = LoadAsk::of(call)?;
    let in_force = app.active.snapshot();
    let set = as_if(app, &in_force, &with, &ask).await?;
    Ok(Trial { agent, thumbprint, wanted, with, in_force, set, ask })
}

/// The key that the agent would ask with. One that has expired is taken too: the bounds say so.
fn key(agent: &Agent, instance: Option<&InstanceName>, now: attorn_core::TimeMs) -> Result<KeyThumbprint, Failure> {
    let mut keys = agent.keys.iter().filter(|key| instance.is_none_or(|name| key.instance == *name));
    let valid = keys.clone().find(|key| now < key.expires_at);
    let key = valid.or_else(|| keys.next()).ok_or_else(|| match instance {
        Some(name) => Failure::not_found("instance", name),
        None => Failure::of(ProblemCode::InvalidState, format!("agent `{}` has no key", agent.id)),
    })?;
    Ok(key.thumbprint.clone())
}

/// The policies in force, as if these versions stood among them.
async fn as_if(
    app: &App,
    current: &Arc<ActiveSet>,
    with: &BTreeMap<PolicyId, Option<u32>>,
    ask: &LoadAsk,
) -> Result<Arc<ActiveSet>, Failure> {
    if with.is_empty() {
        return Ok(Arc::clone(current));
    }
    let mut policies: Vec<_> =
        current.policies().iter().filter(|policy| !with.contains_key(&policy.record.policy)).cloned().collect();
    for (id, version) in with {
        let Some(version) = version else { continue };
        let record = app.store.record::<PolicyVersionRecord>(&Key::policy_version(id, *version)).await?;
        let record = record.ok_or_else(|| policies::no_version(id, *version))?;
        policies.push(load_checked(app, record.value, ask).await?);
    }
    Ok(Arc::new(ActiveSet::new(current.record.revision, policies)?))
}

async fn run(app: &App, operator: &OperatorCaller, trial: Trial) -> Result<Simulation, Failure> {
    let server = gather::resource_server(app, &trial.wanted.request.resource, &mut Vec::new()).await?;
    let (request, chain, refused) = gather::on_behalf(app, &trial.wanted, &mut Vec::new()).await?;
    let holder = Holder::of_key(&trial.agent, &trial.thumbprint);
    let now = app.clock.now();
    let situation = Situation {
        agent: &trial.agent,
        holder: holder.as_ref(),
        request: &request,
        user: trial.wanted.user.as_ref(),
        behalf: chain.as_ref().map(|chain| &chain.behalf),
        resource_server: server.as_ref().map(|record| &record.value.server),
        now,
    };
    let bounds = refused.map_or_else(|| bounds::check(situation, app.limits), Err);
    let tried = match &bounds {
        Err(reason) => Tried {
            made: Made::by_bounds(now, Decision::Deny(Denied::by_host(*reason))),
            fuel: Vec::new(),
            shadows: Vec::new(),
            not_asked: Vec::new(),
        },
        Ok(within) => ask_all(app, &trial, (within, chain.as_ref())).await?,
    };
    let mut batch = Batch::new(app.clock.now());
    entry::act(&mut batch, operator, EntryType::Simulation, about(app, &trial, chain.as_ref(), &tried.made))?;
    let committed = commit(app, batch, moved).await?;
    let at = committed.entry().map_err(Failure::internal)?;
    Ok(wire::simulation(&trial, tried, crate::audit::reference(at)))
}

/// Ask the policies as a decision does; then the shadow policies, each by itself; then all of them once
/// more where fuel is counted.
async fn ask_all(
    app: &App,
    trial: &Trial,
    (within, chain): (&WithinBounds<'_>, Option<&Chain>),
) -> Result<Tried, Failure> {
    // Nothing is committed that names what this was read from.
    let credential = place::wanted(app, &trial.wanted, &mut Vec::new()).await?;
    let scene = Scene { within, chain, credential: credential.as_ref() };
    let context =
        EvaluationContext::of_request(within, AuthenticationMethod::Dpop, Phase::Simulate, credential.clone());
    let context = Arc::new(context);
    let mut made = among(app, trial.set.applicable(within), (within, &Met::nothing()), Arc::clone(&context)).await?;
    let limited = !charge::has_room(&made);
    if limited {
        made.decision = Decision::Deny(Denied::by_host(HostReason::LimitExceeded));
    }
    let policies: Vec<_> = made.asked.iter().map(|asked| Arc::clone(&asked.policy)).collect();
    made.decision = foreseen(app, scene, &policies, (made.decision, made.looked_up.bytes_left)).await?;
    let fuel = fuel(app, trial, &made, &context).await?;
    let mut shadows = Vec::new();
    for policy in trial.set.shadows(within).into_iter().take(SHADOWS_MAX) {
        let alone = among(app, vec![policy], (within, &Met::nothing()), Arc::clone(&context)).await?;
        let counted: Vec<_> = made.asked.iter().chain(&alone.asked).map(|asked| asked.evaluated.clone()).collect();
        let would = match attorn_core::decide(within, &Met::nothing(), &counted) {
            // Where a counter has no room for an allow, it has none for another.
            Decision::Allow(_) if limited => made.decision.clone(),
            would => would,
        };
        let with: Vec<_> = made.asked.iter().chain(&alone.asked).map(|asked| Arc::clone(&asked.policy)).collect();
        let would = foreseen(app, scene, &with, (would, alone.looked_up.bytes_left)).await?;
        let fuel = self::fuel(app, trial, &alone, &context).await?.into_iter().next().flatten();
        shadows.push(Shadow { alone, fuel, would });
    }
    let not_asked = trial.set.policies().iter().filter_map(|policy| wire::not_asked(policy, within)).collect();
    Ok(Tried { made, fuel, shadows, not_asked })
}

/// What becomes of a challenge for which nobody would be asked.
async fn foreseen(
    app: &App,
    scene: Scene<'_>,
    policies: &[Arc<ActivePolicy>],
    (decision, bytes_left): (Decision, usize),
) -> Result<Decision, Failure> {
    let Decision::Challenge(challenged) = &decision else { return Ok(decision) };
    let reason = approvals::step::foreseen(app, scene, policies, (challenged, bytes_left)).await?;
    Ok(reason.map_or(decision, |reason| Decision::Deny(Denied::by_host(reason))))
}

/// What each of the asked policies takes, in units of fuel.
async fn fuel(
    app: &App,
    trial: &Trial,
    made: &Made,
    context: &Arc<EvaluationContext>,
) -> Result<Vec<Option<u64>>, Failure> {
    let mut fuel = Vec::with_capacity(made.asked.len());
    for (asked, known) in made.asked.iter().zip(&made.looked_up.known) {
        fuel.push(fuel_of(app, (&asked.policy, &trial.ask), known, context).await?);
    }
    Ok(fuel)
}

async fn fuel_of(
    app: &App,
    (policy, ask): (&ActivePolicy, &LoadAsk),
    known: &Known,
    context: &Arc<EvaluationContext>,
) -> Result<Option<u64>, Failure> {
    if policy.loaded.is_none() {
        return Ok(None);
    }
    let metered = match load_metered(app, &policy.record, ask).await {
        Ok(metered) => metered,
        Err(failure) if failure.problem.code == ProblemCode::ComponentRejected => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let question = Question { policy: metered, known: known.clone() };
    let evaluations = app.engine.evaluate(vec![question], Arc::clone(context)).await?;
    // How far it got until its time was over is not the same twice.
    let whole = |evaluation: &&attorn_engine::Evaluation| {
        evaluation.outcome != attorn_core::Outcome::Failed(attorn_core::Failure::Deadline)
    };
    Ok(evaluations.first().filter(whole).and_then(|evaluation| evaluation.usage.fuel))
}

/// What the entry says: who tried it stands beside this.
fn about(app: &App, trial: &Trial, chain: Option<&Chain>, made: &Made) -> serde_json::Value {
    let Trial { agent, thumbprint, wanted, with, in_force, .. } = trial;
    let request = &wanted.request;
    let veil = Veil::of(app, wanted.delegation.is_some(), chain);
    let with: serde_json::Map<_, _> = with.iter().map(|(id, version)| (id.to_string(), json!(version))).collect();
    json!({
        "agent": agent.id.as_str(),
        "key_thumbprint": thumbprint.as_str(),
        "action": request.action.as_str(),
        "resource": veil.resource(&request.resource),
        "arguments_digest": veil.arguments_digest(request.arguments_digest),
        "purpose": request.purpose.as_str(),
        "on_behalf": chain.map(|chain| veil::behalf(&chain.behalf, &chain.key)),
        "with": with,
        "decision": kind(&made.decision),
        "reasons": reasons(&made.decision).iter().take(REASONS_MAX).map(reason_in_entry).collect::<Vec<_>>(),
        "policies": made.asked.iter().map(policy_in_entry).collect::<Vec<_>>(),
        "active_set": { "revision": in_force.record.revision, "digest": in_force.digest },
        "tried_set_digest": trial.tried_set_digest(),
    })
}
