//! All hostile policies that can be loaded, in force under selectors of their own, and the good policy
//! that has to be left alone by them.

use attorn_hostile::Expect;
use serde_json::{Value, json};

use crate::components;
use crate::world::{Cast, ask_with};

/// What the good policy is pushed with: a selector of its own, and more time than by default. That the
/// machine is busy with the others is no fault of this policy.
pub fn good_policy() -> Value {
    json!({
        "selector": { "actions": ["faq.read"] },
        "limits": { "cpu_us_max": 100_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 },
    })
}

/// Put them in force, each for an action of its own, and give a request for each. What is refused at its
/// push is left out.
pub async fn put_in_force(cast: &Cast) -> Vec<Value> {
    let mut asks = Vec::new();
    for (name, bytes) in guests() {
        let (id, action) = (name.replace('_', "-"), format!("faq.{name}"));
        let extra = json!({ "selector": { "actions": [action] } });
        let pushed = cast.push(&id, bytes, json!({}), extra).await;
        if pushed.status != 201 {
            let code = pushed.problem().code;
            assert!(matches!(code.as_str(), "component_rejected" | "settings_rejected"), "{name}: {code:?}");
            continue;
        }
        let activate = json!({ "version": pushed.json::<Value>()["version"] });
        cast.staff.policy_admin.post(format!("/v1/policies/{id}/activate"), &activate).await.expect(200);
        asks.push(ask_with(json!({ "action": action })));
    }
    asks
}

/// Everything that might be loaded, by a name that is a segment of an action.
fn guests() -> Vec<(String, Vec<u8>)> {
    let in_rust = attorn_guests::GUESTS.iter().map(|name| (format!("rust-{name}"), components::bytes(name)));
    let by_hand = attorn_hostile::ALL.iter().filter_map(|hostile| {
        // One of each file is enough to keep the server busy.
        let loadable = |variant: &str| !matches!(hostile.expect(variant), Expect::Refused { .. });
        let (_, bytes) = (hostile.make)().into_iter().find(|(variant, _)| loadable(variant))?;
        Some((format!("wat-{}", hostile.name), bytes))
    });
    in_rust.chain(by_hand).collect()
}
