//! A token from its text to what it means.

use attorn_core::{ClientId, TimeMs};
use attorn_identity::issuer_token::{Claims, IssuerTokenError, TokenExpectation, TokenKind, UnverifiedToken, is_text};
use attorn_store::records::{ProviderIssuerRecord, ProviderRecord, UserBody};
use attorn_store::{Key, Versioned};

use super::{Confirmation, LogoutToken, Refused, Said, SubjectToken, UserToken, agent, consent, context, token_digest};
use crate::app::App;
use crate::http::strangers::Remote;

/// The longest `jti` and `acr`, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Face {
    Delegation,
    User,
    Logout,
}

pub(super) async fn subject_token(app: &App, token: &str) -> Result<SubjectToken, Refused> {
    let (provider, claims) = verified(app, token, Face::Delegation, None).await?;
    let user = User::of(&claims)?;
    let agent = agent::named(&provider.value, &claims)?;
    let session = context::session(&claims, provider.value.session_claim.as_str())?;
    let groups = context::groups(&provider.value, &claims)?;
    let shown_claims = context::shown_claims(&provider.value, &claims)?;
    let confirmation = context::confirmation(&claims)?;
    let (consented, unmapped) = consent::of(&provider.value, &claims)?;
    let said = user.said(token, provider, session, confirmation);
    Ok(SubjectToken { said, agent, groups, claims: shown_claims, consented, unmapped })
}

pub(super) async fn user_token(app: &App, token: &str, from: Option<Remote>) -> Result<UserToken, Refused> {
    let (provider, claims) = verified(app, token, Face::User, from).await?;
    let user = User::of(&claims)?;
    let client = agent::user_client(&provider.value, &claims)?;
    let session = context::session(&claims, provider.value.session_claim.as_str())?;
    let confirmation = context::confirmation(&claims)?;
    Ok(UserToken { said: user.said(token, provider, session, confirmation), client })
}

pub(super) async fn logout_token(app: &App, token: &str, from: Option<Remote>) -> Result<LogoutToken, Refused> {
    let (provider, claims) = verified(app, token, Face::Logout, from).await?;
    let token_id = name(&claims, "jti")?.ok_or(IssuerTokenError::ClaimMissing("jti"))?;
    let subject = claims.get("sub").map(|_| subject(&claims)).transpose()?;
    // The standard has no other name for it.
    let session = context::session(&claims, "sid")?;
    let (issued_at, expires_at) = times(&claims)?;
    let token_digest = token_digest(token);
    Ok(LogoutToken { provider, subject, session, token_id, token_digest, issued_at, expires_at })
}

/// The provider of a token that is all right as far as every token of its kind has to be, and what it claims.
async fn verified(
    app: &App,
    token: &str,
    face: Face,
    from: Option<Remote>,
) -> Result<(Versioned<ProviderRecord>, Claims), Refused> {
    let unverified = UnverifiedToken::parse(token)?;
    let provider = provider_of(app, unverified.issuer()).await?;
    let record = &provider.value;
    let kind = match face {
        Face::Delegation | Face::User => TokenKind::Access(record.token_type),
        Face::Logout => TokenKind::Logout(record.token_type),
    };
    let audiences = audiences(record, face)?;
    let issuer = record.issuer.as_str();
    let expect = |now| TokenExpectation { issuer, kind, algorithms: &record.algorithms, audiences: &audiences, now };
    let now = app.clock.now();
    // Nothing is fetched for a token that cannot be right.
    unverified.check_header(&expect(now))?;
    let keys = app.providers.keys(record, unverified.key_id(), now).await;
    let keys = keys.map_err(|error| Refused::KeysUnavailable { provider: record.id.to_string(), error })?;
    // Only now: whoever waits for keys keeps nobody waiting.
    let lane = match from {
        Some(from) => app.strangers.enter_as_user(from).await.map_err(|busy| Refused::Failed(Box::new(busy)))?,
        None => None,
    };
    let claims = unverified.verify(&keys, &expect(app.clock.now()))?;
    drop(lane);
    let also = match face {
        Face::Delegation => record.user_audience.as_ref(),
        Face::User => Some(&record.audience),
        Face::Logout => None,
    };
    if also.is_some_and(|also| claims.audiences().is_ok_and(|all| all.contains(&also.as_str()))) {
        return Err(Refused::AudienceMixed);
    }
    Ok((provider, claims))
}

