//! Who there is in these tests, what each holds that lives by time, and what has to hold of it.

use std::time::Duration;

use attorn_api::PROOF_HEADER;
use attorn_api::clock::ClockShown;
use attorn_api::decisions::{DecisionKind, Grant};
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_api::oauth::TokenAnswer;
use attorn_core::Duty;
use attorn_tests::behalf::pairs;
use attorn_tests::oauth::{Client, Parameters, form, now_s, refused, token_request};
use attorn_tests::world::{PURPOSE, ask, use_of};
use attorn_tests::{Answer, Behalf, Call, Metrics, Operator};
use serde_json::{Value, json};

pub(crate) const HOUR_S: i64 = 3_600;
pub(crate) const DAY_S: i64 = 24 * HOUR_S;
/// How often something is tried that is refused for some seconds, and how long it is waited in between.
pub(crate) const ATTEMPTS: usize = 400;
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
pub(crate) const TOKEN: &str = "/oauth/token";
pub(crate) const INTROSPECT: &str = "/oauth/introspect";

/// A user and their agents, an OAuth client and a service that introspects; and what lives by time.
pub(crate) struct Scene {
    pub(crate) behalf: Behalf,
    pub(crate) thawer: Operator,
    pub(crate) client: Client,
    pub(crate) docs: Client,
}

/// What was got before the step.
pub(crate) struct Held {
    pub(crate) delegation: Delegation,
    /// Of the bot, for its user.
    pub(crate) grant: Grant,
    pub(crate) token: String,
    /// A request with a good proof that was answered, and one that was never sent.
    pub(crate) proofs: [Call; 2],
    /// The parameters of a request that was answered.
    pub(crate) authentication: Parameters,
    /// A token of the provider's that nobody has exchanged.
    pub(crate) subject_token: String,
}

