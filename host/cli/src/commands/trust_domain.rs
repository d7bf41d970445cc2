//! `attorn trust-domain`.

use std::path::PathBuf;

use attorn_api::delegations::Revoke;
use attorn_api::trust_domains::{self, RegisterTrustDomain, TrustBundle, TrustDomainList, UpdateTrustDomain};
use attorn_core::{TimeMs, TrustDomain as TrustDomainName};
use clap::{Args, Subcommand};

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_text;
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse;

/// The longest bundle that is read, in bytes.
const BUNDLE_BYTES_MAX: u64 = 64 << 10;

/// Who vouches for workloads.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustDomain {
    /// Register a SPIFFE trust domain (duty: registrar, as for all of these)
    Register(Bring),
    /// List trust domains
    List(Page),
    /// Show a trust domain
    Show(Which),
    /// Give a trust domain other roots and keys; what is not in the file does not count any more
    Update(Bring),
    /// Revoke a trust domain: it vouches for nobody any more, and its name stays taken
    Revoke(Revoked),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn trust-domain register example.org --bundle bundle.json
  attorn trust-domain update example.org --bundle roots.pem")]
pub(crate) struct Bring {
    /// Its SPIFFE name, without `spiffe://`
    #[arg(value_parser = parse::id::<TrustDomainName>)]
    id: TrustDomainName,
    /// What it signs with: a bundle in the SPIFFE format (JSON), or certificates in PEM
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its SPIFFE name
    #[arg(value_parser = parse::id::<TrustDomainName>)]
    id: TrustDomainName,
}

#[derive(Debug, Args)]
pub(crate) struct Revoked {
    /// Its SPIFFE name
    #[arg(value_parser = parse::id::<TrustDomainName>)]
    id: TrustDomainName,
    #[command(flatten)]
    why: Why,
}

impl Bring {
    fn bundle(&self) -> Result<TrustBundle, Failure> {
        let text = read_text(&self.bundle, BUNDLE_BYTES_MAX)?;
        if !text.trim_start().starts_with('{') {
            return Ok(TrustBundle::Pem(text));
        }
        let json = parse::strict_json(&text);
        json.map(TrustBundle::Spiffe)
            .map_err(|problem| Failure::usage(format!("`{}` is no bundle: {problem}", self.bundle.display())))
    }
}

impl TrustDomain {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        const PATH: &str = "/v1/trust-domains";
        let (client, output) = (context.operator()?, &context.output);
        let domain: trust_domains::TrustDomain = match self {
            Self::Register(bring) => {
                let body = RegisterTrustDomain { id: bring.id.to_string(), bundle: bring.bundle()? };
                client.post(PATH, &body).await?
            }
            Self::List(page) => return list(output, &client.get(&page.of(PATH)).await?),
            Self::Show(Which { id }) => client.get(&format!("{PATH}/{id}")).await?,
            Self::Update(bring) => {
                let body = UpdateTrustDomain { bundle: bring.bundle()? };
                client.post(&format!("{PATH}/{}/update", bring.id), &body).await?
            }
            Self::Revoke(Revoked { id, why }) => {
                client.post(&format!("{PATH}/{id}/revoke"), &Revoke { reason: why.reason }).await?
            }
        };
        print(output, &domain)
    }
}

fn list(output: &Output, list: &TrustDomainList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |domain: &trust_domains::TrustDomain| {
        let (roots, keys) = (domain.x509_roots.len().to_string(), domain.jwt_keys.len().to_string());
        vec![
            domain.id.clone(),
            roots,
            keys,
            TimeMs(domain.changed_at_ms).to_string(),
            time_or_dash(domain.revoked_at_ms),
        ]
    };
    let rows: Vec<_> = list.trust_domains.iter().map(row).collect();
    output.table(&["TRUST DOMAIN", "ROOTS", "KEYS", "CHANGED", "REVOKED"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

fn print(output: &Output, domain: &trust_domains::TrustDomain) -> Result<Exit, Failure> {
    if output.json {
        return output.json(domain).map(|()| Exit::Done);
    }
    output.line(format!("trust domain  {}", domain.id));
    for root in &domain.x509_roots {
        output.line(format!("root          sha256:{root}"));
    }
    for key in &domain.jwt_keys {
        output.line(format!("key           {key}"));
    }
    output.line(format!("registered    {}", TimeMs(domain.created_at_ms)));
    output.line(format!("changed       {}", TimeMs(domain.changed_at_ms)));
    output.line(format!("revoked       {}", time_or_dash(domain.revoked_at_ms)));
    Ok(Exit::Done)
}
