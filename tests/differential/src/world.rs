//! One random world: policies, entities and a request, told twice. Once as Attorn has it, which is what the plugin gets;
//! and once in Cedar's own JSON, written down here without the plugin's code.

use attorn_policy::{Context, Delegation, Fact, Group, Permission, testing};
use serde_json::{Map, Value, json};

use crate::policies::{self, Scope};
use crate::random::Random;

pub(crate) const USERS: &[&str] = &["alice", "bob", "a\"b\\c", "ünï \u{202e}code", "User::\"alice\"", ""];
pub(crate) const GROUPS: &[&str] = &["staff", "admins", "*", "a/b"];
pub(crate) const ACTIONS: &[&str] = &["photo.view", "photo.edit", "photo.delete"];
const AGENTS: &[&str] = &["bot", "alice", "x-1"];
const PHOTOS: &[&str] = &["1", "a/b.jpg", "x\"); permit(principal, action, resource); //"];
const USER_FACT: &str = "user/{user.id}/entity";
const PHOTO_FACT: &str = "resource/{request.resource_type}/{request.resource_id}/entity";
const ISSUER: &str = "https://issuer.example";

/// What a policy's author writes, and does not change with the request.
pub(crate) struct Ruling {
    /// Cedar's policies.
    pub(crate) policies: String,
    /// Whether silence is abstention.
    pub(crate) abstains: bool,
    by_user: bool,
    entities: Vec<Value>,
    alphabet: Alphabet,
}

/// Which ids there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// Any text.
    Any,
    /// Only those that Attorn has, and each user's request with a delegation: for its engine.
    Attorns,
}

/// The same, told twice.
pub(crate) struct World {
    /// What the plugin is asked.
    pub(crate) asked: Context,
    /// Whom Cedar is asked about.
    pub(crate) principal: Value,
    /// What they do.
    pub(crate) action: Value,
    /// To what.
    pub(crate) resource: Value,
    /// Cedar's context.
    pub(crate) context: Value,
    /// Cedar's entities.
    pub(crate) entities: Value,
}

/// A text as Cedar's policies have it.
pub(crate) fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\u{{{:x}}}", u32::from(c)) })
        .collect();
    format!("\"{escaped}\"")
}

fn uid(kind: &str, id: &str) -> Value {
    json!({ "type": kind, "id": id })
}

fn reference(kind: &str, id: &str) -> Value {
    json!({ "__entity": uid(kind, id) })
}

fn time(ms: u64) -> Value {
    let call = |name: &str, args: Value| json!({ "__extn": { "fn": name, "args": args } });
    let (start, since) = (call("datetime", json!(["1970-01-01"])), call("duration", json!([format!("{ms}ms")])));
    call("offset", json!([start, since]))
}

impl Ruling {
    /// A random one.
    pub(crate) fn random(random: &mut Random, alphabet: Alphabet) -> Self {
        let by_user = random.chance(60);
        let (principal, principals) = kind(by_user);
        let scope = Scope { principal, principals: of(principals, alphabet), resources: of(PHOTOS, alphabet) };
        let policies = policies::policies(random, &scope);
        Self { policies, abstains: random.chance(30), by_user, entities: fixed(random), alphabet }
    }

    /// The plugin's settings.
    pub(crate) fn settings(&self) -> Value {
        json!({
            "principal": if self.by_user { "user" } else { "agent" },
            "policies": self.policies,
            "otherwise": if self.abstains { "abstain" } else { "deny" },
            "entities": self.entities,
            "entity_facts": [
                { "template": USER_FACT, "types": ["User"], "required": false },
                { "template": PHOTO_FACT, "types": ["Photo"], "required": false },
            ],
            "groups": { "issuer": ISSUER, "seconds_max": 900 },
        })
    }
}

/// The type of principals, and all ids.
const fn kind(by_user: bool) -> (&'static str, &'static [&'static str]) {
    if by_user { ("User", USERS) } else { ("Agent", AGENTS) }
}

/// The ids of these that there are; those that Attorn has come first.
fn of(ids: &'static [&'static str], alphabet: Alphabet) -> &'static [&'static str] {
    match alphabet {
        Alphabet::Any => ids,
        Alphabet::Attorns => &ids[..2],
    }
}

