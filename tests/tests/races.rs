//! Everything that ends a right, against 32 requests at once that use it: in the log, which has one order, nothing
//! is allowed or delegated after the entry that ended it; and whoever was told that it ended never sees it used.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::delegations::Delegation;
use attorn_tests::components;
use attorn_tests::server::Fresh;
use attorn_tests::svids::Authority;
use attorn_tests::world::PURPOSE_WITH_USER;
use attorn_tests::{Answer, Behalf, Call, Reach, Server, World};
use serde_json::{Value, json};

/// How many requests run at once.
const AT_ONCE: usize = 32;
/// How many decisions are made before the right is ended.
const BEFORE: usize = 64;

/// The bot's identity, where it shows a certificate.
const BOT: &str = "spiffe://example.org/support/bot";

/// What ends the right of the bot and of whoever has it from the bot.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Delegation,
    User,
    Erasure,
    OwnFace,
    Session,
    Provider,
    Suspension,
    Key,
    Ceiling,
    Entitlement,
    Policy,
    Freeze,
    TrustDomain,
}

impl Ending {
    /// Make it happen.
    async fn act(self, scene: &Behalf, root: &Delegation) -> Answer {
        let (registrar, nothing) = (&scene.staff.registrar, json!({}));
        match self {
            Self::Delegation => registrar.post(format!("/v1/delegations/{}/revoke", root.id), &nothing).await,
            Self::User => registrar.post(format!("/v1/users/{}/revoke", root.user), &nothing).await,
            Self::Erasure => scene.erase(&root.user).await,
            Self::OwnFace => {
                let token = scene.provider.user_token(json!({}));
                scene.reach.send(Call::post("/v1/me/revoke", &json!({ "agent": "support-bot" })).bearer(&token)).await
            }
            Self::Session => registrar.post(format!("/v1/sessions/{}/revoke", root.session), &nothing).await,
            Self::Provider => registrar.act("/v1/providers/main/revoke").await,
            Self::Suspension => registrar.post("/v1/agents/support-bot/suspend", &nothing).await,
            Self::Key => {
                let path = format!("/v1/agents/support-bot/keys/{}/revoke", scene.bot.key.thumbprint());
                registrar.act(path).await
            }
            Self::Ceiling => {
                let nothing = json!([{ "action": "account.close", "resource": "account/*" }]);
                let ceiling = json!({ PURPOSE_WITH_USER: { "user": "with", "permissions": nothing } });
                registrar.post("/v1/agents/support-bot/ceiling", &json!({ "ceiling": ceiling })).await
            }
            Self::Entitlement => {
                let body = json!({ "holder": { "everyone": scene.provider.issuer } });
                registrar.post("/v1/entitlements/delete", &body).await
            }
            Self::Policy => {
                scene.staff.policy_replacer.post("/v1/policies/no/activate", &json!({ "version": 1 })).await
            }
            Self::Freeze => registrar.post("/v1/freeze", &nothing).await,
            Self::TrustDomain => registrar.act("/v1/trust-domains/example.org/revoke").await,
        }
    }

    /// The type of the entry that says so.
    const fn entry(self) -> &'static str {
        match self {
            Self::Delegation => "delegation_revoked",
            Self::User | Self::OwnFace => "user_delegations_revoked",
            Self::Erasure => "user_erased",
            Self::Session => "session_ended",
            Self::Provider => "provider_revoked",
            Self::Suspension => "agent_suspended",
            Self::Key => "agent_key_revoked",
            Self::Ceiling => "agent_ceiling_changed",
            Self::Entitlement => "entitlement_deleted",
            Self::Policy => "policy_activated",
            Self::Freeze => "frozen",
            Self::TrustDomain => "trust_domain_revoked",
        }
    }

    /// Whether what the bot offered ends, too.
    const fn reaches_below(self) -> bool {
        !matches!(self, Self::Key | Self::TrustDomain)
    }

    /// Whether the same login may still bring a delegation.
    const fn exchanges(self) -> bool {
        matches!(self, Self::Ceiling | Self::Entitlement | Self::Policy)
    }
}

/// What was seen while it went on.
#[derive(Default)]
struct Seen {
    ended: AtomicBool,
    allowed: AtomicUsize,
    exchanged: AtomicUsize,
}

/// Who races.
struct Scene {
    behalf: Behalf,
    /// The bot's certificate, where it shows one instead of proving that it has a key.
    shown: Option<Reach>,
}

impl Deref for Scene {
    type Target = Behalf;

    fn deref(&self) -> &Behalf {
        &self.behalf
    }
}

impl Scene {
    async fn of(ending: Ending) -> Self {
        if !matches!(ending, Ending::TrustDomain) {
            return Self { behalf: Behalf::new().await, shown: None };
        }
        let server = Server::start_in(Fresh::make_with_tls(&Authority::new("of the server")).await).await;
        let behalf = Behalf::in_world(World::in_server(server).await, json!({})).await;
        let (registrar, authority) = (&behalf.staff.registrar, Authority::new("of the workloads"));
        let body = json!({ "id": "example.org", "bundle": { "pem": authority.pem } });
        registrar.post("/v1/trust-domains", &body).await.expect(201);
        let body = json!({ "subject": { "spiffe": BOT }, "instance": "mesh-1", "methods": ["x509"] });
        registrar.post("/v1/agents/support-bot/identities", &body).await.expect(200);
        let shown = Some(behalf.reach.showing(&authority.svid(BOT, |_| {})));
        Self { behalf, shown }
    }

