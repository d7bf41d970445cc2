//! Requests that go on to a service whose key the agent never sees: `/proxy/<target>/<path>`.
//!
//! The answer is the service's and is read bit by bit; how long it may be is the target's and the caller's business. A
//! deny, and what needs an approval, are errors here: nothing was sent then, so there is no answer.

use std::fmt;
use std::time::{Duration, Instant};

use attorn_api::decisions::ApprovalReference;
use attorn_api::{DECISION_HEADER, FOR_HEADER, HEADERS_HEADER, PROOF_HEADER};
use reqwest::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::header::{TRANSFER_ENCODING, UPGRADE};
use reqwest::{Method, Response};
use serde::Serialize;

use crate::client::Client;
use crate::error::Error;
use crate::request::to_text;
use crate::transport::Onward;

/// How long all of it may take, if the caller does not say: longer than a target lets it.
const WITHIN: Duration = Duration::from_mins(16);

/// A request for a service, to be sent through the server.
#[derive(Debug, Clone)]
pub struct ProxyRequest {
    target: String,
    method: String,
    path: String,
    purpose: String,
    delegation: Option<String>,
    session: Option<String>,
    headers: HeaderMap,
    body: Vec<u8>,
    within: Duration,
}

impl ProxyRequest {
    /// `method` (`GET`) on `path` (`/v2/contacts/42?fields=name`) at the target of this id, for a purpose that the agent
    /// is registered for. The path is sent as it is: what the server could read in two ways, it refuses.
    #[must_use]
    pub fn new(
        target: impl Into<String>,
        method: impl Into<String>,
        path: impl Into<String>,
        purpose: impl Into<String>,
    ) -> Self {
        Self {
            target: target.into(),
            method: method.into(),
            path: path.into(),
            purpose: purpose.into(),
            delegation: None,
            session: None,
            headers: HeaderMap::new(),
            body: Vec::new(),
            within: WITHIN,
        }
    }

    /// On behalf of the user whom this delegation is from: a [`crate::Delegation`], or its id.
    #[must_use]
    pub fn on_behalf_by(mut self, delegation: impl Into<String>) -> Self {
        self.delegation = Some(delegation.into());
        self
    }

    /// The session that this belongs to.
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// A header. Where the target's settings do not name it the request is refused.
    ///
    /// # Errors
    ///
    /// [`Error::Unsendable`] if it is no header, or one that says how the request is sent.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let taken = [HOST, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE];
        let ours = |name: &HeaderName| {
            let text = name.as_str();
            taken.contains(name)
                || [PROOF_HEADER, FOR_HEADER, HEADERS_HEADER].iter().any(|ours| text.eq_ignore_ascii_case(ours))
        };
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| !ours(name));
        let parsed = parsed.ok_or_else(|| unsendable("header", name))?;
        let value = HeaderValue::from_str(value).map_err(|_| unsendable("header's value", value))?;
        self.headers.insert(parsed, value);
        Ok(self)
    }

    /// A body: anything that serialises to JSON. It goes on in its canonical form.
    ///
    /// # Errors
    ///
    /// [`Error::Json`]
    pub fn json(self, body: &impl Serialize) -> Result<Self, Error> {
        let text = to_text("body", body)?;
        self.body("application/json", text)
    }

    /// A body of this media type, which is the one that the target takes there.
    ///
    /// # Errors
    ///
    /// [`Error::Unsendable`] if the media type cannot stand in a header.
    pub fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let value = HeaderValue::from_str(media_type).map_err(|_| unsendable("media type", media_type))?;
        self.headers.insert(CONTENT_TYPE, value);
        self.body = body.into();
        Ok(self)
    }

    /// For no longer than this, with all of its answer.
    #[must_use]
    pub const fn for_at_most(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// As it is sent.
    fn onward(&self, client: &Client) -> Result<Onward<'_>, Error> {
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| unsendable("method", &self.method))?;
        let is_id = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if self.target.is_empty() || !self.target.bytes().all(is_id) {
            return Err(unsendable("target", &self.target));
        }
        let path = format!("/proxy/{}{}", self.target, self.path);
        let whole = client.transport().server().join(&path);
        // What a URL library reads in another way is not what would be signed.
        let same = reqwest::Url::parse(&whole).is_ok_and(|url| url.as_str() == whole);
        if !self.path.starts_with('/') || self.path.contains('#') || !same {
            return Err(unsendable("path", &self.path));
        }
        let asked_for = self.asked_for()?;
        Ok(Onward { method, path, asked_for, headers: &self.headers, body: &self.body, within: self.within })
    }

    /// For whom and why, as the header has it.
    fn asked_for(&self) -> Result<String, Error> {
        let checked = |what, text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b';');
            if plain { Ok(text.to_owned()) } else { Err(unsendable(what, text)) }
        };
        let mut parts = vec![checked("purpose", &self.purpose)?];
        for (name, value) in [("delegation", &self.delegation), ("session", &self.session)] {
            if let Some(value) = value {
                parts.push(format!("{name}={}", checked(name, value)?));
            }
        }
        Ok(parts.join("; "))
    }
}

