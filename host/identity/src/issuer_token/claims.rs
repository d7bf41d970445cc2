//! What a provider's token claims.

use attorn_core::TimeMs;
use serde_json::{Map, Value};

use super::{IssuerTokenError, TokenExpectation, TokenKind};

/// How far `nbf`, `iat` and `auth_time` may be ahead of our clock, in milliseconds. `exp` gets no such grace.
pub const CLOCK_SKEW_MS: u64 = crate::proof::CLOCK_SKEW_MS_MAX;

/// How far ahead a token may expire, and how long it may live at all, in milliseconds: 24 hours. That is how long the
/// tokens of providers and clouds live that live longest: those of EKS pods last a day.
pub const LIFETIME_MS_MAX: u64 = 24 * 3_600_000;

/// The longest text that is taken for a claim that the host reads, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// What a logout token is told by (`OpenID` Connect Back-Channel Logout 1.0, section 2.4).
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Claims of ID tokens (`OpenID` Connect Core 1.0, section 2) and of security events (RFC 8417).
const FOREIGN: [&str; 4] = ["nonce", "at_hash", "c_hash", "events"];

/// What Keycloak says in its claim `typ` of access tokens. It says `ID`, `Refresh`, `Offline`, `Logout` of others.
const ACCESS_TYPES: [&str; 2] = ["Bearer", "DPoP"];

/// The claims of a token: one object, in which no member stands twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) const fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// A claim as it is.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a text of 1 to 1024 bytes without control characters.
    ///
    /// # Errors
    ///
    /// [`IssuerTokenError::ClaimMalformed`] if it is there and something else.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, IssuerTokenError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if is_text(text, TEXT_BYTES_MAX) => Ok(Some(text)),
            Some(_) => Err(IssuerTokenError::ClaimMalformed(name)),
        }
    }

    /// A claim that is a time: whole seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`IssuerTokenError::ClaimMalformed`] if it is there and something else.
    pub fn time(&self, name: &'static str) -> Result<Option<TimeMs>, IssuerTokenError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let ms = value.as_u64().and_then(|seconds| seconds.checked_mul(1_000));
        ms.map(|ms| Some(TimeMs(ms))).ok_or(IssuerTokenError::ClaimMalformed(name))
    }

    /// Whom it is for.
    ///
    /// # Errors
    ///
    /// When `aud` is not there, or neither a text nor a list of texts.
    pub fn audiences(&self) -> Result<Vec<&str>, IssuerTokenError> {
        let malformed = IssuerTokenError::ClaimMalformed("aud");
        match self.0.get("aud") {
            None => Err(IssuerTokenError::ClaimMissing("aud")),
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(many)) => many.iter().map(|one| one.as_str().ok_or(malformed)).collect(),
            Some(_) => Err(malformed),
        }
    }

    pub(super) fn check_audience(&self, expect: &TokenExpectation<'_>) -> Result<(), IssuerTokenError> {
        let found = self.audiences()?;
        let ours = |one: &&str| expect.audiences.contains(one);
        let right = match expect.kind {
            TokenKind::Workload => matches!(found.as_slice(), [one] if ours(one)),
            // It was issued to one client, which `azp` names where others are to read it, too.
            TokenKind::Id => {
                let party = self.text("azp")?;
                found.iter().any(ours) && party.map_or(found.len() == 1, |party| expect.audiences.contains(&party))
            }
            TokenKind::Access(_) | TokenKind::Logout(_) => found.iter().any(ours),
        };
        if right { Ok(()) } else { Err(IssuerTokenError::WrongAudience) }
    }

    pub(super) fn check_times(&self, now: TimeMs) -> Result<(), IssuerTokenError> {
        let expires_at = self.time("exp")?.ok_or(IssuerTokenError::ClaimMissing("exp"))?;
        if expires_at <= now {
            return Err(IssuerTokenError::Expired);
        }
        if expires_at.ms_since(now) > LIFETIME_MS_MAX {
            return Err(IssuerTokenError::LifetimeTooLong);
        }
        let issued_at = self.time("iat")?.ok_or(IssuerTokenError::ClaimMissing("iat"))?;
        // What is remembered about a token is remembered for so long.
        if expires_at.ms_since(issued_at) > LIFETIME_MS_MAX {
            return Err(IssuerTokenError::LifetimeTooLong);
        }
        for name in ["nbf", "iat", "auth_time"] {
            if self.time(name)?.is_some_and(|at| at.ms_since(now) > CLOCK_SKEW_MS) {
                return Err(IssuerTokenError::NotYetValid(name));
            }
        }
        Ok(())
    }

    /// A provider signs several kinds of tokens with one key, and each is good for one thing only.
    pub(super) fn check_kind(&self, kind: TokenKind) -> Result<(), IssuerTokenError> {
        let typ = self.0.get("typ");
        match kind {
            TokenKind::Access(_) => self.foreign().map_or(Ok(()), |name| Err(IssuerTokenError::NotAnAccessToken(name))),
            TokenKind::Workload => self.foreign().map_or(Ok(()), |name| Err(IssuerTokenError::NotAWorkloadToken(name))),
            TokenKind::Id => match (self.0.contains_key("events"), typ) {
                (true, _) => Err(IssuerTokenError::NotAnIdToken("events")),
                (false, None) => Ok(()),
                // Keycloak says so of its ID tokens.
                (false, Some(typ)) if typ == "ID" => Ok(()),
                (false, Some(_)) => Err(IssuerTokenError::NotAnIdToken("typ")),
            },
            TokenKind::Logout(_) => {
                let no = |why| Err(IssuerTokenError::NotALogoutToken(why));
                let event = self.0.get("events").and_then(Value::as_object).and_then(|all| all.get(LOGOUT_EVENT));
                if !event.is_some_and(Value::is_object) {
                    return no("its `events` do not have the member of a logout");
                }
                if self.0.contains_key("nonce") {
                    return no("it has a `nonce`");
                }
                if typ.is_some_and(|typ| typ != "Logout") {
                    return no("its claim `typ` is of another kind");
                }
                if self.0.contains_key("sub") || self.0.contains_key("sid") {
                    return Ok(());
                }
                no("it names neither `sub` nor `sid`")
            }
        }
    }

    /// Whether it has a claim that only ID tokens have. It serves to say what somebody brought by mistake.
    pub(super) fn are_of_an_id_token(&self) -> bool {
        ["nonce", "at_hash", "c_hash"].into_iter().any(|name| self.0.contains_key(name))
    }

    /// A claim that only ID tokens, refresh tokens and events have, if there is one: a person signed in for that, or
    /// nobody did.
    fn foreign(&self) -> Option<&'static str> {
        let other = |typ: &Value| typ.as_str().is_none_or(|typ| !ACCESS_TYPES.contains(&typ));
        let name = FOREIGN.into_iter().find(|name| self.0.contains_key(*name));
        name.or_else(|| self.0.get("typ").is_some_and(other).then_some("typ"))
    }
}

/// Whether this is a text that can be compared and shown: not empty, within this many bytes, and without control
/// characters.
#[must_use]
pub fn is_text(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl std::fmt::Debug for Claims {
    /// Only the names: the values may be personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
