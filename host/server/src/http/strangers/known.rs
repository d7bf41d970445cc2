//! Who was let in lately, and from where: by the thumbprint of a key or a certificate, or by a client and its `kid`.
//!
//! A name says nothing before its signature is checked, and whoever shares the address may use it: the first that is
//! refused under it has it forgotten there, until its owner is let in again. So for each time that an owner is let in a
//! stranger passes the lane once at most.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use attorn_api::PROOF_HEADER;
use attorn_identity::UnverifiedAssertion;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

use crate::http::access::{Shown, Signed, proof};

/// How long ago is lately.
const KNOWN_FOR: Duration = Duration::from_mins(10);
/// How many names at addresses are known at most. Whoever is one too many waits like everybody.
const KNOWN_MAX: usize = 16_384;

#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<(IpAddr, String), Instant>>);

impl Known {
    pub(super) fn add(&self, address: IpAddr, name: String, now: Instant) {
        let mut known = self.lock();
        let (room, who) = (known.len() < KNOWN_MAX, (address, name));
        if room || known.contains_key(&who) {
            known.insert(who, now + KNOWN_FOR);
        }
    }

    pub(super) fn has(&self, address: IpAddr, name: String, now: Instant) -> bool {
        self.lock().get(&(address, name)).is_some_and(|until| now < *until)
    }

    pub(super) fn forget(&self, address: IpAddr, name: String) {
        self.lock().remove(&(address, name));
    }

    pub(super) fn forget_idle(&self, now: Instant) {
        let mut known = self.lock();
        known.retain(|_, until| now < *until);
        known.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(IpAddr, String), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By what name a request comes, if nothing in it is a lie.
pub(crate) fn claimed(shown: Shown<'_>, signed: &Signed<'_>) -> Option<String> {
    if let Some(certificate) = shown.certificates.and_then(|certificates| certificates.0.first()) {
        return Some(BASE64URL_NOPAD.encode(&Sha256::digest(certificate)));
    }
    if shown.headers.contains_key(PROOF_HEADER) {
        return proof(shown.headers).ok().map(|proof| proof.thumbprint().to_string());
    }
    let assertion = UnverifiedAssertion::parse(signed.form?.get("client_assertion")?).ok()?;
    // No id and no thumbprint has a blank.
    Some(format!("{} {}", assertion.client(), assertion.kid().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[test]
    fn whoever_was_let_in_is_known_there_for_a_while_and_until_somebody_is_refused_under_that_name() {
        let (known, now) = (Known::default(), Instant::now());
        known.add(HERE, "bot".into(), now);
        let has = |address, name: &str, now| known.has(address, name.to_owned(), now);
        assert!(has(HERE, "bot", now) && !has(THERE, "bot", now) && !has(HERE, "other", now));
        let last = now + KNOWN_FOR;
        assert!(has(HERE, "bot", last.checked_sub(Duration::from_millis(1)).unwrap()) && !has(HERE, "bot", last));
        known.forget(THERE, "bot".into());
        assert!(has(HERE, "bot", now));
        known.forget(HERE, "bot".into());
        assert!(!has(HERE, "bot", now));
    }

    #[test]
    fn no_more_are_known_than_there_is_room_for() {
        let (known, now) = (Known::default(), Instant::now());
        (0..KNOWN_MAX).for_each(|n| known.add(HERE, n.to_string(), now));
        known.add(HERE, "late".into(), now);
        assert!(!known.has(HERE, "late".into(), now));
        // Whoever is known stays so.
        let later = now + Duration::from_secs(1);
        known.add(HERE, "0".into(), later);
        known.forget_idle(now + KNOWN_FOR);
        assert_eq!(known.lock().len(), 1);
        assert!(known.has(HERE, "0".into(), now + KNOWN_FOR));
    }
}
