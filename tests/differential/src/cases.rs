//! Worlds as cases, which `attorn policy test` asks of the component in Attorn's engine. What Cedar says is what has to
//! come; codes are compared there, and no texts.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::random::Random;
use crate::world::{Alphabet, Ruling, World};
use crate::{Tally, count_in, expected, listed};

/// Rulings where nobody says how many. For each the engine makes a component ready.
pub(crate) const RULINGS: u64 = 50;
/// Requests under each.
const REQUESTS: usize = 100;

/// Write a file of cases for each ruling.
pub(crate) fn write(directory: &Path, rulings: u64, seed: u64) -> Result<String, String> {
    let mut random = Random::of(seed);
    let mut tally = Tally::new();
    fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    for at in 0..rulings {
        let ruling = Ruling::random(&mut random, Alphabet::Attorns);
        let mut cases = Vec::with_capacity(REQUESTS);
        for request in 0..REQUESTS {
            let world = World::random(&mut random, &ruling);
            let answer = expected(&ruling, &world).map_err(|error| format!("ruling {at}: {error}"))?;
            count_in(&mut tally, &answer);
            let codes: Vec<&str> = answer.1.iter().map(|(code, _)| code.as_str()).collect();
            let mut expect = json!({ "verdict": answer.0 });
            if !codes.is_empty() {
                expect["reasons"] = json!(codes);
            }
            cases.push(json!({ "name": format!("request {request}"), "context": context(&world), "expect": expect }));
        }
        let file = json!({ "version": 1, "settings": ruling.settings(), "cases": cases });
        let path = directory.join(format!("ruling-{at}.json"));
        fs::write(path, file.to_string()).map_err(|error| error.to_string())?;
    }
    Ok(format!("{} cases of {rulings} rulings: {}", rulings * REQUESTS as u64, listed(&tally)))
}

/// What is asked, as cases have it.
fn context(world: &World) -> Value {
    let asked = &world.asked;
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let facts: Map<String, Value> =
        asked.facts.iter().filter_map(|fact| Some((fact.template.clone(), read(fact.value.as_deref()?)))).collect();
    let mut request = json!({
        "action": asked.request.action,
        "resource": format!("photo/{}", asked.request.resource_id),
        "arguments": read(&asked.request.arguments),
    });
    let mut context = json!({ "time_ms": asked.time, "agent": { "id": asked.agent.id }, "facts": facts });
    if let Some(user) = &asked.user {
        let groups: Vec<Value> = user
            .groups
            .iter()
            .map(|group| json!({ "name": group.name, "issuer": group.issuer, "asserted_at_ms": group.asserted_at_ms }))
            .collect();
        let claims = read(&user.claims);
        let authenticated = user.authenticated_at_ms;
        context["user"] =
            json!({ "id": user.id, "groups": groups, "claims": claims, "authenticated_at_ms": authenticated });
        request["session"] = json!(asked.request.session);
        let hops = asked.delegations.iter().map(|hop| {
            json!({
                "id": hop.id,
                "to_agent": hop.to_agent,
                "permissions": [{ "action": "photo.*", "resource": "photo/*" }],
                "created_at_ms": hop.created_at_ms,
                "expires_at_ms": hop.expires_at_ms,
            })
        });
        context["delegations"] = hops.collect();
    }
    context["request"] = request;
    context
}
