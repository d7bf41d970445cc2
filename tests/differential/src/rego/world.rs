//! One random world: modules, data and a request, told twice. Once as Attorn has it, which is what the plugin gets; and
//! once as `input` and `data`, written down here without the plugin's code.

use attorn_policy::{Context, Delegation, Group, Permission, testing};
use serde_json::{Map, Value, json};

use super::modules;
use crate::random::Random;

pub(crate) const USERS: &[&str] = &["usr-alice", "usr-bob", "usr-carol"];
pub(crate) const ACTIONS: &[&str] = &["photo.view", "photo.edit"];
const PHOTOS: &[&str] = &["1", "a/b.jpg"];
const OWNER: &str = "resource/{request.resource_type}/{request.resource_id}/owner";
const RISK: &str = "agent/{agent.id}/risk";

/// What a policy's author writes, and does not change with the request.
pub(crate) struct Ruling {
    /// The module.
    pub(crate) module: String,
    /// Whether silence is abstention.
    pub(crate) abstains: bool,
    /// Whether builtins are undefined where they fail.
    pub(crate) is_lax: bool,
    data: Value,
}

/// The same, told twice.
pub(crate) struct World {
    /// What the plugin is asked.
    pub(crate) asked: Context,
    /// What the rules see as `input`.
    pub(crate) input: Value,
    /// Two facts, the first of which is required.
    pub(crate) owner: Option<Value>,
    risk: Option<Value>,
}

impl Ruling {
    /// A random one.
    pub(crate) fn random(random: &mut Random) -> Self {
        let data = json!({
            "limits": { "low": random.below(3), "high": random.below(9) },
            "names": [random.one(USERS), random.one(USERS)],
            "risks": { "other": random.below(3) },
        });
        let module = modules::module(random);
        Self { module, abstains: random.chance(40), is_lax: random.chance(40), data }
    }

    /// The plugin's settings.
    pub(crate) fn settings(&self) -> Value {
        json!({
            "modules": { "random.rego": self.module },
            "data": self.data,
            "facts": {
                "owner": OWNER,
                "risk": { "template": RISK, "at": "risks.now", "required": false },
            },
            "reasons": {
                "own_a": { "text": "own_a is declared", "public": true },
                "own_b": { "text": "own_b is declared" },
            },
            "otherwise": if self.abstains { "abstain" } else { "deny" },
            "builtin_errors": if self.is_lax { "undefined" } else { "deny" },
        })
    }
}

impl World {
    /// A random one.
    pub(crate) fn random(random: &mut Random) -> Self {
        let (action, photo) = (random.one(ACTIONS), random.one(PHOTOS));
        let mut asked = testing::context(action, &format!("photo/{photo}"));
        asked.time += random.number() % 36_000_000;
        let mut input = json!({
            "action": action,
            "resource": format!("photo/{photo}"),
            "resource_type": "photo",
            "resource_id": photo,
            "purpose": "test",
            "time_ms": asked.time,
            "agent": { "id": "test-agent", "instance": "test-1", "owner": "tests", "labels": {} },
            "approvals": [],
            "counters": {},
            "hops": 0,
            "delegations": [],
            "caller": { "method": "dpop", "key_thumbprint": asked.caller.key_thumbprint },
        });
        if random.chance(70) {
            input["user"] = give_user(random, &mut asked);
            let (from, until) = (asked.time - 1_000, asked.time + 1_000);
            asked.request.session = Some("s-1".into());
            asked.delegations = vec![Delegation {
                id: "d-0".into(),
                to_agent: "test-agent".into(),
                permissions: vec![Permission { action: "photo.*".into(), resource: "photo/*".into() }],
                purpose: "test".into(),
                session: "s-1".into(),
                created_at_ms: from,
                expires_at_ms: until,
            }];
            input["session"] = json!("s-1");
            input["hops"] = json!(1);
            input["delegations"] = json!([{
                "hop": 0,
                "id": "d-0",
                "to_agent": "test-agent",
                "permissions": [{ "action": "photo.*", "resource": "photo/*" }],
                "purpose": "test",
                "session": "s-1",
                "created_at_ms": from,
                "expires_at_ms": until,
            }]);
        }
        let arguments = arguments(random);
        asked.request.arguments = arguments.to_string();
        input["arguments"] = arguments;
        let owner = random.chance(90).then(|| json!(random.one(USERS)));
        let risk =
            random.chance(60).then(|| if random.chance(80) { json!(random.below(9)) } else { json!({ "a": [null] }) });
        let fact = |template: &str, value: &Option<Value>| {
            testing::fact(template, value.as_ref().map(ToString::to_string).as_deref())
        };
        asked.facts = vec![fact(OWNER, &owner), fact(RISK, &risk)];
        Self { asked, input, owner, risk }
    }

    /// `data` with the facts in it.
    pub(crate) fn data(&self, ruling: &Ruling) -> Value {
        let mut data = ruling.data.clone();
        if let Some(owner) = &self.owner {
            data["facts"] = json!({ "owner": owner });
        }
        if let Some(risk) = &self.risk {
            data["risks"]["now"] = risk.clone();
        }
        data
    }

    /// What is asked, as cases have it.
    pub(crate) fn case(&self) -> Value {
        let mut facts = Map::new();
        for (template, value) in [(OWNER, &self.owner), (RISK, &self.risk)] {
            facts.insert(template.to_owned(), value.clone().unwrap_or_default());
        }
        let mut request = json!({
            "action": self.input["action"],
            "resource": self.input["resource"],
            "arguments": self.input["arguments"],
        });
        let mut context = json!({ "time_ms": self.asked.time, "facts": facts });
        if let Some(user) = self.input.get("user") {
            context["user"] = user.clone();
            request["session"] = json!("s-1");
            let mut hops = self.input["delegations"].clone();
            if let Some(hop) = hops[0].as_object_mut() {
                hop.remove("hop");
            }
            context["delegations"] = hops;
        }
        context["request"] = request;
        context
    }
}

fn give_user(random: &mut Random, asked: &mut Context) -> Value {
    let mut user = testing::user(random.one(USERS));
    let claims = match random.below(3) {
        0 => json!({}),
        1 => json!({ "level": random.below(5), "manager": null }),
        _ => json!({ "level": "three" }),
    };
    user.claims = claims.to_string();
    user.authenticated_at_ms = asked.time - 5_000;
    if random.chance(50) {
        let name = random.one(&["staff", "admins"]).to_owned();
        user.groups.push(Group { issuer: user.issuer.clone(), name, asserted_at_ms: asked.time - 2_000 });
    }
    let groups: Vec<Value> = user
        .groups
        .iter()
        .map(|group| json!({ "issuer": group.issuer, "name": group.name, "asserted_at_ms": group.asserted_at_ms }))
        .collect();
    let told = json!({
        "id": user.id,
        "issuer": user.issuer,
        "authenticated_at_ms": user.authenticated_at_ms,
        "groups": groups,
        "claims": claims,
    });
    asked.user = Some(user);
    told
}

fn arguments(random: &mut Random) -> Value {
    let mut arguments = Map::new();
    let all = [
        ("amount", json!(random.below(9))),
        ("rate", json!(0.25)),
        ("note", json!(random.one(&["", "usr-alice", "ünï \"code\"", "12"]))),
        ("list", json!([random.below(3), "x", null, true, [random.below(3)]])),
        ("nested", json!({ "a b": { "c": -9_007_199_254_740_991_i64 } })),
    ];
    for (name, value) in all {
        if random.chance(75) {
            arguments.insert(name.into(), value);
        }
    }
    arguments.into()
}