impl World {
    /// A random one under this ruling.
    pub(crate) fn random(random: &mut Random, ruling: &Ruling) -> Self {
        let ids = |all| of(all, ruling.alphabet);
        let (agent, user) = (random.one(ids(AGENTS)), random.one(ids(USERS)));
        let (action, photo) = (random.one(ACTIONS), random.one(ids(PHOTOS)));
        let mut asked = testing::context(action, "photo/x");
        asked.request.resource_id = photo.into();
        asked.agent.id = agent.into();
        asked.time += random.number() % 36_000_000;
        let has_user = ruling.by_user || random.chance(50);
        let mut context = context(&asked);
        if has_user {
            context.insert("user".into(), give_user(random, user, &mut asked));
            let hops = random.below(3).max(usize::from(ruling.alphabet == Alphabet::Attorns));
            asked.delegations = (0..hops).map(|hop| delegation(hop, &asked)).collect();
        }
        if !asked.delegations.is_empty() {
            asked.request.session = Some("s-1".into());
            context.insert("session".into(), json!("s-1"));
        }
        let hops: Vec<Value> = (0_u64..).zip(&asked.delegations).map(|(hop, given)| told(hop, given)).collect();
        context.insert("hops".into(), json!(hops.len()));
        context.insert("delegations".into(), json!(hops));
        context.insert("arguments".into(), give_arguments(random, &mut asked));

        let user_entity = (has_user && random.chance(60)).then(|| user_entity(random, user));
        let photo_entity = random.chance(80).then(|| photo_entity(random, photo, ruling));
        asked.facts = vec![fact(USER_FACT, user_entity.as_ref()), fact(PHOTO_FACT, photo_entity.as_ref())];
        let mut entities = ruling.entities.clone();
        entities.extend(with_groups(user_entity, user, &asked));
        entities.extend(photo_entity);
        Self {
            principal: if ruling.by_user { uid("User", user) } else { uid("Agent", agent) },
            action: uid("Action", action),
            resource: uid("Photo", photo),
            context: context.into(),
            entities: entities.into(),
            asked,
        }
    }
}

fn fact(template: &str, value: Option<&Value>) -> Fact {
    Fact { template: template.to_owned(), name: None, value: value.map(ToString::to_string) }
}

fn user_entity(random: &mut Random, user: &str) -> Value {
    let mut attrs = json!({ "rank": random.below(5) });
    if random.chance(30) {
        attrs["friend"] = reference("User", random.one(USERS));
    }
    let tags = if random.chance(50) { json!({ "t": random.below(3) }) } else { json!({}) };
    json!({ "uid": uid("User", user), "attrs": attrs, "tags": tags, "parents": parents(random, "Group") })
}

fn photo_entity(random: &mut Random, photo: &str, ruling: &Ruling) -> Value {
    let (principal, principals) = kind(ruling.by_user);
    let owner = reference(principal, random.one(of(principals, ruling.alphabet)));
    let mut attrs = json!({ "size": random.below(5), "public": random.chance(50), "owner": owner });
    if random.chance(50) {
        attrs["tags"] = json!([random.below(3), random.below(3)]);
        attrs["name"] = json!(random.one(USERS));
    }
    json!({ "uid": uid("Photo", photo), "attrs": attrs, "parents": parents(random, "Album") })
}

/// The user's entity as it has to be, in the groups that count.
fn with_groups(entity: Option<Value>, user: &str, asked: &Context) -> Option<Value> {
    let groups = asked.user.iter().flat_map(|user| &user.groups);
    let counts = |group: &&Group| group.issuer == ISSUER && asked.time - group.asserted_at_ms <= 900_000;
    let groups: Vec<Value> = groups.filter(counts).map(|group| uid("Group", &group.name)).collect();
    if groups.is_empty() {
        return entity;
    }
    let mut entity = entity.unwrap_or_else(|| json!({ "uid": uid("User", user), "attrs": {}, "parents": [] }));
    if let Some(parents) = entity["parents"].as_array_mut() {
        parents.extend(groups);
    }
    Some(entity)
}

