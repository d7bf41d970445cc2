//! Logins that live longer.

use attorn_api::targets::LeaseRenewed;

use crate::behalf::checked;
use crate::client::Client;
use crate::error::Error;

impl Client {
    /// Let a login live longer, which this agent got with [`crate::Decision::AllowLogin`]: until its grant ends, or as
    /// long from now on as its target lets one live. It never lives less long for it.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] with `not_found` if it is no lease of this agent and this key, with `invalid_state` if it has
    /// ended, with `grant_inactive` if its grant has, and with `target_unavailable` or `target_misconfigured` if the
    /// target could not be told: then it lives as long as it did.
    pub async fn renew_lease(&self, lease: &str) -> Result<LeaseRenewed, Error> {
        let path = format!("/v1/leases/{}/renew", checked("lease id", lease)?);
        let renewed: LeaseRenewed = self.transport().post(&path, Vec::new(), None).await?;
        if renewed.id != lease {
            let problem = "it is about another lease than was asked for".into();
            return Err(Error::Answer { status: 200, problem });
        }
        Ok(renewed)
    }
}

#[cfg(test)]
mod tests {
    use attorn_api::ProblemCode;
    use serde_json::json;

    use super::*;
    use crate::fake_server::{FakeServer, ok, problem};
    use crate::key::{AgentKey, Algorithm};

    fn client(server: &FakeServer) -> Client {
        Client::new(&server.url, AgentKey::generate(Algorithm::EdDsa).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_login_lives_longer_and_only_the_one_that_was_asked_for() {
        let renewed = |id: &str| ok(&json!({ "id": id, "expires_at_ms": 7 }), None);
        let refused = problem(ProblemCode::InvalidState, None);
        let server = FakeServer::with([renewed("lse_1"), renewed("lse_2"), refused]).await;
        let client = client(&server);
        assert_eq!(client.renew_lease("lse_1").await.unwrap().expires_at_ms, 7);
        let other = client.renew_lease("lse_1").await.unwrap_err();
        assert!(other.to_string().contains("it is about another lease"), "{other}");
        let ended = client.renew_lease("lse_1").await.unwrap_err();
        assert_eq!(ended.problem().map(|problem| problem.code), Some(ProblemCode::InvalidState));
        let seen = server.seen();
        assert!(seen.iter().all(|seen| seen.path == "/v1/leases/lse_1/renew" && seen.body.is_empty()), "{seen:?}");
    }

    #[tokio::test]
    async fn an_id_that_leads_elsewhere_is_not_sent() {
        let server = FakeServer::with([]).await;
        for id in ["", "..", "lse_1/../../agents", "lse_1?x", "lse_1%2f"] {
            let refused = client(&server).renew_lease(id).await;
            assert!(matches!(refused, Err(Error::Unsendable { what: "lease id", .. })), "{id}: {refused:?}");
        }
        assert!(server.seen().is_empty());
    }
}
