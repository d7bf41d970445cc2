//! The bytes of providers' records.

use std::collections::{BTreeMap, BTreeSet};

use attorn_core::{
    AgentNaming, ApprovalId, ConsentMapping, DetailMapping, IssuerAlgorithm, Permission, ProviderTokenType, TimeMs,
};

use super::tests::{golden, json};
use super::*;
use crate::batch::Batch;
use crate::fixtures::id;

fn provider() -> ProviderRecord {
    let permissions = vec![Permission { action: id("invoice.read"), resource: id("invoice/*") }];
    let detail = DetailMapping {
        purposes: BTreeSet::from([id("support")]),
        actions: BTreeMap::from([(id("read"), id("invoice.read"))]),
        resource_prefix: id("invoice/"),
    };
    ProviderRecord {
        id: id("main"),
        issuer: id("https://sso.example/realms/main"),
        audience: id("https://attorn.example"),
        algorithms: BTreeSet::from([IssuerAlgorithm::Es256, IssuerAlgorithm::Rs256]),
        token_type: ProviderTokenType::AtJwt,
        names_agent_by: AgentNaming::MayAct,
        clients: BTreeMap::from([(id("bot-client"), id("bot"))]),
        scopes: BTreeMap::from([(
            id("invoices"),
            ConsentMapping { purposes: BTreeSet::from([id("support"), id("billing")]), permissions },
        )]),
        authorization_details: BTreeMap::from([(id("invoice"), detail)]),
        groups_claim: Some(id("groups")),
        session_claim: id("sid"),
        claims: BTreeSet::from([id("tier")]),
        delegation_ms_max: 3_600_000,
        user_audience: Some(id("https://attorn.example/users")),
        user_clients: BTreeSet::from([id("portal")]),
        created_at: TimeMs(1_000),
        revoked_at: None,
    }
}

#[test]
fn providers_and_issuers() {
    golden(
        &provider(),
        "provider/main",
        concat!(
            r#"{"id":"main","issuer":"https://sso.example/realms/main","audience":"https://attorn.example","#,
            r#""algorithms":["RS256","ES256"],"token_type":"at+jwt","names_agent_by":"may_act","#,
            r#""clients":{"bot-client":"bot"},"scopes":{"invoices":{"purposes":["billing","support"],"#,
            r#""permissions":[{"action":"invoice.read","resource":"invoice/*"}]}},"#,
            r#""authorization_details":{"invoice":{"purposes":["support"],"actions":{"read":"invoice.read"},"#,
            r#""resource_prefix":"invoice/"}},"groups_claim":"groups","session_claim":"sid","claims":["tier"],"#,
            r#""delegation_ms_max":3600000,"user_audience":"https://attorn.example/users","#,
            r#""user_clients":["portal"],"created_at_ms":1000,"revoked_at_ms":null}"#
        ),
    );
    let issuer = ProviderIssuerRecord { issuer: id("https://sso.example/realms/main"), provider: id("main") };
    let digest = blake3::derive_key("attorn provider issuer v1", b"https://sso.example/realms/main");
    golden(
        &issuer,
        &format!("provider_issuer/{}", attorn_core::Digest::from_bytes(digest)),
        r#"{"issuer":"https://sso.example/realms/main","provider":"main"}"#,
    );
    assert_ne!(
        ProviderIssuerRecord::digest_of_issuer("https://sso.example"),
        ProviderIssuerRecord::digest_of_issuer("https://sso.example/")
    );
}

