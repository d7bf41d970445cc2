//! A user signs in at their provider, for the approval page (`OpenID` Connect Core 1.0, section 3.1: authorization code,
//! with PKCE, RFC 7636).
//!
//! They sign in anew each time, as they answer on their device anew each time: a session at the provider that is open
//! on somebody's screen approves nothing. Of the tokens that come the ID token is read, and says who signed in, and where
//! that is somebody else, in which groups they are; nothing is kept. What they may then see is not known here, and neither
//! is whose browser it is.

use std::borrow::Cow;
use std::collections::BTreeSet;

use attorn_core::{Digest, ProviderId, TimeMs, UserId};
use attorn_identity::issuer_token::{CLOCK_SKEW_MS, Claims, IssuerTokenError, is_text};
use attorn_identity::secret::digests_match;
use attorn_store::records::{BackchannelRecord, ProviderRecord, UserBody};
use attorn_store::{Key, Require};
use data_encoding::BASE64URL_NOPAD;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::client::{Client, Credential};
use super::metadata::SignInEndpoints;
use super::problem::Problem;
use super::{answer, prompts, protocol};
use crate::app::App;
use crate::approvals::vote::Evidence;
use crate::http::failure::Failure;
use crate::oauth::form::Form;
use crate::providers::{context, token_digest};
use crate::{random, users};

/// Where users come back to.
pub(crate) const SIGNED_IN: &str = "/approve/signed-in";
/// The longest code that is brought back to the provider, in bytes.
const CODE_BYTES_MAX: usize = 2_048;

/// A provider and how this server is its client, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RestsOn {
    pub(crate) provider: ProviderId,
    /// The versions of the two.
    pub(crate) versions: [u64; 2],
}

impl RestsOn {
    /// What a batch names of it.
    pub(crate) fn require(&self) -> [(Key, Require); 2] {
        let [provider, backchannel] = self.versions.map(Require::Version);
        [(Key::provider(&self.provider), provider), (Key::backchannel(&self.provider), backchannel)]
    }
}

/// Where a user signs in.
pub(crate) struct Place {
    provider: ProviderRecord,
    backchannel: BackchannelRecord,
    /// Whom the provider has to name.
    subject: String,
    /// Provider and settings as they were read.
    pub(crate) rests_on: RestsOn,
}

impl Place {
    /// The provider.
    pub(crate) const fn provider(&self) -> &ProviderRecord {
        &self.provider
    }

    /// Whether the provider says in which groups somebody is.
    pub(crate) const fn knows_groups(&self) -> bool {
        self.provider.groups_claim.is_some()
    }
}

/// Who is to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The user of the place alone.
    User,
    /// Those of groups, too.
    Groups,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignedIn {
    /// The very user of the place.
    User,
    /// Somebody else.
    Another(Another),
}

/// Somebody who has signed in.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) who: SignedIn,
    /// By what that is known.
    pub(crate) evidence: Evidence,
    /// The provider's name for the session that they signed in to, if it says one.
    pub(crate) session: Option<String>,
    /// When they began to.
    pub(crate) begun_at: TimeMs,
    /// Provider and settings as they were then: a vote is worth what those are.
    pub(crate) rests_on: RestsOn,
}

impl SignedIn {
    /// Whether it is one person, at one provider and for one user.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::User, Self::User) => true,
            (Self::Another(one), Self::Another(other)) => one.subject == other.subject,
            (Self::User | Self::Another(_), _) => false,
        }
    }
}

/// Somebody else, as their provider speaks of them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Another {
    /// What the provider calls them.
    pub(crate) subject: String,
    /// By what other names they go.
    pub(crate) names: BTreeSet<String>,
    /// Their groups; none where the provider says nothing of them that can be kept.
    pub(crate) groups: BTreeSet<String>,
    /// When it said so; not later than it was read.
    pub(crate) asserted_at: TimeMs,
    /// When they began to sign in.
    pub(crate) begun_at: TimeMs,
}

impl std::fmt::Debug for Another {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Another(…)")
    }
}

/// The claims by which somebody may be known as the owner of an agent, beside `sub`.
pub(crate) const NAMES: [&str; 2] = ["email", "preferred_username"];

/// A sign-in that has begun.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(crate) struct Begun {
    token: Url,
    says_issuer: bool,
    nonce: Digest,
    verifier: Zeroizing<String>,
    at: TimeMs,
    /// Provider and settings as they were read then.
    rests_on: RestsOn,
}

impl Begun {
    /// Whether provider and settings are those that it began with.
    pub(crate) fn is_at(&self, place: &Place) -> bool {
        self.rests_on == place.rests_on
    }

    /// When.
    pub(crate) const fn at(&self) -> TimeMs {
        self.at
    }

