//! What a service does with a request. One call checks and counts:
//!
//! 1. The token is signed by a key that the issuer publishes, is for this audience, and has not expired.
//! 2. The proof is of this request, its body and this token, fresh and never seen, by the key that the token is bound to.
//! 3. The token is for this action, this resource and these arguments.
//! 4. The use is counted: by the server, which looks at all that the grant hangs on once more, or by being remembered.

use std::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use attorn_agent::{AgentKey, Error, ResourceServerClient, ServerUrl};
use attorn_api::audit::EntryReference;
use attorn_api::grants::{Effect, ReportEffect, UseGrant};
use attorn_api::json;
use attorn_core::TimeMs;
use attorn_identity::{
    BodyDigest, NoRandomness, ProofError, ProofExpectation, ReplayGuard, ReplayLimits, ServiceToken, UnverifiedProof,
    UnverifiedToken, VerifiedProof,
};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};

use crate::keys::{Keys, NoKeys};
use crate::refused::{Refusal, Refused};
use crate::spent::{Spent, Take};

const PROOF_HEADER: &str = "dpop";
const SCHEME: &str = "dpop ";

/// The most proofs, and the most grants, that are remembered at once.
const REMEMBERED_MAX: usize = 100_000;

/// How uses are counted.
#[derive(Debug)]
pub enum Uses {
    /// By the server, under the key that the service is registered with.
    Counted(AgentKey),
    /// In this process, which is right only where there is no other; the service is registered with
    /// `--counts-uses remembers`.
    Remembered,
}

/// A request to the service, and what it would do.
#[derive(Debug, Clone, Copy)]
pub struct ServiceRequest<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path as it came, undecoded; a query may follow it.
    pub path: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, exactly as it came; empty if there is none.
    pub body: &'a [u8],
    /// What the service is about to do: made of the request by the service, never read out of the token.
    pub action: &'a str,
    /// To which resource.
    pub resource: &'a str,
    /// With which arguments.
    pub arguments: &'a Map<String, Value>,
}

/// What may be done now, once, and who does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Every agent of the chain, the one that called first.
    pub agents: Vec<String>,
    /// The user on whose behalf they act, if there is one, by the server's id.
    pub user: Option<String>,
    /// The same user as their provider names them.
    pub user_at_provider: Option<UserAtProvider>,
    /// Why it was granted.
    pub purpose: String,
    /// The session that it belongs to.
    pub session: Option<String>,
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// The grant that was used.
    pub grant: String,
    /// Which of its uses this is, from 1.
    pub use_number: u32,
    /// How many are left.
    pub uses_left: u32,
}

impl Accepted {
    /// The agent that called.
    #[must_use]
    pub fn agent(&self) -> &str {
        self.agents.first().map_or("", String::as_str)
    }
}

/// A user as their provider names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAtProvider {
    /// The provider's issuer URL.
    pub issuer: String,
    /// The user's name there.
    pub subject: String,
}

/// What can go wrong apart from a request.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A URL cannot be used, or the server could not be asked, or refused.
    #[error(transparent)]
    Server(#[from] Error),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness(#[from] NoRandomness),
    /// There is nothing to report to.
    #[error("a service that remembers uses reports none: give it the key that it is registered with")]
    NothingCounted,
}

/// A service that accepts what agents bring. One is enough for a process.
pub struct ResourceServer {
    audience: String,
    public_url: ServerUrl,
    keys: Keys,
    proofs: ReplayGuard,
    counting: Counting,
}

enum Counting {
    ByServer(ResourceServerClient),
    Here(Spent),
}

impl ResourceServer {
    /// Accept tokens of the server at this URL for this audience, which is the origin by which agents call, too.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Server`] if one of them is no URL, or plain HTTP beyond loopback.
    pub fn new(url: &str, audience: &str, uses: Uses) -> Result<Self, ServiceError> {
        Self::called_at(url, audience, audience, uses)
    }

    /// The same, for a service that agents call by another origin than the audience's.
    ///
    /// # Errors
    ///
    /// As for [`Self::new`], of the server's URL and `public_url`.
    pub fn called_at(url: &str, audience: &str, public_url: &str, uses: Uses) -> Result<Self, ServiceError> {
        let counting = match uses {
            Uses::Counted(key) => Counting::ByServer(ResourceServerClient::new(url, key)?),
            Uses::Remembered => Counting::Here(Spent::new(REMEMBERED_MAX)),
        };
        let limits = ReplayLimits { proofs_per_key_max: REMEMBERED_MAX, proofs_max: REMEMBERED_MAX };
        Ok(Self {
            audience: audience.to_owned(),
            public_url: public_url.parse()?,
            keys: Keys::new(url.parse()?)?,
            proofs: ReplayGuard::new(limits)?,
            counting,
        })
    }

    /// Check a request, and count the use. Act only if this is `Ok`, and only on these arguments.
    ///
    /// # Errors
    ///
    /// [`Refused`], with what to answer.
    pub async fn accept(&self, request: &ServiceRequest<'_>) -> Result<Accepted, Refused> {
        self.accept_at(request, now()).await
    }

