//! Requests as somebody sends them who does not use the SDK.

use attorn_api::{NONCE_HEADER, PROOF_HEADER, Problem, ProblemCode};

use crate::failure::Failure;

/// A decision that was asked for by hand: the proof and the bytes that it was sent with.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) proof: String,
    pub(super) body: Vec<u8>,
}

/// What came back.
pub(super) struct Came {
    pub(super) status: u16,
    pub(super) code: Option<ProblemCode>,
    pub(super) nonce: Option<String>,
}

impl Came {
    /// In a few words.
    pub(super) fn describe(&self) -> String {
        match self.code {
            Some(code) => format!("{} {code}", self.status),
            None => format!("{}", self.status),
        }
    }
}

/// Send it.
pub(super) async fn send(url: &str, sent: &Sent) -> Result<Came, Failure> {
    let http = reqwest::Client::builder().no_proxy().build().map_err(|error| Failure::of(&error))?;
    let request = http.post(url).header(PROOF_HEADER, &sent.proof).header("Content-Type", "application/json");
    let response = request.body(sent.body.clone()).send().await.map_err(|error| Failure::of(&error))?;
    let nonce = response.headers().get(NONCE_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    let text = response.bytes().await.map_err(|error| Failure::of(&error))?;
    let code = serde_json::from_slice::<Problem>(&text).ok().map(|problem| problem.code);
    Ok(Came { status, code, nonce })
}
