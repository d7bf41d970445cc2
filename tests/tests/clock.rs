//! A wall clock that is stepped an hour each way, in a server that runs and before one starts: nothing is decided until
//! the clocks agree again or an operator accepts; nothing lives longer than it would have without the step; what was
//! accepted once is never accepted again; and once the step is accepted, all goes on.
//!
//! A server that starts within the same boot believes the wall clock no more than the one before it; after a boot it
//! does where that can be right. What a wrong clock had logged out, suspended or revoked shuts nobody out afterwards.
//!
//! The machine's clock is left alone: the server is started with a wall clock that the test shifts, and its clients
//! have clocks of their own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use attorn_api::PROOF_HEADER;
use attorn_api::clock::{ClockShown, Stands};
use attorn_api::decisions::{DecisionAnswer, DecisionKind, Grant};
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_api::oauth::TokenAnswer;
use attorn_core::Duty;
use attorn_tests::behalf::pairs;
use attorn_tests::oauth::{Client, Parameters, form, now_s, refused, token_request};
use attorn_tests::world::{PURPOSE, ask, use_of};
use attorn_tests::{Answer, Behalf, Call, Metrics, Operator};
use serde_json::{Value, json};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// How often something is tried that is refused for some seconds, and how long it is waited in between.
const ATTEMPTS: usize = 400;
const PAUSE: Duration = Duration::from_millis(100);
const TOKEN: &str = "/oauth/token";
const INTROSPECT: &str = "/oauth/introspect";

/// A user and their agents, an OAuth client and a service that introspects; and what lives by time.
struct Scene {
    behalf: Behalf,
    thawer: Operator,
    client: Client,
    docs: Client,
}

/// What was got before the step.
struct Held {
    delegation: Delegation,
    /// Of the bot, for its user.
    grant: Grant,
    token: String,
    /// A request with a good proof that was answered, and one that was never sent.
    proofs: [Call; 2],
    /// The parameters of a request that was answered.
    authentication: Parameters,
    /// A token of the provider's that nobody has exchanged.
    subject_token: String,
}

impl Scene {
    async fn new() -> Self {
        let behalf = Behalf::new().await;
        let (client, docs) = (Client::new(&behalf.reach, "client"), Client::new(&behalf.reach, "docs"));
        let registrar = &behalf.staff.registrar;
        let permissions = pairs(&[("doc.read", "document/*")]);
        let body = json!({
            "id": "client", "owner": "support@example.org", "keys": [client.key.registration("pod-1")],
            "ceiling": { PURPOSE: { "user": "without", "permissions": permissions } },
        });
        registrar.post("/v1/agents", &body).await.expect(201);
        let body = json!({ "id": "docs", "audience": "https://docs.example", "resource_types": ["document"],
            "jwk": docs.key.jwk, "counts_uses": "reports" });
        registrar.post("/v1/resource-servers", &body).await.expect(201);
        let thawer = behalf.staff.admin.hire("thawer", &[Duty::Thawer]).await;
        Self { behalf, thawer, client, docs }
    }

    /// Step the server's wall clock.
    fn step(&self, by_s: i64) {
        self.behalf.server.wall.shift_ms(by_s * 1_000);
    }

    /// Everybody else has this clock, too.
    fn shift_clients(&self, by_s: i64) {
        for machine in [&self.behalf.bot, &self.behalf.helper, &self.behalf.bank, &self.behalf.faq] {
            machine.shift_clock(by_s);
        }
    }