/// The provider that is registered with this issuer.
pub(super) async fn provider_of(app: &App, issuer: &str) -> Result<Versioned<ProviderRecord>, Refused> {
    let unknown = || Refused::unknown_issuer(issuer);
    let key = Key::provider_issuer(&ProviderIssuerRecord::digest_of_issuer(issuer));
    let id = app.store.record::<ProviderIssuerRecord>(&key).await?.ok_or_else(unknown)?.value.provider;
    let provider = app.store.record::<ProviderRecord>(&Key::provider(&id)).await?.ok_or_else(unknown)?;
    if provider.value.issuer.as_str() != issuer {
        return Err(unknown());
    }
    if provider.value.revoked_at.is_some() {
        return Err(Refused::ProviderRevoked(id.to_string()));
    }
    Ok(provider)
}

/// Whom tokens are for, one of these.
fn audiences(record: &ProviderRecord, face: Face) -> Result<Vec<&str>, Refused> {
    let user_audience = record.user_audience.as_ref().map(attorn_core::Audience::as_str);
    match face {
        Face::Delegation => Ok(vec![record.audience.as_str()]),
        Face::User => Ok(vec![user_audience.ok_or_else(|| Refused::NoUserFace(record.id.to_string()))?]),
        // A provider tells each of its clients; ours are known under these names.
        Face::Logout => {
            let clients = record.clients.keys().chain(&record.user_clients).map(ClientId::as_str);
            Ok(clients.chain([record.audience.as_str()]).chain(user_audience).collect())
        }
    }
}

/// Who the user is, and how that was found.
struct User {
    subject: String,
    token_id: Option<String>,
    issued_at: TimeMs,
    expires_at: TimeMs,
    auth_time: Option<TimeMs>,
    acr: Option<String>,
}

impl User {
    fn of(claims: &Claims) -> Result<Self, Refused> {
        let (issued_at, expires_at) = times(claims)?;
        Ok(Self {
            subject: subject(claims)?,
            token_id: name(claims, "jti")?,
            issued_at,
            expires_at,
            auth_time: claims.time("auth_time")?,
            acr: name(claims, "acr")?,
        })
    }

    /// With what else every token says. Each is read in the order of [`super::refused::Check`], so that the first
    /// thing that is wrong is what is told.
    fn said(
        self,
        token: &str,
        provider: Versioned<ProviderRecord>,
        session: Option<String>,
        confirmation: Option<Confirmation>,
    ) -> Said {
        let Self { subject, token_id, issued_at, expires_at, auth_time, acr } = self;
        let token_digest = token_digest(token);
        Said { provider, subject, session, token_id, token_digest, issued_at, expires_at, auth_time, acr, confirmation }
    }
}

fn times(claims: &Claims) -> Result<(TimeMs, TimeMs), IssuerTokenError> {
    let time = |name| claims.time(name)?.ok_or(IssuerTokenError::ClaimMissing(name));
    Ok((time("iat")?, time("exp")?))
}

fn subject(claims: &Claims) -> Result<String, IssuerTokenError> {
    let subject = claims.text("sub")?.ok_or(IssuerTokenError::ClaimMissing("sub"))?;
    let fits = is_text(subject, UserBody::SUBJECT_BYTES_MAX);
    fits.then(|| subject.to_owned()).ok_or(IssuerTokenError::ClaimMalformed("sub"))
}

fn name(claims: &Claims, claim: &'static str) -> Result<Option<String>, IssuerTokenError> {
    match claims.text(claim)? {
        Some(text) if !is_text(text, NAME_BYTES_MAX) => Err(IssuerTokenError::ClaimMalformed(claim)),
        text => Ok(text.map(str::to_owned)),
    }
}
