//! The approval page: Alice signs in at her provider, reads what is asked in her name, and answers. Her browser is the
//! test's: it keeps cookies, and goes where it is sent.

use std::collections::BTreeMap;

use attorn_api::decisions::{ApprovalReference, DecisionKind};
use attorn_tests::device::Says;
use attorn_tests::{Answer, Call, Reach};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::prompts::Scene;

/// A browser that runs nothing.
pub(super) struct Browser {
    reach: Reach,
    pub(super) cookies: BTreeMap<String, String>,
}

/// A provider's answer, as the browser brings it back.
pub(super) struct Back {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) challenge: String,
    pub(super) asked: BTreeMap<String, String>,
}

impl Browser {
    pub(super) fn new(scene: &Scene) -> Self {
        Self { reach: scene.behalf.reach.still(), cookies: BTreeMap::new() }
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.send(Call::get(path)).await
    }

    pub(super) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(Call::new("POST", path).body("application/x-www-form-urlencoded", body)).await
    }

    pub(super) async fn send(&mut self, call: Call) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let call = if cookies.is_empty() { call } else { call.header("cookie", cookies.join("; ")) };
        let answer = self.reach.send(call).await;
        strict(&answer);
        for cookie in answer.headers.get_all("set-cookie") {
            let text = cookie.to_str().unwrap();
            let (pair, attributes) = text.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(name.starts_with("__Host-"), "{text}");
            assert!(attributes.starts_with("Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="), "{text}");
            if attributes.ends_with("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        answer
    }

    /// Follow the link, to the provider.
    pub(super) async fn begin(&mut self, path: &str) -> Back {
        let answer = self.get(path).await.expect(303);
        let location = answer.header("location").unwrap().to_owned();
        let (_, query) = location.split_once('?').unwrap();
        let asked: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let take = |name: &str| asked[name].clone();
        Back { state: take("state"), nonce: take("nonce"), challenge: take("code_challenge"), asked }
    }

    /// Come back, with changes to what the provider sends along.
    pub(super) async fn back(&mut self, issuer: &str, back: &Back, changes: &[(&str, &str)]) -> Answer {
        let mut query = BTreeMap::from([("code", "code-1"), ("state", back.state.as_str()), ("iss", issuer)]);
        for (name, value) in changes {
            match *value {
                "" => drop(query.remove(name)),
                value => drop(query.insert(name, value)),
            }
        }
        let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.get(&format!("/approve/signed-in?{query}")).await
    }

    /// Sign in, and see the page.
    pub(super) async fn sign_in(&mut self, scene: &Scene, approval: &ApprovalReference) -> String {
        let path = path(approval);
        let back = self.begin(&path).await;
        let provider = &scene.behalf.provider;
        provider.device().says_to_codes(Says::Yes(json!({ "nonce": back.nonce }), json!({})));
        let came = self.back(&provider.issuer, &back, &[]).await.expect(303);
        assert_eq!(came.header("location"), Some(path.as_str()));
        self.get(&path).await.expect(200).text()
    }
}

/// What every answer of a page has, whatever it says.
fn strict(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    for directive in ["default-src 'none'", "style-src 'sha256-", "form-action 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    for (name, expect) in [
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(answer.header(name), Some(expect), "{} {}", answer.status, answer.text());
    }
    let text = answer.text();
    assert!(!text.contains("<script") && !text.contains("javascript:"), "{text}");
}

/// This server as a client of a provider that has a page for its users.
pub(super) fn with_page() -> Value {
    json!({ "client_id": "attorn", "client_authentication": "private_key_jwt", "page": true, "code_only": true })
}

/// Alice's bot may pay, and her provider has a page for her.
pub(super) async fn scene() -> Scene {
    Scene::with(with_page(), json!({})).await
}

/// Where the page of an approval is: what the agent was told, below the public URL.
pub(super) fn path(approval: &ApprovalReference) -> String {
    let page = approval.page.as_ref().unwrap();
    page[page.find("/approve/").unwrap()..].to_owned()
}