    /// Get all that there is to get, by clients whose clocks are so far ahead of the machine's.
    async fn get(&self, clock_s: i64) -> Held {
        let delegation = self.delegate(clock_s).await;
        let grant = self.granted(&delegation).await;
        let bot = &self.behalf.bot;
        let proofs = [
            bot.signed(Call::post("/v1/decisions", &ask())).await,
            bot.signed(Call::post("/v1/decisions", &ask())).await,
        ];
        self.behalf.reach.send(proofs[0].clone()).await.expect(200);
        let mut authentication = authentication(&self.client, clock_s);
        let mut answer = self.send_token(&authentication, clock_s).await;
        // For some seconds after a start, and where time comes again, assertions are refused.
        for _ in 0..ATTEMPTS {
            if answer.status != 503 {
                break;
            }
            refused(&answer, 503, "temporarily_unavailable");
            tokio::time::sleep(PAUSE).await;
            authentication = self::authentication(&self.client, clock_s);
            answer = self.send_token(&authentication, clock_s).await;
        }
        let token = answer.expect(200).json::<TokenAnswer>().access_token;
        assert!(self.is_active(&token, clock_s).await);
        let subject_token = self.subject_token(clock_s);
        Held { delegation, grant, token, proofs, authentication, subject_token }
    }

    fn subject_token(&self, clock_s: i64) -> String {
        let now = now_s().strict_add_signed(clock_s);
        let (jti, sid) = (format!("at-{now}-{}", attorn_tests::machines::now_ms()), format!("session-{clock_s}"));
        self.behalf.token(json!({ "iat": now, "exp": now + 300, "auth_time": now, "jti": jti, "sid": sid }))
    }

    /// By a token of now, which counts some seconds after a step was accepted.
    async fn delegate(&self, clock_s: i64) -> Delegation {
        for _ in 0..ATTEMPTS {
            let answer = self.behalf.exchange(&self.subject_token(clock_s)).await;
            if answer.status == 201 {
                return answer.json::<DelegationMade>().delegation;
            }
            answer.refused(403, "login_needed");
            tokio::time::sleep(PAUSE).await;
        }
        panic!("no token is exchanged any more");
    }

    /// Alice logs out everywhere, at a time of her provider's.
    async fn log_out(&self, clock_s: i64) {
        let mut claims = self.behalf.provider.logout_claims();
        shift(&mut claims, &["iat", "exp"], clock_s);
        claims["sid"] = Value::Null;
        let token = self.behalf.provider.logout_token(claims);
        self.behalf.reach.send(form("/v1/backchannel-logout", &[("logout_token", token)])).await.expect(200);
    }

    async fn revoke(&self, token: &str) {
        let parameters = [authentication(&self.client, 0), vec![("token", token.to_owned())]].concat();
        self.behalf.reach.send(form("/oauth/revoke", &parameters)).await.expect(200);
    }

    async fn granted(&self, delegation: &Delegation) -> Grant {
        let answer = self.behalf.read(&self.behalf.bot, delegation).await;
        answer.grant.unwrap_or_else(|| panic!("denied: {:?}", answer.reasons))
    }

    async fn use_grant(&self, grant: &Grant) -> Answer {
        self.behalf.bank.post(format!("/v1/grants/{}/uses", grant.id), &use_of(grant)).await
    }

    async fn send_token(&self, authentication: &Parameters, clock_s: i64) -> Answer {
        let detail = json!({ "type": "attorn_action", "actions": ["doc.read"], "identifier": "document/42",
            "purpose": PURPOSE, "arguments": {} });
        let parameters = [authentication.clone(), token_request(&detail)].concat();
        let mut proof = self.client.proof_claims(TOKEN, &self.client.nonce().await);
        shift(&mut proof, &["iat"], clock_s);
        self.behalf.reach.send(form(TOKEN, &parameters).header(PROOF_HEADER, self.client.proof_of(&proof))).await
    }

    async fn introspect(&self, token: &str, clock_s: i64) -> Answer {
        let parameters = [authentication(&self.docs, clock_s), vec![("token", token.to_owned())]].concat();
        self.behalf.reach.send(form(INTROSPECT, &parameters)).await
    }