/// The part of the context that is always there.
fn context(asked: &Context) -> Map<String, Value> {
    let agent = json!({
        "entity": reference("Agent", &asked.agent.id),
        "id": asked.agent.id,
        "instance": asked.agent.instance,
        "owner": asked.agent.owner,
        "labels": {},
    });
    let caller = json!({ "method": "dpop", "key_thumbprint": asked.caller.key_thumbprint });
    let context = json!({
        "agent": agent,
        "approvals": [],
        "caller": caller,
        "facts": {},
        "purpose": asked.request.purpose,
        "time": time(asked.time),
        "time_ms": asked.time,
    });
    context.as_object().cloned().unwrap_or_default()
}

fn give_user(random: &mut Random, id: &str, asked: &mut Context) -> Value {
    let mut user = testing::user(id);
    let mut claims = Map::new();
    if random.chance(50) {
        claims.insert("level".into(), if random.chance(50) { json!("alice") } else { json!(3) });
    }
    user.claims = Value::Object(claims.clone()).to_string();
    for _ in 0..random.below(3) {
        let issuer = if random.chance(70) { ISSUER } else { "https://other.example" };
        let asserted_at_ms = asked.time - random.number() % 1_800_000;
        user.groups.push(Group { issuer: issuer.into(), name: random.one(GROUPS).to_owned(), asserted_at_ms });
    }
    let groups: Vec<Value> = user
        .groups
        .iter()
        .map(|group| json!({ "issuer": group.issuer, "name": group.name, "asserted_at_ms": group.asserted_at_ms }))
        .collect();
    let told = json!({
        "entity": reference("User", id),
        "id": id,
        "issuer": user.issuer,
        "authenticated_at_ms": user.authenticated_at_ms,
        "groups": groups,
        "claims": claims,
    });
    asked.user = Some(user);
    told
}

fn delegation(hop: usize, asked: &Context) -> Delegation {
    Delegation {
        id: format!("d-{hop}"),
        to_agent: asked.agent.id.clone(),
        permissions: vec![Permission { action: "photo.*".into(), resource: "photo/*".into() }],
        purpose: "test".into(),
        session: "s-1".into(),
        created_at_ms: asked.time - 1_000,
        expires_at_ms: asked.time + 1_000,
    }
}

fn told(hop: u64, given: &Delegation) -> Value {
    json!({
        "hop": hop,
        "id": given.id,
        "to_agent": reference("Agent", &given.to_agent),
        "permissions": [{ "action": "photo.*", "resource": "photo/*" }],
        "purpose": given.purpose,
        "session": given.session,
        "created_at_ms": given.created_at_ms,
        "expires_at_ms": given.expires_at_ms,
    })
}

fn give_arguments(random: &mut Random, asked: &mut Context) -> Value {
    let mut ours = Map::new();
    let mut cedars = Map::new();
    let both = [
        ("amount", json!(random.below(5))),
        ("flag", json!(random.chance(50))),
        ("note", json!(random.one(USERS))),
        ("list", json!([random.below(3), random.below(3), "x", true])),
        ("a b", json!({ "c": [[], {}, { "": -9_007_199_254_740_991_i64 }] })),
    ];
    for (name, value) in both {
        if random.chance(70) {
            ours.insert(name.into(), value.clone());
            cedars.insert(name.into(), value);
        }
    }
    if random.chance(70) {
        let rate = format!("0.{}5", random.below(100));
        ours.insert("rate".into(), rate.parse::<f64>().map_or(Value::Null, Value::from));
        cedars.insert("rate".into(), json!({ "__extn": { "fn": "decimal", "arg": rate } }));
    }
    asked.request.arguments = Value::Object(ours).to_string();
    cedars.into()
}

fn parents(random: &mut Random, kind: &str) -> Value {
    (0..random.below(3)).map(|_| uid(kind, random.one(GROUPS))).collect()
}

fn fixed(random: &mut Random) -> Vec<Value> {
    let entity =
        |kind: &str, id: &str, parents: Value| json!({ "uid": uid(kind, id), "attrs": {}, "parents": parents });
    let mut entities = vec![entity("Action", "photo.view", json!([uid("Action", "reading")]))];
    if random.chance(50) {
        entities.push(entity("Group", "staff", json!([uid("Group", "admins")])));
    }
    if random.chance(50) {
        entities.push(entity("Album", "*", json!([uid("Album", "a/b")])));
    }
    if random.chance(30) {
        entities.push(entity("Agent", "bot", json!([uid("Group", "staff")])));
    }
    entities
}
