//! What the agent reads: the service's answer, or a problem that names the recorded decision.

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::{DECISION_HEADER, ProblemCode};
use attorn_broker::proxy::{Answered, SendError};
use attorn_core::{ProxyPath, ProxySettings, TargetId};
use attorn_store::records::TargetRecord;
use axum::body::Body;
use axum::http::{HeaderValue, header};

use crate::app::App;
use crate::http::call::{NOT_KEPT, Reply};
use crate::http::failure::Failure;
use crate::targets::misconfigured;

/// What comes of a decision that is no allow.
pub(super) fn refused(decided: DecisionAnswer) -> Failure {
    let (code, detail) = match decided.decision {
        DecisionKind::Challenge => (ProblemCode::ApprovalNeeded, "this needs an approval, and nothing was sent"),
        DecisionKind::Deny | DecisionKind::Allow => (ProblemCode::Denied, "this was denied, and nothing was sent"),
    };
    let failure = Failure::of(code, detail);
    let failure = match &decided.approval {
        Some(approval) => {
            let id = &approval.id;
            failure.with_help(format!("send the same again when `/v1/approvals/{id}/state` says `approved`"))
        }
        None => failure,
    };
    of(failure, decided)
}

/// What comes of a request that was not answered.
pub(super) fn failed(target: &TargetId, decided: DecisionAnswer, error: &SendError) -> Failure {
    let unknown = "whether it took effect is not known: look before you repeat it";
    let failure = match error {
        SendError::NotSent(why) if why.stays() => {
            misconfigured(target, "the target cannot be used as it is, and nothing was sent")
        }
        SendError::NotSent(_) => {
            Failure::of(ProblemCode::TargetUnavailable, "the target could not be reached, and nothing was sent")
                .with_help("ask again later")
        }
        SendError::Ended(_) => {
            Failure::of(ProblemCode::GrantInactive, "what allowed this ended before anything was sent")
        }
        SendError::Late(_) => {
            Failure::of(ProblemCode::UpstreamTimeout, "the request was sent, and no answer began in time")
                .with_help(unknown)
        }
        SendError::Broken(_) | SendError::HungUp(_) => {
            Failure::of(ProblemCode::UpstreamFailed, "the request was sent, and no answer came that can be passed on")
                .with_help(unknown)
        }
    };
    of(failure, decided)
}

fn of(mut failure: Failure, decided: DecisionAnswer) -> Failure {
    failure.problem.decision_id = Some(decided.decision_id);
    failure.problem.reasons = decided.reasons;
    failure.problem.approvers = decided.approvers;
    failure.problem.approval = decided.approval;
    failure
}

/// The service's answer. It is for this one request: nobody keeps it, and no browser takes it for a page of this server.
pub(super) fn passed_on(
    app: &App,
    (target, settings): (&TargetRecord, &ProxySettings),
    decided: &DecisionAnswer,
    answered: Answered,
) -> Result<Reply, Failure> {
    let Answered { status, mut headers, location, body, .. } = answered;
    let base = format!("{}/proxy/{}", app.config.public_url, target.id);
    let location = location.and_then(|location| rewritten(&location, settings, &base));
    if let Some(location) = location {
        headers.insert(header::LOCATION, HeaderValue::from_str(&location).map_err(Failure::internal)?);
    }
    headers.insert(DECISION_HEADER, HeaderValue::from_str(&decided.decision_id).map_err(Failure::internal)?);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    let media_type = "application/octet-stream";
    Ok(Reply { status, media_type, body: Body::new(body), cache: NOT_KEPT, headers })
}

/// Where a redirect leads, if that is within the origin: another request, which is decided like any. Elsewhere it leads
/// nobody.
fn rewritten(location: &str, settings: &ProxySettings, base: &str) -> Option<String> {
    let origin = settings.origin.to_string();
    let rest = location.strip_prefix(&origin).unwrap_or(location);
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let path: ProxyPath = path.parse().ok()?;
    let harmless = |query: &&str| query.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    match query {
        None => Some(format!("{base}{path}")),
        Some(query) => Some(query).filter(harmless).map(|query| format!("{base}{path}?{query}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_nowhere_but_within_the_origin() {
        let settings = crate::proxy::fixtures::settings("https://api.example");
        let rewritten = |location: &str| rewritten(location, &settings, "https://attorn.example/proxy/crm");
        for (location, expect) in [
            ("/v2/a?b=1", Some("https://attorn.example/proxy/crm/v2/a?b=1")),
            ("https://api.example/v2/a", Some("https://attorn.example/proxy/crm/v2/a")),
            ("https://api.example.evil.example/v2/a", None),
            ("https://api.example@evil.example/a", None),
            ("https://api.example:444/a", None),
            ("http://api.example/a", None),
            ("//evil.example/a", None),
            ("/\\evil.example", None),
            ("https://evil.example/a", None),
            ("a", None),
            ("", None),
            ("/a/../b", None),
            ("/a#b", None),
            ("/a?b#c", None),
        ] {
            assert_eq!(rewritten(location).as_deref(), expect, "{location}");
        }
    }
}
