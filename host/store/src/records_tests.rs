// Long because: a golden test for each kind of record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use attorn_core::{
    Agent, AgentKey, AgentState, Ceiling, DecisionId, Digest, Duty, Grant, GrantId, Identity, IdentityMethod,
    IdentitySubject, Issuer, IssuerAlgorithm, JsonText, KeyBinding, Permission, PurposeCeiling, ResourceServer, TimeMs,
    UseCounting, UserPresence,
};

use attorn_log::{CheckpointSigner, Epoch};

use super::*;
use crate::fixtures::id;
use crate::key::KeyPurpose;

pub(super) const THUMBPRINT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(super) fn json(text: &str) -> JsonText {
    JsonText::from_canonical(text)
}

pub(super) fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn spiffe() -> IdentitySubject {
    IdentitySubject::Spiffe(id("spiffe://example.org/bot"))
}

pub(super) fn agent() -> Agent {
    let permission = Permission { action: id("account.*"), resource: id("account/*") };
    let ceiling = PurposeCeiling { user: UserPresence::WithoutUser, permissions: vec![permission] };
    Agent {
        id: id("bot"),
        owner: id("team@example.org"),
        labels: BTreeMap::from([(id("tier"), "gold".to_owned())]),
        state: AgentState::Active,
        ceiling: Ceiling::new(BTreeMap::from([(id("support"), ceiling)])),
        grant_ms_max: 60_000,
        keys: vec![AgentKey { thumbprint: id(THUMBPRINT), instance: id("pod-1"), expires_at: TimeMs(9_000) }],
        revocations: 0,
        identities: vec![Identity {
            subject: spiffe(),
            instance: id("pod-2"),
            methods: BTreeSet::from(IdentityMethod::ALL),
        }],
    }
}

fn agent_record() -> AgentRecord {
    let jwks = BTreeMap::from([(id(THUMBPRINT), json("{\"kty\":\"EC\"}"))]);
    let mut record = AgentRecord::new(agent(), jwks, Vec::new(), TimeMs(1_000)).unwrap();
    record.change_state(StateChange { state: AgentState::Suspended, at: TimeMs(2_000), by: id("ada") }).unwrap();
    record
}

fn grant() -> GrantRecord {
    GrantRecord::plain(Grant {
        id: GrantId::from_random([1; 16]),
        decision: DecisionId::from_random([2; 16]),
        agent: id("bot"),
        instance: id("pod-1"),
        key_thumbprint: id(THUMBPRINT),
        key_binding: KeyBinding::Jkt,
        identity: None,
        revocations: 0,
        behalf: None,
        policies: vec![(id("read-only"), 2)],
        resource_server: id("bank"),
        audience: id("https://bank.example"),
        action: id("account.read"),
        resource: id("account/42"),
        arguments_digest: digest(3),
        purpose: id("support"),
        session: None,
        issued_at: TimeMs(1_000),
        expires_at: TimeMs(61_000),
        uses_max: 1,
        signed_by: id(THUMBPRINT),
    })
}

/// What is stored reads back as it was, and its bytes are those of every version of this program.
#[track_caller]
pub(super) fn golden<R: Record + fmt::Debug + PartialEq>(record: &R, key: &str, json: &str) {
    let bytes = record.encode();
    assert_eq!(bytes[0], 1);
    assert_eq!(std::str::from_utf8(&bytes[1..]).unwrap(), json);
    assert_eq!(record.key().to_string(), key);
    assert_eq!(&R::decode(&record.key(), &bytes).unwrap(), record);
    check(&record.key(), &bytes).unwrap();
    for cut in 0..bytes.len() {
        assert!(check(&record.key(), &bytes[..cut]).is_err(), "the first {cut} bytes pass");
    }
}

