//! Every answer that a provider may give, and what it comes to.

use super::*;

fn answer(status: u16, body: &str) -> Answer<'_> {
    Answer { status, body: body.as_bytes() }
}

#[test]
fn what_is_asked_has_the_code_and_nothing_of_the_content_where_the_type_is_unknown() {
    let asked = Question { login_hint: "alice", code: "K7QM-2WXD", expires_in_s: 290, detail: None };
    let expect =
        [("scope", "openid"), ("login_hint", "alice"), ("binding_message", "K7QM-2WXD"), ("requested_expiry", "290")];
    let owned =
        |all: &[(&'static str, &str)]| all.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>();
    assert_eq!(question(&asked), owned(&expect));
    let detailed = question(&Question { detail: Some(r#"{"type":"attorn_approval"}"#), ..asked });
    assert_eq!(detailed[..4], owned(&expect));
    assert_eq!(detailed[4..], owned(&[("authorization_details", r#"[{"type":"attorn_approval"}]"#)]));
    assert_eq!(poll("r-1"), owned(&[("grant_type", "urn:openid:params:grant-type:ciba"), ("auth_req_id", "r-1")]));
}

#[test]
fn an_answer_to_a_question_is_a_request_or_a_problem() {
    let good = |id: &str, expires_in_s, interval_s| Ok(Started { request_id: id.into(), expires_in_s, interval_s });
    let nonsense = |why| Err(Problem::Nonsense(why));
    let (no_members, no_error) =
        ("the answer has no `auth_req_id` and `expires_in`", "the answer is neither a success nor an error of OAuth");
    let long = format!(r#"{{"auth_req_id":"{}","expires_in":9}}"#, "x".repeat(REQUEST_ID_BYTES_MAX + 1));
    let bad_id = "`auth_req_id` is empty, too long, or has control characters";
    for (status, body, expect) in [
        (200, r#"{"auth_req_id":"r","expires_in":120,"interval":2}"#, good("r", 120, 2)),
        // `oidc-provider` says no interval.
        (200, r#"{"auth_req_id":"r","expires_in":120}"#, good("r", 120, 5)),
        (200, r#"{"auth_req_id":"r","expires_in":120,"interval":0,"more":1}"#, good("r", 120, 1)),
        (200, r#"{"auth_req_id":"r","expires_in":0}"#, nonsense("`expires_in` is no time")),
        (
            200,
            r#"{"auth_req_id":"r","expires_in":9,"interval":121}"#,
            nonsense("`interval` is longer than two minutes"),
        ),
        (200, r#"{"auth_req_id":"","expires_in":9}"#, nonsense(bad_id)),
        (200, r#"{"auth_req_id":"a\u0000","expires_in":9}"#, nonsense(bad_id)),
        (200, &long, nonsense(bad_id)),
        (200, r#"{"auth_req_id":"r","auth_req_id":"s","expires_in":9}"#, nonsense(no_members)),
        (200, r#"{"auth_req_id":"r","expires_in":-1}"#, nonsense(no_members)),
        (200, r#"{"auth_req_id":"r","expires_in":"9"}"#, nonsense(no_members)),
        (200, r#"["r",9,1]"#, nonsense(no_members)),
        (200, r#"{"auth_req_id":7,"expires_in":9}"#, nonsense(no_members)),
        (200, r#"{"error":"access_denied"}"#, nonsense(no_members)),
        (200, "", nonsense(no_members)),
        (201, r#"{"auth_req_id":"r","expires_in":9}"#, nonsense(no_error)),
        (400, r#"{"error":"unknown_user_id"}"#, Err(Problem::UnknownUser)),
        (400, r#"{"error":"invalid_binding_message"}"#, Err(Problem::CodeRefused)),
        (400, r#"{"error":"missing_user_code"}"#, Err(Problem::UserCode)),
        (400, r#"{"error":"invalid_user_code"}"#, Err(Problem::UserCode)),
        (401, r#"{"error":"invalid_client"}"#, Err(Problem::ClientRefused)),
        (400, r#"{"error":"unauthorized_client"}"#, Err(Problem::ClientRefused)),
        (403, r#"{"error":"access_denied"}"#, Err(Problem::DeniedAtOnce)),
        (400, r#"{"error":"invalid_request","error_description":"x"}"#, Err(Problem::RequestRefused)),
        (400, r#"{"error":"invalid_authorization_details"}"#, Err(Problem::RequestRefused)),
        (400, r#"{"error":"expired_login_hint_token"}"#, Err(Problem::RequestRefused)),
        (400, r#"{"error":"out_of_tea"}"#, nonsense("the answer has an error that no standard knows here")),
        (400, "<html>", nonsense(no_error)),
        (302, "", Err(Problem::Redirected)),
        (429, "", Err(Problem::Unavailable(429))),
        (503, r#"{"error":"access_denied"}"#, Err(Problem::Unavailable(503))),
    ] {
        assert_eq!(started(&answer(status, body)), expect, "{status} {body}");
    }
}

#[test]
fn an_answer_to_a_poll_is_one_thing_and_never_a_yes_by_mistake() {
    let failed = Polled::Failed;
    let token = |text: &str| Polled::IdToken(text.into());
    let large = format!(r#"{{"id_token":"{}"}}"#, "x".repeat(TOKEN_BYTES_MAX + 1));
    let no_error = || Polled::Failed(Problem::Nonsense("the answer is neither a success nor an error of OAuth"));
    for (status, body, expect) in [
        (400, r#"{"error":"authorization_pending"}"#, Polled::Pending),
        (400, r#"{"error":"slow_down"}"#, Polled::SlowDown),
        (403, r#"{"error":"authorization_pending"}"#, Polled::Pending),
        (400, r#"{"error":"access_denied"}"#, Polled::Denied),
        (400, r#"{"error":"expired_token"}"#, Polled::Expired),
        (200, r#"{"access_token":"a","token_type":"Bearer","id_token":"a.b.c","expires_in":3600}"#, token("a.b.c")),
        // What is a success in the status and not in the body, or the other way round.
        (200, r#"{"access_token":"a","token_type":"Bearer"}"#, failed(Problem::NoIdToken)),
        (200, r#"{"error":"authorization_pending"}"#, failed(Problem::NoIdToken)),
        (200, r#"{"id_token":"a.b.c","id_token":"d.e.f"}"#, failed(Problem::NoIdToken)),
        (200, r#"{"id_token":null}"#, failed(Problem::NoIdToken)),
        (200, r#"{"id_token":{"sub":"alice"}}"#, failed(Problem::NoIdToken)),
        (200, r#"["a.b.c"]"#, failed(Problem::NoIdToken)),
        (200, "yes", failed(Problem::NoIdToken)),
        (200, &large, failed(Problem::Nonsense("the ID token has more than 8192 bytes"))),
        (400, r#"{"id_token":"a.b.c"}"#, no_error()),
        (204, "", no_error()),
        (400, r#"{"error":"access_denied","error":"authorization_pending"}"#, no_error()),
        (400, r#"{"error":"invalid_grant"}"#, failed(Problem::RequestUnknown)),
        (401, r#"{"error":"invalid_client"}"#, failed(Problem::ClientRefused)),
        (400, r#"{"error":"unsupported_grant_type"}"#, failed(Problem::RequestRefused)),
        (500, r#"{"error":"access_denied"}"#, failed(Problem::Unavailable(500))),
        (503, "", failed(Problem::Unavailable(503))),
        (400, r#"{"error":"temporarily_unavailable"}"#, failed(Problem::Unavailable(400))),
        (307, "", failed(Problem::Redirected)),
    ] {
        assert_eq!(polled(&answer(status, body)), expect, "{status} {body}");
    }
}

#[test]
fn whoever_is_told_to_slow_down_waits_five_seconds_more_each_time() {
    assert_eq!([1, 5, 10].map(slower), [6, 10, 15]);
    assert_eq!(slower(u64::MAX), u64::MAX);
}