    /// The bot posts this, by whatever it is known.
    async fn bot_posts(&self, path: &str, body: &Value) -> Answer {
        match &self.shown {
            None => self.bot.post(path, body).await,
            Some(reach) => reach.send(Call::post(path, body)).await,
        }
    }
}

/// Ask again and again, until some time after the right has ended.
async fn ask(scene: Arc<Scene>, seen: Arc<Seen>, delegation: Delegation, child: bool) {
    for _ in 0..10_000 {
        let ended = seen.ended.load(Ordering::SeqCst);
        let wanted = scene.ask(&delegation);
        let answer = if child {
            scene.helper.post("/v1/decisions", &wanted).await
        } else {
            scene.bot_posts("/v1/decisions", &wanted).await
        };
        // A key that is revoked authenticates nobody; what keeps changing is a 503, which allows nothing.
        let allowed = answer.status == 200 && answer.json::<DecisionAnswer>().decision == DecisionKind::Allow;
        assert!(!(ended && allowed), "allowed after the end was acknowledged");
        seen.allowed.fetch_add(usize::from(allowed), Ordering::SeqCst);
        if ended {
            return;
        }
    }
    panic!("the right never ended");
}

/// Exchange again and again tokens of the same login.
async fn exchange(scene: Arc<Scene>, seen: Arc<Seen>, number: usize, may_go_on: bool) {
    for turn in 0..10_000 {
        let ended = seen.ended.load(Ordering::SeqCst);
        let token = scene.token(json!({ "jti": format!("{number}-{turn}") }));
        let body = json!({ "subject_token": token, "purpose": PURPOSE_WITH_USER });
        let answer = scene.bot_posts("/v1/delegations", &body).await;
        assert!(may_go_on || !(ended && answer.status == 201), "delegated after the end was acknowledged");
        seen.exchanged.fetch_add(usize::from(answer.status == 201), Ordering::SeqCst);
        if ended {
            return;
        }
    }
    panic!("the right never ended");
}

async fn race(ending: Ending) {
    let scene = Arc::new(Scene::of(ending).await);
    if matches!(ending, Ending::Policy) {
        scene.push("no", components::bytes("deny_public_reason"), json!({}), json!({})).await.expect(201);
    }
    let root = scene.delegated().await;
    let child = scene.offered(&scene.bot, &root, &scene.helper).await;
    let seen = Arc::new(Seen::default());
    let mut tasks = Vec::new();
    for number in 0..AT_ONCE {
        let (scene, seen) = (Arc::clone(&scene), Arc::clone(&seen));
        let below = number % 4 == 1 && ending.reaches_below();
        tasks.push(match number % 4 {
            3 => tokio::spawn(exchange(scene, seen, number, ending.exchanges())),
            _ if below => tokio::spawn(ask(scene, seen, child.clone(), true)),
            _ => tokio::spawn(ask(scene, seen, root.clone(), false)),
        });
    }
    attorn_tests::until("enough is allowed", async || {
        assert!(!tasks.iter().all(tokio::task::JoinHandle::is_finished), "nobody asks any more");
        seen.allowed.load(Ordering::SeqCst) >= BEFORE && seen.exchanged.load(Ordering::SeqCst) > 0
    })
    .await;
    let mut answer = ending.act(&scene, &root).await;
    // What it depends on moves all the time, so it may have to be said again.
    for _ in 0..100 {
        if answer.status != 503 {
            break;
        }
        answer = ending.act(&scene, &root).await;
    }
    answer.expect(200);
    seen.ended.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    check_log(ending, &scene.entries().await);
}

/// The log has one order: after the entry that ended the right, nothing of it is allowed or delegated.
fn check_log(ending: Ending, entries: &[Value]) {
    let at = entries.iter().rposition(|entry| entry["type"] == ending.entry());
    let at = at.unwrap_or_else(|| panic!("no entry `{}` for {ending:?}", ending.entry()));
    let (before, after) = entries.split_at(at);
    let concerns = |entry: &&Value| {
        let chain = entry["on_behalf"]["chain"].as_array();
        chain.is_some_and(|chain| chain.iter().any(|hop| hop["agent"] == "support-bot"))
            && (ending.reaches_below() || entry["agent"]["id"] == "support-bot")
    };
    let allows =
        |entries: &[Value]| entries.iter().filter(concerns).filter(|entry| entry["decision"] == "allow").count();
    assert!(allows(before) > 0, "{ending:?}");
    assert_eq!(allows(after), 0, "{ending:?}: allowed after the entry that ended it");
    let delegated = before.iter().filter(|entry| entry["type"] == "delegation_made").count();
    assert!(delegated > 1, "{ending:?}: nobody exchanged a token before it");
    let made = after.iter().filter(|entry| entry["type"] == "delegation_made").count();
    assert!(ending.exchanges() || made == 0, "{ending:?}: {made} delegated after the entry that ended it");
}

macro_rules! races {
    ($($name:ident: $ending:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            race(Ending::$ending).await;
        }
    )*};
}

races! {
    revoking_a_delegation: Delegation;
    revoking_all_of_a_user: User;
    erasing_a_user: Erasure;
    a_user_who_revokes: OwnFace;
    ending_a_session: Session;
    trusting_a_provider_no_more: Provider;
    suspending_an_agent: Suspension;
    revoking_a_key: Key;
    narrowing_a_ceiling: Ceiling;
    taking_an_entitlement_away: Entitlement;
    tightening_a_policy: Policy;
    freezing: Freeze;
    revoking_a_trust_domain: TrustDomain;
}
