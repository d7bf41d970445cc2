//! What an agent asks, parsed once.

use attorn_api::decisions::DecisionRequest;
use attorn_api::json::{canonical_raw, digest, parse_body};
use attorn_api::{IDEMPOTENCY_HEADER, ProblemCode};
use attorn_core::{AgentId, Digest, JsonText, KeyThumbprint, Request, SessionId};
use attorn_store::records::IdempotencyRecord;
use serde_json::json;
use serde_json::value::RawValue;

use crate::http::call::Call;
use crate::http::failure::Failure;

/// The most bytes of arguments and claims in canonical form, which can be longer than what came: a
/// decision's record has to hold them.
const CANONICAL_BYTES_MAX: usize = 32 << 10;

/// A request of an authenticated agent.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) agent: AgentId,
    pub(super) thumbprint: KeyThumbprint,
    pub(super) request: Request,
    pub(super) idempotency: Option<Idempotency>,
}

/// What makes asking twice the same as asking once.
#[derive(Debug)]
pub(super) struct Idempotency {
    pub(super) key_digest: Digest,
    pub(super) request_digest: Digest,
}

impl Ask {
    pub(super) fn parse(call: &Call) -> Result<Self, Failure> {
        let caller = call.agent()?;
        let request = request(parse_body(&call.body)?)?;
        let idempotency = idempotency(call, &request)?;
        let (agent, thumbprint) = (caller.agent.value.agent().id.clone(), caller.thumbprint.clone());
        Ok(Self { agent, thumbprint, request, idempotency })
    }
}

/// A request, checked.
pub(crate) fn request(wire: DecisionRequest<'_>) -> Result<Request, Failure> {
    if wire.user.is_some() {
        let detail = "this server keeps no delegations yet, so nobody can act for a user";
        return Err(Failure::of(ProblemCode::UserUnsupported, detail)
            .with_help("leave `user` out, and use a purpose that is registered as without user"));
    }
    let arguments = object("arguments", wire.arguments)?;
    let claims = object("claims", wire.claims)?;
    let bytes = arguments.as_str().len() + claims.as_str().len();
    if bytes > CANONICAL_BYTES_MAX {
        let detail = format!(
            "`arguments` and `claims` have {bytes} bytes in canonical form, and {CANONICAL_BYTES_MAX} is the most"
        );
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    Ok(Request {
        action: wire.action.parse()?,
        resource: wire.resource.parse()?,
        purpose: wire.purpose.parse()?,
        session: wire.session.map(|session| session.parse()).transpose()?,
        arguments_digest: digest(&arguments),
        arguments,
        claims,
    })
}

fn object(name: &str, raw: Option<&RawValue>) -> Result<JsonText, Failure> {
    let Some(raw) = raw else { return Ok(JsonText::from_canonical("{}")) };
    canonical_raw(raw).map_err(|error| Failure::of(ProblemCode::InvalidBody, format!("`{name}`: {error}")))
}

fn idempotency(call: &Call, request: &Request) -> Result<Option<Idempotency>, Failure> {
    let mut values = call.headers.get_all(IDEMPOTENCY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    let good = (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if !good || values.next().is_some() {
        let detail = format!("`{IDEMPOTENCY_HEADER}` stands once, with 1 to 128 visible ASCII characters");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    // The parts are canonical, and JSON keeps them apart.
    let whole = json!([
        request.action.as_str(),
        request.resource.as_str(),
        request.purpose.as_str(),
        request.session.as_ref().map(SessionId::as_str),
        request.arguments.as_str(),
        request.claims.as_str(),
    ]);
    let request_digest = Digest::from_bytes(*blake3::hash(whole.to_string().as_bytes()).as_bytes());
    Ok(Some(Idempotency { key_digest: IdempotencyRecord::digest_of_key(key), request_digest }))
}