    async fn accept_at(&self, request: &ServiceRequest<'_>, now: TimeMs) -> Result<Accepted, Refused> {
        let (access_token, proof) = shown_in(request.headers)?;
        let token = self.token(access_token, now).await?;
        let proof = self.proof(request, &token, (access_token, proof), now)?;
        if token.action != request.action {
            return Err(Refused::new(Refusal::OtherAction, "the token is for another action"));
        }
        if token.resource != request.resource {
            return Err(Refused::new(Refusal::OtherResource, "the token is for another resource"));
        }
        if digest_of(request.arguments).is_none_or(|digest| digest != token.arguments_digest) {
            return Err(Refused::new(Refusal::OtherArguments, "the token is for other arguments"));
        }
        self.proofs.accept(proof, now).map_err(|error| match error {
            ProofError::Replayed => Refused::new(Refusal::ProofReplayed, "the proof has been used before"),
            ProofError::TooManyProofs => Refused::unavailable("too much is remembered"),
            _ => BAD_PROOF,
        })?;
        let (use_number, uses_left) = self.count(&token, now).await?;
        let user_at_provider = token.user_at_provider.map(|(issuer, subject)| UserAtProvider { issuer, subject });
        Ok(Accepted {
            agents: token.agents,
            user: token.user,
            user_at_provider,
            purpose: token.purpose,
            session: token.session,
            action: token.action,
            resource: token.resource,
            grant: token.grant.to_string(),
            use_number,
            uses_left,
        })
    }

    /// Say what came of a use, once. One that was [`Effect::Released`] is given back.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Server`] if there was no such use, or its effect was reported already;
    /// [`ServiceError::NothingCounted`] if uses are remembered here.
    pub async fn report(
        &self,
        accepted: &Accepted,
        effect: Effect,
        note: Option<&str>,
    ) -> Result<EntryReference, ServiceError> {
        let Counting::ByServer(server) = &self.counting else { return Err(ServiceError::NothingCounted) };
        let use_number = accepted.use_number;
        let report = ReportEffect { use_number, effect, note: note.map(str::to_owned) };
        let recorded = server.report_effect(&accepted.grant, &report).await?;
        if recorded.grant != accepted.grant || recorded.use_number != use_number || recorded.effect != effect {
            let problem = "it is about another use than was reported".to_owned();
            return Err(Error::Answer { status: 200, problem }.into());
        }
        Ok(recorded.entry)
    }

    async fn token(&self, access_token: &str, now: TimeMs) -> Result<ServiceToken, Refused> {
        let bad = Refused::new(Refusal::BadToken, "the access token is not good here");
        let token = UnverifiedToken::parse(access_token).map_err(|_| bad)?;
        let no_keys = |NoKeys| Refused::unavailable("the issuer's keys cannot be had");
        let key = self.keys.get(token.key(), Instant::now()).await.map_err(no_keys)?.ok_or(bad)?;
        token.verify_for(&self.audience, &key, &self.keys.issuer(), now).map_err(|_| bad)
    }

    fn proof(
        &self,
        request: &ServiceRequest<'_>,
        token: &ServiceToken,
        (access_token, proof): (&str, &str),
        now: TimeMs,
    ) -> Result<VerifiedProof, Refused> {
        if !request.path.starts_with('/') {
            return Err(BAD_PROOF);
        }
        let expectation = ProofExpectation {
            method: request.method,
            url: &self.public_url.join(request.path),
            body: request.body,
            body_digest: BodyDigest::Needed,
            now,
            access_token: Some(access_token),
            passage: None,
        };
        let verified =
            UnverifiedProof::parse(proof).and_then(|proof| proof.verify_by_holder(&token.holder, &expectation));
        verified.map_err(|_| BAD_PROOF)
    }

    async fn count(&self, token: &ServiceToken, now: TimeMs) -> Result<(u32, u32), Refused> {
        let server = match &self.counting {
            Counting::ByServer(server) => server,
            Counting::Here(spent) => {
                return match spent.take(token.grant, token.expires_at, now) {
                    Take::First => Ok((1, 0)),
                    Take::Again => Err(Refused::new(Refusal::GrantSpent, "the grant has been used")),
                    Take::Full => Err(Refused::unavailable("too much is remembered")),
                };
            }
        };
        let grant = token.grant.to_string();
        let intended = UseGrant {
            action: token.action.clone(),
            resource: token.resource.clone(),
            arguments_digest: token.arguments_digest.clone(),
        };
        let not_counted = Refused::unavailable("the use could not be counted");
        let used = server.use_grant(&grant, &intended).await.map_err(|error| match error {
            Error::Problem(problem) => Refusal::of_grant(problem.code)
                .map_or(not_counted, |code| Refused::new(code, "the grant has no use for this")),
            _ => not_counted,
        })?;
        if used.grant == grant && used.use_number >= 1 {
            Ok((used.use_number, used.uses_left))
        } else {
            Err(not_counted)
        }
    }
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer").field("audience", &self.audience).finish_non_exhaustive()
    }
}

const BAD_PROOF: Refused = Refused::new(Refusal::BadProof, "the proof is not of this request by the token's holder");

/// The token and the proof, each there once.
fn shown_in(headers: &HeaderMap) -> Result<(&str, &str), Refused> {
    let once = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    };
    let token = once(AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_at_checked(SCHEME.len())?;
        scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
    });
    token
        .zip(once(PROOF_HEADER))
        .ok_or_else(|| Refused::new(Refusal::NoCredential, "there is not one `Authorization: DPoP` with one `DPoP`"))
}

/// SHA-256 of the canonical arguments; none where they have no canonical form.
fn digest_of(arguments: &Map<String, Value>) -> Option<String> {
    let text = serde_json::to_string(arguments).ok()?;
    json::canonical_object(&text).ok().map(|canonical| json::digest(&canonical).to_string())
}

/// What time it is, by the wall. Before 1970 nothing is valid.
fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
