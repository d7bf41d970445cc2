//! `attorn workload-issuer`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use attorn_api::delegations::Revoke;
use attorn_api::workload_issuers::{self, RegisterWorkloadIssuer, UpdateWorkloadIssuer, WorkloadIssuerList};
use attorn_core::{Issuer, IssuerAlgorithm, TimeMs, WorkloadIssuerId};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_text;
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse;

/// The longest JWK Set that is read, in bytes: what a body may have. The server says what it keeps of that.
const JWKS_BYTES_MAX: u64 = workload_issuers::BODY_BYTES_MAX as u64;

/// Whose tokens say who a workload is.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkloadIssuer {
    /// Register a workload issuer, such as a Kubernetes cluster (duty: registrar, as for all of these)
    Register(Register),
    /// List workload issuers
    List(Page),
    /// Show a workload issuer
    Show(Which),
    /// Give a workload issuer other keys; what is not in the file does not count any more
    Update(Update),
    /// Revoke a workload issuer: it vouches for nobody any more, and its id and issuer stay taken
    Revoke(Revoked),
}

#[derive(Debug, Args)]
#[command(after_help = "The server fetches no keys of workload issuers: bring them again when they change.

Examples:
  kubectl get --raw /openid/v1/jwks > jwks.json
  kubectl get --raw /.well-known/openid-configuration     # its `issuer` is what --issuer takes
  attorn workload-issuer register cluster --issuer https://kubernetes.default.svc.cluster.local --jwks jwks.json")]
pub(crate) struct Register {
    /// Its id
    #[arg(value_parser = parse::id::<WorkloadIssuerId>)]
    id: WorkloadIssuerId,
    /// What its tokens say in `iss`, byte by byte
    #[arg(long, value_parser = parse::id::<Issuer>)]
    issuer: Issuer,
    #[command(flatten)]
    keys: Keys,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl get --raw /openid/v1/jwks > jwks.json
  attorn workload-issuer update cluster --jwks jwks.json")]
pub(crate) struct Update {
    /// Its id
    #[arg(value_parser = parse::id::<WorkloadIssuerId>)]
    id: WorkloadIssuerId,
    #[command(flatten)]
    keys: Keys,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id
    #[arg(value_parser = parse::id::<WorkloadIssuerId>)]
    id: WorkloadIssuerId,
}

#[derive(Debug, Args)]
pub(crate) struct Revoked {
    /// Its id
    #[arg(value_parser = parse::id::<WorkloadIssuerId>)]
    id: WorkloadIssuerId,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Args)]
struct Keys {
    /// What it signs with: a JWK Set, at most 16 public keys
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// How its tokens may be signed; repeat it for several
    #[arg(long, value_name = "ALG", value_delimiter = ',', default_value = "RS256",
        value_parser = parse::id::<IssuerAlgorithm>)]
    algorithm: Vec<IssuerAlgorithm>,
}

impl Keys {
    fn algorithms(&self) -> BTreeSet<String> {
        self.algorithm.iter().map(ToString::to_string).collect()
    }

    fn jwks(&self) -> Result<Value, Failure> {
        let json = parse::strict_json(&read_text(&self.jwks, JWKS_BYTES_MAX)?);
        json.map_err(|problem| Failure::usage(format!("`{}` is no JWK Set: {problem}", self.jwks.display())))
    }
}

impl WorkloadIssuer {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        const PATH: &str = "/v1/workload-issuers";
        let (client, output) = (context.operator()?, &context.output);
        let issuer: workload_issuers::WorkloadIssuer = match self {
            Self::Register(Register { id, issuer, keys }) => {
                let (algorithms, jwks) = (keys.algorithms(), keys.jwks()?);
                let (id, issuer) = (id.to_string(), issuer.to_string());
                client.post(PATH, &RegisterWorkloadIssuer { id, issuer, algorithms, jwks }).await?
            }
            Self::List(page) => return list(output, &client.get(&page.of(PATH)).await?),
            Self::Show(Which { id }) => client.get(&format!("{PATH}/{id}")).await?,
            Self::Update(Update { id, keys }) => {
                let body = UpdateWorkloadIssuer { algorithms: keys.algorithms(), jwks: keys.jwks()? };
                client.post(&format!("{PATH}/{id}/update"), &body).await?
            }
            Self::Revoke(Revoked { id, why }) => {
                client.post(&format!("{PATH}/{id}/revoke"), &Revoke { reason: why.reason }).await?
            }
        };
        print(output, &issuer)
    }
}

fn list(output: &Output, list: &WorkloadIssuerList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |issuer: &workload_issuers::WorkloadIssuer| {
        let (keys, changed) = (issuer.keys.len().to_string(), TimeMs(issuer.changed_at_ms).to_string());
        vec![issuer.id.clone(), issuer.issuer.clone(), keys, changed, time_or_dash(issuer.revoked_at_ms)]
    };
    let rows: Vec<_> = list.workload_issuers.iter().map(row).collect();
    output.table(&["WORKLOAD ISSUER", "ISS", "KEYS", "CHANGED", "REVOKED"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

fn print(output: &Output, issuer: &workload_issuers::WorkloadIssuer) -> Result<Exit, Failure> {
    if output.json {
        return output.json(issuer).map(|()| Exit::Done);
    }
    let algorithms: Vec<_> = issuer.algorithms.iter().map(String::as_str).collect();
    output.line(format!("workload issuer  {}", issuer.id));
    output.line(format!("iss              {}", issuer.issuer));
    output.line(format!("algorithms       {}", algorithms.join(" ")));
    for key in &issuer.keys {
        output.line(format!("key              {key}"));
    }
    output.line(format!("registered       {}", TimeMs(issuer.created_at_ms)));
    output.line(format!("changed          {}", TimeMs(issuer.changed_at_ms)));
    output.line(format!("revoked          {}", time_or_dash(issuer.revoked_at_ms)));
    Ok(Exit::Done)
}
