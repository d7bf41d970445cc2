//! The people: from the bootstrap token to four operators, each with duties of their own.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use attorn_api::ProblemCode;
use attorn_api::operators::{RegisterOperator, RegisteredOperator};
use attorn_api::policies::PolicyList;

use super::host::Host;
use super::narrator::Narrator;
use crate::context::Token;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;

/// Their tokens.
pub(super) struct Operators {
    pub(super) registrar: Token,
    pub(super) policy_admin: Token,
    pub(super) auditor: Token,
}

/// Where an operator's token is kept for trying by hand.
pub(super) fn token_path(directory: &Path, operator: &str) -> PathBuf {
    directory.join("tokens").join(operator)
}

/// Where the audit log's key is kept.
pub(super) fn log_key_path(directory: &Path) -> PathBuf {
    directory.join("log.key")
}

pub(super) async fn first_start(narrator: &mut Narrator<'_>, directory: &Path) -> Result<(Host, Token), Failure> {
    narrator.part("An empty server, and who administers it");
    let (host, bootstrap) = Host::init(directory).await?;
    let came = format!("it listens on {} (process {}) and is ready", host.url(), host.pid());
    narrator.step("attorn init, attorn serve", came, true)?;
    Ok((host, bootstrap))
}

pub(super) async fn register(
    narrator: &mut Narrator<'_>,
    host: &Host,
    bootstrap: Token,
    directory: &Path,
) -> Result<Operators, Failure> {
    let first = host.client(Some(&bootstrap))?;
    let admin = one(narrator, &first, directory, "carol", &["admin"]).await?;
    let again = first.post::<RegisteredOperator>("/v1/operators", &operator("mallory", &["admin"])).await;
    refused(narrator, "the bootstrap token registers another admin", again, ProblemCode::Unauthenticated)?;

    let carol = host.client(Some(&admin))?;
    let registrar = one(narrator, &carol, directory, "registrar", &["registrar"]).await?;
    let policy_admin = one(narrator, &carol, directory, "policy-admin", &["policy_admin", "policy_weakener"]).await?;
    let auditor = one(narrator, &carol, directory, "auditor", &["auditor"]).await?;
    let policies = carol.get::<PolicyList>("/v1/policies").await;
    refused(narrator, "carol, the admin, reads the policies", policies, ProblemCode::MissingDuty)?;

    let log_key = host.client(None)?.text("/v1/audit/key").await?.trim_end().to_owned();
    private_file(&log_key_path(directory), &log_key)?;
    narrator.step("an outsider notes the audit log's public key", &log_key, !log_key.is_empty())?;
    Ok(Operators { registrar, policy_admin, auditor })
}

async fn one(
    narrator: &Narrator<'_>,
    client: &OperatorClient,
    directory: &Path,
    id: &str,
    duties: &[&str],
) -> Result<Token, Failure> {
    let registered = hire(client, directory, id, duties).await?;
    let as_told = registered.operator.id == id && registered.operator.duties == duties;
    let asked = format!("register the operator {id}, duties {}", duties.join(", "));
    narrator.step(asked, "registered; the token is shown this once", as_told)?;
    registered.token.parse()
}

async fn hire(
    client: &OperatorClient,
    directory: &Path,
    id: &str,
    duties: &[&str],
) -> Result<RegisteredOperator, Failure> {
    let registered: RegisteredOperator = client.post("/v1/operators", &operator(id, duties)).await?;
    private_file(&token_path(directory, id), &registered.token)?;
    Ok(registered)
}

/// The same people, where the story is about something else.
pub(super) async fn hire_all(host: &Host, bootstrap: Token, directory: &Path) -> Result<Operators, Failure> {
    let carol = hire(&host.client(Some(&bootstrap))?, directory, "carol", &["admin"]).await?.token.parse()?;
    let carol = host.client(Some(&carol))?;
    let registrar = hire(&carol, directory, "registrar", &["registrar"]).await?.token.parse()?;
    let policy_admin = hire(&carol, directory, "policy-admin", &["policy_admin", "policy_weakener"]).await?;
    let auditor = hire(&carol, directory, "auditor", &["auditor"]).await?.token.parse()?;
    Ok(Operators { registrar, policy_admin: policy_admin.token.parse()?, auditor })
}

/// A call of an operator's that has to be refused with this code.
pub(super) fn refused<T>(
    narrator: &mut Narrator<'_>,
    asked: &str,
    came: Result<T, Failure>,
    code: ProblemCode,
) -> Result<(), Failure> {
    match came {
        Ok(_) => narrator.step(asked, "it was done", false),
        Err(failure) => {
            narrator.tally.refused += 1;
            narrator.step(asked, format!("refused: {}", failure.message), failure.code == Some(code))
        }
    }
}

fn operator(id: &str, duties: &[&str]) -> RegisterOperator {
    RegisterOperator { id: id.into(), duties: duties.iter().map(|duty| (*duty).to_owned()).collect() }
}

fn private_file(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()))
        .map_err(|error| Failure::file("write", path, &error))
}
