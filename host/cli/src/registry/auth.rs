//! Credentials for a registry: sent to itself where it asks for them (RFC 7617), or changed for a token where it says
//! ([token authentication](https://distribution.github.io/distribution/spec/auth/token/)).
//!
//! Nothing is sent before the registry asks, and nothing to where a redirect leads.

use attorn_toolchain::oci::Reference;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

use super::credentials::{Credentials, Source};
use super::{shown, transport};
use crate::failure::Failure;

/// The longest answer with a token, in bytes.
const TOKEN_ANSWER_BYTES_MAX: usize = 64 << 10;

/// What is to be done in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Read.
    Pull,
    /// Read and write.
    Push,
}

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password.
    Basic,
    /// A token of this service.
    Bearer {
        /// Where it is to be had.
        realm: String,
        /// For whom.
        service: Option<String>,
    },
}

/// Has what a registry asks for.
pub(super) struct Authorizer {
    reference: Reference,
    scope: Scope,
    source: Source,
    /// What the source had, if it was asked.
    #[expect(clippy::option_option, reason = "not asked yet is not the same as asked, and none")]
    obtained: Option<Option<Credentials>>,
}

#[derive(Deserialize)]
struct TokenWire {
    token: Option<String>,
    access_token: Option<String>,
}

impl Authorizer {
    pub(super) fn new(reference: &Reference, source: Source, scope: Scope) -> Self {
        Self { reference: reference.clone(), scope, source, obtained: None }
    }

    /// What the registry asks for.
    pub(super) fn challenge(response: &Response) -> Result<Challenge, Failure> {
        let values = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let found = values.filter_map(|value| value.to_str().ok()).filter_map(challenge).collect::<Vec<_>>();
        // The token is worth less to whoever reads it.
        let bearer = |challenge: &Challenge| matches!(challenge, Challenge::Bearer { .. });
        let at = found.iter().position(bearer).or_else(|| (!found.is_empty()).then_some(0));
        at.and_then(|at| found.into_iter().nth(at)).ok_or_else(|| {
            Failure::new(format!(
                "`{}` wants to know who asks, and not in a way that is known here",
                shown(response.url())
            ))
        })
    }

    /// Where to ask for a token, if it is one that is asked for.
    pub(super) fn token_url(&self, challenge: &Challenge) -> Result<Option<Url>, Failure> {
        let Challenge::Bearer { realm, service } = challenge else { return Ok(None) };
        let mut url =
            Url::parse(realm).map_err(|_| Failure::new("the registry names a token service, and its URL is none"))?;
        url.set_fragment(None);
        let actions = match self.scope {
            Scope::Pull => "pull",
            Scope::Push => "pull,push",
        };
        // For what is to be done here, whatever the registry would like to have.
        let scope = format!("repository:{}:{actions}", self.reference.repository());
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        query.append_pair("scope", &scope);
        drop(query);
        Ok(Some(url))
    }

    /// Name and password, as they are sent to this registry.
    pub(super) async fn basic(&mut self, registry: &str) -> Result<HeaderValue, Failure> {
        let basic = self.basic_if_any().await?;
        basic.ok_or_else(|| self.refused(registry))
    }

    /// The same; nothing if there are none.
    pub(super) async fn basic_if_any(&mut self) -> Result<Option<HeaderValue>, Failure> {
        if self.obtained.is_none() {
            self.obtained = Some(self.source.obtain(&self.reference).await?);
        }
        self.obtained.as_ref().and_then(Option::as_ref).map(Credentials::basic).transpose()
    }

    /// The token in an answer.
    pub(super) async fn token(&self, response: Response) -> Result<HeaderValue, Failure> {
        let url = shown(response.url());
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.refused(&url)),
            _ => return Err(transport::refusal("a token", response).await),
        }
        let odd = || Failure::new(format!("what `{url}` answers is no token"));
        let bytes = transport::body("the token", response, TOKEN_ANSWER_BYTES_MAX).await?;
        let TokenWire { token, access_token } = serde_json::from_slice(&bytes).map_err(|_| odd())?;
        let token = token.or(access_token).filter(|token| !token.is_empty()).ok_or_else(odd)?;
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(odd());
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| odd())?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Why there is no more to be tried.
    pub(super) fn refused(&self, registry: &str) -> Failure {
        let has_some = self.obtained.as_ref().is_some_and(Option::is_some);
        let what = if has_some { "does not take the credentials" } else { "wants credentials, and there are none" };
        Failure::new(format!("`{registry}` {what}"))
            .with_help("`docker login`, or `--username NAME --password-file FILE`")
    }
}

/// The first challenge in a header that can be met.
fn challenge(header: &str) -> Option<Challenge> {
    let challenges = http_auth::parse_challenges(header).ok()?;
    let met = |challenge: &http_auth::ChallengeRef<'_>| {
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            return Some(Challenge::Bearer { realm: parameter("realm")?, service: parameter("service") });
        }
        challenge.scheme.eq_ignore_ascii_case("basic").then_some(Challenge::Basic)
    };
    let found: Vec<_> = challenges.iter().filter_map(met).collect();
    let at = found.iter().position(|challenge| *challenge != Challenge::Basic).unwrap_or(0);
    found.into_iter().nth(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_that_cannot_be_met_are_passed_over() {
        for header in
            ["", "Digest realm=\"x\"", "Negotiate", "Bearer", "Bearer service=\"x\"", "=", "\"", "Bearer realm=\"x"]
        {
            assert_eq!(challenge(header), None, "{header}");
        }
        for (header, expect) in [
            ("Basic realm=\"x\"", Challenge::Basic),
            ("basic realm=x", Challenge::Basic),
            ("Bearer realm=\"https://a.example/t\"", bearer("https://a.example/t", None)),
            (
                "Bearer realm=\"https://a.example/t\",service=\"a \\\"b\\\"\",scope=\"repository:x:pull\"",
                bearer("https://a.example/t", Some("a \"b\"")),
            ),
            ("Basic realm=\"x\", Bearer realm=\"https://a.example/t\"", bearer("https://a.example/t", None)),
        ] {
            assert_eq!(challenge(header), Some(expect), "{header}");
        }
    }

    #[test]
    fn a_token_is_asked_for_this_repository_and_no_other() {
        let reference = "ghcr.io/acme/x:1".parse().unwrap();
        let url = |scope, realm: &str| {
            let url = Authorizer::new(&reference, Source::Docker, scope).token_url(&bearer(realm, Some("s&scope=x")));
            url.unwrap().unwrap().to_string()
        };
        assert_eq!(
            url(Scope::Pull, "https://a.example/t?k=1#f"),
            "https://a.example/t?k=1&service=s%26scope%3Dx&scope=repository%3Aacme%2Fx%3Apull"
        );
        assert!(url(Scope::Push, "https://a.example/t").ends_with("scope=repository%3Aacme%2Fx%3Apull%2Cpush"));
        let odd = Authorizer::new(&reference, Source::Docker, Scope::Pull).token_url(&bearer("token", None));
        assert!(odd.unwrap_err().message.contains("its URL is none"));
    }
}
