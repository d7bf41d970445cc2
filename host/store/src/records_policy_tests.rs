//! The bytes of what is stored about policies, versions in force and trials.

use attorn_core::{ComponentClass, Digest, PolicyLimits, PolicyMode, Selector, TimeMs, UserPresence};

use super::tests::{digest, golden, json};
use super::*;
use crate::fixtures::id;

pub(super) fn policy_version() -> PolicyVersionRecord {
    PolicyVersionRecord {
        policy: id("read-only"),
        version: 2,
        component: digest(1),
        settings: PolicySettings::of(json("{\"max\":1}")),
        selector: Selector {
            actions: vec![id("account.*")],
            resource_types: vec![id("account")],
            agent_labels: vec![(id("tier"), "gold".to_owned())],
            user: Some(UserPresence::WithoutUser),
        },
        mode: PolicyMode::Enforce,
        required: true,
        limits: PolicyLimits { wall_us_max: 20_000, ..PolicyLimits::NATIVE },
        class: ComponentClass::Native,
        created_at: TimeMs(1_000),
        created_by: id("ada"),
        signature: None,
    }
}

fn active_set() -> ActiveSetRecord {
    let member = |policy: &str| ActiveMember { policy: id(policy), version: 1, digest: digest(2) };
    ActiveSetRecord::of(7, vec![member("b"), member("a")]).unwrap()
}

#[test]
fn policies() {
    golden(
        &PolicyRecord { id: id("read-only"), latest_version: 2, in_force: Some(2), before: vec![1] },
        "policy/read-only",
        r#"{"id":"read-only","latest_version":2,"in_force":2,"before":[1]}"#,
    );
    let component = digest(1);
    let limits = concat!(
        r#"{"cpu_us_max":20000,"log_bytes_max":16384,"memory_bytes_max":16777216,"output_bytes_max":262144,"#,
        r#""table_elements_max":20000,"wall_us_max":20000}"#
    );
    let selector = r#"{"actions":["account.*"],"agent_labels":[["tier","gold"]],"resource_types":["account"],"user":"without_user"}"#;
    golden(
        &policy_version(),
        "policy_version/read-only/00000002",
        &format!(
            concat!(
                r#"{{"policy":"read-only","version":2,"component":"{component}","settings":{{"inline":"{{\"max\":1}}"}},"#,
                r#""selector":{selector},"mode":"enforce","required":true,"limits":{limits},"class":"native","#,
                r#""created_at_ms":1000,"created_by":"ada"}}"#
            ),
            component = component,
            selector = selector,
            limits = limits,
        ),
    );
    let signed = PolicyVersionRecord {
        signature: Some(VersionSignature { signer: id("release"), digest: digest(3) }),
        ..policy_version()
    };
    assert_eq!(signed.digest(), policy_version().digest());
    let text = String::from_utf8(policy_version().encode().split_off(1)).unwrap();
    let signature = format!(r#""ada","signature":{{"signer":"release","digest":"{}"}}}}"#, digest(3));
    golden(&signed, "policy_version/read-only/00000002", &text.replace(r#""ada"}"#, &signature));
    let settings = policy_version().settings.digest();
    let identity = format!(
        concat!(
            r#"{{"class":"native","component":"{component}","limits":{limits},"mode":"enforce","policy":"read-only","#,
            r#""required":true,"selector":{selector},"settings":"{settings}","version":2}}"#
        ),
        component = component,
        selector = selector,
        limits = limits,
        settings = settings,
    );
    let expected = blake3::derive_key("attorn policy version v1", identity.as_bytes());
    assert_eq!(policy_version().digest(), Digest::from_bytes(expected));
}

#[test]
fn the_active_set() {
    let two = digest(2);
    let members =
        format!(r#"[{{"digest":"{two}","policy":"a","version":1}},{{"digest":"{two}","policy":"b","version":1}}]"#);
    let own = Digest::from_bytes(blake3::derive_key("attorn active set v1", members.as_bytes()));
    golden(&active_set(), "active_set", &format!(r#"{{"revision":7,"policies":2,"digest":"{own}"}}"#));
}

#[test]
fn shadow_reports() {
    let report =
        ShadowReportRecord { evaluations: 9, stricter: 2, ..ShadowReportRecord::new(id("p"), 3, TimeMs(1_000)) };
    golden(
        &report,
        "shadow_report/p/00000003",
        concat!(
            r#"{"policy":"p","version":3,"since_ms":1000,"evaluations":9,"would_change":0,"stricter":2,"laxer":0,"#,
            r#""failures":0,"dropped":0}"#
        ),
    );
}

#[test]
fn who_vouches_for_components() {
    let signer = PolicySignerRecord {
        id: id("release"),
        name: None,
        public_key: "RWQ".into(),
        created_at: TimeMs(1_000),
        created_by: id("ada"),
        revoked: None,
    };
    let text = concat!(
        r#"{"id":"release","name":null,"public_key":"RWQ","created_at_ms":1000,"created_by":"ada","#,
        r#""revoked":null}"#
    );
    golden(&signer, "policy_signer/release", text);
    let revoked = SignerRevocation { at: TimeMs(2_000), by: id("bob") };
    let revoked = PolicySignerRecord { name: Some("the release team".into()), revoked: Some(revoked), ..signer };
    let text = text
        .replace(r#""name":null"#, r#""name":"the release team""#)
        .replace(r#""revoked":null"#, r#""revoked":{"at_ms":2000,"by":"bob"}"#);
    golden(&revoked, "policy_signer/release", &text);
    golden(
        &SignatureRequirementRecord { required: true, changed_at: TimeMs(1_000), changed_by: id("ada") },
        "policy_signatures",
        r#"{"required":true,"changed_at_ms":1000,"changed_by":"ada"}"#,
    );
}