/// A service's answer. Its body has not been read yet.
pub struct ProxyAnswer {
    response: Response,
    decision_id: String,
    bytes: u64,
}

impl ProxyAnswer {
    /// The service's HTTP status, whatever it is.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Names the recorded decision by which this was sent: `dec_…`.
    #[must_use]
    pub fn decision_id(&self) -> &str {
        &self.decision_id
    }

    /// A header of the answer, if it was passed on and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// All headers that are text.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.response.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    /// The next piece of the body, as it comes; none after the last.
    ///
    /// # Errors
    ///
    /// [`Error::CutOff`] if there will be no more, and it is not whole.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let piece = self.response.chunk().await;
        let piece = piece.map_err(|source| Error::CutOff { bytes: self.bytes, source: source.without_url() })?;
        self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece.map(|piece| piece.to_vec()))
    }

    /// The whole body, if it has no more than so many bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::chunk`]; [`Error::Answer`] if it is longer.
    pub async fn bytes(&mut self, bytes_max: usize) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if whole.len() + piece.len() > bytes_max {
                let problem = format!("it has more than {bytes_max} bytes");
                return Err(Error::Answer { status: self.status(), problem });
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }
}

impl fmt::Debug for ProxyAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, decision_id) = (self.status(), &self.decision_id);
        f.debug_struct("ProxyAnswer").field("status", &status).field("decision_id", decision_id).finish_non_exhaustive()
    }
}

impl Client {
    /// Have the server decide about a request and send it on to its service. It is sent once: what came of one that was
    /// sent and not answered nobody knows, so nothing is repeated here.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] with `denied` if it was decided so, and [`Error::ApprovalNeeded`] if it needs an approval;
    /// nothing was sent then. With `upstream_failed` or `upstream_timeout` it was sent, and is not known to have taken
    /// effect.
    pub async fn call(&self, request: &ProxyRequest) -> Result<ProxyAnswer, Error> {
        let response = self.transport().onward(&request.onward(self)?).await?;
        let decision = response.headers().get(DECISION_HEADER).and_then(|value| value.to_str().ok());
        let decision_id = decision.unwrap_or_default().to_owned();
        Ok(ProxyAnswer { response, decision_id, bytes: 0 })
    }

    /// As [`Self::call`]. If it needs an approval, wait for so long at most until somebody has approved it, and send it
    /// again. `show` is given what is waited for, once for each approval: show its code to whoever is to approve.
    ///
    /// # Errors
    ///
    /// As [`Self::call`]; [`Error::ApprovalNeeded`] if nobody said yes in time.
    pub async fn call_when_approved(
        &self,
        request: &ProxyRequest,
        wait: Duration,
        mut show: impl FnMut(&ApprovalReference),
    ) -> Result<ProxyAnswer, Error> {
        let began = Instant::now();
        let mut waited_for: Option<String> = None;
        loop {
            let answer = self.call(request).await;
            let Err(Error::ApprovalNeeded(needed)) = answer else { return answer };
            if waited_for.as_ref() != Some(&needed.approval.id) {
                show(&needed.approval);
            }
            if !self.is_over(&needed.approval, began, wait).await? {
                return Err(Error::ApprovalNeeded(needed));
            }
            waited_for = Some(needed.approval.id);
        }
    }
}

fn unsendable(what: &'static str, value: &str) -> Error {
    Error::Unsendable { what, value: value.escape_debug().take(64).collect() }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
