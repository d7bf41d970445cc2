//! A login by the server beside the bare statements.

use std::time::Instant;

use attorn_api::decisions::DecisionAnswer;
use serde_json::json;
use tokio_postgres::Client;

use super::{Scene, ask};
use crate::Length;
use crate::figure::{Figures, median, quantile, rounded};

/// How many of each are made in a batch.
const BATCH: u64 = 25;

/// Measure, and print.
pub(super) async fn measure(scene: &Scene, length: Length, figures: &mut Figures) {
    let bare = scene.database.administrator().await;
    let (mut by_server, mut by_hand) = (Vec::new(), Vec::new());
    // The first of each connects, and counts for nothing.
    by_the_server(scene).await;
    by_the_statements(&bare, u64::MAX).await;
    for batch in 0..length.asks.div_ceil(BATCH) {
        for _ in 0..BATCH {
            by_server.push(by_the_server(scene).await);
        }
        for n in 0..BATCH {
            by_hand.push(by_the_statements(&bare, batch * BATCH + n).await);
        }
    }
    let (login_ms, bare_ms) = (median(by_server.clone()), median(by_hand.clone()));
    let raw = json!({
        "login_p50_ms": rounded(login_ms),
        "login_p99_ms": rounded(quantile(by_server.clone(), 0.99)),
        "bare_p50_ms": rounded(bare_ms),
        "bare_p99_ms": rounded(quantile(by_hand, 0.99)),
        "logins": by_server.len(),
    });
    figures.add("credentials.login_over_bare", login_ms / bare_ms, "ratio", &raw);
}

/// How many milliseconds one takes.
async fn by_the_server(scene: &Scene) -> f64 {
    let began = Instant::now();
    let answer: DecisionAnswer = scene.cast.bot.post("/v1/decisions", &ask()).await.expect(200).json();
    let took = began.elapsed();
    assert!(answer.login.is_some(), "{:?}", answer.reasons);
    took.as_secs_f64() * 1e3
}

async fn by_the_statements(bare: &Client, n: u64) -> f64 {
    let began = Instant::now();
    let verifier = postgres_protocol::password::scram_sha_256(format!("a password of 256 bits {n:020}").as_bytes());
    bare.batch_execute(&statements(&format!("bare_{n}"), &verifier, "bare")).await.unwrap();
    began.elapsed().as_secs_f64() * 1e3
}

/// One transaction that makes a login.
pub(super) fn statements(name: &str, verifier: &str, comment: &str) -> String {
    format!(
        "BEGIN; CREATE ROLE {name} LOGIN CONNECTION LIMIT 2 PASSWORD '{verifier}' VALID UNTIL '2100-01-01'; \
         COMMENT ON ROLE {name} IS '{comment}'; GRANT reader TO {name}; COMMIT"
    )
}