/// A hidden field of the form.
pub(super) fn field(page: &str, name: &str) -> String {
    let marker = format!("name=\"{name}\" value=\"");
    let at = page.find(&marker).unwrap_or_else(|| panic!("no `{name}` in {page}")) + marker.len();
    page[at..].split('"').next().unwrap().to_owned()
}

/// What the form says, with this answer.
pub(super) fn form(page: &str, say: &'static str) -> [(&'static str, String); 3] {
    [("token", field(page, "token")), ("digest", field(page, "digest")), ("say", say.to_owned())]
}

pub(super) fn pairs<'f>(form: &'f [(&'static str, String); 3]) -> Vec<(&'f str, &'f str)> {
    form.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alice_signs_in_reads_what_it_is_and_approves_once() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    assert_eq!(approval.page, Some(format!("{}/approve/{}", scene.behalf.reach.url, approval.id)));
    let mut alice = Browser::new(&scene);
    let page = alice.sign_in(&scene, &approval).await;
    for text in ["helper", "support@example.org", "account.pay", "giro", "5000", "EUR", &approval.code, "alice"] {
        assert!(page.contains(text), "no `{text}` in {page}");
    }
    let form = form(&page, "approve");
    let answer = alice.post(&path(&approval), &pairs(&form)).await.expect(303);
    assert_eq!(answer.header("location"), Some(path(&approval).as_str()));
    assert!(alice.get(&path(&approval)).await.expect(200).text().contains("You have approved this"));
    assert_eq!(scene.state(&approval).await, "approved");
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Allow);
    assert!(alice.get(&path(&approval)).await.expect(200).text().contains("has been used"));

    let entries = scene.behalf.entries().await;
    let voted: Vec<_> = entries.iter().filter(|entry| entry["type"] == "approval_voted").collect();
    assert_eq!(voted.len(), 1);
    let about = &voted[0]["about"];
    assert_eq!(
        (&about["channel"], &about["role"], &about["says"]),
        (&json!("page"), &json!("user"), &json!("approve"))
    );
    assert!(!json!(entries).to_string().contains("alice"), "the log names her");
}

