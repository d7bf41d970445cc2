//! The OAuth endpoints: what is refused, with the exact error, and the whole way of a token.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod assertions;
mod certificates;
mod introspection;
mod proofs;
mod requests;
mod svids;
mod tokens;
mod workloads;

use attorn_api::PROOF_HEADER;
use attorn_api::oauth::TokenAnswer;
use attorn_tests::components;
use attorn_tests::oauth::{Client, Parameters, form, token_request};
use attorn_tests::{Answer, Call, Server, World};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

const TOKEN: &str = "/oauth/token";
const AUDIENCE: &str = "https://docs.example";
const PURPOSE: &str = "answer-questions";

/// Two agents and two services that are OAuth clients, and a policy that lets documents be read.
struct Scene {
    world: World,
    bot: Client,
    other: Client,
    docs: Client,
    elsewhere: Client,
}

impl Scene {
    async fn new() -> Self {
        Self::new_in(Server::start().await).await
    }

    async fn new_in(server: Server) -> Self {
        let world = World::in_server(server).await;
        let settings = json!({ "allow": [{ "actions": ["doc.read"], "resource_types": ["document"] }] });
        world.activate("read-only", components::bytes("read-only"), settings).await;
        let client = |id| Client::new(&world.reach, id);
        let scene = Self {
            bot: client("bot"),
            other: client("other"),
            docs: client("docs"),
            elsewhere: client("elsewhere"),
            world,
        };
        let registrar = &scene.world.staff.registrar;
        for agent in [&scene.bot, &scene.other] {
            registrar.post("/v1/agents", &registration(agent)).await.expect(201);
        }
        for (server, audience, resource_type) in
            [(&scene.docs, AUDIENCE, "document"), (&scene.elsewhere, "https://elsewhere.example", "thing")]
        {
            let body = server.server_registration(audience, resource_type);
            registrar.post("/v1/resource-servers", &body).await.expect(201);
        }
        scene
    }

    async fn send(&self, call: Call) -> Answer {
        self.world.reach.send(call).await
    }

    async fn operate(&self, path: &str, body: &Value) {
        self.world.staff.registrar.post(path, body).await.expect(200);
    }

    /// Send a good request with this assertion in place of its own.
    async fn with_assertion(&self, assertion: &str) -> Answer {
        let mut parameters = [self.bot.authentication(), token_request(&detail())].concat();
        replace(&mut parameters, "client_assertion", assertion);
        let proof = self.bot.proof(TOKEN, &self.bot.nonce().await);
        self.send(form(TOKEN, &parameters).header(PROOF_HEADER, proof)).await
    }

    /// Send a good request with this proof.
    async fn with_proof(&self, proof: String) -> Answer {
        let parameters = [self.bot.authentication(), token_request(&detail())].concat();
        self.send(form(TOKEN, &parameters).header(PROOF_HEADER, proof)).await
    }

    /// Send a good request with these parameters changed; an empty value takes one away.
    async fn with(&self, changes: &[(&'static str, &str)]) -> Answer {
        let mut parameters = token_request(&detail());
        for (name, value) in changes {
            replace(&mut parameters, name, value);
        }
        self.bot.post(TOKEN, &parameters).await
    }
}

fn registration(agent: &Client) -> Value {
    json!({
        "id": agent.id,
        "owner": "support@example.org",
        "ceiling": { PURPOSE: { "user": "without", "permissions": [{ "action": "doc.*", "resource": "document/*" }] } },
        "keys": [agent.key.registration("pod-1")],
    })
}

fn detail() -> Value {
    json!({ "type": "attorn_action", "actions": ["doc.read"], "identifier": "document/42", "purpose": PURPOSE,
        "arguments": { "section": "billing" } })
}

fn replace(parameters: &mut Parameters, name: &'static str, value: &str) {
    parameters.retain(|(other, _)| *other != name);
    if !value.is_empty() {
        parameters.push((name, value.into()));
    }
}

/// What the token says, verified by somebody else's library with what the metadata names.
async fn verified(scene: &Scene, token: &str) -> Value {
    let metadata: Value = scene.send(Call::get("/.well-known/oauth-authorization-server")).await.json();
    let path = metadata["jwks_uri"].as_str().unwrap().strip_prefix(&scene.world.reach.url).unwrap();
    let jwks: JwkSet = scene.send(Call::get(path)).await.json();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = jwks.find(header.kid.as_deref().unwrap()).unwrap();
    let mut expect = Validation::new(Algorithm::ES256);
    expect.set_audience(&[AUDIENCE]);
    expect.set_issuer(&[metadata["issuer"].as_str().unwrap()]);
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &expect).unwrap().claims
}

/// Use the token's grant, as the service that it is for.
async fn used(scene: &Scene, token: &TokenAnswer) -> Answer {
    let granted = &token.authorization_details[0];
    let body = json!({ "action": granted.actions[0], "resource": granted.identifier,
        "arguments_digest": granted.arguments_digest });
    scene.docs.post_json(&format!("/v1/grants/{}/uses", token.grant_id), &body).await
}
