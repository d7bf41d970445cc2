//! The nouns, one file each.

mod agent;
mod approval;
mod approval_webhook;
mod audit;
mod clock;
mod compile_worker;
mod completions;
#[cfg(target_os = "linux")]
mod damage;
mod data;
mod decide;
mod delegation;
pub(crate) mod demo;
mod entitlement;
mod fact;
mod freeze;
mod grant;
mod init;
mod key;
mod lease;
mod load;
mod my;
mod operator;
pub(crate) mod policy;
mod provider;
mod proxy;
mod resource_server;
#[cfg(target_os = "linux")]
mod restored;
mod serve;
mod session;
mod target;
mod trust_domain;
mod user;
mod workload_issuer;

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a directory with configuration, root key and an empty store
    Init(init::Init),
    /// Run the server
    Serve(serve::Serve),
    /// Copy the data directory while the server runs
    Backup(data::Backup),
    /// Make a data directory out of a backup
    Restore(data::Restore),
    /// Make a broken store anew from its base copy and its journal
    Repair(data::Repair),
    /// Play a story against a real server in a fresh directory
    Demo(demo::Demo),
    /// Who administers
    #[command(subcommand)]
    Operator(operator::Operator),
    /// Who asks
    #[command(subcommand)]
    Agent(agent::Agent),
    /// Who accepts credentials
    #[command(subcommand)]
    ResourceServer(resource_server::ResourceServer),
    /// Who vouches for users
    #[command(subcommand)]
    Provider(provider::Provider),
    /// What signs tokens, and what signs the audit log
    #[command(subcommand)]
    Key(key::Key),
    /// Who vouches for workloads by SVIDs
    #[command(subcommand)]
    TrustDomain(trust_domain::TrustDomain),
    /// Who vouches for workloads by tokens: Kubernetes clusters, clouds
    #[command(subcommand)]
    WorkloadIssuer(workload_issuer::WorkloadIssuer),
    /// On whose behalf agents act
    #[command(subcommand)]
    User(user::User),
    /// What users may do themselves
    #[command(subcommand)]
    Entitlement(entitlement::Entitlement),
    /// What users let agents do, and agents each other
    #[command(subcommand)]
    Delegation(delegation::Delegation),
    /// Users' sessions
    #[command(subcommand)]
    Session(session::Session),
    /// What you delegated yourself, as a user
    #[command(subcommand)]
    My(my::My),
    /// What decides
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Policies that are being made ready
    #[command(subcommand)]
    Load(load::Load),
    /// Ask for a decision, as an agent
    Decide(decide::Decide),
    /// Call a service without its key, as an agent
    #[command(subcommand)]
    Proxy(proxy::Proxy),
    /// What people are asked to approve
    #[command(subcommand)]
    Approval(approval::Approval),
    /// Who is told of what is to be approved
    #[command(subcommand)]
    ApprovalWebhook(approval_webhook::ApprovalWebhook),
    /// What the server knows, and policies may rest on
    #[command(subcommand)]
    Fact(fact::Fact),
    /// The rights that allows yielded
    #[command(subcommand)]
    Grant(grant::Grant),
    /// Where credentials are made outside, and services that are called for agents
    #[command(subcommand)]
    Target(target::Target),
    /// Credentials that exist outside
    #[command(subcommand)]
    Lease(lease::Lease),
    /// Deny everything, until somebody thaws the server
    Freeze(freeze::Freeze),
    /// Deny no longer everything
    Thaw(freeze::Thaw),
    /// Show whether everything is denied
    Frozen(freeze::Frozen),
    /// The server's time and the wall clock
    #[command(subcommand)]
    Clock(clock::Clock),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Print a script that completes this command in a shell
    Completions(completions::Completions),
    #[command(hide = true)]
    CompileWorker(compile_worker::CompileWorker),
}

/// Run a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Init(init) => init.run(context).await,
        Command::Serve(serve) => serve.run().await,
        Command::Backup(backup) => backup.run(context),
        Command::Restore(restore) => restore.run(context).await,
        Command::Repair(repair) => repair.run(context).await,
        Command::Demo(demo) => demo.run(context).await,
        Command::Operator(operator) => operator.run(context).await,
        Command::Agent(agent) => agent.run(context).await,
        Command::ResourceServer(resource_server) => resource_server.run(context).await,
        Command::Provider(provider) => provider.run(context).await,
        Command::Key(key) => key.run(context).await,
        Command::TrustDomain(trust_domain) => trust_domain.run(context).await,
        Command::WorkloadIssuer(issuer) => issuer.run(context).await,
        Command::User(user) => user.run(context).await,
        Command::Entitlement(entitlement) => entitlement.run(context).await,
        Command::Delegation(delegation) => delegation.run(context).await,
        Command::Session(session) => session.run(context).await,
        Command::My(my) => my.run(context).await,
        Command::Policy(policy) => policy.run(context).await,
        Command::Load(load) => load.run(context).await,
        Command::Decide(decide) => decide.run(context).await,
        Command::Proxy(proxy) => proxy.run(context).await,
        Command::Approval(approval) => approval.run(context).await,
        Command::ApprovalWebhook(webhook) => webhook.run(context).await,
        Command::Fact(fact) => fact.run(context).await,
        Command::Grant(grant) => grant.run(context).await,
        Command::Target(target) => target.run(context).await,
        Command::Lease(lease) => lease.run(context).await,
        Command::Freeze(freeze) => freeze.run(context).await,
        Command::Thaw(thaw) => thaw.run(context).await,
        Command::Frozen(frozen) => frozen.run(context).await,
        Command::Clock(clock) => clock.run(context).await,
        Command::Audit(audit) => audit.run(context).await,
        Command::Completions(completions) => completions.run(context),
        Command::CompileWorker(worker) => worker.run(),
    }
}

/// Why something is done.
#[derive(Debug, clap::Args)]
struct Why {
    /// Why, at most 256 characters; kept in the audit log, so name nobody
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// The body of a request that says nothing.
#[derive(serde::Serialize)]
struct Nothing {}

/// Why a command that runs a server does not run here.
#[cfg(not(target_os = "linux"))]
fn only_on_linux(verb: &str) -> Failure {
    Failure::new(format!("`attorn {verb}` runs only on Linux"))
        .with_help("everything else works from here, against a server elsewhere: `--server` or ATTORN_URL")
}
