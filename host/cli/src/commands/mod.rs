//! The nouns, one file each.

mod agent;
mod audit;
mod compile_worker;
mod completions;
mod decide;
pub(crate) mod demo;
mod fact;
mod grant;
mod init;
mod key;
mod load;
mod operator;
pub(crate) mod policy;
mod provider;
mod resource_server;
mod serve;
mod trust_domain;

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
    /// What signs tokens
    #[command(subcommand)]
    Key(key::Key),
    /// Who vouches for workloads
    #[command(subcommand)]
    TrustDomain(trust_domain::TrustDomain),
    /// What decides
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Policies that are being made ready
    #[command(subcommand)]
    Load(load::Load),
    /// Ask for a decision, as an agent
    Decide(decide::Decide),
    /// What the server knows, and policies may rest on
    #[command(subcommand)]
    Fact(fact::Fact),
    /// The rights that allows yielded
    #[command(subcommand)]
    Grant(grant::Grant),
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
        Command::Demo(demo) => demo.run(context).await,
        Command::Operator(operator) => operator.run(context).await,
        Command::Agent(agent) => agent.run(context).await,
        Command::ResourceServer(resource_server) => resource_server.run(context).await,
        Command::Provider(provider) => provider.run(context).await,
        Command::Key(key) => key.run(context).await,
        Command::TrustDomain(trust_domain) => trust_domain.run(context).await,
        Command::Policy(policy) => policy.run(context).await,
        Command::Load(load) => load.run(context).await,
        Command::Decide(decide) => decide.run(context).await,
        Command::Fact(fact) => fact.run(context).await,
        Command::Grant(grant) => grant.run(context).await,
        Command::Audit(audit) => audit.run(context).await,
        Command::Completions(completions) => completions.run(context),
        Command::CompileWorker(worker) => worker.run(),
    }
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