impl Scene {
    pub(crate) async fn new() -> Self {
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
    pub(crate) fn step(&self, by_s: i64) {
        self.behalf.server.wall.shift_ms(by_s * 1_000);
    }

    /// Everybody else has this clock, too.
    pub(crate) fn shift_clients(&self, by_s: i64) {
        for machine in [&self.behalf.bot, &self.behalf.helper, &self.behalf.bank, &self.behalf.faq] {
            machine.shift_clock(by_s);
        }
    }

    /// Get all that there is to get, by clients whose clocks are so far ahead of the machine's.
    pub(crate) async fn get(&self, clock_s: i64) -> Held {
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

    pub(crate) fn subject_token(&self, clock_s: i64) -> String {
        let now = now_s().strict_add_signed(clock_s);
        let (jti, sid) = (format!("at-{now}-{}", attorn_tests::machines::now_ms()), format!("session-{clock_s}"));
        self.behalf.token(json!({ "iat": now, "exp": now + 300, "auth_time": now, "jti": jti, "sid": sid }))
    }

    /// By a token of now, which counts some seconds after a step was accepted.
    pub(crate) async fn delegate(&self, clock_s: i64) -> Delegation {
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
    pub(crate) async fn log_out(&self, clock_s: i64) {
        let mut claims = self.behalf.provider.logout_claims();
        shift(&mut claims, &["iat", "exp"], clock_s);
        claims["sid"] = Value::Null;
        let token = self.behalf.provider.logout_token(claims);
        self.behalf.reach.send(form("/v1/backchannel-logout", &[("logout_token", token)])).await.expect(200);
    }

    pub(crate) async fn revoke(&self, token: &str) {
        let parameters = [authentication(&self.client, 0), vec![("token", token.to_owned())]].concat();
        self.behalf.reach.send(form("/oauth/revoke", &parameters)).await.expect(200);
    }

    pub(crate) async fn granted(&self, delegation: &Delegation) -> Grant {
        let answer = self.behalf.read(&self.behalf.bot, delegation).await;
        answer.grant.unwrap_or_else(|| panic!("denied: {:?}", answer.reasons))
    }

    pub(crate) async fn use_grant(&self, grant: &Grant) -> Answer {
        self.behalf.bank.post(format!("/v1/grants/{}/uses", grant.id), &use_of(grant)).await
    }

    pub(crate) async fn send_token(&self, authentication: &Parameters, clock_s: i64) -> Answer {
        let detail = json!({ "type": "attorn_action", "actions": ["doc.read"], "identifier": "document/42",
            "purpose": PURPOSE, "arguments": {} });
        let parameters = [authentication.clone(), token_request(&detail)].concat();
        let mut proof = self.client.proof_claims(TOKEN, &self.client.nonce().await);
        shift(&mut proof, &["iat"], clock_s);
        self.behalf.reach.send(form(TOKEN, &parameters).header(PROOF_HEADER, self.client.proof_of(&proof))).await
    }

    pub(crate) async fn introspect(&self, token: &str, clock_s: i64) -> Answer {
        let parameters = [authentication(&self.docs, clock_s), vec![("token", token.to_owned())]].concat();
        self.behalf.reach.send(form(INTROSPECT, &parameters)).await
    }

    pub(crate) async fn is_active(&self, token: &str, clock_s: i64) -> bool {
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
    pub(crate) async fn accept(&self, stands: &str) -> Answer {
        let apart_ms = self.show().await.apart_ms;
        self.accept_step(stands, apart_ms).await
    }

    pub(crate) async fn accept_step(&self, stands: &str, apart_ms: u64) -> Answer {
        let body = json!({ "stands": stands, "apart_ms": apart_ms, "reason": "a test" });
        self.thawer.post("/v1/clock/accept", &body).await
    }

    pub(crate) async fn restart(&mut self, accept_clock: bool) {
        self.behalf.world.server.restart(accept_clock).await;
    }

    /// The machine is booted, and what it says the time is.
    pub(crate) async fn boot(&mut self, step_s: i64) {
        self.step(step_s);
        self.behalf.server.wall.boot_anew();
        self.restart(false).await;
    }

    pub(crate) async fn is_ready(&self) {
        self.behalf.reach.send(Call::get("/readyz")).await.expect(200);
    }

    pub(crate) async fn is_not_ready(&self, way: &str) {
        let why = self.behalf.reach.send(Call::get("/readyz")).await.refused(503, "not_ready").detail;
        assert!(why.contains(&format!("`attorn clock accept {way} ")), "{why}");
    }

    pub(crate) async fn show(&self) -> ClockShown {
        self.thawer.get("/v1/clock").await.json()
    }

    /// Nothing is decided, used, delegated, issued or said to be good, and it is said why.
    pub(crate) async fn is_stopped(&self, held: &Held, way: &str) {
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
    pub(crate) async fn is_over(&self, held: &Held, clock_s: i64) {
        assert!(!self.is_active(&held.token, clock_s).await);
        self.is_over_here(held).await;
    }

    /// The same, but for what asks clients.
    pub(crate) async fn is_over_here(&self, held: &Held) {
        self.use_grant(&held.grant).await.refused(409, "grant_inactive");
        let shown: attorn_api::grants::GrantDetails =
            self.behalf.staff.registrar.get(format!("/v1/grants/{}", held.grant.id)).await.json();
        assert!(!shown.active);
        let denied = self.behalf.read(&self.behalf.bot, &held.delegation).await;
        assert_eq!((denied.decision, denied.reasons[0].code.as_str()), (DecisionKind::Deny, "delegation_expired"));
    }

    /// No proof, assertion or token from before is taken.
    pub(crate) async fn takes_nothing_again(&self, held: &Held, clock_s: i64) {
        for proof in &held.proofs {
            self.behalf.reach.send(proof.clone()).await.refused(401, "proof_invalid");
        }
        refused(&self.send_token(&held.authentication, clock_s).await, 401, "invalid_client");
        self.behalf.exchange(&held.subject_token).await.refused(403, "subject_token_refused");
    }

    /// All goes on, by clients who have the server's time.
    pub(crate) async fn goes_on(&self, clock_s: i64) -> Held {
        self.is_ready().await;
        let held = self.get(clock_s).await;
        self.use_grant(&held.grant).await.expect(200);
        held
    }

    /// The same without clients that bring assertions.
    pub(crate) async fn goes_on_here(&self, clock_s: i64) -> Grant {
        self.is_ready().await;
        let grant = self.granted(&self.delegate(clock_s).await).await;
        self.use_grant(&grant).await.expect(200);
        grant
    }

    pub(crate) async fn last_acceptance(&self) -> Value {
        let entries = self.behalf.entries().await;
        entries.into_iter().rfind(|entry| entry["type"] == "clock_accepted").unwrap()
    }
}

pub(crate) fn shift(claims: &mut Value, names: &[&str], by_s: i64) {
    for name in names {
        claims[name] = claims[name].as_u64().unwrap().strict_add_signed(by_s).into();
    }
}

/// What a client sends that has this clock.
pub(crate) fn authentication(client: &Client, clock_s: i64) -> Parameters {
    let mut claims = client.claims();
    shift(&mut claims, &["iat", "exp"], clock_s);
    let assertion = client.assertion_of(&claims);
    vec![
        ("client_assertion_type", attorn_identity::client_assertion::JWT_BEARER.into()),
        ("client_assertion", assertion),
    ]
}
