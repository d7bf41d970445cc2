//! README, schema and cases say what there is.

use std::path::Path;

use attorn_policy::Verdict;
use attorn_policy::testing::{self, Tested};

use crate::Cedar;

#[test]
fn readme_schema_and_cases_say_what_there_is() {
    testing::assert_settings_are_taken::<Cedar>(include_str!("../../README.md"));
    testing::assert_schema_names_the_fields::<Cedar>();
    testing::assert_reasons_have_cases::<Cedar>(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases"));
}

/// The schema beside the README declares the whole context of a request that has everything, and the README shows it.
#[test]
fn the_schema_of_the_whole_context_is_one() {
    let schema = include_str!("../../context.cedarschema");
    assert!(include_str!("../../README.md").contains(&format!("```cedarschema\n{schema}```")));
    for (principal, policies) in [
        ("agent", "true"),
        ("user", "context.user.claims has email && context.user.claims.email like \"*@example.org\""),
    ] {
        let policies = format!("permit(principal, action, resource) when {{ context has user && {policies} }};");
        let settings = serde_json::json!({ "principal": principal, "policies": policies, "schema": schema,
            "facts": { "risk": "user/{user.id}/risk" } });
        let policy = Tested::<Cedar>::new(&settings.to_string()).unwrap();
        let mut ctx = crate::context::tests::full();
        ctx.facts = vec![testing::fact("user/{user.id}/risk", Some("3"))];
        let said = policy.evaluate(&ctx).unwrap();
        assert!(matches!(said, Verdict::Allow(_)), "{said:?}");
        // With nothing that may be missing, it is as well.
        let mut ctx = testing::context("order.refund", "order/42");
        ctx.user = Some(testing::user("usr-alice"));
        ctx.request.arguments = r#"{"amount":5}"#.into();
        ctx.facts = vec![testing::fact("user/{user.id}/risk", None)];
        let said = policy.evaluate(&ctx).unwrap();
        let outside = |said: &Verdict| format!("{said:?}").contains("outside_schema");
        assert!(!outside(&said), "{said:?}");
        // And all of it is declared, not just cut away.
        let all = ["agent", "user", "delegations", "approvals", "caller", "credential", "enforcement_point"];
        for part in all.map(|part| crate::context::fields(part).unwrap()).concat() {
            assert!(schema.contains(&format!(" {part}")), "{part}");
        }
        for part in crate::context::PARTS {
            assert!(schema.contains(&format!("    {part}")), "{part}");
        }
    }
}
