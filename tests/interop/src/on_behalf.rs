//! Users of a provider, and an agent that acts for them: what a provider's tokens come to here, from its pages to
//! the decision, and back.
//!
//! What the provider says by itself is tried by `check.mjs`; here is what we make of it.

use std::time::Duration;

use attorn_api::decisions::DecisionKind;
use attorn_api::delegations::{Delegation, DelegationDetails, DelegationList};
use attorn_api::oauth::{ACCESS_TOKEN, TOKEN_EXCHANGE, TokenAnswer};
use attorn_api::users::User;
use attorn_tests::behalf::pairs;
use attorn_tests::oauth::{Parameters, refused};
use attorn_tests::server::Fresh;
use attorn_tests::{Answer, Call};
use serde_json::{Value, json};

use crate::approvals;
use crate::attorn::{ALICES, Attorn, BOBS, PURPOSE_WITH_USER, claims, token};
use crate::provider::{Kind, Provider, USERS_AUDIENCE};
use crate::sign_out;
use crate::steps::Steps;
use crate::tools::{Tools, write_private};

/// How much later than a revocation a login has to be. `auth_time` counts whole seconds, and is compared with 5 s for
/// what clocks may differ.
const LATER: Duration = Duration::from_millis(6_200);

/// Attorn, and the provider that it trusts.
pub(crate) struct Stage<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) kind: &'a Kind,
    pub(crate) attorn: Attorn,
    pub(crate) provider: Provider,
}

/// Play all of it with a provider of this kind.
pub(crate) async fn play(tools: &Tools, steps: &mut Steps, kind: &Kind) {
    let fresh = Fresh::make().await;
    let server = fresh.reach.url.clone();
    let starting = Provider::start(tools, kind, &server);
    let provider = steps.take(&format!("{} starts", kind.name), starting).await;
    let attorn = steps.take("attorn starts and trusts it", Attorn::start(fresh)).await;
    attorn.trust(kind, &provider.issuer).await;
    let mut stage = Stage { tools, kind, attorn, provider };

    steps.take("alice says no, and there is no token", stage.no()).await;
    let (login, alice) = steps.take("alice signs in and consents", stage.consent()).await;
    steps.take("`attorn provider check` says what her token gives", stage.check_good(&login)).await;
    steps.take("and why others give nothing", stage.check_refused(&login)).await;
    steps.take("`may_act` names the agent where the record says so", stage.may_act()).await;
    let delegation = steps.take("the agent brings her token, and acts for her", stage.act(&login, &alice)).await;
    let issued = steps.take("it exchanges it for a token of one action", stage.exchange(&login, &alice)).await;
    steps.take("an ID token delegates nothing", stage.id_token(&login)).await;
    steps.take("who consents to less delegates less", stage.narrower()).await;
    if kind.fine_consent {
        steps.take("who consents to one invoice delegates that one", stage.one_invoice()).await;
    }
    steps.take("a token that is bound to a key needs that key", stage.bound()).await;
    steps.take("bob has no more rights through the agent than himself", stage.bob()).await;
    approvals::play(&mut stage, steps).await;
    steps.take("alice sees what she delegated, and revokes it", stage.portal(&delegation, &issued, &login)).await;
    steps.take("the provider's keys rotate", stage.rotation()).await;
    sign_out::play(&mut stage, steps).await;
    steps.take(&format!("{} ends", kind.name), stage.provider.end()).await;
}

