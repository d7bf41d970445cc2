//! Sending one request for one recorded grant, and reading the head of its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attorn_core::Grant;
use attorn_store::Recorded;
use http_body_util::Full;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Response};
use tokio::time::Instant;

use super::body::{Answer, Told, Within};
use super::connect::Wire;
use super::scan::Scan;
use super::{Answered, Ended, Outgoing, Place, Proxy, SendError};
use crate::kind::KindError;

/// The headers of an answer that are always passed on, each at most once.
const ALWAYS: [HeaderName; 8] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_DISPOSITION,
    header::ETAG,
    header::LAST_MODIFIED,
    header::RETRY_AFTER,
    header::VARY,
];

type Sent = Response<Incoming>;

impl Proxy {
    /// Send the request of a recorded grant. `ended` comes when that stands no more; `told` is told how the answer ends,
    /// unless there is none.
    ///
    /// # Errors
    ///
    /// That there is none, and whether anything was sent.
    pub async fn send(
        self: &Arc<Self>,
        _: &Recorded<Grant>,
        outgoing: Outgoing,
        (place, mut ended, told): (Place, Ended, Told),
    ) -> Result<Answered, SendError> {
        let until = Instant::now() + Duration::from_millis(self.settings.total_ms_max);
        let head = until.min(Instant::now() + Duration::from_millis(self.settings.head_ms_max));
        let request = self.request(outgoing).map_err(SendError::NotSent)?;
        let begun = AtomicBool::new(false);
        let exchanged = tokio::select! {
            biased;
            () = &mut ended => Err(is_over(&begun)),
            exchanged = tokio::time::timeout_at(head, Box::pin(self.exchange(request, &begun))) => {
                exchanged.unwrap_or_else(|_| Err(is_late(&begun)))
            }
        };
        let (wire, response) = exchanged?;
        self.answered((wire, response), Within { proxy: Arc::clone(self), until, place, ended }, told)
    }

    /// The request with the secret in it. A copy of that stays in memory until the request has been sent.
    fn request(&self, outgoing: Outgoing) -> Result<Request<Full<Bytes>>, KindError> {
        let broken = |_| KindError::refused("the request cannot be written");
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| KindError::refused("a header cannot be sent"));
        let mut request = Request::builder()
            .method(outgoing.method.as_str())
            .uri(outgoing.target)
            .body(Full::new(outgoing.body))
            .map_err(broken)?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, value(&self.settings.origin.authority())?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("attorn/", env!("CARGO_PKG_VERSION"))));
        // What is compressed could hold the secret unseen.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(media_type) = outgoing.media_type {
            headers.insert(header::CONTENT_TYPE, value(&media_type)?);
        }
        for (name, value) in outgoing.headers {
            headers.insert(field(name.as_str())?, value);
        }
        // Last, so that nothing else is ever in its place.
        let secret = [self.settings.secret_prefix.as_bytes(), &self.secret].concat();
        let secret = HeaderValue::from_bytes(&zeroize::Zeroizing::new(secret));
        let mut secret = secret.map_err(|_| KindError::misconfigured("the secret cannot stand in a header"))?;
        secret.set_sensitive(true);
        headers.insert(field(self.settings.secret_header.as_str())?, secret);
        Ok(request)
    }

    /// Send it, by a connection that is kept or by a new one. What was not written is tried once more.
    async fn exchange(&self, mut request: Request<Full<Bytes>>, begun: &AtomicBool) -> Result<(Wire, Sent), SendError> {
        loop {
            let (mut wire, is_new) = match self.kept() {
                Some(wire) => (wire, false),
                None => (self.open().await.map_err(SendError::NotSent)?, true),
            };
            let unready = wire.sender.ready().await.err();
            if let Some(error) = unready {
                if is_new {
                    return Err(SendError::NotSent(KindError::unreachable(error.to_string())));
                }
                continue;
            }
            begun.store(true, Ordering::Release);
            match wire.sender.try_send_request(request).await {
                Ok(response) => return Ok((wire, response)),
                Err(mut error) => {
                    let why = KindError::unreachable(format!("no answer came: {}", error.error()));
                    let Some(unsent) = error.take_message() else { return Err(SendError::Broken(why)) };
                    begun.store(false, Ordering::Release);
                    if is_new {
                        return Err(SendError::NotSent(why));
                    }
                    request = unsent;
                }
            }
        }
    }

    fn answered(
        self: &Arc<Self>,
        (wire, response): (Wire, Sent),
        within: Within,
        told: Told,
    ) -> Result<Answered, SendError> {
        let (parts, incoming) = response.into_parts();
        if parts.status.is_informational() {
            let why = KindError::unreachable(format!("the answer has the status {}", parts.status.as_u16()));
            return Err(SendError::Broken(why));
        }
        let scan = Scan::new(&self.secret);
        let (headers, secret_in_header) = self.passed_on(&parts.headers, &scan);
        let location = parts.headers.get(header::LOCATION).filter(|value| !scan.is_in(value.as_bytes()));
        let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let announced = incoming.size_hint().exact();
        if announced.is_some_and(|bytes| bytes > self.settings.response_bytes_max) {
            let why = KindError::not_now("the answer announces more bytes than it may have");
            return Err(SendError::Broken(why));
        }
        let body = Answer::new((incoming, scan), (parts.status, secret_in_header), (wire, within), told);
        Ok(Answered { status: parts.status, headers, location, secret_in_header, body })
    }

    /// The headers of an answer that are passed on, and whether one was dropped because it holds the secret.
    fn passed_on(&self, all: &HeaderMap, scan: &Scan) -> (HeaderMap, bool) {
        let (mut headers, mut found) = (HeaderMap::new(), false);
        let also = self.settings.response_headers.iter().filter_map(|name| field(name.as_str()).ok());
        for name in ALWAYS.into_iter().chain(also).filter(|name| !is_of_hop(all, name.as_str())) {
            let mut values = all.get_all(&name).iter();
            // Of a header that stands twice, two readers may take different ones.
            let (Some(value), None) = (values.next(), values.next()) else { continue };
            if scan.is_in(value.as_bytes()) {
                found = true;
            } else {
                headers.insert(name, value.clone());
            }
        }
        (headers, found)
    }
}

/// The grant stands no more. What was sent by then is not taken back.
fn is_over(begun: &AtomicBool) -> SendError {
    if begun.load(Ordering::Acquire) {
        SendError::Broken(KindError::not_now("its grant ended before an answer began"))
    } else {
        SendError::Ended(KindError::not_now("its grant ended before anything was sent"))
    }
}

fn is_late(begun: &AtomicBool) -> SendError {
    let why = KindError::unreachable("the answer did not begin in time");
    if begun.load(Ordering::Acquire) { SendError::Late(why) } else { SendError::NotSent(why) }
}

/// Whether `Connection` names this header as one of this hop only (RFC 9110, section 7.6.1).
#[must_use]
pub fn is_of_hop(headers: &HeaderMap, name: &str) -> bool {
    let named = |value: &HeaderValue| {
        let tokens = value.as_bytes().split(|b| *b == b',');
        tokens.map(<[u8]>::trim_ascii).any(|token| token.eq_ignore_ascii_case(name.as_bytes()))
    };
    headers.get_all(header::CONNECTION).iter().any(named)
}

fn field(name: &str) -> Result<HeaderName, KindError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| KindError::misconfigured(format!("`{name}` is no header")))
}
