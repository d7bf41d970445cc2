//! The bytes of what is stored about people: which of it can be read, and that nothing names anybody.

use std::collections::{BTreeMap, BTreeSet};

use attorn_core::{
    AgentId, Consents, DecisionId, EntitlementHolder, EntitlementPattern, GrantId, Permission, TimeMs, TimeSpan,
};

use super::tests::{digest, golden, json};
use super::*;
use crate::fixtures::id;

fn sealed() -> Sealed {
    Sealed(vec![1, 2, 3])
}

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn users_and_sessions() {
    let user = UserRecord { id: id("usr_1"), created_at: TimeMs(1_000), revocations: 2, sealed: sealed() };
    golden(&user, "user/usr_1", r#"{"id":"usr_1","created_at_ms":1000,"revocations":2,"sealed":"AQID"}"#);
    golden(
        &UserNameRecord { name: digest(0), user: id("usr_1") },
        &format!("user_name/{ZEROS}"),
        &format!(r#"{{"name":"{ZEROS}","user":"usr_1"}}"#),
    );
    let session = SessionRecord {
        id: id("ses_1"),
        user: id("usr_1"),
        opened_at: TimeMs(1_000),
        ended_at: None,
        sealed_name: Some(sealed()),
        unnamed_revocations: 5,
    };
    golden(
        &session,
        "session/ses_1",
        r#"{"id":"ses_1","user":"usr_1","opened_at_ms":1000,"ended_at_ms":null,"sealed_name":"AQID","unnamed_revocations":5}"#,
    );
    golden(
        &SessionNameRecord { name: digest(0), session: id("ses_1") },
        &format!("session_name/{ZEROS}"),
        &format!(r#"{{"name":"{ZEROS}","session":"ses_1"}}"#),
    );
}

#[test]
fn revoked_versions() {
    golden(
        &PolicyRevocationRecord { policy: id("read-only"), version: 2, at: TimeMs(1_000) },
        "policy_revocation/read-only/00000002",
        r#"{"policy":"read-only","version":2,"at_ms":1000}"#,
    );
}

#[test]
fn logouts_of_nobody() {
    golden(
        &LogoutRecord { name: digest(0), at: TimeMs(1_000) },
        &format!("logout/{ZEROS}"),
        &format!(r#"{{"name":"{ZEROS}","at_ms":1000}}"#),
    );
}

#[test]
fn delegations() {
    let delegation = DelegationRecord {
        id: id("dlg_2"),
        user: id("usr_1"),
        from_agent: Some(id("planner")),
        parent: Some(id("dlg_1")),
        depth: 1,
        to_agent: id("bot"),
        purpose: id("support"),
        session: id("ses_1"),
        created_at: TimeMs(1_000),
        expires_at: TimeMs(2_000),
        accepted_at: Some(TimeMs(1_500)),
        revoked_at: None,
        revocations: 3,
        user_revocations: 4,
        agent_revocations: 6,
        sealed: sealed(),
        sealed_reason: Some(sealed()),
    };
    golden(
        &delegation,
        "delegation/dlg_2",
        concat!(
            r#"{"id":"dlg_2","user":"usr_1","from_agent":"planner","parent":"dlg_1","depth":1,"to_agent":"bot","#,
            r#""purpose":"support","session":"ses_1","created_at_ms":1000,"expires_at_ms":2000,"#,
            r#""accepted_at_ms":1500,"revoked_at_ms":null,"revocations":3,"user_revocations":4,"agent_revocations":6,"#,
            r#""sealed":"AQID","sealed_reason":"AQID"}"#
        ),
    );
    golden(
        &ExchangeRecord { digest: digest(0), delegation: id("dlg_1") },
        &format!("exchange/{ZEROS}"),
        &format!(r#"{{"digest":"{ZEROS}","delegation":"dlg_1"}}"#),
    );
}

#[test]
fn what_is_kept_for_a_user_is_sealed() {
    let (grant, decision) = (GrantId::from_random([1; 16]), DecisionId::from_random([2; 16]));
    let kept = || Kept::Sealed { user: id("usr_1"), sealed: sealed() };
    golden(
        &GrantRecord {
            id: grant,
            grant: Kept::Sealed { user: id("usr_1"), sealed: sealed() },
            revoked_at: Some(TimeMs(9)),
        },
        &format!("grant/{grant}"),
        &format!(r#"{{"id":"{grant}","grant":{{"sealed":{{"user":"usr_1","sealed":"AQID"}}}},"revoked_at_ms":9}}"#),
    );
    let answer = IdempotencyRecord {
        agent: id("bot"),
        key_digest: digest(0),
        request_digest: digest(0),
        decision,
        grant: None,
        expires_at: TimeMs(5_000),
        answer: kept(),
    };
    golden(
        &answer,
        &format!("idempotency/bot/{ZEROS}"),
        &format!(
            concat!(
                r#"{{"agent":"bot","key_digest":"{ZEROS}","request_digest":"{ZEROS}","decision":"{decision}","#,
                r#""grant":null,"expires_at_ms":5000,"answer":{{"sealed":{{"user":"usr_1","sealed":"AQID"}}}}}}"#
            ),
            ZEROS = ZEROS,
            decision = decision,
        ),
    );
    let fact = FactRecord {
        name: id("user/usr_1/risk"),
        said: Kept::Sealed { user: id("usr_1"), sealed: sealed() },
        set_by: FactSource::Operator(id("ada")),
        set_at: TimeMs(1_000),
        expires_at: None,
    };
    golden(
        &fact,
        "fact/user/usr_1/risk",
        concat!(
            r#"{"name":"user/usr_1/risk","said":{"sealed":{"user":"usr_1","sealed":"AQID"}},"#,
            r#""set_by":{"operator":"ada"},"set_at_ms":1000,"expires_at_ms":null}"#
        ),
    );
    let body = FactBody { value: json("7"), salt: FactSalt::from_random([0xab; 16]) };
    sealed_body(
        &body,
        &body.encode(),
        |bytes| FactBody::decode(&fact.key(), bytes),
        r#"{"value":"7","salt":"abababababababababababababababab"}"#,
    );
    let record = DecisionRecord { id: decision, text: kept() };
    let bytes = record.encode();
    assert_eq!(bytes, b"\x02usr_1\0\x01\x02\x03");
    assert_eq!(DecisionRecord::decode(&record.key(), &bytes).unwrap(), record);
    check(&record.key(), &bytes).unwrap();
    for bad in [&b"\x02"[..], b"\x02usr_1", b"\x02usr_1\0", b"\x02\0x", b"\x02Usr\0x", b"\x02\xff\0x", b"\x03usr_1\0x"]
    {
        assert!(DecisionRecord::decode(&record.key(), bad).is_err(), "{bad:?}");
    }
}

#[test]
fn an_erasure_says_when_and_nothing_of_whom() {
    let erased = ErasureRecord { user: id("usr_1"), at: TimeMs(1_000) };
    golden(&erased, "erasure/usr_1", r#"{"user":"usr_1","at_ms":1000}"#);
}

#[test]
fn entitlements_the_freeze_and_the_clock() {
    let pattern = EntitlementPattern::parse("account.read", "account/{user.id}/*").unwrap();
    let group = EntitlementRecord {
        holder: EntitlementHolder::Group { issuer: id("https://idp.example"), name: "staff".into() },
        patterns: EntitlementPatterns::Plain(vec![pattern]),
        set_at: TimeMs(1_000),
    };
    golden(
        &group,
        "entitlement/group/https://idp.example/322e5e04f45c67ca9b481ef64c4b2c0e1b46bfd6ec1715fb34d5b2474aab3150",
        concat!(
            r#"{"holder":{"group":{"issuer":"https://idp.example","name":"staff"}},"#,
            r#""patterns":{"plain":[{"action":"account.read","resource":"account/{user.id}/*"}]},"set_at_ms":1000}"#
        ),
    );
    let user = EntitlementRecord {
        holder: EntitlementHolder::User(id("usr_1")),
        patterns: EntitlementPatterns::Sealed(sealed()),
        set_at: TimeMs(1_000),
    };
    golden(
        &user,
        "entitlement/user/usr_1",
        r#"{"holder":{"user":"usr_1"},"patterns":{"sealed":"AQID"},"set_at_ms":1000}"#,
    );
    golden(
        &FreezeRecord { by: id("ada"), at: TimeMs(1_000), reason: Some("a leak".into()) },
        "freeze",
        r#"{"by":"ada","at_ms":1000,"reason":"a leak"}"#,
    );
    golden(
        &SetBackRecord { by: Some(id("ada")), at: TimeMs(1_000), eras: vec![span(2_000, 9_000)] },
        "clock",
        r#"{"by":"ada","at_ms":1000,"eras":[{"from_ms":2000,"until_ms":9000}]}"#,
    );
    let mark = ClockMarkRecord {
        boot: "a boot".into(),
        since_boot_ms: 7,
        at: TimeMs(9_000),
        settled: true,
        uncounted_ms: 3,
        believed_in_ms: 4,
        leap: span(1_000, 2_000),
        tokens_after: TimeMs(1_000),
    };
    golden(
        &mark,
        "clock_mark",
        concat!(
            r#"{"boot":"a boot","since_boot_ms":7,"at_ms":9000,"settled":true,"uncounted_ms":3,"believed_in_ms":4,"#,
            r#""leap":{"from_ms":1000,"until_ms":2000},"tokens_after_ms":1000}"#
        ),
    );
}

fn span(from: u64, until: u64) -> TimeSpan {
    TimeSpan { from: TimeMs(from), until: TimeMs(until) }
}

#[track_caller]
fn sealed_body<B: PartialEq + std::fmt::Debug>(
    body: &B,
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<B, RecordError>,
    json: &str,
) {
    assert_eq!(std::str::from_utf8(&bytes[1..]).unwrap(), json);
    assert!(decode(bytes).unwrap() == *body);
    for cut in 0..bytes.len() {
        assert!(decode(&bytes[..cut]).is_err(), "the first {cut} bytes pass");
    }
}

#[test]
fn what_is_sealed() {
    let user = UserBody {
        provider: id("main"),
        issuer: id("https://idp.example"),
        subject: "alice".into(),
        asserted_at: TimeMs(1_000),
        groups_asserted_at: TimeMs(950),
        groups: BTreeSet::from(["staff".into()]),
        voted_for: BTreeMap::new(),
        claims: json("{}"),
        login_after: Some(TimeMs(900)),
        login_after_for: BTreeMap::from([(id("bot"), TimeMs(800))]),
        unnamed_login_after: None,
        logged_out_at: Some(TimeMs(700)),
        unnamed_logged_out_at: None,
        agent_revocations: BTreeMap::from([(id("bot"), 2)]),
        unnamed_revocations: 3,
        revoked_because: Some("it asks too much".into()),
    };
    let key = Key::user(&id("usr_1"));
    sealed_body(
        &user,
        &user.encode(),
        |bytes| UserBody::decode(&key, bytes),
        concat!(
            r#"{"provider":"main","issuer":"https://idp.example","subject":"alice","asserted_at_ms":1000,"#,
            r#""groups_asserted_at_ms":950,"groups":["staff"],"claims":"{}","login_after_ms":900,"#,
            r#""login_after_for":{"bot":800},"#,
            r#""unnamed_login_after_ms":null,"logged_out_ms":700,"unnamed_logged_out_ms":null,"#,
            r#""agent_revocations":{"bot":2},"unnamed_revocations":3,"revoked_because":"it asks too much"}"#
        ),
    );
    let voter = UserBody { voted_for: BTreeMap::from([("finance".into(), TimeMs(960))]), ..user };
    let bytes = voter.encode();
    assert!(String::from_utf8_lossy(&bytes).contains(r#""groups":["staff"],"voted_for":{"finance":960},"claims""#));
    assert!(UserBody::decode(&key, &bytes).unwrap() == voter);
    let read = Permission { action: id("account.read"), resource: id("account/*") };
    let delegation = DelegationBody {
        permissions: vec![read.clone()],
        evidence: Some(Evidence {
            provider: id("main"),
            token_id: Some("t-1".into()),
            token_digest: digest(0),
            issued_at: TimeMs(1_000),
            auth_time: Some(TimeMs(900)),
            acr: None,
            consented: vec![read],
        }),
    };
    let key = Key::delegation(&id("dlg_1"));
    let read = r#"{"action":"account.read","resource":"account/*"}"#;
    sealed_body(
        &delegation,
        &delegation.encode(),
        |bytes| DelegationBody::decode(&key, bytes),
        &format!(
            r#"{{"permissions":[{read}],"evidence":{{"provider":"main","token_id":"t-1","token_digest":"{ZEROS}","issued_at_ms":1000,"auth_time_ms":900,"acr":null,"consented":[{read}]}}}}"#
        ),
    );
}

/// How many bytes sealing adds: its form, a nonce, and a tag.
const SEAL_BYTES: usize = 1 + 12 + 16;

/// A name of so many bytes that begins so, as ids may be.
fn long<T: std::str::FromStr<Err = attorn_core::ParseError>>(start: &str, bytes: usize) -> T {
    id(&format!("{start}{}", "x".repeat(bytes - start.len())))
}

#[track_caller]
fn fits(record: &impl Record) {
    let bytes = record.encode().len();
    assert!(bytes <= crate::VALUE_BYTES_MAX, "{bytes}");
    // What has much more room than it needs is bounded too tightly, or not filled here.
    assert!(bytes > crate::VALUE_BYTES_MAX / 2, "{bytes}");
}

#[test]
fn the_largest_user_has_room() {
    let max = TimeMs(u64::MAX);
    let agent = |n: usize| long::<AgentId>(&format!("a{n}-"), 64);
    // Quotes and backslashes take two bytes in JSON, and twice that in JSON within JSON.
    let groups = (0..128).map(|n| format!("{n:03}{}", "\"".repeat(UserBody::GROUPS_BYTES_MAX / 128 - 3)));
    let voted = "\"".repeat(UserBody::VOTED_FOR_BYTES_MAX / UserBody::VOTED_FOR_MAX - 2);
    let quotes = "\\\"".repeat((ProviderRecord::CLAIMS_BYTES_MAX - 8) / 2);
    let body = UserBody {
        provider: long("p", 64),
        issuer: long("https://", 256),
        subject: "\"".repeat(255),
        asserted_at: max,
        groups_asserted_at: max,
        groups: groups.collect(),
        voted_for: (0..UserBody::VOTED_FOR_MAX).map(|n| (format!("{n:02}{voted}"), max)).collect(),
        claims: json(&format!("{{\"c\":\"{quotes}\"}}")),
        login_after: Some(max),
        login_after_for: (0..UserBody::AGENTS_MAX).map(|n| (agent(n), max)).collect(),
        unnamed_login_after: Some(max),
        logged_out_at: Some(max),
        unnamed_logged_out_at: Some(max),
        agent_revocations: (0..UserBody::AGENTS_MAX).map(|n| (agent(n), u64::MAX)).collect(),
        unnamed_revocations: u64::MAX,
        revoked_because: Some("\u{1f512}".repeat(256)),
    };
    assert!(body.claims.as_str().len() >= ProviderRecord::CLAIMS_BYTES_MAX - 1);
    let sealed = Sealed(vec![0; body.encode().len() + SEAL_BYTES]);
    fits(&UserRecord { id: long("usr_", 64), created_at: max, revocations: u64::MAX, sealed });
}

#[test]
fn the_largest_delegation_has_room() {
    let (max, text) = (TimeMs(u64::MAX), || "\"".repeat(256));
    // Much of many small patterns, whose names take more than they do.
    let permissions = |count: usize, bytes: usize| {
        let resource = long("t/", bytes / count - 1);
        vec![Permission { action: id("*"), resource }; count]
    };
    let body = DelegationBody {
        permissions: permissions(DelegationBody::PERMISSIONS_MAX, DelegationBody::PERMISSIONS_BYTES_MAX),
        evidence: Some(Evidence {
            provider: long("p", 64),
            token_id: Some(text()),
            token_digest: digest(0),
            issued_at: max,
            auth_time: Some(max),
            acr: Some(text()),
            consented: permissions(Consents::PERMISSIONS_MAX, Consents::BYTES_MAX),
        }),
    };
    let sealed = Sealed(vec![0; body.encode().len() + SEAL_BYTES]);
    fits(&DelegationRecord {
        id: long("dlg_", 64),
        user: long("usr_", 64),
        from_agent: Some(long("a", 64)),
        parent: Some(long("dlg_", 64)),
        depth: u32::MAX,
        to_agent: long("b", 64),
        purpose: long("p", 64),
        session: long("ses_", 128),
        created_at: max,
        expires_at: max,
        accepted_at: Some(max),
        revoked_at: Some(max),
        revocations: u64::MAX,
        user_revocations: u64::MAX,
        agent_revocations: u64::MAX,
        sealed,
        sealed_reason: Some(Sealed(vec![0; 256 * 4 + SEAL_BYTES])),
    });
}