impl Stage<'_> {
    /// A user signs in.
    pub(crate) async fn sign_in(&self, user: &str, changes: &[(&str, &str)]) -> Value {
        self.provider.sign_in(self.tools, user, changes).await
    }

    async fn no(&self) {
        let answer = self.sign_in("alice", &[("consent", "no")]).await;
        assert_eq!((&answer["error"], &answer["access_token"]), (&json!("access_denied"), &Value::Null));
    }

    async fn consent(&self) -> (Value, User) {
        let login = self.sign_in("alice", &[]).await;
        let alice = self.attorn.own(token(&login, "access_token"), ALICES).await;
        (login, alice)
    }

    async fn check_good(&self, login: &Value) {
        let said = self.attorn.check(token(login, "access_token"), &[]).await.good();
        for line in [
            "agent         assistant-bot",
            "group         billing",
            "group         staff",
            "consented     invoice.read on invoice/* for serve-customers",
            "consented     invoice.pay on invoice/* for serve-customers",
        ] {
            assert!(said.lines().any(|other| other == line), "no `{line}` in\n{said}");
        }
        let session = claims(token(login, "access_token"))["sid"].as_str().unwrap().to_owned();
        assert!(said.contains(&format!("session       {session}\n")), "{said}");
        assert!(!said.contains("FAILED"), "{said}");
        // The scope that every sign-in asks for comes to nothing, where access tokens have it.
        let scope = claims(token(login, "access_token"))["scope"].to_string();
        assert_eq!(said.contains("nothing for"), scope.contains("openid"), "{scope}\n{said}");
    }

    async fn check_refused(&self, login: &Value) {
        let stranger = self.sign_in("alice", &[("client", "stranger")]).await;
        let portal = self.sign_in("alice", &[("client", "portal"), ("audience", USERS_AUDIENCE)]).await;
        let courier = self.sign_in("alice", &[("client", "courier")]).await;
        let (own, users) = (token(login, "access_token"), token(&portal, "access_token"));
        for (what, checked, arguments, code) in [
            ("an ID token", token(login, "id_token"), &[][..], self.kind.id_token_refused),
            ("of a client of nobody", token(&stranger, "access_token"), &[], self.kind.stranger_refused),
            ("of the portal", users, &[], "wrong_audience"),
            ("that names two agents", token(&courier, "access_token"), &[], "another_actor"),
            ("of the agent's at the portal", own, &["--use", "user"], "wrong_audience"),
            ("that is no logout token", own, &["--use", "logout"], "wrong_type"),
        ] {
            let said = self.attorn.check(checked, arguments).await;
            assert_eq!(said.code, Some(5), "{what}: {}{}", said.stdout, said.stderr);
            assert!(said.stdout.contains(&format!("refused       {code}\n")), "{what}: {}", said.stdout);
        }
        let said = self.attorn.check(users, &["--use", "user"]).await.good();
        assert!(said.contains("client        portal\n"), "{said}");
    }

    async fn may_act(&self) {
        let usual = self.kind.configuration(&self.provider.issuer);
        let mut changed = usual.clone();
        changed["names_agent_by"] = json!("may_act");
        let registrar = &self.attorn.cast.staff.registrar;
        registrar.post("/v1/providers/main/update", &changed).await.expect(200);
        let courier = self.sign_in("alice", &[("client", "courier")]).await;
        let said = self.attorn.check(token(&courier, "access_token"), &[]).await.good();
        assert!(said.contains("agent         assistant-bot\n"), "{said}");
        self.attorn.delegated(token(&courier, "access_token")).await;
        registrar.post("/v1/providers/main/update", &usual).await.expect(200);
    }

    async fn act(&self, login: &Value, alice: &User) -> Delegation {
        let access_token = token(login, "access_token");
        let (attorn, said) = (&self.attorn, claims(access_token));
        let delegation = attorn.delegated(access_token).await;
        assert_eq!((&delegation.user, delegation.standing.as_str()), (&alice.id, "active"));
        assert_eq!(delegation.purpose, PURPOSE_WITH_USER);
        let path = format!("/v1/delegations/{}", delegation.id);
        let details: DelegationDetails = attorn.cast.staff.registrar.get(path).await.expect(200).json();
        let evidence = details.evidence.unwrap();
        assert_eq!((evidence.provider.as_str(), evidence.token_id.as_deref()), ("main", said["jti"].as_str()));
        assert_eq!(evidence.auth_time_ms, said["auth_time"].as_u64().map(|seconds| seconds * 1_000));
        assert_eq!(evidence.acr.as_deref(), said["acr"].as_str());

        let answer = attorn.ask(&delegation, "invoice.read", ALICES).await;
        assert_eq!(answer.decision, DecisionKind::Allow, "{:?}", answer.reasons);
        let issued = claims(&answer.credential.unwrap().access_token);
        assert_eq!((&issued["sub"], &issued["act"]), (&json!(alice.id), &json!({ "sub": attorn.agent.id })));
        let subject = json!({ "format": "iss_sub", "iss": self.provider.issuer, "sub": said["sub"] });
        assert_eq!(issued["sub_id"], subject);
        // She is in the group that may pay, and she consented to it.
        assert_eq!(attorn.ask(&delegation, "invoice.pay", ALICES).await.decision, DecisionKind::Allow);
        assert_eq!(attorn.denied(&delegation, "invoice.read", BOBS).await, ["denied_by_policy"]);
        assert_eq!(attorn.denied(&delegation, "invoice.delete", ALICES).await, ["outside_delegation"]);
        delegation
    }

    async fn exchange(&self, login: &Value, alice: &User) -> String {
        let (attorn, subject) = (&self.attorn, token(login, "access_token"));
        let answer: TokenAnswer = self.exchanged(subject, ALICES).await.expect(200).json();
        let said = attorn.billing.introspect(&answer.access_token).await;
        assert_eq!((&said["active"], &said["sub"]), (&json!(true), &json!(alice.id)));
        assert_eq!(said["act"], json!({ "sub": attorn.agent.id }));
        refused(&self.exchanged(subject, BOBS).await, 400, "access_denied");
        answer.access_token
    }

    /// The agent exchanges a user's token for one that reads an invoice (RFC 8693).
    async fn exchanged(&self, subject: &str, resource: &str) -> Answer {
        let detail = json!({ "type": "attorn_action", "actions": ["invoice.read"], "identifier": resource,
            "purpose": PURPOSE_WITH_USER });
        let parameters: Parameters = vec![
            ("grant_type", TOKEN_EXCHANGE.into()),
            ("subject_token", subject.into()),
            ("subject_token_type", ACCESS_TOKEN.into()),
            ("authorization_details", json!([detail]).to_string()),
        ];
        self.attorn.agent.post("/oauth/token", &parameters).await
    }

    async fn id_token(&self, login: &Value) {
        let id_token = token(login, "id_token");
        self.refused(id_token, self.kind.id_token_refused).await;
        refused(&self.exchanged(id_token, ALICES).await, 400, "invalid_grant");
    }

    /// The agent brings a token that is refused for this.
    async fn refused(&self, subject: &str, code: &str) {
        let problem = self.attorn.exchange(subject).await.refused(403, "subject_token_refused");
        assert!(problem.detail.ends_with(&format!("({code})")), "{problem}");
    }

    async fn narrower(&self) {
        let less = if self.kind.fine_consent { ("consent", "narrower") } else { ("scope", "invoices") };
        let login = self.sign_in("alice", &[less]).await;
        let delegation = self.attorn.delegated(token(&login, "access_token")).await;
        assert_eq!(json!(delegation.permissions), pairs(&[("invoice.read", "invoice/*")]));
        assert_eq!(self.attorn.denied(&delegation, "invoice.pay", ALICES).await, ["outside_delegation"]);
        let nothing = self.sign_in("alice", &[("scope", "calendar")]).await;
        self.attorn.exchange(token(&nothing, "access_token")).await.refused(403, "consent_missing");
    }

    async fn one_invoice(&self) {
        let details = r#"[{"type":"invoice_access","actions":["invoices.read"],"identifier":"17"}]"#;
        let login = self.sign_in("alice", &[("scope", "calendar"), ("authorization-details", details)]).await;
        let delegation = self.attorn.delegated(token(&login, "access_token")).await;
        assert_eq!(json!(delegation.permissions), pairs(&[("invoice.read", ALICES)]));
        assert_eq!(self.attorn.ask(&delegation, "invoice.read", ALICES).await.decision, DecisionKind::Allow);
        assert_eq!(self.attorn.denied(&delegation, "invoice.read", "invoice/19").await, ["outside_delegation"]);
    }

    async fn bound(&self) {
        let directory = self.attorn.directory();
        let (own, other) = (directory.join("agent.key"), directory.join("other.key"));
        write_private(&own, &self.attorn.agent.key.private_jwk().to_string());
        write_private(&other, &self.attorn.client("other").key.private_jwk().to_string());
        let login = self.sign_in("alice", &[("dpop-key", own.to_str().unwrap())]).await;
        let access_token = token(&login, "access_token");
        assert_eq!(claims(access_token)["cnf"]["jkt"], self.attorn.agent.key.thumbprint);
        self.attorn.delegated(access_token).await;
        let login = self.sign_in("alice", &[("dpop-key", other.to_str().unwrap())]).await;
        self.attorn.exchange(token(&login, "access_token")).await.refused(403, "subject_token_refused");
    }

    async fn bob(&self) {
        let (attorn, login) = (&self.attorn, self.sign_in("bob", &[]).await);
        let bob = attorn.own(token(&login, "access_token"), BOBS).await;
        let delegation = attorn.delegated(token(&login, "access_token")).await;
        assert_eq!(delegation.user, bob.id);
        assert_eq!(attorn.ask(&delegation, "invoice.read", BOBS).await.decision, DecisionKind::Allow);
        assert_eq!(attorn.denied(&delegation, "invoice.read", ALICES).await, ["denied_by_policy"]);
        assert_eq!(attorn.denied(&delegation, "invoice.pay", BOBS).await, ["not_entitled"]);
    }

    async fn portal(&self, delegation: &Delegation, issued: &str, login: &Value) {
        let attorn = &self.attorn;
        let portal = [("client", "portal"), ("audience", USERS_AUDIENCE)];
        let (alice, bob) = (self.sign_in("alice", &portal).await, self.sign_in("bob", &portal).await);
        let path = format!("/v1/me/delegations/{}/revoke", delegation.id);
        let revoke = |login: &Value| Call::post(&path, &json!({})).bearer(token(login, "access_token"));
        let list = |login: &Value| Call::get("/v1/me/delegations?limit=200").bearer(token(login, "access_token"));
        let reach = &attorn.cast.reach;
        let mine: DelegationList = reach.send(list(&alice)).await.expect(200).json();
        assert!(mine.delegations.iter().any(|other| other.id == delegation.id));
        assert!(mine.delegations.iter().all(|other| other.user == delegation.user));
        let his: DelegationList = reach.send(list(&bob)).await.expect(200).json();
        assert_eq!(his.delegations.len(), 1);
        // The agent has a token of hers, too; that one shows nothing. Neither is hers Bob's to revoke.
        reach.send(list(login)).await.refused(401, "user_unauthenticated");
        reach.send(revoke(&bob)).await.refused(404, "not_found");
        assert_eq!(attorn.ask(delegation, "invoice.read", ALICES).await.decision, DecisionKind::Allow);
        assert_eq!(attorn.billing.introspect(issued).await["active"], true);

        let before = self.sign_in("alice", &[]).await;
        reach.send(revoke(&alice)).await.expect(200);
        assert_eq!(attorn.denied(delegation, "invoice.read", ALICES).await, ["delegation_revoked"]);
        assert_eq!(attorn.billing.introspect(issued).await, json!({ "active": false }));
        // She has not signed in since, whoever holds a token of hers.
        attorn.exchange(token(&before, "access_token")).await.refused(403, "login_needed");
        tokio::time::sleep(LATER).await;
    }

    /// A key that the provider has taken away counts no more once another was seen.
    async fn rotation(&mut self) {
        let old = self.sign_in("alice", &[]).await;
        self.attorn.check(token(&old, "access_token"), &[]).await.good();
        self.provider.ask(&json!({ "do": "rotate_keys", "keep_old": false })).await;
        let new = self.sign_in("alice", &[]).await;
        let delegation = self.attorn.delegated(token(&new, "access_token")).await;
        assert_eq!(self.attorn.ask(&delegation, "invoice.read", ALICES).await.decision, DecisionKind::Allow);
        self.refused(token(&old, "access_token"), "unknown_key").await;
    }
}
