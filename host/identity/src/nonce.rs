//! Nonces of this run of the server (RFC 9449, section 8).
//!
//! A nonce says in which minute it was given out, under a key that lives as long as the process. So
//! nothing has to be remembered, and after a restart, when the replay guard has forgotten everything,
//! no proof from before is accepted. A nonce is no secret and may be used for many proofs.
//!
//! The same is done within a run when time is set back: what was given out before is known no more.

use std::sync::{PoisonError, RwLock};

use attorn_core::TimeMs;
use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::proof::ProofError;
use crate::random::{NoRandomness, random};

/// How long one nonce is given out, in milliseconds.
pub const NONCE_WINDOW_MS: u64 = 60_000;

/// For how many windows after its own a nonce is still accepted. So each lives 3 to 4 minutes.
pub const NONCE_WINDOWS_AFTER: u64 = 3;

const WINDOW_BYTES: usize = 8;
const TAG_BYTES: usize = 16;

/// Gives out nonces and knows them again.
pub struct Nonces {
    run_key: RwLock<Zeroizing<[u8; 32]>>,
}

impl Nonces {
    /// The nonces of a new run. None of any other run's is accepted.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`]
    pub fn new() -> Result<Self, NoRandomness> {
        Ok(Self { run_key: RwLock::new(random()?) })
    }

    /// Those of a run with this key.
    #[cfg(test)]
    pub(crate) fn of_test(run_key: [u8; 32]) -> Self {
        Self { run_key: RwLock::new(Zeroizing::new(run_key)) }
    }

    /// Begin as a new run does: no nonce that was given out until now is accepted any more.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`]; then all is as it was.
    pub fn renew(&self) -> Result<(), NoRandomness> {
        let fresh = random()?;
        *self.run_key.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The nonce to give out now: 32 characters of base64url.
    #[must_use]
    pub fn current(&self, now: TimeMs) -> String {
        let window = now.0 / NONCE_WINDOW_MS;
        let mut nonce = [0; WINDOW_BYTES + TAG_BYTES];
        nonce[..WINDOW_BYTES].copy_from_slice(&window.to_be_bytes());
        nonce[WINDOW_BYTES..].copy_from_slice(&self.tag(window));
        BASE64URL_NOPAD.encode(&nonce)
    }

    /// Check that this is a nonce of this run, and not too old.
    ///
    /// # Errors
    ///
    /// [`ProofError::NonceUnknown`] for all others.
    pub fn check(&self, nonce: &str, now: TimeMs) -> Result<(), ProofError> {
        let unknown = ProofError::NonceUnknown;
        let bytes = BASE64URL_NOPAD.decode(nonce.as_bytes()).map_err(|_| unknown)?;
        let (window, tag) = bytes.split_first_chunk::<WINDOW_BYTES>().ok_or(unknown)?;
        let window = u64::from_be_bytes(*window);
        let genuine = bool::from(self.tag(window).as_slice().ct_eq(tag));
        let age = (now.0 / NONCE_WINDOW_MS).checked_sub(window).ok_or(unknown)?;
        if genuine && age <= NONCE_WINDOWS_AFTER { Ok(()) } else { Err(unknown) }
    }

    fn tag(&self, window: u64) -> [u8; TAG_BYTES] {
        let run_key = self.run_key.read().unwrap_or_else(PoisonError::into_inner);
        let hash = blake3::keyed_hash(&run_key, &window.to_be_bytes());
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hash.as_bytes()[..TAG_BYTES]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeMs = TimeMs(1_767_323_045_678);

    #[test]
    fn forged_nonces_are_unknown() {
        let nonces = Nonces::new().unwrap();
        let good = nonces.current(NOW);
        let short = BASE64URL_NOPAD.encode(&BASE64URL_NOPAD.decode(good.as_bytes()).unwrap()[..23]);
        for nonce in ["", "AAAA", &short, &good[..31], &format!("{good}AAAA"), &format!("{good}="), &"A".repeat(32)] {
            assert_eq!(nonces.check(nonce, NOW), Err(ProofError::NonceUnknown), "{nonce}");
        }
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(nonces.check(&forged, NOW), Err(ProofError::NonceUnknown), "{forged}");
        }
    }

    #[test]
    fn nonces_of_another_run_are_unknown() {
        let before = Nonces::new().unwrap().current(NOW);
        assert_eq!(Nonces::new().unwrap().check(&before, NOW), Err(ProofError::NonceUnknown));
    }

    #[test]
    fn what_was_given_out_before_is_unknown_once_renewed() {
        let nonces = Nonces::new().unwrap();
        let before = nonces.current(NOW);
        assert_eq!(nonces.check(&before, NOW), Ok(()));
        nonces.renew().unwrap();
        assert_eq!(nonces.check(&before, NOW), Err(ProofError::NonceUnknown));
        assert_eq!(nonces.check(&nonces.current(NOW), NOW), Ok(()));
    }

    #[test]
    fn a_nonce_lives_its_own_window_and_three_more() {
        let nonces = Nonces::new().unwrap();
        let start = TimeMs(NOW.0 / NONCE_WINDOW_MS * NONCE_WINDOW_MS);
        let nonce = nonces.current(start);
        assert_eq!(nonce, nonces.current(start.plus_ms(NONCE_WINDOW_MS - 1)));
        assert_ne!(nonce, nonces.current(start.plus_ms(NONCE_WINDOW_MS)));
        for (now, known) in [
            (TimeMs(start.0 - 1), false),
            (start, true),
            (start.plus_ms(4 * NONCE_WINDOW_MS - 1), true),
            (start.plus_ms(4 * NONCE_WINDOW_MS), false),
            (TimeMs(u64::MAX), false),
        ] {
            assert_eq!(nonces.check(&nonce, now).is_ok(), known, "{now}");
        }
    }
}
