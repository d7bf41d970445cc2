//! What approvers are shown: padding hides nothing of it, and what cannot be shown is approved by nobody.

use super::*;

/// A character that takes one place in a text and twelve where it is made visible.
const TAG: &str = "\u{e0041}";

#[tokio::test(flavor = "multi_thread")]
async fn padding_keeps_nothing_from_being_seen() {
    let scene = Scene::new(ONE).await;
    for arguments in [
        json!({ "!": TAG.repeat(256), "amount": 5, "to": "mallory" }),
        json!({ "!": TAG.repeat(2_000), "amount": 5, "list": ["x".repeat(5_000), { "a": "\u{e4}".repeat(3_000) }],
            "to": "mallory" }),
        json!({ "body": { "!": "x".repeat(9_000), "amount": 5 }, "method": "POST", "path": "/pay", "to": "mallory" }),
    ] {
        let asked = scene.challenged(&ask_with(json!({ "arguments": arguments }))).await;
        let asks = show(&scene.ada, &asked.id).await.asks;
        let shown: Value = serde_json::from_str(&asks.arguments).unwrap();
        assert!(asks.arguments.len() <= 4_096, "{}", asks.arguments);
        assert_eq!(shown["to"], "mallory", "{}", asks.arguments);
        assert!(shown["amount"] == 5 || shown["body"]["amount"] == 5, "{}", asks.arguments);
    }
    replays_identically(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_asked_of_nobody() {
    let scene = Scene::new(ONE).await;
    let many = |count: usize| (0..count).map(|n| (format!("key{n}"), n.into())).collect::<serde_json::Map<_, _>>();
    for arguments in [
        json!({ "k".repeat(4_100): 1, "to": "mallory" }),
        json!({ TAG.repeat(400): 1, "to": "mallory" }),
        many(2_000).into(),
        json!({ "body": many(2_000), "method": "POST", "path": "/pay" }),
        json!({ "list": vec!["x".repeat(128); 64] }),
    ] {
        scene.denied(&ask_with(json!({ "arguments": arguments })), "approval_unreadable").await;
    }
    let list: ApprovalList = scene.ada.get("/v1/approvals?state=all").await.expect(200).json();
    assert!(list.approvals.is_empty(), "somebody was asked");
    // A policy that allows needs nobody to read anything.
    scene.world.activate("careful", components::bytes("allow_all"), json!({})).await;
    let wide = ask_with(json!({ "arguments": many(500) }));
    assert_eq!(scene.world.bot.decide(&wide).await.decision, Allow);
    replays_identically(&scene.world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_to_sees_all_of_the_arguments() {
    let scene = Scene::new(ONE).await;
    let arguments = json!({ "amount": 5, "note": format!("<b>{}\u{202e}", "x".repeat(5_000)) });
    let asked = scene.challenged(&ask_with(json!({ "arguments": arguments }))).await;
    let path = format!("/v1/approvals/{}/arguments", asked.id);
    let whole: Value = scene.ada.get(&path).await.expect(200).json();
    let text = whole["arguments"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), arguments);
    assert!(!text.contains(['<', '\u{202e}']), "it is made visible, too");
    let shown = show(&scene.ada, &asked.id).await;
    assert_eq!((&whole["id"], &whole["digest"]), (&json!(asked.id), &json!(shown.digest)));
    assert_eq!(whole["arguments_digest"], shown.asks.arguments_digest.as_str());
    let nobody = format!("/v1/approvals/apr_{}/arguments", "0".repeat(32));
    scene.ada.get(nobody).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_the_arguments_of_what_was_for_a_user_who_was_erased() {
    let scene = Behalf::new().await;
    scene.activate("careful", components::bytes(ONE), json!({})).await;
    let ada = scene.staff.admin.hire("ada", &[Duty::Approver]).await;
    let delegation = scene.delegated().await;
    let asked = scene.read(&scene.bot, &delegation).await.approval.unwrap();
    let path = format!("/v1/approvals/{}/arguments", asked.id);
    ada.get(&path).await.expect(200);
    scene.erase(&delegation.user).await.expect(200);
    ada.get(&path).await.refused(410, "user_erased");
}

/// What would be decided is said, also where the decision itself would ask nobody.
#[tokio::test(flavor = "multi_thread")]
async fn who_explains_says_that_nobody_could_be_asked() {
    let scene = Scene::new(ONE).await;
    let explain = async |request: &Value| -> Value {
        let body = json!({ "agent": "support-bot", "request": request });
        scene.world.staff.explainer.post("/v1/simulations", &body).await.expect(200).json()
    };
    let arguments = json!({ "k".repeat(4_100): 1, "to": "mallory" });
    let wide = ask_with(json!({ "arguments": arguments }));
    let said = explain(&wide).await;
    assert_eq!((&said["decision"], &said["reasons"][0]["code"]), (&json!("deny"), &json!("approval_unreadable")));
    assert_eq!(explain(&ask()).await["decision"], "challenge");
    let asked = scene.challenged(&ask()).await;
    assert_eq!(explain(&ask()).await["decision"], "challenge");
    vote(&scene.ada, &asked.id, "refuse").await.expect(200);
    for changes in [json!({}), json!({ "arguments": { "n": 1 } })] {
        let said = explain(&ask_with(changes)).await;
        assert_eq!((&said["decision"], &said["reasons"][0]["code"]), (&json!("deny"), &json!("approval_refused")));
    }
    let list: ApprovalList = scene.ada.get("/v1/approvals?state=all").await.expect(200).json();
    assert_eq!(list.approvals.len(), 1, "explaining asks nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_look_like_others_are_told_of() {
    let scene = Scene::new(ONE).await;
    let plain = json!({ "to": "paypal", "note": "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} Gr\u{fc}\u{df}e" });
    let asked = scene.challenged(&ask_with(json!({ "arguments": plain }))).await;
    assert!(show(&scene.ada, &asked.id).await.asks.look_alikes.is_empty());
    let arguments = json!({ "to": "p\u{430}ypal", "p\u{430}y": ["ok"] });
    let changes =
        json!({ "resource": "article/43", "arguments": arguments, "claims": { "by": "\u{440}\u{430}\u{443}" } });
    let asked = scene.challenged(&ask_with(changes)).await;
    let asks = show(&scene.ada, &asked.id).await.asks;
    let letters: Vec<_> = asks.look_alikes.iter().map(|one| one.letters.as_str()).collect();
    assert_eq!(letters, ["p{U+0430}y", "p{U+0430}ypal", "{U+0440}{U+0430}{U+0443}"]);
    let many: Vec<_> = (0..20).map(|n| format!("p\u{430}y{n}")).collect();
    let asked = scene.challenged(&ask_with(json!({ "resource": "article/44", "arguments": { "to": many } }))).await;
    let asks = show(&scene.ada, &asked.id).await.asks;
    assert_eq!((asks.look_alikes.len(), asks.look_alikes_more), (16, 4));
}
