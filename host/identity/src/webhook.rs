//! Signatures of messages to others' webhooks, as Standard Webhooks has them (`<https://www.standardwebhooks.com>`,
//! symmetric, `v1`): HMAC-SHA-256 over id, time and body, by a secret that the receiver has, too. There are libraries
//! that verify it for most languages.
//!
//! Nothing is sent here.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::random::{NoRandomness, random};

const BYTES: usize = 32;
const PREFIX: &str = "whsec_";

/// The secret of one receiver.
pub struct WebhookSecret(Zeroizing<[u8; BYTES]>);

impl WebhookSecret {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        random().map(Self)
    }

    /// One that was kept; none if it has another length.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Its bytes, to be wrapped.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// As the receiver is given it, once.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", BASE64.encode(self.0.as_slice())))
    }

    /// What stands in `webhook-signature` beside this `webhook-id`, `webhook-timestamp` in seconds, and body.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()));
        context.update(format!("{id}.{timestamp_s}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64.encode(context.sign().as_ref()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's `hmac`, over `msg_1.1700000000.{"a":1}` and 32 bytes of 7.
    #[test]
    fn it_is_what_others_compute() {
        let secret = WebhookSecret::of_bytes(&[7; 32]).unwrap();
        assert_eq!(&*secret.expose(), "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        assert_eq!(
            secret.sign("msg_1", 1_700_000_000, b"{\"a\":1}"),
            "v1,LInk7lWC3DLGgRP3k/Xpm933fgj/SEGrik4mpkLgnKE="
        );
        let others = [
            secret.sign("msg_2", 1_700_000_000, b"{\"a\":1}"),
            secret.sign("msg_1", 1_700_000_001, b"{\"a\":1}"),
            secret.sign("msg_1", 1_700_000_000, b"{\"a\":2}"),
            WebhookSecret::of_bytes(&[8; 32]).unwrap().sign("msg_1", 1_700_000_000, b"{\"a\":1}"),
        ];
        assert!(others.iter().all(|other| *other != secret.sign("msg_1", 1_700_000_000, b"{\"a\":1}")));
        assert!(WebhookSecret::of_bytes(&[7; 31]).is_none());
        assert_eq!(format!("{secret:?}"), "WebhookSecret([redacted])");
    }
}
