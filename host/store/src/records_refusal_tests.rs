use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;

use attorn_core::{Agent, AgentState, IdentityMethod, IdentitySubject, PolicyMode, TimeMs};

use super::policy_tests::policy_version;
use super::tests::{THUMBPRINT, agent, digest, json};
use super::*;
use crate::fixtures::id;

#[track_caller]
fn refused(key: &Key, stored: &[u8], problem: &str) {
    let error = check(key, stored).unwrap_err();
    assert_eq!(error.to_string(), format!("the value stored under `{key}` is invalid"));
    // Where in its one line the text is wrong is no promise.
    let said = error.source().unwrap().to_string();
    assert_eq!(said.split(" at line ").next(), Some(problem));
}

#[test]
fn invalid_bytes_are_named_and_never_a_panic() {
    let policy = Key::policy(&id("a"));
    refused(&policy, b"", "it is empty");
    refused(&policy, b"\x02{}", "its format 2 is unknown");
    refused(&policy, b"\x01", "it cannot be read: EOF while parsing a value");
    refused(
        &policy,
        b"\x01{\"id\":\"b\",\"latest_version\":1,\"in_force\":null,\"before\":[]}",
        "it belongs under `policy/b`",
    );
    refused(
        &policy,
        b"\x01{\"id\":\"a\",\"latest_version\":1,\"x\":1}",
        "it cannot be read: unknown field `x`, expected one of `id`, `latest_version`, `in_force`, `before`",
    );
    refused(
        &policy,
        b"\x01{\"id\":\"A\",\"latest_version\":1}",
        "it cannot be read: `A` is no policy id: it may not begin with `A`",
    );
    refused(
        &policy,
        b"\x01{\"latest_version\":1,\"id\":\"a\",\"in_force\":null,\"before\":[]}",
        "it is not as this program writes it",
    );
    refused(&Key::from_stored(b"unheard\0of"), b"\x01{}", "there is no such kind of key");
}

#[test]
fn impossible_records_cannot_be_made() {
    let jwk = || (id(THUMBPRINT), json("{}"));
    let new = |agent: Agent, jwks| AgentRecord::new(agent, jwks, Vec::new(), TimeMs(0)).map(|_| ()).unwrap_err();
    assert_eq!(new(agent(), BTreeMap::new()), AgentRecordError::Unpaired(id(THUMBPRINT)));
    let keyless = Agent { keys: Vec::new(), ..agent() };
    assert_eq!(new(keyless, BTreeMap::from([jwk()])), AgentRecordError::Unpaired(id(THUMBPRINT)));
    let mut twice = agent();
    twice.keys.push(twice.keys[0].clone());
    assert_eq!(new(twice, BTreeMap::from([jwk()])), AgentRecordError::KeyTwice(id(THUMBPRINT)));
    let mut large = agent();
    large.labels.insert(id("big"), "x".repeat(AgentRecord::BYTES_MAX));
    assert!(matches!(new(large, BTreeMap::from([jwk()])), AgentRecordError::TooLarge { .. }));
    let mut twice = agent();
    twice.identities.push(twice.identities[0].clone());
    let subject = twice.identities[0].subject.clone();
    assert_eq!(new(twice, BTreeMap::from([jwk()])), AgentRecordError::IdentityTwice(subject.clone()));
    let mut mute = agent();
    mute.identities[0].methods.clear();
    assert_eq!(new(mute, BTreeMap::from([jwk()])), AgentRecordError::NoMethod(subject));
    let mut certified = agent();
    let workload = IdentitySubject::Workload { issuer: id("https://k8s.example"), subject: id("pod") };
    certified.identities[0].subject = workload.clone();
    let wrong = AgentRecordError::WrongMethod(workload, IdentityMethod::X509);
    assert_eq!(new(certified, BTreeMap::from([jwk()])), wrong);
    assert_eq!(wrong.to_string(), "the identity `https://k8s.example pod` cannot be shown as `x509`");
    let member = |version| ActiveMember { policy: id("a"), version, digest: digest(1) };
    assert_eq!(ActiveSetRecord::of(1, vec![member(1), member(2)]), Err(DuplicateMember(id("a"))));
}