#[test]
fn a_record_of_another_kind_of_token_or_naming_is_refused() {
    let text = String::from_utf8(provider().encode()).unwrap();
    for (from, to, problem) in
        [("at+jwt", "jwe", "its type of token is unknown"), ("may_act", "sub", "its way of naming agents is unknown")]
    {
        let error = check(&provider().key(), text.replace(from, to).as_bytes()).unwrap_err();
        assert_eq!(error.problem.to_string(), problem);
    }
    for (from, to) in [("\"ES256\"", "\"HS256\""), ("invoice/\"", "invoice\"")] {
        assert!(check(&provider().key(), text.replace(from, to).as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn how_users_are_asked() {
    let record = |authentication, login_hint, page| BackchannelRecord {
        provider: id("main"),
        client: id("attorn"),
        authentication,
        login_hint,
        page,
        code_only: page,
        changed_at: TimeMs(1_000),
    };
    golden(
        &record(BackchannelAuthentication::PrivateKeyJwt, LoginHint::Subject, false),
        "backchannel/main",
        r#"{"provider":"main","client":"attorn","secret":null,"login_hint_claim":null,"changed_at_ms":1000}"#,
    );
    let secret = BackchannelAuthentication::ClientSecretBasic { version: 2, wrapped: vec![0xff; 4] };
    golden(
        &record(secret, LoginHint::Claim(id("email")), true),
        "backchannel/main",
        concat!(
            r#"{"provider":"main","client":"attorn","secret":{"version":2,"wrapped":"/////w=="},"#,
            r#""login_hint_claim":"email","page":true,"code_only":true,"changed_at_ms":1000}"#
        ),
    );
}

#[test]
fn keys_of_this_server_as_a_client_and_until_when_they_are_published() {
    let key = |published_until| ProviderClientKeyRecord {
        version: 2,
        jwk: json("{\"kty\":\"EC\"}"),
        made_at: TimeMs(1_000),
        signs_from: TimeMs(2_000),
        published_until,
    };
    golden(
        &key(None),
        "provider_client_key/00000002",
        r#"{"version":2,"jwk":"{\"kty\":\"EC\"}","made_at_ms":1000,"signs_from_ms":2000,"published_until_ms":null}"#,
    );
    golden(
        &key(Some(TimeMs(3_000))),
        "provider_client_key/00000002",
        r#"{"version":2,"jwk":"{\"kty\":\"EC\"}","made_at_ms":1000,"signs_from_ms":2000,"published_until_ms":3000}"#,
    );
    assert!(key(None).is_published(TimeMs(u64::MAX)));
    assert!(
        key(Some(TimeMs(3_000))).is_published(TimeMs(2_999)) && !key(Some(TimeMs(3_000))).is_published(TimeMs(3_000))
    );
    let mut batch = Batch::new(TimeMs(0));
    key(Some(TimeMs(3_000))).put(&mut batch);
    assert!(batch.put.iter().any(|(place, _)| *place == Key::expiry(TimeMs(3_000), &key(None).key())));
}

#[test]
fn prompts_and_what_finds_them() {
    let prompt = PromptRecord {
        approval: ApprovalId::from_random([4; 16]),
        provider: id("main"),
        user: id("usr_1"),
        agent: id("bot"),
        starts: 1,
        started: Some(Sealed(vec![0xff; 4])),
        started_at: TimeMs(1_000),
        interval_ms: 5_000,
        failures: 0,
        due_at: TimeMs(0xabc),
        expires_at: TimeMs(301_000),
    };
    golden(
        &prompt,
        "prompt/apr_04040404040404040404040404040404",
        concat!(
            r#"{"approval":"apr_04040404040404040404040404040404","provider":"main","user":"usr_1","agent":"bot","starts":1,"#,
            r#""started":"/////w==","started_at_ms":1000,"interval_ms":5000,"failures":0,"due_at_ms":2748,"#,
            r#""expires_at_ms":301000}"#
        ),
    );
    let body = PromptBody { request_id: "r-1".into(), token_endpoint: "https://sso.example/token".into() };
    let bytes = body.encode();
    assert_eq!(&bytes[1..], br#"{"request_id":"r-1","token_endpoint":"https://sso.example/token"}"#);
    assert_eq!(PromptBody::decode(&prompt.key(), &bytes).unwrap(), body);

    let counter = Key::agent_prompts(&prompt.provider, &prompt.agent);
    let due = |at| Key::prompt_due(&prompt.provider, TimeMs(at), &prompt.approval);
    assert_eq!(due(0xabc).prompt_that_is_due(), Some((TimeMs(0xabc), prompt.approval)));
    assert_eq!(prompt.key().prompt_that_is_due(), None);
    let mut batch = Batch::new(TimeMs(0));
    prompt.open(&mut batch, 7);
    assert_eq!((&batch.add[0].key, batch.add[0].delta, batch.add[0].at_most), (&counter, 1, 7));
    assert_eq!(batch.put[1], (due(0xabc), b"bot".to_vec()));
    let mut batch = Batch::new(TimeMs(0));
    let later = PromptRecord { due_at: TimeMs(0xdef), ..prompt.clone() };
    prompt.becomes(&later, &mut batch);
    assert_eq!((&batch.delete[..], &batch.put[1]), (&[due(0xabc)][..], &(due(0xdef), b"bot".to_vec())));
    let mut batch = Batch::new(TimeMs(0));
    later.close(&mut batch);
    assert_eq!(batch.delete, [prompt.key(), due(0xdef)]);
    assert_eq!((&batch.add[0].key, batch.add[0].delta), (&counter, -1));
}
