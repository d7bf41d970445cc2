//! A component that takes a compiler very long: it costs a process of its own and nothing else.

use attorn_api::decisions::DecisionKind;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, read_only_settings};
use attorn_tests::{Process, Staff, components};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_takes_too_long_to_compile_is_refused_and_decisions_go_on() {
    let fresh = Fresh::make().await;
    let text = std::fs::read_to_string(&fresh.config).unwrap();
    assert!(text.contains("compile_cpu_s_max = 120\n"), "{text}");
    std::fs::write(&fresh.config, text.replace("compile_cpu_s_max = 120\n", "compile_cpu_s_max = 1\n")).unwrap();
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    // Enough for a good policy on whatever machine compiles beside it.
    let limits = json!({ "limits": { "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 } });
    let before = cast.activate_with("read-only", components::bytes("read-only"), read_only_settings(), limits).await;
    let bomb = components::slow_to_compile();

    let pushing = cast.push("bomb", bomb, json!({}), json!({}));
    let deciding = async {
        for _ in 0..20 {
            assert_eq!(cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
        }
    };
    let (pushed, ()) = tokio::join!(pushing, deciding);
    let problem = pushed.refused(422, "component_rejected");
    let said = "the component failed the step `compile`: compiling took more than 1 s of CPU time";
    assert_eq!(problem.detail, said);
    assert!(problem.help.is_some());

    // Nothing of it is there, and what was in force still is.
    cast.staff.policy_admin.get("/v1/policies/bomb").await.refused(404, "not_found");
    let list: attorn_api::policies::PolicyList = cast.staff.policy_admin.get("/v1/policies").await.json();
    assert_eq!(list.active_set.revision, before.active_set.revision);
    assert_eq!(cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    process.kill().await;
}
