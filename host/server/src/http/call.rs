//! What a handler gets and gives: a call whose caller has been authenticated, and a reply.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use attorn_api::json::{canonical, parse_body};
use attorn_api::{Problem, ProblemCode};
use attorn_core::context::AuthenticationMethod;
use attorn_core::{Digest, KeyThumbprint, OperatorId, ParseError, ResourceServerId, UserId};
use attorn_store::records::AgentRecord;
use attorn_store::{Key, Require, Versioned};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::holders::ShownIdentity;
use crate::http::failure::Failure;
use crate::http::strangers::Remote;
use crate::oauth::form::Form;

/// Who calls, as the layer around all handlers authenticated them.
#[derive(Debug)]
pub(crate) enum Caller {
    /// Anybody.
    Anonymous,
    /// An operator who has the duty that the route asks for.
    Operator(OperatorCaller),
    /// An agent that proved possession of a registered key.
    Agent(Box<AgentCaller>),
    /// A resource server that proved possession of its key.
    ResourceServer(ResourceServerId),
    /// A user whom their provider authenticated for a client that is no agent's.
    User(UserCaller),
}

/// A user who calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UserCaller {
    /// What their provider calls them, as a keyed hash.
    pub(crate) name: Digest,
    /// Who they are here; none if nobody has delegated anything for them, or their key is gone.
    pub(crate) id: Option<UserId>,
}

impl Display for UserCaller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id.as_ref().map_or("(not known here)", UserId::as_str))
    }
}

/// An operator who calls.
#[derive(Debug, Clone)]
pub(crate) struct OperatorCaller {
    /// Who; none for the bootstrap token.
    pub(crate) id: Option<OperatorId>,
    /// The version of their record, which every commit of theirs names: after a revocation is
    /// acknowledged, nothing of theirs commits any more.
    pub(crate) version: u64,
    /// All duties that they have.
    pub(crate) duties: Vec<attorn_core::Duty>,
}

impl OperatorCaller {
    /// The name that entries carry.
    pub(crate) fn name(&self) -> &str {
        self.id.as_ref().map_or("(bootstrap)", OperatorId::as_str)
    }
}

/// An agent that calls.
#[derive(Debug)]
pub(crate) struct AgentCaller {
    /// Its record, as it stood when the proof was checked.
    pub(crate) agent: Versioned<AgentRecord>,
    /// How it proved who it is.
    pub(crate) method: AuthenticationMethod,
    /// The key that it proved possession of, or the certificate that it showed.
    pub(crate) thumbprint: KeyThumbprint,
    /// What it showed an SVID or a token of; none where a key of the agent's is all that it showed.
    pub(crate) identity: Option<ShownIdentity>,
}

impl AgentCaller {
    /// What must still hold when something of the agent's is committed: its record, and whoever vouches for the
    /// identity that it showed.
    pub(crate) fn require(&self) -> Vec<(Key, Require)> {
        let mut require = vec![(Key::agent(&self.agent.value.agent().id), Require::Version(self.agent.version))];
        if let Some(ShownIdentity { vouched_by: (key, version), .. }) = &self.identity {
            require.push((key.clone(), Require::Version(*version)));
        }
        require
    }

    /// How what the caller holds is bound: to a key, or to the certificate that it showed.
    pub(crate) fn binding(&self) -> attorn_core::KeyBinding {
        self.identity.as_ref().map_or(attorn_core::KeyBinding::Jkt, |identity| identity.binding)
    }
}

/// A call. It has no `Debug`: its headers may hold a token.
pub(crate) struct Call {
    /// Names the request in the server's log.
    pub(crate) id: String,
    /// Where it came from.
    pub(crate) from: Remote,
    pub(crate) caller: Caller,
    pub(crate) method: Method,
    /// As it came: nothing of it is decoded.
    pub(crate) uri: Uri,
    pub(crate) path: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body, where the route takes a form.
    pub(crate) form: Option<Form>,
    /// Fails when whoever called hung up.
    pub(crate) hung_up: oneshot::Receiver<()>,
}

impl Call {
    /// A segment of the path, parsed.
    pub(crate) fn path<T: FromStr<Err = ParseError>>(&self, name: &str) -> Result<T, Failure> {
        Ok(self.path_text(name).parse()?)
    }

    /// A segment of the path as it came.
    pub(crate) fn path_text(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The body, parsed strictly: no key twice, at any depth, and no number that would change. An empty
    /// body stands for `{}`.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        let text =
            std::str::from_utf8(body).map_err(|error| Failure::of(ProblemCode::InvalidBody, error.to_string()))?;
        canonical(text)?;
        Ok(parse_body(body)?)
    }

    /// The form that came.
    pub(crate) fn form(&self) -> Result<&Form, Failure> {
        self.form.as_ref().ok_or_else(|| Failure::internal("a handler asks for a form where the route takes none"))
    }

    /// A parameter of the query, parsed; none if it is not there.
    pub(crate) fn query<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Failure> {
        let parse = |text: &String| {
            text.parse().map_err(|error| Failure::of(ProblemCode::InvalidQuery, format!("`{name}`: {error}")))
        };
        self.query.get(name).map(parse).transpose()
    }

