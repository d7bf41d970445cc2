//! Users sign out, and the provider tells of it (OpenID Connect Back-Channel Logout 1.0): what was delegated in the
//! session ends, for the tokens that are out as well.

use std::time::Duration;

use attorn_api::decisions::DecisionKind;
use attorn_api::delegations::Delegation;
use attorn_tests::wait::until_within;
use serde_json::{Value, json};

use crate::attorn::{ALICES, token};
use crate::on_behalf::Stage;
use crate::steps::Steps;

/// How long a logout token may take from the provider to us.
const TOLD: Duration = Duration::from_secs(20);

/// On the provider's page, and by its administrator.
pub(crate) async fn play(stage: &mut Stage<'_>, steps: &mut Steps) {
    steps.take("alice signs out, and her session ends here", stage.signs_out()).await;
    steps.take("the provider's administrator ends a session", stage.is_signed_out()).await;
    steps.take("who signs in again delegates anew", stage.acts()).await;
}

impl Stage<'_> {
    async fn signs_out(&self) {
        let cookies = self.attorn.directory().join("alice.cookies");
        let browser = [("cookies", cookies.to_str().unwrap())];
        let (login, second) = (self.sign_in("alice", &browser).await, self.sign_in("alice", &browser).await);
        let other = self.acts().await;
        let delegation = self.attorn.delegated(token(&login, "access_token")).await;
        self.provider.sign_out(self.tools, &cookies, &login).await;
        self.ended(&delegation, &login).await;
        // A token of the same session that nobody had brought yet is worth nothing either.
        self.attorn.exchange(token(&second, "access_token")).await.refused(403, "login_needed");
        // In another browser she is still signed in.
        assert_eq!(self.attorn.ask(&other, "invoice.read", ALICES).await.decision, DecisionKind::Allow);
    }

    async fn is_signed_out(&mut self) {
        let login = self.sign_in("alice", &[]).await;
        let delegation = self.attorn.delegated(token(&login, "access_token")).await;
        self.provider.ask(&json!({ "do": "log_out", "user": "alice" })).await;
        self.ended(&delegation, &login).await;
    }

    async fn acts(&self) -> Delegation {
        let login = self.sign_in("alice", &[]).await;
        let delegation = self.attorn.delegated(token(&login, "access_token")).await;
        assert_eq!(self.attorn.ask(&delegation, "invoice.read", ALICES).await.decision, DecisionKind::Allow);
        delegation
    }

    /// The provider tells of it, and then nothing goes on in this session.
    async fn ended(&self, delegation: &Delegation, login: &Value) {
        let ended = async || self.attorn.standing(&delegation.id).await != "active";
        until_within(TOLD, "a logout token comes, and is taken", ended).await;
        assert_eq!(self.attorn.denied(delegation, "invoice.read", ALICES).await, ["session_ended"]);
        self.attorn.exchange(token(login, "access_token")).await.refused(409, "delegation_inactive");
    }
}
