//! What an agent asks, parsed once.

use attorn_api::decisions::{CredentialKind, DecisionRequest};
use attorn_api::json::{canonical_raw, digest};
use attorn_api::{IDEMPOTENCY_HEADER, ProblemCode};
use attorn_core::context::AuthenticationMethod;
use attorn_core::{AgentId, DelegationId, Digest, JsonText, KeyThumbprint, Request, SessionId, TargetId, UserId};
use serde_json::json;
use serde_json::value::RawValue;

use crate::app::App;
use crate::holders::ShownIdentity;
use crate::http::call::Call;
use crate::http::failure::Failure;

/// The most bytes of arguments and claims in canonical form, which can be longer than what came: a
/// decision's record has to hold them.
const CANONICAL_BYTES_MAX: usize = 32 << 10;
/// The same where there is a delegation: the record has to hold the chain and the user, too.
const CANONICAL_BYTES_MAX_ON_BEHALF: usize = 16 << 10;

/// A request of an authenticated agent.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) agent: AgentId,
    /// How it proved who it is.
    pub(crate) method: AuthenticationMethod,
    pub(crate) thumbprint: KeyThumbprint,
    /// The identity, if the agent showed one.
    pub(crate) identity: Option<ShownIdentity>,
    pub(crate) wanted: Wanted,
    pub(crate) idempotency: Option<Idempotency>,
}

/// What an agent wants, and on whose behalf.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) request: Request,
    /// The delegation that it acts by; none for what it does on its own authority.
    pub(crate) delegation: Option<DelegationId>,
    /// The user that it names, which the delegation has to be from.
    pub(crate) user: Option<UserId>,
    /// What it wants to be given.
    pub(crate) credential: CredentialKind,
    /// Where it goes on to, if it does; then nothing is given.
    pub(crate) through: Option<Through>,
}

/// A request that goes on to a target.
#[derive(Debug)]
pub(crate) struct Through {
    /// Which.
    pub(crate) target: TargetId,
    /// The version of its record, which the commit names.
    pub(crate) version: u64,
    /// Whether its table has a row for it.
    pub(crate) row: Row,
}

/// Whether a target's table has a row for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// It has.
    Found,
    /// It has not, which denies.
    Missing,
}

/// What makes asking twice the same as asking once.
#[derive(Debug)]
pub(crate) struct Idempotency {
    pub(crate) key_digest: Digest,
    pub(crate) request_digest: Digest,
}

impl Ask {
    pub(super) fn of(app: &App, call: &Call, wanted: Wanted) -> Result<Self, Failure> {
        let caller = call.agent()?;
        // Where it goes on, an idempotency key is the service's business.
        let idempotency = if wanted.through.is_none() { idempotency(app, call, &wanted)? } else { None };
        let (agent, thumbprint) = (caller.agent.value.agent().id.clone(), caller.thumbprint.clone());
        let identity = caller.identity.clone();
        Ok(Self { agent, method: caller.method, thumbprint, identity, wanted, idempotency })
    }
}

/// What is wanted, checked.
pub(crate) fn wanted(wire: DecisionRequest<'_>) -> Result<Wanted, Failure> {
    let delegation = wire.delegation.map(|id| id.parse()).transpose()?;
    let user = wire.user.map(|id| id.parse()).transpose()?;
    if user.is_some() && delegation.is_none() {
        let detail = "a request that names a `user` names the `delegation` that it acts by";
        return Err(Failure::of(ProblemCode::InvalidField, detail)
            .with_help("`POST /v1/delegations` gives one; or leave `user` out, for a purpose without user"));
    }
    let arguments = object("arguments", wire.arguments)?;
    let claims = object("claims", wire.claims)?;
    let bytes = arguments.as_str().len() + claims.as_str().len();
    let bytes_max = if delegation.is_some() { CANONICAL_BYTES_MAX_ON_BEHALF } else { CANONICAL_BYTES_MAX };
    if bytes > bytes_max {
        let detail =
            format!("`arguments` and `claims` have {bytes} bytes in canonical form, and {bytes_max} is the most");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    // What is decided is what is done, and nobody compares what a login does with arguments.
    if !wire.credential.is_token() && arguments.as_str() != "{}" {
        let detail = "a login is asked for without `arguments`: nobody holds it to any";
        return Err(Failure::of(ProblemCode::InvalidField, detail)
            .with_help("leave them out, or ask for a token; what only explains is a claim"));
    }
    let request = Request {
        action: wire.action.parse()?,
        resource: wire.resource.parse()?,
        purpose: wire.purpose.parse()?,
        session: wire.session.map(|session| session.parse()).transpose()?,
        arguments_digest: digest(&arguments),
        arguments,
        claims,
    };
    Ok(Wanted { request, delegation, user, credential: wire.credential, through: None })
}

fn object(name: &str, raw: Option<&RawValue>) -> Result<JsonText, Failure> {
    let Some(raw) = raw else { return Ok(JsonText::from_canonical("{}")) };
    canonical_raw(raw).map_err(|error| Failure::of(ProblemCode::InvalidBody, format!("`{name}`: {error}")))
}

fn idempotency(app: &App, call: &Call, wanted: &Wanted) -> Result<Option<Idempotency>, Failure> {
    let mut values = call.headers.get_all(IDEMPOTENCY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    let good = (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if !good || values.next().is_some() {
        let detail = format!("`{IDEMPOTENCY_HEADER}` stands once, with 1 to 128 visible ASCII characters");
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    let Wanted { request, delegation, user, credential, .. } = wanted;
    // The parts are canonical, and JSON keeps them apart.
    let mut whole = json!([
        request.action.as_str(),
        request.resource.as_str(),
        request.purpose.as_str(),
        request.session.as_ref().map(SessionId::as_str),
        request.arguments.as_str(),
        request.claims.as_str(),
        delegation.as_ref().map(DelegationId::as_str),
        user.as_ref().map(UserId::as_str),
    ]);
    if let (CredentialKind::Postgresql, Some(parts)) = (credential, whole.as_array_mut()) {
        parts.push("postgresql".into());
    }
    // Both may speak of a user, and nobody who reads the store can guess from a keyed hash what they say.
    let key_digest = app.names.hash("idempotency key", "", key);
    Ok(Some(Idempotency { key_digest, request_digest: app.names.hash("request", "", &whole.to_string()) }))
}