    /// How many things a page may hold: `limit`, 1 to 200; 50 if it is not said.
    pub(crate) fn limit(&self) -> Result<usize, Failure> {
        match self.query::<usize>("limit")? {
            None => Ok(50),
            Some(limit @ 1..=200) => Ok(limit),
            Some(_) => Err(Failure::of(ProblemCode::InvalidQuery, "`limit` is 1 to 200")),
        }
    }

    /// The operator who calls.
    pub(crate) fn operator(&self) -> Result<&OperatorCaller, Failure> {
        match &self.caller {
            Caller::Operator(operator) => Ok(operator),
            other => Err(Failure::internal(format_args!("a route of operators was called by {other:?}"))),
        }
    }

    /// The agent that calls.
    pub(crate) fn agent(&self) -> Result<&AgentCaller, Failure> {
        match &self.caller {
            Caller::Agent(agent) => Ok(agent),
            other => Err(Failure::internal(format_args!("a route of agents was called by {other:?}"))),
        }
    }

    /// The user who calls.
    pub(crate) fn user(&self) -> Result<&UserCaller, Failure> {
        match &self.caller {
            Caller::User(user) => Ok(user),
            other => Err(Failure::internal(format_args!("a route of users was called by {other:?}"))),
        }
    }

    /// The resource server that calls.
    pub(crate) fn resource_server(&self) -> Result<&ResourceServerId, Failure> {
        match &self.caller {
            Caller::ResourceServer(server) => Ok(server),
            other => Err(Failure::internal(format_args!("a route of resource servers was called by {other:?}"))),
        }
    }
}

/// `a=1&b=2`, each name once, percent-decoded by nobody: no value that any route takes needs it.
pub(crate) fn parse_query(query: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut parameters = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if parameters.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::of(ProblemCode::InvalidQuery, format!("`{name}` stands twice in the query")));
        }
    }
    Ok(parameters)
}

/// What a handler answers.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) media_type: &'static str,
    pub(crate) body: Body,
    /// Who may keep it, and for how long.
    pub(crate) cache: &'static str,
    /// Headers in place of those that answers have, or beside them.
    pub(crate) headers: HeaderMap,
}

/// What nearly all answers are: for this moment alone.
pub(crate) const NOT_KEPT: &str = "no-store";

impl Reply {
    /// 200 with a JSON body.
    pub(crate) fn ok(body: &impl Serialize) -> Result<Self, Failure> {
        Self::json(StatusCode::OK, body)
    }

    /// 201 with a JSON body.
    pub(crate) fn created(body: &impl Serialize) -> Result<Self, Failure> {
        Self::json(StatusCode::CREATED, body)
    }

    fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_vec(body).map_err(Failure::internal)?;
        Ok(Self { status, ..Self::json_text(body) })
    }

    /// 200 with a text that is JSON already.
    pub(crate) fn json_text(text: impl Into<Body>) -> Self {
        Self { media_type: "application/json", ..Self::text(text) }
    }

    /// 200 with plain text.
    pub(crate) fn text(text: impl Into<Body>) -> Self {
        let media_type = "text/plain; charset=utf-8";
        Self { status: StatusCode::OK, media_type, body: text.into(), cache: NOT_KEPT, headers: HeaderMap::new() }
    }

    /// 200 with bytes.
    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self { media_type: "application/octet-stream", ..Self::text(bytes) }
    }

    /// The same, to be kept as this header says.
    pub(crate) fn kept(self, cache: &'static str) -> Self {
        Self { cache, ..self }
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(self.media_type));
        response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static(self.cache));
        response.headers_mut().extend(self.headers);
        response
    }
}

/// A problem as a response; what may be tried again says when.
pub(crate) fn problem_response(problem: &Problem) -> Response {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response =
        Reply { status, media_type: attorn_api::problem::PROBLEM_MEDIA_TYPE, ..Reply::text(body) }.into_response();
    let headers = response.headers_mut();
    let again = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    // Before somebody has mended something it is no use.
    if again && problem.code != ProblemCode::TargetMisconfigured {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    if status == StatusCode::UNAUTHORIZED {
        let challenge = match problem.code {
            ProblemCode::Unauthenticated | ProblemCode::UserUnauthenticated => "Bearer realm=\"default\"",
            ProblemCode::CertificateInvalid | ProblemCode::UnknownIdentity => "DPoP algs=\"ES256 EdDSA\"",
            ProblemCode::UseDpopNonce => "DPoP error=\"use_dpop_nonce\", algs=\"ES256 EdDSA\"",
            _ => "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA\"",
        };
        headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static(challenge));
    }
    response
}

#[cfg(test)]
mod tests {
    use attorn_engine::Busy;
    use attorn_store::CommitError;

    use super::*;

    #[test]
    fn full_queues_are_503_and_say_when_to_try_again() {
        for failure in [Failure::from(Busy), Failure::from(CommitError::Busy)] {
            let response = problem_response(&failure.problem);
            assert_eq!(failure.problem.code, ProblemCode::Busy);
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        }
    }

    #[test]
    fn every_401_says_what_would_be_accepted() {
        for code in ProblemCode::ALL.iter().filter(|code| code.status() == 401) {
            let response = problem_response(&Problem::new(*code, ""));
            let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
            let bearer = matches!(code, ProblemCode::Unauthenticated | ProblemCode::UserUnauthenticated);
            assert_eq!(challenge.starts_with("Bearer"), bearer, "{code}");
        }
    }
}
