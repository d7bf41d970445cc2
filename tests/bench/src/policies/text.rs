//! Policies in Cedar and in Rego: the plugins against the crates themselves.

use std::sync::Arc;

use attorn_engine::{Engine, LoadedPolicy};
use serde_json::{Value, json};

use super::native::Native;
use crate::engine::{TOGETHER, evaluate, load_of};
use crate::figure::{Figures, float, median, rounded, timed};
use crate::{Length, policy};

/// How many of each there are.
const GROUPS: usize = 20;
const FOLDERS: usize = 10;
const AGENTS: usize = 50;
const ARTICLES: usize = 40;
const ROLES: usize = 5;
const PERMISSIONS_PER_ROLE: usize = 6;

const REGO: &str = r#"package attorn

allow if {
	some role in data.roles_of[input.agent]
	some permission in data.permissions[role]
	permission.action == input.action
	permission.type == input.resource_type
}

deny contains "frozen" if data.frozen[input.resource_type]
"#;

/// The same question for both sides, which both have to allow.
struct Asked {
    name: String,
    plugin: &'static str,
    settings: Value,
    native: Value,
}

/// Measure, and print.
pub(super) fn measure(engine: &Engine, length: Length, figures: &mut Figures) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let context = Arc::new(policy::context());
    for Asked { name, plugin, settings, native } in [cedar(10), cedar(200), rego()] {
        let component = attorn_tests::components::bytes(plugin);
        let loaded = load_of(engine, plugin, &component, &settings.to_string());
        let mut native = Native::start(&native);
        let ask = |policies: usize| {
            let policies: Vec<LoadedPolicy> = vec![loaded.clone(); policies];
            runtime.block_on(evaluate(engine, policies, &context));
        };
        let mut taken = [const { Vec::new() }; 4];
        for batch in 0..=length.engine_batches {
            let calls = length.engine_evaluations / 10;
            let (alone_us, together_us) = (timed(calls, || ask(1)), timed(calls / TOGETHER, || ask(TOGETHER)));
            let [native_us, prepared_us] = native.timed(calls);
            // The first of each warms up.
            if batch > 0 {
                let took = [alone_us, together_us / float(TOGETHER as u64), native_us, prepared_us];
                taken.iter_mut().zip(took).for_each(|(taken, took)| taken.push(took));
            }
        }
        let [alone_us, together_us, native_us, prepared_us] = taken.map(median);
        let raw = json!({
            "alone_us": rounded(alone_us),
            "of_16_us": rounded(together_us),
            "native_us": rounded(native_us),
            "native_prepared_us": rounded(prepared_us),
            "settings_bytes": settings.to_string().len(),
            "batches": length.engine_batches,
            "evaluations_per_batch": length.engine_evaluations / 10,
        });
        figures.add(&format!("policies.{name}_over_native"), alone_us / native_us, "ratio", &raw);
        figures.add(&format!("policies.{name}_of_16_over_native"), together_us / native_us, "ratio", &raw);
    }
}

/// So many policies in Cedar, of which the last permits, and one in ten forbids something else.
fn cedar(policies: usize) -> Asked {
    let own = |at: usize| {
        let (group, folder) = (at % GROUPS, at % FOLDERS);
        if at % 10 == 4 {
            let unless = format!("unless {{ principal in Group::\"g{group}\" }}");
            return format!("forbid(principal, action == Action::\"faq.a{at}\", resource) {unless};");
        }
        let scope = format!("principal in Group::\"g{group}\", action, resource in Folder::\"f{folder}\"");
        format!("permit({scope}) when {{ context.section == \"s{at}\" }};")
    };
    let last = "permit(principal in Group::\"g1\", action == Action::\"faq.read\", resource in Folder::\"f2\") \
                when { context.section == \"billing\" && resource.public };";
    let policies_text: Vec<String> = (1..policies).map(own).chain([last.to_owned()]).collect();
    let (policies_text, entities) = (policies_text.join("\n"), entities());
    let settings = json!({
        "principal": "agent",
        "policies": policies_text,
        "entities": entities,
        "context": { "section": "arguments.section" },
    });
    let native = json!({ "cedar": {
        "policies": policies_text,
        "entities": entities,
        "principal": "Agent::\"support-bot\"",
        "action": "Action::\"faq.read\"",
        "resource": "Article::\"42\"",
        "context": r#"{"section":"billing"}"#,
    } });
    Asked { name: format!("cedar{policies}"), plugin: "cedar", settings, native }
}

/// Groups, folders, agents in two groups each, and articles in a folder each; `support-bot` and `42` among them.
fn entities() -> Value {
    let entity = |kind: &str, id: String, attrs: Value, parents: Vec<Value>| json!({ "uid": { "type": kind, "id": id }, "attrs": attrs, "parents": parents });
    let of = |kind: &str, id: String| json!({ "type": kind, "id": id });
    let group = |at: usize| of("Group", format!("g{}", at % GROUPS));
    let agent = |at: usize, id: String| entity("Agent", id, json!({ "rank": at }), vec![group(at), group(at + 7)]);
    let article = |at: usize, id: String| {
        entity("Article", id, json!({ "public": true }), vec![of("Folder", format!("f{}", at % FOLDERS))])
    };
    (0..GROUPS)
        .map(|at| entity("Group", format!("g{at}"), json!({}), Vec::new()))
        .chain((0..FOLDERS).map(|at| entity("Folder", format!("f{at}"), json!({}), Vec::new())))
        .chain((1..AGENTS).map(|at| agent(at, format!("agent-{at}"))))
        .chain([agent(1, "support-bot".to_owned())])
        .chain((100..99 + ARTICLES).map(|at| article(at, at.to_string())))
        .chain([article(2, "42".to_owned())])
        .collect()
}

/// Roles of agents, and what each may do, in Rego.
fn rego() -> Asked {
    let roles = |at: usize| json!([format!("r{}", at % ROLES), format!("r{}", (at + 2) % ROLES)]);
    let mut roles_of: serde_json::Map<String, Value> = (1..20).map(|at| (format!("agent-{at}"), roles(at))).collect();
    roles_of.insert("support-bot".to_owned(), roles(2));
    let permission = |role: usize, at: usize| json!({ "action": format!("faq.a{role}-{at}"), "type": "article" });
    let permissions: serde_json::Map<String, Value> = (0..ROLES)
        .map(|role| {
            let mut all: Vec<Value> = (1..PERMISSIONS_PER_ROLE).map(|at| permission(role, at)).collect();
            all.push(json!({ "action": "faq.read", "type": if role == 4 { "article" } else { "ticket" } }));
            (format!("r{role}"), json!(all))
        })
        .collect();
    let data = json!({ "roles_of": roles_of, "permissions": permissions, "frozen": { "ledger": true } });
    let settings = json!({
        "modules": { "roles.rego": REGO },
        "data": data,
        "input": { "agent": "agent.id", "action": "action", "resource_type": "resource_type" },
        "reasons": { "frozen": { "text": "it is frozen" } },
    });
    let input = r#"{"action":"faq.read","agent":"support-bot","resource_type":"article"}"#;
    let native = json!({ "rego": { "module": REGO, "data": data, "input": input } });
    Asked { name: "rego".to_owned(), plugin: "rego", settings, native }
}
