//! Authentication, in the one layer that no route can leave out.

use attorn_api::{FOR_HEADER, PROOF_HEADER, ProblemCode};
use attorn_core::context::AuthenticationMethod;
use attorn_core::{Duty, KeyThumbprint};
use attorn_identity::secret::digests_match;
use attorn_identity::{
    BodyDigest, OperatorToken, OperatorTokenKind, Passage, ProofExpectation, UnverifiedProof, VerifiedProof,
};
use attorn_store::Key;
use attorn_store::records::{
    AgentRecord, KeyOwner, KeyOwnerRecord, OperatorRecord, OperatorTokenRecord, ResourceServerRecord,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::http::call::{AgentCaller, Caller, OperatorCaller, UserCaller};
use crate::http::certificate;
use crate::http::failure::Failure;
use crate::http::route::{Access, either};
use crate::http::strangers::Remote;
use crate::http::tls::ClientCertificates;
use crate::oauth::form::Form;
use crate::oauth::{certificate as client_certificate, client};
use crate::providers::{self, Refused};
use crate::refusals::Party;
use crate::users::{kept, names};

/// What a proof is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    /// The body as a form, where the route takes one.
    pub(crate) form: Option<&'a Form>,
    /// What goes on to another server, where the route does that.
    pub(crate) passage: Option<Passage<'a>>,
}

/// What a proof signs beside, where the request goes on.
pub(crate) fn passage(parts: &Parts) -> Passage<'_> {
    let mut values = parts.headers.get_all(FOR_HEADER).iter();
    let (value, another) = (values.next(), values.next());
    let asked_for = value.filter(|_| another.is_none()).and_then(|value| value.to_str().ok());
    Passage { query: parts.uri.query().unwrap_or_default(), asked_for }
}

/// By what a caller says who it is.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// What came with the connection, if this server speaks TLS itself. No header brings one: whoever is not
    /// a proxy could write it.
    pub(crate) certificates: Option<&'a ClientCertificates>,
    /// Where it came from.
    pub(crate) from: Remote,
}

/// Who calls, if they may call a route of this access.
pub(crate) async fn identify(
    app: &App,
    access: Access,
    shown: Shown<'_>,
    signed: &Signed<'_>,
) -> Result<Caller, Failure> {
    let Shown { headers, certificates, from } = shown;
    match access {
        Access::Public => Ok(Caller::Anonymous),
        Access::PublishedLog if app.config.public_log => Ok(Caller::Anonymous),
        Access::PublishedLog => operator(app, headers, &[Duty::Auditor]).await.map(Caller::Operator),
        Access::Operator(duty) => operator(app, headers, &[duty]).await.map(Caller::Operator),
        Access::OperatorOfAny(duties) => operator(app, headers, duties).await.map(Caller::Operator),
        Access::OperatorOrBootstrap(duty) => match bootstrap(app, headers).await? {
            Some(operator) => Ok(Caller::Operator(operator)),
            None => operator(app, headers, &[duty]).await.map(Caller::Operator),
        },
        Access::User => user(app, headers, from).await,
        Access::Agent | Access::AgentOnward => agent(app, headers, certificates, signed).await,
        Access::ResourceServer => resource_server(app, headers, signed).await,
        Access::AgentClient => client_certificate::agent(app, shown, signed).await,
        Access::ResourceServerClient => client::resource_server(app, headers, signed).await,
    }
}

