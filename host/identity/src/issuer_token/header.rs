//! The header of a provider's token. It says how the token is signed and with which key, and nothing else that
//! it says is believed.

use attorn_core::{IssuerAlgorithm, ProviderTokenType};
use serde_json::{Map, Value};

use super::{IssuerTokenError, TokenExpectation, TokenKind};

/// Members that would have us fetch or believe a key that the token brings along, read it in another way, or
/// understand what we do not (RFC 7515, sections 4.1.2 to 4.1.6 and 4.1.11; RFC 7797; RFC 7516).
const FORBIDDEN: [&str; 8] = ["crit", "jku", "x5u", "x5c", "jwk", "b64", "zip", "enc"];

/// The longest `kid`, in bytes.
const KEY_ID_BYTES_MAX: usize = 256;

/// What a header says that matters.
#[derive(Debug, Clone)]
pub(super) struct Header {
    algorithm: String,
    pub(super) key_id: Option<String>,
    /// In lower case, and without `application/`, which RFC 7515 (section 4.1.9) has people leave out.
    token_type: Option<String>,
}

impl Header {
    pub(super) fn of(members: &Map<String, Value>) -> Result<Self, IssuerTokenError> {
        if let Some(name) = FORBIDDEN.into_iter().find(|name| members.contains_key(*name)) {
            return Err(IssuerTokenError::HeaderMember(name));
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(IssuerTokenError::Malformed("`alg`, `kid` and `typ` of its header are texts")),
        };
        let algorithm = text("alg")?.ok_or(IssuerTokenError::Malformed("its header has no `alg`"))?;
        let key_id = text("kid")?;
        if key_id.as_ref().is_some_and(|id| id.len() > KEY_ID_BYTES_MAX) {
            return Err(IssuerTokenError::Malformed("its `kid` has more than 256 bytes"));
        }
        let token_type = text("typ")?.map(|text| {
            let text = text.to_ascii_lowercase();
            text.strip_prefix("application/").map_or(text.clone(), str::to_owned)
        });
        Ok(Self { algorithm, key_id, token_type })
    }

    /// Whether `typ` says no more than that it is a JWT.
    pub(super) fn is_of_any_jwt(&self) -> bool {
        matches!(self.token_type.as_deref(), None | Some("jwt"))
    }

    pub(super) fn check(&self, expect: &TokenExpectation<'_>) -> Result<IssuerAlgorithm, IssuerTokenError> {
        if self.algorithm.eq_ignore_ascii_case("none") || self.algorithm.is_empty() {
            return Err(IssuerTokenError::Unsigned);
        }
        if self.algorithm.get(..2).is_some_and(|family| family.eq_ignore_ascii_case("HS")) {
            return Err(IssuerTokenError::Symmetric);
        }
        let algorithm = IssuerAlgorithm::from_name(&self.algorithm);
        let algorithm = algorithm.filter(|algorithm| expect.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(IssuerTokenError::Algorithm)?;
        let right = match (expect.kind, self.token_type.as_deref()) {
            (TokenKind::Access(_), Some("at+jwt"))
            | (TokenKind::Access(ProviderTokenType::Jwt) | TokenKind::Logout(_), None)
            | (TokenKind::Access(ProviderTokenType::Jwt) | TokenKind::Logout(ProviderTokenType::Jwt), Some("jwt"))
            | (TokenKind::Logout(_), Some("logout+jwt"))
            | (TokenKind::Workload | TokenKind::Id, None | Some("jwt")) => true,
            (TokenKind::Access(_) | TokenKind::Logout(_) | TokenKind::Workload | TokenKind::Id, _) => false,
        };
        if right { Ok(algorithm) } else { Err(IssuerTokenError::WrongType) }
    }
}