    /// As somebody else keeps it, who can read and change nothing of it.
    pub(crate) fn to_text(&self) -> Result<Zeroizing<String>, Failure> {
        let wire = BegunWire {
            token: self.token.as_str().into(),
            says_issuer: self.says_issuer,
            nonce: &self.nonce.to_string(),
            verifier: &self.verifier,
            at_ms: self.at.0,
            provider: self.rests_on.provider.as_str(),
            versions: self.rests_on.versions,
        };
        serde_json::to_string(&wire).map(Zeroizing::new).map_err(Failure::internal)
    }

    /// What [`Self::to_text`] made; none of what is anything else.
    pub(crate) fn of_text(text: &[u8]) -> Option<Self> {
        let wire: BegunWire<'_> = serde_json::from_slice(text).ok()?;
        Some(Self {
            token: Url::parse(&wire.token).ok()?,
            says_issuer: wire.says_issuer,
            nonce: wire.nonce.parse().ok()?,
            verifier: Zeroizing::new(wire.verifier.to_owned()),
            at: TimeMs(wire.at_ms),
            rests_on: RestsOn { provider: wire.provider.parse().ok()?, versions: wire.versions },
        })
    }
}

/// JSON escapes nothing in these texts, but for what may stand in a URL.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BegunWire<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    says_issuer: bool,
    nonce: &'a str,
    verifier: &'a str,
    at_ms: u64,
    provider: &'a str,
    versions: [u64; 2],
}

/// Where users come back to, as the provider knows it.
pub(crate) fn redirect_uri(app: &App) -> String {
    format!("{}{SIGNED_IN}", app.config.public_url)
}

/// Whether users can sign in at a provider, as its metadata says now.
pub(super) async fn is_possible(app: &App, provider: &ProviderRecord) -> Result<(), Problem> {
    // Nobody says who they are to read metadata.
    let credential = Credential::Secret(Zeroizing::default());
    let id = "attorn".parse().map_err(|_| Problem::ClientRefused)?;
    let client = Client { network: &app.backchannels.network, issuer: &provider.issuer, id: &id, credential };
    client.sign_in_endpoints().await.map(drop)
}

/// Where this user signs in; none if they cannot for the page, or not any more.
pub(crate) async fn place(app: &App, user: &UserId) -> Result<Option<Place>, Failure> {
    let Some(known) = users::known(app, user).await? else { return Ok(None) };
    let id = &known.body.provider;
    let provider = app.store.record::<ProviderRecord>(&Key::provider(id)).await?;
    let backchannel = app.store.record::<BackchannelRecord>(&Key::backchannel(id)).await?;
    let (Some(provider), Some(backchannel)) = (provider, backchannel) else { return Ok(None) };
    let rests_on = RestsOn { provider: id.clone(), versions: [provider.version, backchannel.version] };
    let (provider, backchannel) = (provider.value, backchannel.value);
    let is_open = provider.revoked_at.is_none() && provider.issuer == known.body.issuer && backchannel.page;
    Ok(is_open.then(|| Place { provider, backchannel, subject: known.body.subject.clone(), rests_on }))
}

/// Begin: where to send the user, who comes back with this state. Where those of groups are expected, the provider is asked
/// for theirs (`OpenID` Connect Core 1.0, section 5.5); one that does not know how passes over that.
pub(crate) async fn begin(
    app: &App,
    place: &Place,
    (state, expected): (&str, Expected),
) -> Result<Result<(Url, Begun), Problem>, Failure> {
    let client = prompts::client(app, &place.provider, &place.backchannel).await?;
    let endpoints = match client.sign_in_endpoints().await {
        Ok(endpoints) => endpoints,
        Err(problem) => return Ok(Err(problem)),
    };
    let (nonce, verifier, back) = (random::secret()?, random::secret()?, redirect_uri(app));
    let SignInEndpoints { authorization: mut url, token, says_issuer, has_public_subjects } = endpoints;
    // The user must not come as another, and approve what is asked in their own name.
    if expected == Expected::Groups && !has_public_subjects {
        return Ok(Err(Problem::PairwiseSubjects));
    }
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()));
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", place.backchannel.client.as_str()),
        ("redirect_uri", back.as_str()),
        ("scope", "openid"),
        ("state", state),
        ("nonce", nonce.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        // Both, because providers know one or the other; with the second they say when the user signed in.
        ("prompt", "login"),
        ("max_age", "0"),
    ]);
    if let Some(claim) = place.provider.groups_claim.as_ref().filter(|_| expected == Expected::Groups) {
        // By the names owners are told, who approve nothing.
        let names = NAMES.into_iter().chain([claim.as_str()]);
        let asked: Map<String, Value> = names.map(|name| (name.to_owned(), Value::Null)).collect();
        url.query_pairs_mut().append_pair("claims", &json!({ "id_token": asked }).to_string());
    }
    let (nonce, at, rests_on) = (digest(&nonce), app.clock.now(), place.rests_on.clone());
    let begun = Begun { token, says_issuer, nonce, verifier, at, rests_on };
    Ok(Ok((url, begun)))
}