#[tokio::test(flavor = "multi_thread")]
async fn alice_refuses_and_the_agent_is_denied() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let mut alice = Browser::new(&scene);
    let page = alice.sign_in(&scene, &approval).await;
    let form = form(&page, "refuse");
    alice.post(&path(&approval), &pairs(&form)).await.expect(303);
    assert!(alice.get(&path(&approval)).await.expect(200).text().contains("You have refused this"));
    let again = scene.pay(5_000).await;
    assert_eq!((again.decision, again.reasons[0].code.as_str()), (DecisionKind::Deny, "approval_refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn she_is_sent_to_sign_in_anew_with_all_that_binds_the_answer() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let mut alice = Browser::new(&scene);
    let back = alice.begin(&path(&approval)).await;
    let redirect = format!("{}/approve/signed-in", scene.behalf.reach.url);
    for (name, expect) in [
        ("realm", "main"),
        ("response_type", "code"),
        ("client_id", "attorn"),
        ("redirect_uri", redirect.as_str()),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
        ("prompt", "login"),
        ("max_age", "0"),
    ] {
        assert_eq!(back.asked[name], expect, "{name}");
    }
    let provider = &scene.behalf.provider;
    provider.device().says_to_codes(Says::Yes(json!({ "nonce": back.nonce }), json!({})));
    alice.back(&provider.issuer, &back, &[]).await.expect(303);
    let codes = provider.device().codes();
    let code = &codes[0];
    assert_eq!(
        (code.get("code"), code.get("redirect_uri"), code.get("client_id")),
        ("code-1", redirect.as_str(), "attorn")
    );
    assert!(!code.get("client_assertion").is_empty());
    let verifier = code.get("code_verifier");
    assert_eq!(BASE64URL_NOPAD.encode(&Sha256::digest(verifier)), back.challenge);
    // No two are alike.
    let other = Browser::new(&scene).begin(&path(&approval)).await;
    assert!(other.state != back.state && other.nonce != back.nonce && other.challenge != back.challenge);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_wrote_is_text_and_what_is_cut_is_said() {
    let scene = scene().await;
    let note = format!("<script>alert(1)</script>\u{202e}{}", "x".repeat(5_000));
    let ask = json!({
        "action": "account.pay", "resource": format!("account/{}/giro", scene.delegation.user),
        "purpose": attorn_tests::world::PURPOSE_WITH_USER, "delegation": scene.delegation.id,
        "arguments": { "amount": 5_000, "currency": "EUR", "note": note },
    });
    let approval = scene.behalf.helper.decide(&ask).await.approval.unwrap();
    let page = Browser::new(&scene).sign_in(&scene, &approval).await;
    assert!(page.contains("\\u003cscript\\u003e") && page.contains("\\u202e"), "{page}");
    assert!(!page.contains("<script") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("characters of the arguments are not shown here"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_on_the_device_and_one_on_the_page_are_one_vote() {
    let scene = scene().await;
    let approval = scene.challenged(5_000).await;
    let mut alice = Browser::new(&scene);
    let page = alice.sign_in(&scene, &approval).await;
    scene.behalf.provider.device().polled(1).await;
    scene.behalf.provider.device().says(Says::yes());
    scene.becomes(&approval, "approved").await;
    let form = form(&page, "refuse");
    let late = alice.post(&path(&approval), &pairs(&form)).await.expect(409).text();
    assert!(late.contains("You have approved this") && late.contains("was not recorded"), "{late}");
    assert_eq!(scene.state(&approval).await, "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_provider_is_not_set_up_for_it_there_is_no_page() {
    let scene = Scene::new().await;
    let approval = scene.challenged(5_000).await;
    assert_eq!(approval.page, None);
    let shut = Browser::new(&scene).get(&format!("/approve/{}", approval.id)).await.expect(404).text();
    let none = Browser::new(&scene).get("/approve/apr_00000000000000000000000000000000").await.expect(404).text();
    assert_eq!(shut, none);

    let path = "/v1/providers/main/backchannel";
    let registrar = &scene.behalf.staff.registrar;
    let shown: Value = registrar.get(path).await.expect(200).json();
    assert_eq!(shown.get("page_redirect_uri"), None);
    // A provider without an authorization endpoint has no page, whatever is set.
    let page = with_page();
    let issuer = &scene.behalf.provider.issuer;
    let poor =
        json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/jwks"), "token_endpoint": format!("{issuer}/token") });
    scene.behalf.provider.be(attorn_tests::provider::Mood::Configuration(poor.to_string()));
    let refused = registrar.post(path, &page).await.refused(422, "invalid_field");
    assert!(refused.detail.contains("no_sign_in"), "{}", refused.detail);
    scene.behalf.provider.be(attorn_tests::provider::Mood::Good);
    let shown: Value = registrar.post(path, &page).await.expect(200).json();
    assert_eq!(shown["page_redirect_uri"], format!("{}/approve/signed-in", scene.behalf.reach.url));
    assert!(scene.challenged(5_001).await.page.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_to_say_yes_to_a_code_alone_unless_it_is_set_so() {
    let backchannel = json!({ "client_id": "attorn", "client_authentication": "private_key_jwt", "page": true });
    let scene = Scene::with(backchannel, json!({})).await;
    let device = scene.behalf.provider.device();
    device.says(Says::yes());
    let approval = scene.challenged(5_000).await;
    assert_eq!(scene.ended(&approval).await, "cannot_show");
    assert_eq!((device.questions().len(), scene.state(&approval).await.as_str()), (0, "pending"));
    // On the page they read what it is, and answer.
    let mut alice = Browser::new(&scene);
    let page = alice.sign_in(&scene, &approval).await;
    alice.post(&path(&approval), &pairs(&form(&page, "approve"))).await.expect(303);
    assert_eq!(scene.state(&approval).await, "approved");
    // A provider that shows it is asked.
    device.knows("attorn_approval");
    scene.challenged(6_000).await;
    scene.question(1).await;
}
