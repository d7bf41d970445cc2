//! The guard against a naive memory that forgets nothing, and under many threads at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::PublicKey;

const NOW: TimeMs = TimeMs(1_767_323_045_000);

const KEYS: [&str; 2] = [
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#,
];

fn key(which: usize) -> PublicKey {
    KEYS[which].parse().unwrap()
}

fn guard(proofs_per_key_max: usize, proofs_max: usize) -> ReplayGuard {
    ReplayGuard::new(ReplayLimits { proofs_per_key_max, proofs_max }).unwrap()
}

fn try_at(guard: &ReplayGuard, which: usize, jti: &str, issued_at: TimeMs, now: TimeMs) -> Result<(), ProofError> {
    guard.accept(VerifiedProof::of_test(&key(which), jti, issued_at), now).map(drop)
}

#[test]
fn a_proof_that_aged_since_it_was_verified_is_expired() {
    let guard = guard(10, 10);
    assert_eq!(try_at(&guard, 0, "a", NOW, NOW.plus_ms(65_001)), Err(ProofError::Expired));
    assert_eq!(try_at(&guard, 0, "a", NOW.plus_ms(6_000 + 65_001), NOW), Err(ProofError::NotYetValid));
    // A caller whose clock reading is older than another's goes by the other's.
    assert_eq!(try_at(&guard, 0, "a", NOW, NOW), Err(ProofError::Expired));
    assert_eq!(try_at(&guard, 0, "a", NOW.plus_ms(1_000), NOW), Ok(()));
}

#[test]
fn a_proof_is_accepted_once_for_each_key() {
    let guard = guard(10, 10);
    assert_eq!(try_at(&guard, 0, "a", NOW, NOW), Ok(()));
    assert_eq!(try_at(&guard, 0, "a", NOW, NOW), Err(ProofError::Replayed));
    assert_eq!(try_at(&guard, 0, "a", NOW.plus_ms(1_000), NOW), Err(ProofError::Replayed));
    assert_eq!(try_at(&guard, 1, "a", NOW, NOW), Ok(()));
    assert_eq!(try_at(&guard, 0, "b", NOW, NOW), Ok(()));
}

#[test]
fn what_begins_anew_at_an_earlier_time_has_all_its_room_and_gives_it_back_in_time() {
    let (guard, earlier) = (guard(1, 2), TimeMs(NOW.0 - 3_600_000));
    assert_eq!(try_at(&guard, 0, "a", NOW, NOW), Ok(()));
    assert_eq!(try_at(&guard, 1, "a", NOW, NOW), Ok(()));
    guard.forget_all();
    for (round, jti) in ["b", "c", "d"].into_iter().enumerate() {
        let now = earlier.plus_ms(u64::try_from(round).unwrap() * 3 * REMEMBERED_MS_MIN);
        for which in [0, 1] {
            assert_eq!(try_at(&guard, which, jti, now, now), Ok(()), "{round}");
            assert_eq!(try_at(&guard, which, jti, now, now), Err(ProofError::Replayed), "{round}");
        }
    }
}

#[test]
fn caps_refuse_rather_than_forget() {
    let guard = guard(2, 3);
    assert_eq!(try_at(&guard, 0, "a", NOW, NOW), Ok(()));
    assert_eq!(try_at(&guard, 0, "b", NOW, NOW), Ok(()));
    assert_eq!(try_at(&guard, 0, "c", NOW, NOW), Err(ProofError::TooManyProofs));
    assert_eq!(try_at(&guard, 1, "a", NOW, NOW), Ok(()));
    assert_eq!(try_at(&guard, 1, "b", NOW, NOW), Err(ProofError::TooManyProofs));
    assert_eq!(try_at(&guard, 0, "a", NOW, NOW), Err(ProofError::Replayed));
    // Both generations count.
    let later = NOW.plus_ms(REMEMBERED_MS_MIN);
    assert_eq!(try_at(&guard, 0, "d", later, later), Err(ProofError::TooManyProofs));
}

#[test]
fn room_comes_back_also_from_shards_that_nobody_uses() {
    let guard = guard(10, 2);
    assert_eq!(try_at(&guard, 0, "a", NOW, NOW), Ok(()));
    assert_eq!(try_at(&guard, 0, "b", NOW, NOW), Ok(()));
    assert_eq!(try_at(&guard, 1, "c", NOW, NOW), Err(ProofError::TooManyProofs));
    let later = NOW.plus_ms(2 * REMEMBERED_MS_MIN);
    assert_eq!(try_at(&guard, 1, "c", later, later), Ok(()));
    assert_eq!(guard.0.count(), 1);
}

#[test]
fn of_many_threads_one_has_its_proof_accepted() {
    const THREADS: usize = 8;
    const PROOFS: u32 = 500;
    let guard = guard(100_000, 100_000);
    let accepted = AtomicU32::new(0);
    let key = key(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for jti in 0..PROOFS {
                    let proof = VerifiedProof::of_test(&key, &jti.to_string(), NOW);
                    match guard.accept(proof, NOW.plus_ms(u64::from(jti % 7))) {
                        Ok(_) => accepted.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            assert_eq!(error, ProofError::Replayed);
                            0
                        }
                    };
                }
            });
        }
    });
    assert_eq!(accepted.into_inner(), PROOFS);
    assert_eq!(guard.0.count(), 500);
}

proptest! {
    /// A `jti` is refused while it must be, and taken again when it must have been forgotten.
    #[test]
    fn remembers_as_long_as_it_must(steps in prop::collection::vec((0_u64..100_000, 0_usize..2, 0_u8..4), 1..60)) {
        let guard = guard(1_000, 1_000);
        let mut naive: HashMap<(usize, u8), TimeMs> = HashMap::new();
        let mut now = NOW;
        for (step_ms, which, jti) in steps {
            now = now.plus_ms(step_ms);
            let outcome = try_at(&guard, which, &jti.to_string(), now, now);
            match naive.get(&(which, jti)).map(|&accepted_at| now.ms_since(accepted_at)) {
                None => prop_assert_eq!(outcome, Ok(())),
                Some(age_ms) if age_ms < REMEMBERED_MS_MIN => prop_assert_eq!(outcome, Err(ProofError::Replayed)),
                Some(age_ms) if age_ms >= 3 * REMEMBERED_MS_MIN => prop_assert_eq!(outcome, Ok(())),
                Some(_) => {}
            }
            if outcome.is_ok() {
                naive.insert((which, jti), now);
            }
        }
    }

    /// Whatever the callers' clocks say, in whatever order: one proof is accepted once at most.
    #[test]
    fn no_order_of_clock_readings_accepts_a_proof_twice(
        steps in prop::collection::vec((0_u64..300_000, 0_u8..3), 1..80),
    ) {
        let guard = guard(1_000, 1_000);
        let mut accepted = [0; 3];
        for (offset_ms, jti) in steps {
            let issued_at = NOW.plus_ms(100_000 + u64::from(jti) * 1_000);
            if try_at(&guard, 0, &jti.to_string(), issued_at, NOW.plus_ms(offset_ms)).is_ok() {
                accepted[usize::from(jti)] += 1;
            }
        }
        prop_assert!(accepted.iter().all(|&times| times <= 1), "{accepted:?}");
    }
}