#[test]
fn agents_and_keys() {
    golden(
        &agent_record(),
        "agent/bot",
        concat!(
            r#"{"id":"bot","owner":"team@example.org","labels":{"tier":"gold"},"state":"suspended","#,
            r#""ceiling":{"support":{"user":"without_user","permissions":[{"action":"account.*","resource":"account/*"}]}},"#,
            r#""grant_ms_max":60000,"keys":[{"thumbprint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","#,
            r#""instance":"pod-1","expires_at_ms":9000,"jwk":"{\"kty\":\"EC\"}"}],"#,
            r#""identities":[{"subject":{"spiffe":"spiffe://example.org/bot"},"instance":"pod-2","methods":["x509","jwt"]}],"#,
            r#""history":[{"state":"suspended","at_ms":2000,"by":"ada"}],"created_at_ms":1000,"revocations":1}"#
        ),
    );
    golden(
        &KeyOwnerRecord { thumbprint: id(THUMBPRINT), owner: KeyOwner::Agent(id("bot")), registrar: Some(id("ada")) },
        "key_owner/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        r#"{"thumbprint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","owner":{"agent":"bot"},"registrar":"ada"}"#,
    );
    // As those are that were written before it was kept who registered them.
    golden(
        &KeyOwnerRecord { thumbprint: id(THUMBPRINT), owner: KeyOwner::Agent(id("bot")), registrar: None },
        "key_owner/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        r#"{"thumbprint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","owner":{"agent":"bot"}}"#,
    );
    golden(
        &KeyOwnerRecord { thumbprint: id(THUMBPRINT), owner: KeyOwner::ResourceServer(id("bank")), registrar: None },
        "key_owner/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        r#"{"thumbprint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","owner":{"resource_server":"bank"}}"#,
    );
}

#[test]
fn identities_and_who_vouches_for_them() {
    let owner = IdentityOwnerRecord { subject: spiffe(), agent: id("bot"), registrar: None };
    let digest = Digest::from_bytes(blake3::derive_key(
        "attorn identity subject v1",
        br#"{"spiffe":"spiffe://example.org/bot"}"#,
    ));
    golden(
        &owner,
        &format!("identity_owner/{digest}"),
        r#"{"subject":{"spiffe":"spiffe://example.org/bot"},"agent":"bot"}"#,
    );
    // Those above were written before it was kept who made it whose.
    golden(
        &IdentityOwnerRecord { registrar: Some(id("ada")), ..owner },
        &format!("identity_owner/{digest}"),
        r#"{"subject":{"spiffe":"spiffe://example.org/bot"},"agent":"bot","registrar":"ada"}"#,
    );
    let key = TrustedJwtKey { kid: "k1".into(), jwk: json("{}") };
    let record = TrustDomainRecord::new(id("example.org"), vec![vec![0xff; 4]], vec![key], TimeMs(1_000)).unwrap();
    let mut record = record.changed(record.x509_roots().to_vec(), record.jwt_keys().to_vec(), TimeMs(2_000)).unwrap();
    record.revoked_at = Some(TimeMs(3_000));
    golden(
        &record,
        "trust_domain/example.org",
        concat!(
            r#"{"id":"example.org","x509_roots":["/////w=="],"jwt_keys":[{"kid":"k1","jwk":"{}"}],"#,
            r#""created_at_ms":1000,"changed_at_ms":2000,"revoked_at_ms":3000}"#
        ),
    );
}