#[test]
fn a_trust_domain_has_something_and_not_too_much() {
    let refused = |roots: Vec<Vec<u8>>, keys: Vec<(&str, usize)>| {
        let key = |(kid, bytes): (&str, usize)| TrustedJwtKey { kid: kid.into(), jwk: json(&"x".repeat(bytes)) };
        let keys = keys.into_iter().map(key).collect();
        TrustDomainRecord::new(id("example.org"), roots, keys, TimeMs(0)).unwrap_err().to_string()
    };
    let names: Vec<String> = (0..17).map(|number| number.to_string()).collect();
    assert_eq!(refused(vec![], vec![]), "a trust domain has at least one root or key");
    assert_eq!(refused(vec![vec![0]; 17], vec![]), "17 roots, and there may be 16");
    assert_eq!(refused(vec![], names.iter().map(|name| (&**name, 1)).collect()), "17 keys, and there may be 16");
    assert_eq!(refused(vec![vec![0; 16_385]; 2], vec![]), "the roots have 32770 bytes, and 32768 is the most");
    assert_eq!(refused(vec![], vec![("k", 14_336)]), "the keys have 14337 bytes, and 14336 is the most");
    assert_eq!(refused(vec![], vec![("k", 1), ("k", 2)]), "two keys are named `k`");
    let full = |text: &str| {
        let key = |name: &String| TrustedJwtKey { kid: name.clone(), jwk: json(&text.repeat(850)) };
        let roots = vec![vec![0xff; TrustDomainRecord::ROOTS_BYTES_MAX / 16]; 16];
        TrustDomainRecord::new(id("example.org"), roots, names[..16].iter().map(key).collect(), TimeMs(u64::MAX))
    };
    assert!(full("x").unwrap().encode().len() < crate::batch::VALUE_BYTES_MAX);
    assert!(matches!(full("\""), Err(TrustDomainRecordError::TooLarge { .. })));
}

#[test]
fn an_agent_can_be_suspended_for_ever_and_retired_once() {
    let mut large = agent();
    large.labels.insert(id("big"), "x".repeat(AgentRecord::BYTES_MAX - 1_000));
    let jwks = BTreeMap::from([(id(THUMBPRINT), json("{}"))]);
    let registered = StateChange { state: AgentState::Active, at: TimeMs(0), by: id("ada") };
    let mut record = AgentRecord::new(large, jwks, vec![registered], TimeMs(0)).unwrap();
    let change = |state| StateChange { state, at: TimeMs(u64::MAX), by: id(&"o".repeat(64)) };
    for _ in 0..AgentRecord::HISTORY_MAX {
        record.change_state(change(AgentState::Suspended)).unwrap();
        record.change_state(change(AgentState::Active)).unwrap();
        assert!(record.encode().len() <= crate::batch::VALUE_BYTES_MAX);
    }
    record.change_state(change(AgentState::Retired)).unwrap();
    assert_eq!(record.history().len(), AgentRecord::HISTORY_MAX);
    // However often: who registered it is known for ever.
    assert_eq!(record.registrar(), Some(&id("ada")));
    assert_eq!(record.change_state(change(AgentState::Active)), Err(AgentRecordError::Retired));
    assert_eq!(record.agent().state, AgentState::Retired);
}

#[test]
fn settings_go_to_a_file_when_they_would_not_fit() {
    let inline = |text: String| matches!(PolicySettings::of(json(&text)), PolicySettings::Inline(_));
    assert!(inline("x".repeat(PolicySettings::INLINE_BYTES_MAX)));
    assert!(!inline("x".repeat(PolicySettings::INLINE_BYTES_MAX + 1)));
    // Each quote takes two bytes in the record.
    assert!(!inline("\"".repeat(PolicySettings::INLINE_BYTES_MAX / 2 + 1)));
    let large = json(&"x".repeat(PolicySettings::INLINE_BYTES_MAX + 1));
    assert_eq!(PolicySettings::of(large.clone()).digest(), PolicySettings::Inline(large).digest());
    let mut full = policy_version();
    full.settings = PolicySettings::of(json(&"\"".repeat(PolicySettings::INLINE_BYTES_MAX / 2)));
    assert!(full.encode().len() <= crate::batch::VALUE_BYTES_MAX);
}

#[test]
fn what_bears_on_a_decision_changes_a_version_s_digest() {
    let digest_with = |change: fn(&mut PolicyVersionRecord)| {
        let mut version = policy_version();
        change(&mut version);
        version.digest()
    };
    let same = digest_with(|version| (version.created_at, version.created_by) = (TimeMs(0), id("eve")));
    assert_eq!(same, policy_version().digest());
    let changes: [fn(&mut PolicyVersionRecord); 10] = [
        |version| version.policy = id("other"),
        |version| version.version = 3,
        |version| version.component = digest(9),
        |version| version.settings = PolicySettings::of(json("{}")),
        |version| version.selector.actions.clear(),
        |version| version.selector.agent_labels.clear(),
        |version| version.mode = PolicyMode::Shadow,
        |version| version.required = false,
        |version| version.limits.cpu_us_max += 1,
        |version| version.class = attorn_core::ComponentClass::Script,
    ];
    let mut digests: BTreeSet<_> = changes.map(digest_with).into();
    digests.insert(same);
    assert_eq!(digests.len(), changes.len() + 1);
}