    async fn is_active(&self, token: &str, clock_s: i64) -> bool {
        for _ in 0..ATTEMPTS {
            let answer = self.introspect(token, clock_s).await;
            if answer.status != 503 {
                return answer.expect(200).json::<Value>()["active"] == true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("no assertion is accepted any more");
    }

    /// Accept what is shown.
    async fn accept(&self, stands: &str) -> Answer {
        let apart_ms = self.show().await.apart_ms;
        self.accept_step(stands, apart_ms).await
    }

    async fn accept_step(&self, stands: &str, apart_ms: u64) -> Answer {
        let body = json!({ "stands": stands, "apart_ms": apart_ms, "reason": "a test" });
        self.thawer.post("/v1/clock/accept", &body).await
    }

    async fn restart(&mut self, accept_clock: bool) {
        self.behalf.world.server.restart(accept_clock).await;
    }

    /// The machine is booted, and what it says the time is.
    async fn boot(&mut self, step_s: i64) {
        self.step(step_s);
        self.behalf.server.wall.boot_anew();
        self.restart(false).await;
    }

    async fn is_ready(&self) {
        self.behalf.reach.send(Call::get("/readyz")).await.expect(200);
    }

    async fn is_not_ready(&self, way: &str) {
        let why = self.behalf.reach.send(Call::get("/readyz")).await.refused(503, "not_ready").detail;
        assert!(why.contains(&format!("`attorn clock accept {way} ")), "{why}");
    }

    async fn show(&self) -> ClockShown {
        self.thawer.get("/v1/clock").await.json()
    }

    /// Nothing is decided, used, delegated, issued or said to be good, and it is said why.
    async fn is_stopped(&self, held: &Held, way: &str) {
        self.is_not_ready(way).await;
        assert_eq!(Metrics::of(&self.behalf.staff.auditor).await.count("attorn_ready", &[]), Some(0));
        let (bot, bank) = (&self.behalf.bot, &self.behalf.bank);
        bot.post("/v1/decisions", &self.behalf.ask(&held.delegation)).await.refused(503, "not_ready");
        self.use_grant(&held.grant).await.refused(503, "not_ready");
        let effect = json!({ "use_number": 1, "effect": "done" });
        bank.post(format!("/v1/grants/{}/effect", held.grant.id), &effect).await.refused(503, "not_ready");
        self.behalf.exchange(&held.subject_token).await.refused(503, "not_ready");
        // The clients are authenticated before that, by the server's own time.
        let fresh = authentication(&self.client, 0);
        refused(&self.send_token(&fresh, 0).await, 503, "temporarily_unavailable");
        refused(&self.introspect(&held.token, 0).await, 503, "temporarily_unavailable");
    }

    /// Whatever was got before gives nothing any more, by clients who have the server's time.
    async fn is_over(&self, held: &Held, clock_s: i64) {
        assert!(!self.is_active(&held.token, clock_s).await);
        self.is_over_here(held).await;
    }

    /// The same, but for what asks clients.
    async fn is_over_here(&self, held: &Held) {
        self.use_grant(&held.grant).await.refused(409, "grant_inactive");
        let shown: attorn_api::grants::GrantDetails =
            self.behalf.staff.registrar.get(format!("/v1/grants/{}", held.grant.id)).await.json();
        assert!(!shown.active);
        let denied = self.behalf.read(&self.behalf.bot, &held.delegation).await;
        assert_eq!((denied.decision, denied.reasons[0].code.as_str()), (DecisionKind::Deny, "delegation_expired"));
    }

    /// No proof, assertion or token from before is taken.
    async fn takes_nothing_again(&self, held: &Held, clock_s: i64) {
        for proof in &held.proofs {
            self.behalf.reach.send(proof.clone()).await.refused(401, "proof_invalid");
        }
        refused(&self.send_token(&held.authentication, clock_s).await, 401, "invalid_client");
        self.behalf.exchange(&held.subject_token).await.refused(403, "subject_token_refused");
    }

    /// All goes on, by clients who have the server's time.
    async fn goes_on(&self, clock_s: i64) -> Held {
        self.is_ready().await;
        let held = self.get(clock_s).await;
        self.use_grant(&held.grant).await.expect(200);
        held
    }

    /// The same without clients that bring assertions.
    async fn goes_on_here(&self, clock_s: i64) -> Grant {
        self.is_ready().await;
        let grant = self.granted(&self.delegate(clock_s).await).await;
        self.use_grant(&grant).await.expect(200);
        grant
    }

    async fn last_acceptance(&self) -> Value {
        let entries = self.behalf.entries().await;
        entries.into_iter().rfind(|entry| entry["type"] == "clock_accepted").unwrap()
    }
}

fn shift(claims: &mut Value, names: &[&str], by_s: i64) {
    for name in names {
        claims[name] = claims[name].as_u64().unwrap().strict_add_signed(by_s).into();
    }
}

/// What a client sends that has this clock.
fn authentication(client: &Client, clock_s: i64) -> Parameters {
    let mut claims = client.claims();
    shift(&mut claims, &["iat", "exp"], clock_s);
    let assertion = client.assertion_of(&claims);
    vec![
        ("client_assertion_type", attorn_identity::client_assertion::JWT_BEARER.into()),
        ("client_assertion", assertion),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_ahead_stops_everything_and_ends_things_early() {
    let scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(HOUR_S);
    scene.is_stopped(&held, "ahead").await;
    assert_eq!(scene.show().await.stands, Some(Stands::Ahead));
    // What ends a right goes on, for whoever may have lost a token.
    scene.revoke(&held.token).await;
    // It is set right: no operator is needed.
    scene.step(0);
    assert_eq!(scene.show().await.stands, None);
    assert!(!scene.is_active(&held.token, 0).await);
    let again = scene.goes_on(0).await;

    scene.step(HOUR_S);
    scene.accept("behind").await.refused(409, "invalid_state");
    scene.is_stopped(&again, "ahead").await;
    // Nobody accepts another step than the one that they saw.
    for other_ms in [6_000, 3_600_000 - 10_000, 3_600_000 + 10_000, u64::MAX] {
        scene.accept_step("ahead", other_ms).await.refused(409, "invalid_state");
    }
    let clock: ClockShown = scene.accept("ahead").await.expect(200).json();
    assert_eq!(clock.stands, None);
    let entry = scene.last_acceptance().await;
    assert_eq!((&entry["operator"], &entry["about"]["stood"]), (&json!("thawer"), &json!("ahead")));
    assert!(entry["time_ms"].as_u64().unwrap() > entry["about"]["from_ms"].as_u64().unwrap() + 3_000_000);
    assert_eq!(entry["about"]["to_ms"], entry["time_ms"]);
    scene.accept("ahead").await.refused(409, "invalid_state");
    scene.shift_clients(HOUR_S);
    scene.is_over(&again, HOUR_S).await;
    scene.takes_nothing_again(&again, HOUR_S).await;
    scene.goes_on(HOUR_S).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_back_stops_everything_and_lengthens_nothing() {
    let scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(-HOUR_S);
    scene.is_stopped(&held, "behind").await;
    scene.step(0);
    let again = scene.goes_on(0).await;
    let unused = scene.get(0).await;
    // Of two hours ago, and good for some minutes more.
    let (now, then) = (now_s(), now_s() - 7_200);
    let old = scene.behalf.token(json!({ "iat": then, "exp": now + 300, "auth_time": then, "jti": "old" }));

    scene.step(-HOUR_S);
    scene.accept("ahead").await.refused(409, "invalid_state");
    scene.is_stopped(&again, "behind").await;
    let nonce = scene.behalf.bot.fresh_nonce().await;
    scene.accept("behind").await.expect(200);
    let entry = scene.last_acceptance().await;
    assert_eq!((&entry["operator"], &entry["about"]["stood"]), (&json!("thawer"), &json!("behind")));
    assert!(entry["time_ms"].as_u64().unwrap() + 3_000_000 < entry["about"]["from_ms"].as_u64().unwrap());
    scene.shift_clients(-HOUR_S);
    for held in [&again, &unused] {
        scene.is_over_here(held).await;
        scene.takes_nothing_again(held, -HOUR_S).await;
    }
    scene.behalf.exchange(&old).await.refused(403, "login_needed");
    // A nonce from before is known no more, also where the proof is of now.
    let call = Call::post("/v1/decisions", &ask());
    let proof = scene.behalf.bot.prove(&call, Some(&nonce), scene.behalf.bot.now());
    scene.behalf.reach.send(call.header(PROOF_HEADER, proof)).await.refused(401, "use_dpop_nonce");
    let later = scene.goes_on_here(-HOUR_S).await;
    // What was accepted in the hour that comes again nobody knows any more, so clients wait, and operators see how long.
    let fresh = authentication(&scene.client, -HOUR_S);
    refused(&scene.send_token(&fresh, -HOUR_S).await, 503, "temporarily_unavailable");
    let clock = scene.show().await;
    assert!(clock.assertions_refused.iter().any(|span| span.until_ms > clock.server_ms + 3_000_000));

    // It was wrong after all, and time goes forward again to where all of that would be alive.
    scene.step(0);
    scene.accept("ahead").await.expect(200);
    scene.shift_clients(0);
    scene.use_grant(&later).await.refused(409, "grant_inactive");
    for held in [&again, &unused] {
        scene.is_over(held, 0).await;
        for proof in &held.proofs {
            let answer = scene.behalf.reach.send(proof.clone()).await;
            assert!(matches!(answer.problem().code.as_str(), "use_dpop_nonce" | "proof_invalid"), "{answer:?}");
        }
        scene.behalf.exchange(&held.subject_token).await.refused(403, "login_needed");
    }
    scene.goes_on(0).await;
    for held in [&again, &unused] {
        refused(&scene.send_token(&held.authentication, 0).await, 401, "invalid_client");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_shut_out_by_what_happened_while_the_clock_was_wrong() {
    let scene = Scene::new().await;
    scene.get(0).await;
    scene.step(12 * HOUR_S);
    scene.accept("ahead").await.expect(200);
    scene.shift_clients(12 * HOUR_S);
    let wrong = scene.get(12 * HOUR_S).await;
    scene.log_out(12 * HOUR_S).await;
    for act in ["suspend", "resume"] {
        scene.behalf.staff.registrar.act(format!("/v1/agents/bot/{act}")).await.expect(200);
    }
    scene.step(0);
    scene.accept("behind").await.expect(200);
    scene.shift_clients(0);
    scene.is_over_here(&wrong).await;
    // Users sign in again, and clients wait some seconds; the wrong hour comes in half a day.
    let right = scene.goes_on(0).await;
    let clock = scene.show().await;
    let later = clock.assertions_refused.iter().filter(|span| span.until_ms > clock.server_ms + 60_000);
    assert!(later.clone().all(|span| span.from_ms > clock.server_ms + 11 * 3_600_000));
    assert_eq!(later.count(), 1);
    // The same holds for the next run.
    let mut scene = scene;
    scene.restart(false).await;
    scene.goes_on(0).await;
    // And a logout of now is no old one.
    scene.log_out(0).await;
    let denied = scene.behalf.read(&scene.behalf.bot, &right.delegation).await;
    assert_eq!((denied.decision, denied.reasons[0].code.as_str()), (DecisionKind::Deny, "delegation_revoked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_takes_no_step_of_the_wall_clock_for_the_time() {
    let mut scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(HOUR_S);
    scene.restart(false).await;
    scene.is_not_ready("ahead").await;
    scene.use_grant(&held.grant).await.refused(503, "not_ready");
    scene.step(0);
    scene.is_ready().await;
    scene.granted(&held.delegation).await;

    // Booted with a clock that is wrong either way, it waits until that is right, however late.
    for (wrong_s, way) in [(-HOUR_S, "behind"), (30 * DAY_S, "ahead")] {
        scene.boot(wrong_s).await;
        scene.is_not_ready(way).await;
        scene.restart(false).await;
        scene.is_not_ready(way).await;
        scene.step(0);
        scene.is_ready().await;
        scene.granted(&held.delegation).await;
    }
    // It was off for half a day, or waited for its clock as long: no operator is needed.
    scene.boot(-HOUR_S).await;
    scene.is_not_ready("behind").await;
    scene.step(12 * HOUR_S);
    scene.is_ready().await;
    scene.shift_clients(12 * HOUR_S);
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
    scene.goes_on_here(12 * HOUR_S).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_behind_the_last_record_waits_for_an_operator_or_the_right_time() {
    let mut scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(-HOUR_S);
    scene.behalf.world.server.restart(false).await;
    scene.is_not_ready("behind").await;
    scene.behalf.bot.post("/v1/decisions", &ask()).await.refused(503, "not_ready");
    scene.use_grant(&held.grant).await.refused(503, "not_ready");
    // It is set right.
    scene.step(0);
    scene.behalf.reach.send(Call::get("/readyz")).await.expect(200);
    let decided: DecisionAnswer = scene.behalf.read(&scene.behalf.bot, &held.delegation).await;
    assert_eq!(decided.decision, DecisionKind::Allow);

    // Or it is accepted, while the server runs. What an earlier run took as an assertion nobody knows any more, so
    // none is taken that could be among those.
    scene.step(-HOUR_S);
    scene.behalf.world.server.restart(false).await;
    scene.accept("behind").await.expect(200);
    scene.shift_clients(-HOUR_S);
    let fresh = authentication(&scene.client, -HOUR_S);
    refused(&scene.send_token(&fresh, -HOUR_S).await, 503, "temporarily_unavailable");
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
    let delegation = scene.delegate(-HOUR_S).await;
    let grant = scene.granted(&delegation).await;
    scene.use_grant(&grant).await.expect(200);

    // What was ended stays ended in the next run, and the newest record is at the accepted time.
    scene.behalf.world.server.restart(false).await;
    scene.behalf.reach.send(Call::get("/readyz")).await.expect(200);
    scene.step(0);
    scene.accept("ahead").await.expect(200);
    scene.shift_clients(0);
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_accepts_a_clock_behind_the_last_record_ends_what_was_granted() {
    let mut scene = Scene::new().await;
    let held = scene.get(0).await;
    scene.step(-HOUR_S);
    scene.behalf.world.server.restart(true).await;
    scene.behalf.reach.send(Call::get("/readyz")).await.expect(200);
    let entries = scene.behalf.entries().await;
    let started = entries.iter().rfind(|entry| entry["type"] == "server_started").unwrap();
    assert!(started["set_back_from_ms"].as_u64().unwrap() > started["time_ms"].as_u64().unwrap() + 3_000_000);
    scene.shift_clients(-HOUR_S);
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
    for proof in &held.proofs {
        scene.behalf.reach.send(proof.clone()).await.refused(401, "proof_invalid");
    }
    let delegation = scene.delegate(-HOUR_S).await;
    let grant = scene.granted(&delegation).await;
    scene.use_grant(&grant).await.expect(200);
    // The same when time has come back to where it was.
    scene.step(0);
    scene.accept("ahead").await.expect(200);
    scene.shift_clients(0);
    scene.use_grant(&held.grant).await.refused(409, "grant_inactive");
    let denied = scene.behalf.read(&scene.behalf.bot, &held.delegation).await;
    assert_eq!(denied.reasons[0].code, "delegation_expired");
    // A start that has nothing to accept accepts nothing.
    let live = scene.delegate(0).await;
    scene.behalf.world.server.restart(true).await;
    scene.granted(&live).await;
}
