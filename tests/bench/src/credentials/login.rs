//! A login by the server beside the bare statements.

use std::time::Instant;

use attorn_api::PROOF_HEADER;
use attorn_api::decisions::DecisionAnswer;
use attorn_tests::Call;
use attorn_tests::world::ask_with;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::{Scene, ask};
use crate::Length;
use crate::figure::{Figures, median, quantile, rounded};

/// How many are asked for with one nonce.
const PER_NONCE: u64 = 25;

/// Measure, and print.
pub(super) async fn measure(scene: &Scene, length: Length, figures: &mut Figures) {
    let bare = scene.database.administrator().await;
    let (mut by_server, mut by_hand) = (Vec::new(), Vec::new());
    let (mut decisions, mut verifiers) = (Vec::new(), Vec::new());
    let mut nonce = String::new();
    for n in 0..=length.asks {
        if n % PER_NONCE == 0 {
            nonce = scene.cast.bot.fresh_nonce().await;
        }
        let (login, login_ms) = decided(scene, &ask(), &nonce).await;
        assert!(login.login.is_some(), "{:?}", login.reasons);
        let (verifier_ms, bare_ms) = by_the_statements(&bare, n).await;
        let (token, token_ms) = decided(scene, &ask_with(json!({})), &nonce).await;
        assert!(token.credential.is_some(), "{:?}", token.reasons);
        // The first of each connects, and counts for nothing.
        if n > 0 {
            by_server.push(login_ms);
            by_hand.push(bare_ms);
            decisions.push(token_ms);
            verifiers.push(verifier_ms);
        }
    }
    let (login_ms, bare_ms) = (median(by_server.clone()), median(by_hand.clone()));
    let raw = json!({
        "login_p50_ms": rounded(login_ms),
        "login_p99_ms": rounded(quantile(by_server.clone(), 0.99)),
        "bare_p50_ms": rounded(bare_ms),
        "bare_p99_ms": rounded(quantile(by_hand, 0.99)),
        "of_bare_verifier_p50_ms": rounded(median(verifiers)),
        "decision_alone_p50_ms": rounded(median(decisions)),
        "logins": by_server.len(),
    });
    figures.add("credentials.login_over_bare", login_ms / bare_ms, "ratio", &raw);
}

/// What is decided, and how many milliseconds that takes. The proof is made before.
async fn decided(scene: &Scene, ask: &Value, nonce: &str) -> (DecisionAnswer, f64) {
    let bot = &scene.cast.bot;
    let call = Call::post("/v1/decisions", ask);
    let proof = bot.prove(&call, Some(nonce), bot.now());
    let call = call.header(PROOF_HEADER, proof);
    let began = Instant::now();
    let answer = scene.cast.reach.send(call).await;
    let took = began.elapsed();
    (answer.expect(200).json(), took.as_secs_f64() * 1e3)
}

/// How many milliseconds computing the verifier takes, and all of it.
async fn by_the_statements(bare: &Client, n: u64) -> (f64, f64) {
    let began = Instant::now();
    let verifier = postgres_protocol::password::scram_sha_256(format!("a password of 256 bits {n:020}").as_bytes());
    let computed = began.elapsed();
    bare.batch_execute(&statements(&format!("bare_{n}"), &verifier, "bare")).await.unwrap();
    (computed.as_secs_f64() * 1e3, began.elapsed().as_secs_f64() * 1e3)
}

/// One transaction that makes a login.
pub(super) fn statements(name: &str, verifier: &str, comment: &str) -> String {
    format!(
        "BEGIN; CREATE ROLE {name} LOGIN CONNECTION LIMIT 2 PASSWORD '{verifier}' VALID UNTIL '2100-01-01'; \
         COMMENT ON ROLE {name} IS '{comment}'; GRANT reader TO {name}; COMMIT"
    )
}
