//! Who signed in for this, by the claims and the answer that they came back with; and what a browser keeps meanwhile.

use serde_json::json;

use super::*;

fn begun() -> Begun {
    fixtures::begun(TimeMs(1_000_000))
}

#[test]
fn what_has_begun_is_the_same_after_somebody_else_kept_it() {
    let text = begun().to_text().unwrap();
    assert_eq!(Begun::of_text(text.as_bytes()), Some(begun()));
    for wrong in ["", "{}", &text[1..], &text.replace("https:", "no"), &text.replace("main", "-")] {
        assert_eq!(Begun::of_text(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn only_who_signed_in_for_this_did() {
    let begun = begun();
    let check = |claims: &Value, issued_at, auth_time: Option<u64>| {
        fresh(|name| claims.get(name), (TimeMs(issued_at), auth_time.map(TimeMs)), &begun)
    };
    let ours = json!({ "nonce": "n-1" });
    for (claims, issued_at, auth_time, expect) in [
        (&json!({}), 1_003_000, Some(1_002_000), Err(Problem::AnotherSignIn)),
        (&json!({ "nonce": "n-2" }), 1_003_000, Some(1_002_000), Err(Problem::AnotherSignIn)),
        (&json!({ "nonce": ["n-1"] }), 1_003_000, Some(1_002_000), Err(Problem::AnotherSignIn)),
        (&ours, 1_003_000, None, Err(Problem::NotFresh)),
        (&ours, 1_003_000, Some(993_000), Err(Problem::NotFresh)),
        (&ours, 993_000, Some(1_002_000), Err(Problem::NotFresh)),
        (&ours, 1_003_000, Some(1_002_000), Ok(())),
        // As early as clocks may differ.
        (&ours, 994_000, Some(994_000), Ok(())),
    ] {
        assert_eq!(check(claims, issued_at, auth_time), expect, "{claims} {issued_at} {auth_time:?}");
    }
}

#[test]
fn an_answer_has_a_code_and_is_this_issuer_s() {
    let long = format!("code={}", "x".repeat(CODE_BYTES_MAX + 1));
    let wrong = || Err(IssuerTokenError::WrongIssuer.into());
    let none = || Err(Problem::Nonsense("the answer has no `code`"));
    for (answer, says_issuer, expect) in [
        ("code=c&iss=https%3A%2F%2Fother.example", false, wrong()),
        ("code=c&iss=https%3A%2F%2Fsso.example%2F", true, wrong()),
        ("code=c", true, wrong()),
        ("error=access_denied&code=c", false, Err(Problem::DeniedAtOnce)),
        ("error=login_required", false, Err(Problem::RequestRefused)),
        ("state=s", false, none()),
        (&long, false, none()),
        ("code=c", false, Ok("c")),
        ("code=c%2F1&iss=https%3A%2F%2Fsso.example", true, Ok("c/1")),
    ] {
        let form = Form::parse(answer.as_bytes()).ok().unwrap();
        assert_eq!(code(&form, "https://sso.example", says_issuer), expect, "{answer}");
    }
}
