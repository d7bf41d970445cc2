//! Adds up how long everything is that the delegations and the user's claims say, from the records of the
//! contract or from one text, and denies with the sum: to measure with. See `tests/polyglot/reads-context`.

use std::collections::BTreeMap;

use attorn_policy::{Context, Delegation, Error, ReasonDeclaration, Verdict};

const READ: ReasonDeclaration = ReasonDeclaration::public("read", "how much was read");

attorn_guests::guest! {
    reasons: [READ],
    evaluate: |ctx| Ok(Verdict::deny(READ.with_text(read(ctx)?.to_string()))),
}

/// What of the text is read.
#[derive(serde::Deserialize)]
struct Whole {
    user: Option<Person>,
    delegations: Vec<Hop>,
}

#[derive(serde::Deserialize)]
struct Person {
    claims: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct Hop {
    id: String,
    to_agent: String,
    permissions: Vec<Permission>,
    purpose: String,
    session: String,
    created_at_ms: u64,
    expires_at_ms: u64,
}

#[derive(serde::Deserialize)]
struct Permission {
    action: String,
    resource: String,
}

fn read(ctx: &Context) -> Result<u64, Error> {
    match ctx.request.action.as_str() {
        "measure.records" => {
            let hops: u64 = ctx.delegations.iter().map(of_record).sum();
            let claims = ctx.user.as_ref().map(|user| parsed(&user.claims)).transpose()?;
            Ok(hops + claims.as_ref().map_or(0, of_claims))
        }
        "measure.text" => {
            let whole: Whole = parsed(&ctx.request.claimed_properties)?;
            let hops: u64 = whole.delegations.iter().map(of_hop).sum();
            Ok(hops + whole.user.as_ref().map_or(0, |user| of_claims(&user.claims)))
        }
        _ => Ok(0),
    }
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::new(error.to_string()))
}

fn of_record(hop: &Delegation) -> u64 {
    let permissions = hop.permissions.iter().map(|one| one.action.len() + one.resource.len()).sum::<usize>();
    let texts = hop.id.len() + hop.to_agent.len() + hop.purpose.len() + hop.session.len();
    (permissions + texts) as u64 + (hop.expires_at_ms - hop.created_at_ms)
}

fn of_hop(hop: &Hop) -> u64 {
    let permissions = hop.permissions.iter().map(|one| one.action.len() + one.resource.len()).sum::<usize>();
    let texts = hop.id.len() + hop.to_agent.len() + hop.purpose.len() + hop.session.len();
    (permissions + texts) as u64 + (hop.expires_at_ms - hop.created_at_ms)
}

fn of_claims(claims: &BTreeMap<String, String>) -> u64 {
    claims.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum()
}
