//! Asks the witnesses to cosign what was signed (`c2sp.org/tlog-witness`).
//!
//! All are asked at once, each within a time and for an answer of a size. A witness is not trusted: what it says is
//! taken only as a cosignature that its key verifies, or as the number of entries that it has seen, from which the
//! proof then begins. One that lies, hangs or answers nonsense costs this time and nothing else; no decision waits for
//! any of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use attorn_log::witness::{WITNESS_ANSWER_BYTES_MAX, add_checkpoint, size_of_conflict};
use attorn_log::{Cosignature, CosignatureError, QuorumError, SignedCheckpoint, WitnessPolicy};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::{Client, StatusCode};
use tokio::time::Instant;

use crate::app::App;
use crate::config::Witness;
use crate::http::outbound;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a witness is asked about one checkpoint: it may say once what it has seen, and somebody else may ask it
/// meanwhile.
const TRIES_MAX: usize = 3;
/// How long the others may still take once enough have cosigned.
const GRACE: Duration = Duration::from_millis(300);
/// How long to wait after too few have cosigned.
const PAUSE: Duration = Duration::from_secs(2);

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("it did not answer within 5 s")]
    TimedOut,
    #[error("it could not be reached, or the connection broke")]
    Unreachable,
    #[error("it answered with the status {0}")]
    Status(u16),
    #[error("its answer is too long")]
    TooLong,
    #[error("its 409 does not say how many entries it has seen")]
    NoSize,
    #[error("it has seen {seen} entries, and this checkpoint counts {size}: it lies, or this log was rolled back")]
    Ahead { seen: u64, size: u64 },
    #[error("it has seen another log of {seen} entries: it lies, or this log was forked")]
    Forked { seen: u64 },
    #[error("it says each time that it has seen another number of entries")]
    Unsteady,
    #[error(transparent)]
    Cosignature(#[from] CosignatureError),
    #[error("the proof for it cannot be made")]
    Proof(#[source] attorn_store::ReadError),
}

/// A witness, and how many entries it had seen when it last said so.
struct AskedWitness<'a> {
    witness: &'a Witness,
    seen: AtomicU64,
}

/// Have each new checkpoint cosigned, for ever. Nothing happens if there are no witnesses.
pub(crate) async fn run(app: Arc<App>) {
    let Some(policy) = &app.published.policy else { return };
    let Ok(client) = outbound::client(TIMEOUT).await else {
        tracing::error!("no client can be made that asks witnesses");
        return;
    };
    let asked: Vec<_> =
        app.config.witnesses.all.iter().map(|witness| AskedWitness { witness, seen: AtomicU64::new(0) }).collect();
    let mut heads = app.published.heads.subscribe();
    loop {
        let (newest, witnessed) = {
            let heads = heads.borrow_and_update();
            (heads.newest.clone(), heads.witnessed.clone())
        };
        // With another policy than before, what is kept may not be enough any more.
        let done = |newest: &SignedCheckpoint| {
            witnessed.as_ref().is_some_and(|witnessed| {
                witnessed.checkpoint() == newest.checkpoint() && policy.check(witnessed).is_ok()
            })
        };
        let Some(newest) = newest.filter(|newest| !done(newest)) else {
            if heads.changed().await.is_err() {
                return;
            }
            continue;
        };
        let cosigned = gather(&app, &client, (&asked, policy), &newest).await;
        let checked = policy.check(&cosigned);
        let enough = checked.is_ok();
        let by = match checked {
            Ok(witnessed) => witnessed.by.into_iter().map(|(name, _)| name).collect(),
            Err(error) => {
                let entries = newest.checkpoint().size;
                tracing::warn!(entries, %error, "too few witnesses have cosigned a checkpoint");
                if let QuorumError::NotMet { by, .. } = error { by } else { Vec::new() }
            }
        };
        *app.published.cosigned_last.lock().unwrap_or_else(PoisonError::into_inner) = by;
        let kept = if enough { app.published.witnessed(cosigned).await } else { Ok(()) };
        if let Err(failure) = &kept {
            tracing::error!(why = failure.internal, "cannot keep a witnessed checkpoint");
        }
        if !enough || kept.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Ask all of them; the checkpoint with the cosignatures that came. Once there are enough, the others have a moment
/// more, so that nobody who hangs holds it up.
async fn gather(
    app: &App,
    client: &Client,
    (asked, policy): (&[AskedWitness<'_>], &WitnessPolicy),
    checkpoint: &Arc<SignedCheckpoint>,
) -> SignedCheckpoint {
    let ask = async |asked| (asked, AskedWitness::cosign(asked, app, client, checkpoint).await);
    let mut answers: FuturesUnordered<_> = asked.iter().map(ask).collect();
    let mut cosigned = SignedCheckpoint::clone(checkpoint);
    let mut until = None;
    loop {
        let next = match until {
            None => Ok(answers.next().await),
            Some(until) => tokio::time::timeout_at(until, answers.next()).await,
        };
        let Ok(Some((asked, answer))) = next else { return cosigned };
        match answer {
            Ok(cosignature) => cosigned = cosigned.with_cosignature(&cosignature),
            Err(why) => {
                let why = crate::http::failure::causes(&why);
                tracing::warn!(witness = asked.witness.key.name(), why, "a witness did not cosign");
            }
        }
        if until.is_none() && policy.check(&cosigned).is_ok() {
            until = Some(Instant::now() + GRACE);
        }
    }
}

impl AskedWitness<'_> {
    async fn cosign(&self, app: &App, client: &Client, checkpoint: &SignedCheckpoint) -> Result<Cosignature, Refused> {
        let size = checkpoint.checkpoint().size;
        for _ in 0..TRIES_MAX {
            let old = self.seen.load(Ordering::Relaxed).min(size);
            let proof = app.store.consistency_proof(old, size).map_err(Refused::Proof)?;
            let asked = self.ask(client, add_checkpoint(old, &proof, checkpoint));
            let (status, answer) = tokio::time::timeout(TIMEOUT, asked).await.map_err(|_| Refused::TimedOut)??;
            match status {
                StatusCode::OK => {
                    let cosignature = self.witness.key.read(checkpoint, &answer)?;
                    self.seen.store(size, Ordering::Relaxed);
                    return Ok(cosignature);
                }
                StatusCode::CONFLICT => {
                    let seen = size_of_conflict(&answer).ok_or(Refused::NoSize)?;
                    if seen > size {
                        return Err(Refused::Ahead { seen, size });
                    }
                    if seen == old {
                        return Err(Refused::Forked { seen });
                    }
                    self.seen.store(seen, Ordering::Relaxed);
                }
                other => return Err(Refused::Status(other.as_u16())),
            }
        }
        Err(Refused::Unsteady)
    }

    async fn ask(&self, client: &Client, body: String) -> Result<(StatusCode, Vec<u8>), Refused> {
        let failed = |error: reqwest::Error| if error.is_timeout() { Refused::TimedOut } else { Refused::Unreachable };
        let url = self.witness.url.join("add-checkpoint").map_err(|_| Refused::Unreachable)?;
        let mut response = client.post(url).body(body).send().await.map_err(failed)?;
        let (status, mut answer) = (response.status(), Vec::new());
        if !matches!(status, StatusCode::OK | StatusCode::CONFLICT) {
            return Ok((status, answer));
        }
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if answer.len() + chunk.len() > WITNESS_ANSWER_BYTES_MAX {
                return Err(Refused::TooLong);
            }
            answer.extend_from_slice(&chunk);
        }
        Ok((status, answer))
    }
}
