use attorn_core::verdict::ApprovalRequirement;
use attorn_core::{ApprovalId, ApprovalRequest, ApprovalState, Approver, DecisionId, Say, TimeMs, Vote};

use super::tests::{digest, golden, json};
use super::*;
use crate::batch::Batch;
use crate::fixtures::id;

fn vote(approver: Approver, says: Say) -> Vote {
    Vote { approver, says, at: TimeMs(2_000) }
}

fn approval(state: ApprovalState) -> ApprovalRecord {
    ApprovalRecord {
        request: ApprovalRequest {
            id: ApprovalId::from_random([4; 16]),
            bound_to: digest(7),
            requirements: vec![ApprovalRequirement { role: id("operator"), count: 2 }],
            votes: vec![
                vote(Approver::Operator(id("ada")), Say::Approve),
                vote(Approver::User(id("usr_1")), Say::Refuse),
            ],
            expires_at: TimeMs(301_000),
        },
        state,
        asked_of: digest(9),
        agent: id("bot"),
        owners: vec![id("team@example.org")],
        registrars: Vec::new(),
        delegation: Some(id("dlg_1")),
        code: "BCDF-GHJK".into(),
        decision: DecisionId::from_random([2; 16]),
        spent_by: (state == ApprovalState::Spent).then_some(DecisionId::from_random([5; 16])),
        open: true,
        prompted: state == ApprovalState::Pending,
        groups_of: None,
        created_at: TimeMs(1_000),
        content: Kept::Plain(json(r#"{"action":"a"}"#)),
    }
}

#[test]
fn approvals() {
    const KEY: &str = "approval/apr_04040404040404040404040404040404";
    let text = |state: &str, spent: &str| {
        format!(
            concat!(
                r#"{{"id":"apr_04040404040404040404040404040404","bound_to":"{}","requirements":[["operator",2]],"#,
                r#""votes":[{{"by":{{"operator":"ada"}},"says":"approve","at_ms":2000}},"#,
                r#"{{"by":{{"user":"usr_1"}},"says":"refuse","at_ms":2000}}],"state":"{}","asked_of":"{}","agent":"bot","#,
                r#""owners":["team@example.org"],"delegation":"dlg_1","code":"BCDF-GHJK","#,
                r#""decision":"dec_02020202020202020202020202020202","spent_by":{},"open":true,"prompted":{},"created_at_ms":1000,"#,
                r#""expires_at_ms":301000,"content":{{"plain":"{{\"action\":\"a\"}}"}}}}"#
            ),
            "07".repeat(32),
            state,
            "09".repeat(32),
            spent,
            state == "pending"
        )
    };
    let spent_by = r#""dec_05050505050505050505050505050505""#;
    for &state in ApprovalState::ALL {
        let spent = if state == ApprovalState::Spent { spent_by } else { "null" };
        golden(&approval(state), KEY, &text(state.as_str(), spent));
    }
    for (state, spent) in [("spent", "null"), ("approved", spent_by)] {
        let stored = [b"\x01", text(state, spent).as_bytes()].concat();
        assert!(ApprovalRecord::decode(&approval(ApprovalState::Pending).key(), &stored).is_err(), "{state}");
    }
    let sealed = Kept::Sealed { user: id("usr_1"), sealed: Sealed(vec![0xff; 3]) };
    let about_a_user = ApprovalRecord { content: sealed, ..approval(ApprovalState::Pending) };
    assert_eq!(about_a_user.user(), Some(&id("usr_1")));
    let plain = r#"{"plain":"{\"action\":\"a\"}"}"#;
    let expect = text("pending", "null").replace(plain, r#"{"sealed":{"user":"usr_1","sealed":"////"}}"#);
    golden(&about_a_user, KEY, &expect);
    let mut of_groups = approval(ApprovalState::Pending);
    of_groups.request.requirements.push(ApprovalRequirement { role: id("/Finance \"A\""), count: 2 });
    let issuer = (r#""prompted":true,"#, r#""prompted":true,"groups_of":"https://sso.example","#);
    let asks = (r#"["operator",2]"#, r#"["operator",2],["/Finance \"A\"",2]"#);
    let whose = text("pending", "null").replace(asks.0, asks.1);
    // Nobody knows whose group it is.
    assert!(ApprovalRecord::decode(&of_groups.key(), &[b"\x01", whose.as_bytes()].concat()).is_err());
    of_groups.groups_of = Some(id("https://sso.example"));
    golden(&of_groups, KEY, &whose.replace(issuer.0, issuer.1));
    // Not there in records from before it was kept who registered whoever asks, which are the rows above.
    let registrars = vec![id("ada"), id("ben")];
    let owners = (r#""owners":["team@example.org"],"#, r#""owners":["team@example.org"],"registrars":["ada","ben"],"#);
    let of_registrars = ApprovalRecord { registrars, ..approval(ApprovalState::Pending) };
    golden(&of_registrars, KEY, &text("pending", "null").replace(owners.0, owners.1));
    assert_eq!(of_registrars.asker().registrars, [id("ada"), id("ben")].into());
    golden(
        &ApprovalRequestRecord { bound_to: digest(7), approval: ApprovalId::from_random([4; 16]) },
        &format!("approval_request/{}", "07".repeat(32)),
        &format!(r#"{{"bound_to":"{}","approval":"apr_04040404040404040404040404040404"}}"#, "07".repeat(32)),
    );
}

#[test]
fn holds() {
    let ends_by = format!(r#","ends_by":"{}""#, "05".repeat(32));
    for (because, name, ends_by, more) in [
        (HoldReason::Refused, "refused", None, ""),
        (HoldReason::Unanswered, "unanswered", None, ""),
        (HoldReason::DelegationRevoked, "delegation_revoked", None, ""),
        (HoldReason::Refused, "refused", Some(digest(5)), &*ends_by),
    ] {
        let hold = ApprovalHoldRecord {
            asked_of: digest(9),
            because,
            approval: ApprovalId::from_random([4; 16]),
            times: 3,
            until: TimeMs(400_000),
            ends_by,
        };
        let text = format!(
            concat!(
                r#"{{"asked_of":"{}","because":"{}","approval":"apr_04040404040404040404040404040404","#,
                r#""times":3,"until_ms":400000{}}}"#
            ),
            "09".repeat(32),
            name,
            more
        );
        golden(&hold, &format!("approval_hold/{}", "09".repeat(32)), &text);
        let mut batch = Batch::new(TimeMs(0));
        hold.put(&mut batch);
        let keys: Vec<_> = batch.put.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(keys, [Key::expiry(TimeMs(400_000), &hold.key()), hold.key()]);
    }
}

#[test]
fn what_finds_an_approval_comes_and_goes_with_it() {
    let pending = approval(ApprovalState::Pending);
    let mut opened = Batch::new(TimeMs(0));
    pending.open(&mut opened, 8);
    assert_eq!((opened.put.len(), opened.add[0].delta, opened.add[0].at_most), (4, 1, 8));
    assert_eq!(opened.put[1].0, Key::expiry(TimeMs(301_000), &pending.key()));

    let mut approved = Batch::new(TimeMs(0));
    pending.becomes(&approval(ApprovalState::Approved), &mut approved);
    assert_eq!((approved.put.len(), approved.delete.len(), approved.add.len()), (1, 0, 0));

    // A refusal holds for its own time, and counts as long.
    let mut refused = Batch::new(TimeMs(0));
    let mut next = approval(ApprovalState::Refused);
    next.request.expires_at = TimeMs(400_000);
    pending.becomes(&next, &mut refused);
    assert_eq!(refused.put[1].0, Key::expiry(TimeMs(400_000), &pending.key()));
    assert_eq!((refused.delete.len(), refused.add.len()), (0, 0));

    let mut closed = Batch::new(TimeMs(0));
    pending.becomes(&ApprovalRecord { open: false, ..pending.clone() }, &mut closed);
    assert_eq!(closed.delete, [Key::open_approval(&id("bot"), None, &pending.request.id)]);
    assert_eq!((&closed.add[0].key, closed.add[0].delta), (&Key::open_approvals(&id("bot"), None), -1));

    // It is counted once.
    let mut again = Batch::new(TimeMs(0));
    let closed = ApprovalRecord { open: false, ..pending };
    closed.becomes(&closed.clone(), &mut again);
    assert_eq!((again.put.len(), again.delete.len(), again.add.len()), (1, 0, 0));
}

#[test]
fn webhooks() {
    let webhook = WebhookRecord {
        id: id("chat"),
        url: "https://chat.example/hook".into(),
        loopback: false,
        wrapped: vec![0xff; 3],
        created_at: TimeMs(1_000),
        revoked_at: None,
    };
    let text = r#"{"id":"chat","url":"https://chat.example/hook","loopback":false,"wrapped":"////","created_at_ms":1000,"revoked_at_ms":null}"#;
    golden(&webhook, "webhook/chat", text);
    let revoked = WebhookRecord { revoked_at: Some(TimeMs(2_000)), ..webhook.clone() };
    golden(&revoked, "webhook/chat", &text.replace("null", "2000"));
    assert!(!format!("{webhook:?}").contains("255"));
}
