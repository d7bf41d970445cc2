//! Waiting until somebody has approved what a challenge asks for.
//!
//! While it waits, a client looks at how far the approval is, which decides nothing; only then it asks again.

use std::time::{Duration, Instant};

use attorn_api::approvals::ApprovalStanding;
use attorn_api::decisions::{ApprovalReference, DecisionAnswer, DecisionKind};

use crate::client::Client;
use crate::decision::Decision;
use crate::error::Error;
use crate::request::Request;

/// The shortest and the longest time between two looks, whatever the server says.
const POLL_MIN: Duration = Duration::from_millis(50);
const POLL_MAX: Duration = Duration::from_secs(30);

impl Client {
    /// Ask for a decision. If it is a challenge, wait for so long at most until it is approved, and ask again.
    ///
    /// `show` is given what is waited for, once for each approval: show its code to whoever is to approve. What comes
    /// back is a challenge still if nobody said yes in time, and a deny if somebody said no.
    ///
    /// # Errors
    ///
    /// As [`Self::decide`].
    pub async fn decide_when_approved(
        &self,
        request: &Request,
        wait: Duration,
        show: impl FnMut(&ApprovalReference),
    ) -> Result<Decision, Error> {
        self.answer_when_approved(request, wait, show).await?.try_into()
    }

    /// As [`Self::decide_when_approved`], and give the last answer as it came over the wire.
    ///
    /// # Errors
    ///
    /// As [`Self::answer`].
    pub async fn answer_when_approved(
        &self,
        request: &Request,
        wait: Duration,
        mut show: impl FnMut(&ApprovalReference),
    ) -> Result<DecisionAnswer, Error> {
        let began = Instant::now();
        let mut waited_for: Option<String> = None;
        loop {
            let answer = self.answer(request).await?;
            let approval = match (answer.decision, &answer.approval) {
                (DecisionKind::Challenge, Some(approval)) => approval.clone(),
                _ => return Ok(answer),
            };
            if waited_for.as_ref() != Some(&approval.id) {
                show(&approval);
            }
            if !self.is_over(&approval, began, wait).await? {
                return Ok(answer);
            }
            waited_for = Some(approval.id);
        }
    }

    /// Wait until an approval waits no more; false if that took too long.
    pub(crate) async fn is_over(
        &self,
        approval: &ApprovalReference,
        began: Instant,
        wait: Duration,
    ) -> Result<bool, Error> {
        // It goes into a URL.
        if !approval.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Error::Answer { status: 200, problem: "the id of its approval is none".into() });
        }
        let path = format!("/v1/approvals/{}/state", approval.id);
        let mut pause = Duration::from_millis(approval.poll_ms);
        loop {
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            tokio::time::sleep(pause.clamp(POLL_MIN, POLL_MAX).min(left)).await;
            let standing: ApprovalStanding = self.transport().get(&path).await?;
            if standing.state != "pending" {
                return Ok(true);
            }
            pause = Duration::from_millis(standing.poll_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_server::{FakeServer, answer, ok};
    use crate::key::{AgentKey, Algorithm};

    fn standing(state: &str) -> ApprovalStanding {
        ApprovalStanding { id: "apr_1".into(), state: state.into(), expires_at_ms: 3, poll_ms: 1 }
    }

    fn challenge(id: &str) -> DecisionAnswer {
        let mut answer = answer(DecisionKind::Challenge);
        answer.approval.as_mut().unwrap().id = id.into();
        answer
    }

    fn request() -> Request {
        Request::new("faq.read", "article/42", "answer-questions").idempotency_key("once").unwrap()
    }

    fn client(server: &FakeServer) -> Client {
        Client::new(&server.url, AgentKey::generate(Algorithm::EdDsa).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn it_asks_again_when_somebody_has_said_something_and_not_before() {
        let server = FakeServer::with([
            ok(&challenge("apr_1"), None),
            ok(&standing("pending"), None),
            ok(&standing("approved"), None),
            // What is asked for has grown meanwhile.
            ok(&challenge("apr_2"), None),
            ok(&standing("refused"), None),
            ok(&answer(DecisionKind::Deny), None),
        ])
        .await;
        let mut shown = Vec::new();
        let show = |approval: &ApprovalReference| shown.push(approval.id.clone());
        let decision = client(&server).decide_when_approved(&request(), Duration::from_secs(30), show).await.unwrap();
        assert!(matches!(decision, Decision::Deny { .. }));
        assert_eq!(shown, ["apr_1", "apr_2"]);
        let seen = server.seen();
        let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
        let (decide, first, second) = ("/v1/decisions", "/v1/approvals/apr_1/state", "/v1/approvals/apr_2/state");
        assert_eq!(paths, [decide, first, first, decide, second, decide]);
        let keys = seen.iter().filter(|seen| seen.path == decide).map(|seen| seen.idempotency_key.as_deref());
        assert!(keys.into_iter().all(|key| key == Some("once")));
    }

    #[tokio::test]
    async fn it_waits_no_longer_than_it_is_told() {
        let server = FakeServer::with([ok(&challenge("apr_1"), None)]).await;
        let answer = client(&server).answer_when_approved(&request(), Duration::ZERO, |_| {}).await.unwrap();
        assert_eq!((answer.decision, server.seen().len()), (DecisionKind::Challenge, 1));
    }

    #[tokio::test]
    async fn an_allow_and_a_deny_are_not_waited_for() {
        for kind in [DecisionKind::Allow, DecisionKind::Deny] {
            let server = FakeServer::with([ok(&answer(kind), None)]).await;
            let said = client(&server).answer_when_approved(&request(), Duration::from_secs(30), |_| {}).await.unwrap();
            assert_eq!((said.decision, server.seen().len()), (kind, 1));
        }
    }
}