#[test]
fn workloads_and_who_vouches_for_them() {
    let issuer = || id::<Issuer>("https://k8s.example");
    let subject = IdentitySubject::Workload { issuer: issuer(), subject: id("system:serviceaccount:billing:bot") };
    let text = r#"{"workload":{"issuer":"https://k8s.example","subject":"system:serviceaccount:billing:bot"}}"#;
    let digest = Digest::from_bytes(blake3::derive_key("attorn identity subject v1", text.as_bytes()));
    golden(
        &IdentityOwnerRecord { subject, agent: id("bot"), registrar: None },
        &format!("identity_owner/{digest}"),
        &format!(r#"{{"subject":{text},"agent":"bot"}}"#),
    );
    let keys = |jwks: &str| (BTreeSet::from([IssuerAlgorithm::Rs256, IssuerAlgorithm::Es256]), json(jwks));
    let record = WorkloadIssuerRecord::new(id("cluster"), issuer(), keys("{}"), TimeMs(1_000)).unwrap();
    let mut record = record.changed(keys(r#"{"keys":[]}"#), TimeMs(2_000)).unwrap();
    record.revoked_at = Some(TimeMs(3_000));
    golden(
        &record,
        "workload_issuer/cluster",
        concat!(
            r#"{"id":"cluster","issuer":"https://k8s.example","algorithms":["RS256","ES256"],"#,
            r#""jwks":"{\"keys\":[]}","created_at_ms":1000,"changed_at_ms":2000,"revoked_at_ms":3000}"#
        ),
    );
    let digest = Digest::from_bytes(blake3::derive_key("attorn workload issuer v1", b"https://k8s.example"));
    golden(
        &WorkloadIssuerNameRecord { issuer: issuer(), id: id("cluster") },
        &format!("workload_issuer_name/{digest}"),
        r#"{"issuer":"https://k8s.example","id":"cluster"}"#,
    );
    let large = "x".repeat(WorkloadIssuerRecord::BYTES_MAX);
    assert!(record.changed(keys(&large), TimeMs(0)).is_err());
    let full = record.changed(keys(&large[1_024..]), TimeMs(0)).unwrap();
    assert!(full.encode().len() < crate::batch::VALUE_BYTES_MAX);
}

#[test]
fn lost_records() {
    golden(
        &LostRecordsRecord { epoch: Epoch(10), bundle: 17, digests: vec![[1; 32], [2; 32]], at: TimeMs(1_000) },
        "lost_records/000000000000000a/0000000000000011",
        &format!(
            r#"{{"epoch":10,"bundle":17,"digests":"{}","at_ms":1000}}"#,
            data_encoding::BASE64.encode(&[[1; 32], [2; 32]].concat())
        ),
    );
}

#[test]
fn epochs_of_the_log() {
    let signer = CheckpointSigner::new("attorn/main/10".parse().unwrap(), &[0x2a; 32]);
    let key = signer.verifier();
    for (ended, name) in [
        (EpochEnd::Restored, "restored"),
        (EpochEnd::KeyRotated, "key_rotated"),
        (EpochEnd::KeyCompromised, "key_compromised"),
    ] {
        let record =
            LogEpochRecord { key: key.clone(), checkpoint: "a\nb\n".into(), ended, at: TimeMs(1_000), bad: Vec::new() };
        golden(
            &record,
            "log_epoch/000000000000000a",
            &format!(r#"{{"key":"{key}","checkpoint":"a\nb\n","ended":"{name}","at_ms":1000}}"#),
        );
    }
    let (checkpoint, bad) = ("a\nb\n".into(), vec![256..768, 1_024..1_280]);
    golden(
        &LogEpochRecord { key: key.clone(), checkpoint, ended: EpochEnd::Restored, at: TimeMs(1_000), bad },
        "log_epoch/000000000000000a",
        &format!(
            r#"{{"key":"{key}","checkpoint":"a\nb\n","ended":"restored","at_ms":1000,"bad":[[256,768],[1024,1280]]}}"#
        ),
    );
}

#[test]
fn operators_and_tokens() {
    let token = "0505050505050505050505050505050505050505050505050505050505050505";
    golden(
        &OperatorRecord {
            id: id("ada"),
            duties: BTreeSet::from([Duty::Admin, Duty::Registrar]),
            token_digest: Some(digest(5)),
            created_at: TimeMs(1_000),
            revoked_at: Some(TimeMs(2_000)),
        },
        "operator/ada",
        &format!(
            r#"{{"id":"ada","duties":["registrar","admin"],"token_digest":"{token}","created_at_ms":1000,"revoked_at_ms":2000}}"#
        ),
    );
    golden(
        &OperatorRecord {
            id: id("bob"),
            duties: BTreeSet::from([Duty::Thawer]),
            token_digest: None,
            created_at: TimeMs(1_000),
            revoked_at: None,
        },
        "operator/bob",
        r#"{"id":"bob","duties":["thawer"],"token_digest":null,"created_at_ms":1000,"revoked_at_ms":null}"#,
    );
    golden(
        &OperatorTokenRecord { token_digest: digest(5), operator: id("ada") },
        &format!("operator_token/{token}"),
        &format!(r#"{{"token_digest":"{token}","operator":"ada"}}"#),
    );
}

#[test]
fn resource_servers_and_types() {
    for (counts_uses, name) in
        [(UseCounting::Reports, "reports"), (UseCounting::Remembers, "remembers"), (UseCounting::No, "no")]
    {
        golden(
            &ResourceServerRecord {
                server: ResourceServer {
                    id: id("bank"),
                    audience: id("https://bank.example"),
                    resource_types: BTreeSet::from([id("account"), id("transfer")]),
                    key_thumbprint: id(THUMBPRINT),
                    counts_uses,
                },
                jwk: json("{}"),
                created_at: TimeMs(1_000),
                revoked_at: None,
            },
            "resource_server/bank",
            &format!(
                concat!(
                    r#"{{"id":"bank","audience":"https://bank.example","resource_types":["account","transfer"],"#,
                    r#""key_thumbprint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","counts_uses":"{}","#,
                    r#""jwk":"{{}}","created_at_ms":1000,"revoked_at_ms":null}}"#
                ),
                name
            ),
        );
    }
    golden(
        &ResourceTypeRecord { resource_type: id("account"), resource_server: id("bank") },
        "resource_type/account",
        r#"{"resource_type":"account","resource_server":"bank"}"#,
    );
}

#[test]
fn grants_and_answers() {
    let text = concat!(
        r#"{"id":"grt_01010101010101010101010101010101","grant":{"plain":{"#,
        r#""id":"grt_01010101010101010101010101010101","decision":"dec_02020202020202020202020202020202","#,
        r#""agent":"bot","instance":"pod-1","key_thumbprint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","#,
        r#""key_binding":"jkt","identity":null,"revocations":0,"behalf":null,"policies":[["read-only",2]],"#,
        r#""resource_server":"bank","audience":"https://bank.example","action":"account.read","#,
        r#""resource":"account/42","arguments_digest":"0303030303030303030303030303030303030303030303030303030303030303","#,
        r#""purpose":"support","session":null,"issued_at_ms":1000,"expires_at_ms":61000,"uses_max":1,"#,
        r#""signed_by":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},"revoked_at_ms":null}"#
    );
    golden(&grant(), "grant/grt_01010101010101010101010101010101", text);
    let elsewhere = text.replacen("grt_0101", "grt_0202", 1);
    let stored = [b"\x01", elsewhere.as_bytes()].concat();
    assert!(GrantRecord::decode(&Key::grant(&GrantId::from_random([2; 16])), &stored).is_err());
    let Kept::Plain(mut beside) = grant().grant else { panic!("it is sealed") };
    beside.identity = Some((spiffe(), IdentityMethod::X509));
    let shown = r#""identity":[{"spiffe":"spiffe://example.org/bot"},"x509"],"#;
    let text = text.replace(r#""identity":null,"#, shown);
    golden(&GrantRecord::plain(*beside), "grant/grt_01010101010101010101010101010101", &text);
    let key_digest = digest(5);
    golden(
        &IdempotencyRecord {
            agent: id("bot"),
            key_digest,
            request_digest: digest(4),
            decision: DecisionId::from_random([2; 16]),
            grant: Some(GrantId::from_random([1; 16])),
            expires_at: TimeMs(5_000),
            answer: Kept::Plain(json("{\"decision\":\"allow\"}")),
        },
        &format!("idempotency/bot/{key_digest}"),
        &format!(
            concat!(
                r#"{{"agent":"bot","key_digest":"{key_digest}","request_digest":"{request}","#,
                r#""decision":"dec_02020202020202020202020202020202","grant":"grt_01010101010101010101010101010101","#,
                r#""expires_at_ms":5000,"answer":{{"plain":"{{\"decision\":\"allow\"}}"}}}}"#
            ),
            key_digest = key_digest,
            request = digest(4),
        ),
    );
}

#[test]
fn facts() {
    let body = |value: &str, salt| FactBody { value: json(value), salt: FactSalt::from_random([salt; 16]) };
    let operators = FactRecord {
        name: id("resource/file/a%2Fb/owner"),
        said: Kept::Plain(body("{\"user\":\"alice\"}", 0xab)),
        set_by: FactSource::Operator(id("ada")),
        set_at: TimeMs(1_000),
        expires_at: Some(TimeMs(2_000)),
    };
    golden(
        &operators,
        "fact/resource/file/a%2Fb/owner",
        concat!(
            r#"{"name":"resource/file/a%2Fb/owner","said":{"plain":{"value":"{\"user\":\"alice\"}","#,
            r#""salt":"abababababababababababababababab"}},"set_by":{"operator":"ada"},"#,
            r#""set_at_ms":1000,"expires_at_ms":2000}"#
        ),
    );
    for (now, counts) in [(0, true), (1_999, true), (2_000, false), (u64::MAX, false)] {
        assert_eq!(operators.counts_at(TimeMs(now)), counts, "{now}");
    }
    let said = body("null", 0);
    let servers = FactRecord {
        name: id("global"),
        said: Kept::Plain(said.clone()),
        set_by: FactSource::ResourceServer(id("bank")),
        set_at: TimeMs(1_000),
        expires_at: None,
    };
    golden(
        &servers,
        "fact/global",
        concat!(
            r#"{"name":"global","said":{"plain":{"value":"null","salt":"00000000000000000000000000000000"}},"#,
            r#""set_by":{"resource_server":"bank"},"set_at_ms":1000,"expires_at_ms":null}"#
        ),
    );
    assert_eq!(said.value_digest().to_string(), "26e436d83e2f3e914d3d5a0e1b222a8b4fa59223d278480c65de156324861882");
    let salted = body("null", 1);
    assert_ne!(salted.value_digest(), said.value_digest());
    assert_eq!(format!("{:?}", salted.salt), "FactSalt(…)");
    for bad in ["", "0", &"0".repeat(30), &"0".repeat(34), &"AB".repeat(16), &"zz".repeat(16)] {
        assert!(bad.parse::<FactSalt>().is_err(), "{bad}");
    }
    assert!(servers.counts_at(TimeMs(u64::MAX)));
    let large = FactRecord { said: Kept::Plain(body(&"x".repeat(FactBody::VALUE_BYTES_MAX + 1), 0)), ..servers };
    assert!(FactRecord::decode(&large.key(), &large.encode()).is_err());
}

#[test]
fn key_material_and_its_silence() {
    let record =
        KeyMaterialRecord { purpose: KeyPurpose::TokenSigning, id: id("main"), version: 1, wrapped: vec![0xff; 4] };
    golden(
        &record,
        "key_material/token_signing/main/00000001",
        r#"{"purpose":"token_signing","id":"main","version":1,"wrapped":"/////w=="}"#,
    );
    assert_eq!(format!("{record:?}"), "KeyMaterialRecord(key_material/token_signing/main/00000001, 4 bytes)");
    for &purpose in KeyPurpose::ALL {
        let record = KeyMaterialRecord { purpose, ..record.clone() };
        assert!(String::from_utf8(record.encode()).unwrap().contains(&format!("\"{}\"", purpose.as_str())));
    }
}

#[test]
fn token_keys() {
    let text = |ended: &str| {
        format!(
            concat!(
                r#"{{"thumbprint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","version":3,"jwk":"{{\"kty\":\"EC\"}}","#,
                r#""made_at_ms":1000,{}}}"#
            ),
            ended
        )
    };
    let key = |state| TokenKeyRecord {
        thumbprint: id(THUMBPRINT),
        version: 3,
        jwk: json("{\"kty\":\"EC\"}"),
        made_at: TimeMs(1_000),
        state,
    };
    for (state, ended) in [
        (TokenKeyState::Signing, r#""state":"signing","ended_at_ms":null"#),
        (TokenKeyState::Retired { at: TimeMs(2_000) }, r#""state":"retired","ended_at_ms":2000"#),
        (TokenKeyState::Compromised { at: TimeMs(3_000) }, r#""state":"compromised","ended_at_ms":3000"#),
    ] {
        golden(&key(state), &format!("token_key/{THUMBPRINT}"), &text(ended));
    }
    for ended in [r#""state":"signing","ended_at_ms":1"#, r#""state":"retired","ended_at_ms":null"#] {
        let stored = [b"\x01", text(ended).as_bytes()].concat();
        assert!(TokenKeyRecord::decode(&Key::token_key(&id(THUMBPRINT)), &stored).is_err(), "{ended}");
    }
}

#[test]
fn decisions_are_their_text() {
    let record = DecisionRecord { id: DecisionId::from_random([2; 16]), text: Kept::Plain(json("{\"any\":[1,2]}")) };
    let bytes = record.encode();
    assert_eq!(bytes, b"\x01{\"any\":[1,2]}");
    assert_eq!(DecisionRecord::decode(&record.key(), &bytes).unwrap(), record);
    assert!(DecisionRecord::decode(&Key::active_set(), &bytes).is_err());
    assert!(DecisionRecord::decode(&record.key(), b"\x01\xff").is_err());
}
