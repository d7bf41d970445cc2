//! OAuth: exchanging a user's token for one of one action, and asking whether a token is good. Every request has an
//! assertion and a proof of its own, made beforehand.

use attorn_api::PROOF_HEADER;
use attorn_api::oauth::{ACCESS_TOKEN, TOKEN_EXCHANGE};
use attorn_tests::oauth::{Client, Parameters, form};
use attorn_tests::world::PURPOSE_WITH_USER;
use serde_json::json;

use super::scene::Scene;
use crate::figure::Figures;
use crate::load::Order;
use crate::{Length, http};

/// Of the decisions beside hostile policies, one request here for so many.
const DECISIONS_PER_REQUEST: usize = 4;
const TOKEN: &str = "/oauth/token";
const INTROSPECT: &str = "/oauth/introspect";

/// Measure, and print.
pub(super) async fn measure(scene: &Scene, length: Length, figures: &mut Figures) {
    let requests = length.decisions / DECISIONS_PER_REQUEST;
    let now_s = attorn_tests::machines::now_ms() / 1_000;
    for connections in [1, http::CONNECTIONS_OF_PARTS] {
        // A token that was not seen before becomes a delegation first, in a commit of its own.
        let new = |n| scene.token("oauth-client", &format!("new-{connections}-{n}"), now_s);
        let all = (0..requests).map(|n| exchange(scene, new(n))).collect();
        load(scene, ("exchange_new", connections), (&scene.client, TOKEN, all), "access_token", figures).await;
        let again = scene.token("oauth-client", "again", now_s);
        let all = (0..requests).map(|_| exchange(scene, again.clone())).collect();
        load(scene, ("exchange_again", connections), (&scene.client, TOKEN, all), "access_token", figures).await;
        for hops in [1, 4] {
            let (agent, ask) = scene.asking(hops);
            let token = agent.decide(&ask).await.credential.unwrap().access_token;
            let all = vec![vec![("token", token)]; requests];
            let name = format!("introspect_{hops}");
            load(scene, (&name, connections), (&scene.ledger, INTROSPECT, all), r#""active":true"#, figures).await;
        }
    }
}

fn exchange(scene: &Scene, subject: String) -> Parameters {
    let detail = json!([{ "type": "attorn_action", "actions": ["account.read"], "identifier": scene.resource(),
        "purpose": PURPOSE_WITH_USER }]);
    vec![
        ("grant_type", TOKEN_EXCHANGE.into()),
        ("subject_token", subject),
        ("subject_token_type", ACCESS_TOKEN.into()),
        ("authorization_details", detail.to_string()),
    ]
}

/// Send all of them as this client, and print what came of it.
async fn load(
    scene: &Scene,
    (name, connections): (&str, usize),
    (client, path, all): (&Client, &str, Vec<Parameters>),
    expect: &str,
    figures: &mut Figures,
) {
    let (reach, nonce) = (&scene.host.fresh.reach, client.nonce().await);
    let requests: Vec<String> = all.into_iter().map(|parameters| written(client, path, &nonce, parameters)).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(std::io::BufWriter::new(&file), &requests).unwrap();
    let order = Order {
        address: reach.url.trim_start_matches("http://").to_owned(),
        url: String::new(),
        key: std::path::PathBuf::new(),
        nonce: String::new(),
        body: String::new(),
        connections,
        requests: requests.len(),
        expect: expect.into(),
        written: Some(file.path().to_owned()),
    };
    let (outcome, cpu_us) = http::load(&order, std::process::id()).await;
    let cpu_us = cpu_us / crate::figure::float(requests.len() as u64);
    let name = format!("delegation.{name}_{connections}");
    http::print(&name, connections, &(outcome, requests.len()), cpu_us, figures);
}

/// A request as it goes over the wire.
fn written(client: &Client, path: &str, nonce: &str, parameters: Parameters) -> String {
    let call = form(path, &[client.authentication(), parameters].concat());
    let body = String::from_utf8(call.body).unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    let proof = format!("{PROOF_HEADER}: {}\r\n", client.proof(path, nonce));
    let headers = call.headers.iter().map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value)));
    [head, proof, headers.collect(), "\r\n".to_owned(), body].concat()
}
