//! A service that checks what agents show with the SDK, against a server that counts the uses.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::SystemTime;

use attorn_api::decisions::DecisionAnswer;
use attorn_resource_server::{Accepted, AgentKey, Effect, Refusal, ResourceServer, ServiceRequest, Uses};
use attorn_tests::World;
use attorn_tests::world::{PURPOSE, ask};
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

const AUDIENCE: &str = "https://faq.example";
const PATH: &str = "/article/42";

/// The key of the world's service, as it would load it from its file.
fn key(world: &World) -> AgentKey {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("faq.key");
    world.faq.key.save(&path).unwrap();
    AgentKey::load(&path).unwrap()
}

fn service(world: &World, uses: Uses) -> ResourceServer {
    ResourceServer::new(&world.reach.url, AUDIENCE, uses).unwrap()
}

async fn allowed(world: &World) -> String {
    let answer: DecisionAnswer = world.bot.decide(&ask()).await;
    answer.credential.unwrap().access_token
}

/// The bot reads the article that its token is for, with a new proof; the service does this.
async fn read_as(
    world: &World,
    service: &ResourceServer,
    token: &str,
    (resource, arguments): (&str, &Map<String, Value>),
) -> Result<Accepted, Refusal> {
    let url = format!("{AUDIENCE}{PATH}");
    let proof = world.bot.key.prove_with_token("GET", &url, b"", None, token, SystemTime::now()).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("Authorization", format!("DPoP {token}").parse().unwrap());
    headers.insert("DPoP", proof.parse().unwrap());
    let (method, path, body, action) = ("GET", PATH, &b""[..], "faq.read");
    let request = ServiceRequest { method, path, headers: &headers, body, action, resource, arguments };
    service.accept(&request).await.map_err(|refused| refused.code)
}

async fn read(world: &World, service: &ResourceServer, token: &str) -> Result<Accepted, Refusal> {
    let arguments = ask()["arguments"].as_object().cloned().unwrap_or_default();
    read_as(world, service, token, ("article/42", &arguments)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_granted_is_refused_and_counts_nothing() {
    let world = World::new().await;
    let service = service(&world, Uses::Counted(key(&world)));
    let token = allowed(&world).await;
    let other = json!({ "section": "other" }).as_object().unwrap().clone();
    let arguments = ask()["arguments"].as_object().cloned().unwrap_or_default();
    let size = world.log_size().await;
    let refusal = read_as(&world, &service, &token, ("article/43", &arguments)).await.unwrap_err();
    assert_eq!(refusal, Refusal::OtherResource);
    let refusal = read_as(&world, &service, &token, ("article/42", &other)).await.unwrap_err();
    assert_eq!(refusal, Refusal::OtherArguments);
    let elsewhere = ResourceServer::new(&world.reach.url, "https://other.example", Uses::Remembered).unwrap();
    assert_eq!(read(&world, &elsewhere, &token).await, Err(Refusal::BadToken));
    assert_eq!(world.log_size().await, size);
    assert!(read(&world, &service, &token).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_counted_once_and_its_effect_is_recorded() {
    let world = World::new().await;
    let service = service(&world, Uses::Counted(key(&world)));
    let token = allowed(&world).await;
    let accepted = read(&world, &service, &token).await.unwrap();
    assert_eq!((accepted.agent(), accepted.purpose.as_str()), (world.bot.id.as_str(), PURPOSE));
    assert_eq!((accepted.user.as_deref(), accepted.use_number, accepted.uses_left), (None, 1, 0));
    let entry = service.report(&accepted, Effect::Done, None).await.unwrap();
    let entries = world.entries().await;
    assert_eq!(entries.last().unwrap()["effect"], "done", "{entries:?}");
    assert_eq!(entry.index + 1, world.log_size().await);
    assert_eq!(read(&world, &service, &token).await, Err(Refusal::GrantSpent));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_since_is_refused_only_where_the_server_counts() {
    let world = World::new().await;
    let (counted, remembered) = (service(&world, Uses::Counted(key(&world))), service(&world, Uses::Remembered));
    let token = allowed(&world).await;
    let suspended = json!({ "reason": "lost" });
    world.staff.registrar.post(format!("/v1/agents/{}/suspend", world.bot.id), &suspended).await.expect(200);
    assert_eq!(read(&world, &counted, &token).await, Err(Refusal::GrantInactive));
    // A service that remembers has the token's seconds to go by, which is why it says so when it is registered.
    assert!(read(&world, &remembered, &token).await.is_ok());
    assert_eq!(read(&world, &remembered, &token).await, Err(Refusal::GrantSpent));
}