/// Count a call of somebody who proved who they are; refused if they call too often.
pub(crate) fn take_rate(app: &App, caller: &Caller) -> Result<(), Failure> {
    match caller {
        Caller::Agent(caller) => app.agent_rates.take(&caller.agent.value.agent().id),
        Caller::User(user) => app.user_rates.take(user),
        Caller::Anonymous | Caller::Operator(_) | Caller::ResourceServer(_) => Ok(()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<OperatorToken> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, another) = (values.next()?, values.next());
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    if another.is_some() || !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    token.parse().ok()
}

/// What is said where no token came that is good, and what to do.
const NO_TOKEN: (&str, &str) = (
    "no valid operator's token came with the request",
    "ATTORN_TOKEN is the token that `attorn operator register` or `renew` printed last; a restore ends all tokens, and prints a \
     bootstrap token with which an admin is renewed",
);

/// The same where the token is one that does something else.
const NOT_WITH_BOOTSTRAP: (&str, &str) = (
    "the bootstrap token lists operators and makes one admin, and nothing else is done with it",
    "`attorn operator register NAME --duty admin` makes an admin, and after a restore `attorn operator renew NAME` gives one of \
     before a new token: go on with the token that it prints",
);

/// An operator who has one of these duties.
async fn operator(app: &App, headers: &HeaderMap, duties: &[Duty]) -> Result<OperatorCaller, Failure> {
    let token = bearer(headers);
    let is_bootstrap = token.as_ref().is_some_and(|token| token.kind() == OperatorTokenKind::Bootstrap);
    let unauthenticated = || {
        let (detail, help) = if is_bootstrap { NOT_WITH_BOOTSTRAP } else { NO_TOKEN };
        Failure::of(ProblemCode::Unauthenticated, detail).with_help(help)
    };
    let digest = token.as_ref().ok_or_else(unauthenticated)?.digest();
    // The lookup is by digest, so how long it takes says nothing about any token.
    let token = app.store.record::<OperatorTokenRecord>(&Key::operator_token(&digest)).await?;
    let id = token.ok_or_else(unauthenticated)?.value.operator;
    let stored = app.store.record::<OperatorRecord>(&Key::operator(&id)).await?.ok_or_else(unauthenticated)?;
    let (operator, version) = (stored.value, stored.version);
    let is_theirs = operator.token_digest.is_some_and(|theirs| digests_match(&theirs, &digest));
    if operator.revoked_at.is_some() || !is_theirs {
        return Err(unauthenticated());
    }
    if !duties.iter().any(|duty| operator.duties.contains(duty)) {
        let duties = either(duties, "` or `");
        return Err(Failure::of(
            ProblemCode::MissingDuty,
            format!("operator `{id}` does not have the duty `{duties}`"),
        )
        .with_help("no duty implies another; an admin can register an operator who has it")
        .of_party(Party::Operator(id)));
    }
    Ok(OperatorCaller { id: Some(id), version, duties: operator.duties.iter().copied().collect() })
}

/// A user with an access token of their provider. One who has delegated nothing is let in, too, and finds nothing.
async fn user(app: &App, headers: &HeaderMap, from: Remote) -> Result<Caller, Failure> {
    let refused = |why: String| {
        Failure::of(ProblemCode::UserUnauthenticated, why)
            .with_help("sign in at a client that the provider's `user_clients` lists")
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, another) = (values.next(), values.next());
    let bearer = value.filter(|_| another.is_none()).and_then(|value| value.to_str().ok()?.split_once(' '));
    let token = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
    let token = token.ok_or_else(|| refused("exactly one `Authorization: Bearer` header is needed".into()))?;
    let token = match providers::user_token(app, token, Some(from)).await {
        Ok(token) => token,
        Err(Refused::Failed(failure)) => return Err(*failure),
        // Nobody was refused: the provider cannot be asked now.
        Err(why @ Refused::KeysUnavailable { .. }) => return Err(Failure::of(ProblemCode::Busy, why.to_string())),
        Err(why) => return Err(refused(format!("{why} ({})", why.code()))),
    };
    // What is bound to a key is no bearer's.
    if token.said.confirmation.is_some() {
        return Err(refused("the token is bound to a key, which this route does not check".into()));
    }
    let (issuer, subject) = (&token.said.provider.value.issuer, &token.said.subject);
    let id = match names::find_user(app, issuer, subject).await? {
        // Whose key is gone is nobody.
        Some(found) if kept::key(app, &found.value).await?.is_some() => Some(found.value),
        _ => None,
    };
    Ok(Caller::User(UserCaller { name: names::user_name(app, issuer, subject), id }))
}

/// The bootstrap token: it lists operators and makes the first admin, and then it is dead.
async fn bootstrap(app: &App, headers: &HeaderMap) -> Result<Option<OperatorCaller>, Failure> {
    let bootstrap = |token: &OperatorToken| token.kind() == OperatorTokenKind::Bootstrap;
    let Some(token) = bearer(headers).filter(bootstrap) else { return Ok(None) };
    match crate::registry::bootstrap::digest(&app.store).await? {
        Some(expected) if digests_match(&expected.value, &token.digest()) => {
            Ok(Some(OperatorCaller { id: None, version: 0, duties: vec![Duty::Admin] }))
        }
        _ => Err(Failure::of(ProblemCode::Unauthenticated, "the bootstrap token is not valid, or was used already")
            .with_help(
                "use the token that `attorn operator register` or `renew` printed when it was used; a restore ends the \
                 bootstrap token of before, and prints another",
            )),
    }
}

/// An agent, by a certificate of its connection where it shows one, and by a proof otherwise. Where both come,
/// both have to be good and of the same agent.
async fn agent(
    app: &App,
    headers: &HeaderMap,
    certificates: Option<&ClientCertificates>,
    signed: &Signed<'_>,
) -> Result<Caller, Failure> {
    let caller = match certificates {
        None => by_proof(app, headers, signed).await?,
        Some(certificates) => {
            let caller = certificate::agent(app, certificates).await?;
            if headers.contains_key(PROOF_HEADER) {
                let id = &caller.agent.value.agent().id;
                let prover = by_proof(app, headers, signed).await;
                let prover = prover.map_err(|failure| failure.of_party(Party::Agent(id.clone())))?;
                if prover.agent.value.agent().id != *id {
                    let detail = "the proof is by a key of another agent than the client certificate's";
                    return Err(Failure::of(ProblemCode::ProofInvalid, detail).of_party(Party::Agent(id.clone())));
                }
            }
            caller
        }
    };
    Ok(Caller::Agent(Box::new(caller)))
}

async fn by_proof(app: &App, headers: &HeaderMap, signed: &Signed<'_>) -> Result<AgentCaller, Failure> {
    let proof = proof(headers)?;
    let owner = key_owner(app, proof.thumbprint()).await?;
    let KeyOwner::Agent(id) = &owner else { return Err(unknown_key()) };
    let agent = app.store.record::<AgentRecord>(&Key::agent(id)).await?.ok_or_else(unknown_key)?;
    let jwk = agent.value.jwk(proof.thumbprint()).ok_or_else(unknown_key)?;
    let thumbprint = accept(app, proof, (jwk.as_str(), Party::Agent(id.clone())), signed)?;
    let expired = agent.value.agent().key(&thumbprint).is_none_or(|key| key.expires_at <= app.clock.now());
    if expired {
        return Err(Failure::of(ProblemCode::KeyExpired, format!("the key `{thumbprint}` has expired"))
            .with_help("a registrar can add another: `attorn agent key add`")
            .of_party(Party::Agent(id.clone())));
    }
    Ok(AgentCaller { agent, method: AuthenticationMethod::Dpop, thumbprint, identity: None })
}

async fn resource_server(app: &App, headers: &HeaderMap, signed: &Signed<'_>) -> Result<Caller, Failure> {
    let proof = proof(headers)?;
    let owner = key_owner(app, proof.thumbprint()).await?;
    let KeyOwner::ResourceServer(id) = owner else { return Err(unknown_key()) };
    let key = Key::resource_server(&id);
    let server = app.store.record::<ResourceServerRecord>(&key).await?.ok_or_else(unknown_key)?;
    if server.value.revoked_at.is_some() {
        return Err(unknown_key());
    }
    accept(app, proof, (server.value.jwk.as_str(), Party::ResourceServer(id.clone())), signed)?;
    Ok(Caller::ResourceServer(id))
}

/// The proof that came, of the right form.
pub(crate) fn proof(headers: &HeaderMap) -> Result<UnverifiedProof, Failure> {
    let mut proofs = headers.get_all(PROOF_HEADER).iter();
    let missing = || {
        Failure::of(ProblemCode::ProofMissing, "exactly one `DPoP` header with a proof of possession is needed")
            .with_help("sign method, URL, body digest and the server's nonce with a registered key; the SDKs do")
    };
    let (Some(compact), None) = (proofs.next(), proofs.next()) else { return Err(missing()) };
    Ok(UnverifiedProof::parse(compact.to_str().map_err(|_| missing())?)?)
}

async fn key_owner(app: &App, thumbprint: &KeyThumbprint) -> Result<KeyOwner, Failure> {
    let owner = app.store.record::<KeyOwnerRecord>(&Key::key_owner(thumbprint)).await?;
    Ok(owner.ok_or_else(unknown_key)?.value.owner)
}

fn unknown_key() -> Failure {
    Failure::of(ProblemCode::UnknownKey, "the key that signed the proof is not registered")
        .with_help("sign with a key that a registrar has registered: `attorn agent register`, `attorn agent key add`")
}

/// Verify the proof with the *registered* key, whose that is, and accept it this once.
fn accept(
    app: &App,
    proof: UnverifiedProof,
    (jwk, owner): (&str, Party),
    signed: &Signed<'_>,
) -> Result<KeyThumbprint, Failure> {
    let verified = verified(app, proof, jwk, signed, BodyDigest::Needed)?;
    let accepted = app.replay.accept(verified, app.clock.now());
    let accepted = accepted.map_err(|error| Failure::from(error).of_party(owner))?;
    Ok(accepted.thumbprint().clone())
}

/// Verify the proof with the *registered* key. It may have come before.
pub(crate) fn verified(
    app: &App,
    proof: UnverifiedProof,
    jwk: &str,
    signed: &Signed<'_>,
    body_digest: BodyDigest,
) -> Result<VerifiedProof, Failure> {
    let key = app.keys.of(proof.thumbprint(), jwk)?;
    let url = format!("{}{}", app.config.public_url, signed.path);
    let (method, body, now) = (signed.method, signed.body, app.clock.now());
    let passage = signed.passage;
    let expectation = ProofExpectation { method, url: &url, body, body_digest, now, access_token: None, passage };
    Ok(proof.verify(&key, &expectation, &app.nonces)?)
}