/// End: who has signed in, as the answer that they came back with leads to.
pub(crate) async fn end(
    app: &App,
    place: &Place,
    begun: &Begun,
    answered: &Form,
) -> Result<Result<Arrival, Problem>, Failure> {
    let code = match code(answered, place.provider.issuer.as_str(), begun.says_issuer) {
        Ok(code) => code,
        Err(problem) => return Ok(Err(problem)),
    };
    let client = prompts::client(app, &place.provider, &place.backchannel).await?;
    let parameters = protocol::code(code, &redirect_uri(app), &begun.verifier);
    let checked = async {
        let token = client.redeem(&begun.token, parameters, app.clock.now()).await?;
        let claims = answer::id_token(app, &place.provider, &place.backchannel.client, &token).await?;
        let issued_at = claims.time("iat")?.ok_or(IssuerTokenError::ClaimMissing("iat"))?;
        fresh(|name| claims.get(name), (issued_at, claims.time("auth_time")?), begun)?;
        let evidence = Evidence { provider: place.provider.id.clone(), token: Some((token_digest(&token), issued_at)) };
        let session = context::session(&claims, place.provider.session_claim.as_str())
            .map_err(|_| IssuerTokenError::ClaimMalformed("session"))?;
        let asserted_at = issued_at.min(app.clock.now());
        let who = who(place, &claims, (asserted_at, begun.at))?;
        Ok(Arrival { who, evidence, session, begun_at: begun.at, rests_on: place.rests_on.clone() })
    };
    Ok(checked.await)
}

fn who(
    place: &Place,
    claims: &Claims,
    (asserted_at, begun_at): (TimeMs, TimeMs),
) -> Result<SignedIn, IssuerTokenError> {
    let subject = claims.text("sub")?.ok_or(IssuerTokenError::ClaimMissing("sub"))?;
    if subject == place.subject {
        return Ok(SignedIn::User);
    }
    if !is_text(subject, UserBody::SUBJECT_BYTES_MAX) {
        return Err(IssuerTokenError::ClaimMalformed("sub"));
    }
    let name = |claim: &str| claims.get(claim).and_then(Value::as_str).map(str::to_owned);
    let groups = context::groups(&place.provider, claims).unwrap_or_else(|refused| {
        tracing::debug!(why = %refused, "the groups of somebody who signed in for an approval cannot be read");
        None
    });
    let can_be_kept = |all: &Vec<String>| all.iter().map(String::len).sum::<usize>() <= UserBody::GROUPS_BYTES_MAX;
    Ok(SignedIn::Another(Another {
        subject: subject.to_owned(),
        names: NAMES.into_iter().filter_map(name).collect(),
        groups: groups.filter(can_be_kept).into_iter().flatten().collect(),
        asserted_at,
        begun_at,
    }))
}

/// The code of an answer. One that names another issuer is another's (RFC 9207).
fn code<'f>(answered: &'f Form, issuer: &str, says_issuer: bool) -> Result<&'f str, Problem> {
    match answered.get("iss") {
        Some(other) if other != issuer => return Err(IssuerTokenError::WrongIssuer.into()),
        None if says_issuer => return Err(IssuerTokenError::WrongIssuer.into()),
        _ => {}
    }
    match (answered.get("error"), answered.get("code")) {
        (Some("access_denied"), _) => Err(Problem::DeniedAtOnce),
        (Some(_), _) => Err(Problem::RequestRefused),
        (None, Some(code)) if code.len() <= CODE_BYTES_MAX => Ok(code),
        (None, _) => Err(Problem::Nonsense("the answer has no `code`")),
    }
}

/// Whether the claims are of this very sign-in, and the user signed in for it.
fn fresh<'c>(
    claim: impl Fn(&str) -> Option<&'c Value>,
    (issued_at, auth_time): (TimeMs, Option<TimeMs>),
    begun: &Begun,
) -> Result<(), Problem> {
    let nonce = claim("nonce").and_then(Value::as_str).ok_or(Problem::AnotherSignIn)?;
    if !digests_match(&digest(nonce), &begun.nonce) {
        return Err(Problem::AnotherSignIn);
    }
    // Times in tokens are whole seconds.
    let is_before = |at: TimeMs| at.plus_ms(CLOCK_SKEW_MS + 1_000) < begun.at;
    if is_before(issued_at) || auth_time.is_none_or(is_before) {
        return Err(Problem::NotFresh);
    }
    Ok(())
}

fn digest(nonce: &str) -> Digest {
    Digest::from_bytes(blake3::derive_key("attorn sign-in nonce v1", nonce.as_bytes()))
}

#[cfg(test)]
pub(crate) mod fixtures {
    use super::*;

    pub(crate) fn begun(at: TimeMs) -> Begun {
        Begun {
            token: Url::parse("https://sso.example/token?x=%22a%22\\").unwrap(),
            says_issuer: true,
            nonce: digest("n-1"),
            verifier: Zeroizing::new("v-1".into()),
            at,
            rests_on: RestsOn { provider: "main".parse().unwrap(), versions: [7, u64::MAX] },
        }
    }
}

#[cfg(test)]
#[path = "sign_in_tests.rs"]
mod tests;
