use std::collections::BTreeSet;

use attorn_core::proxy::ProxyBody;
use attorn_core::{
    GrantId, LeaseId, LeaseState, Permission, PostgresqlSettings, ProxyMethod, ProxyRoute, ProxySettings, RoleRule,
    TargetSettings, TargetState, TargetTls, TimeMs, UserTable,
};

use super::tests::golden;
use super::*;
use crate::batch::Batch;
use crate::fixtures::id;

fn target() -> TargetRecord {
    TargetRecord {
        id: id("shop"),
        resource_types: BTreeSet::from([id("invoice"), id("order")]),
        settings: TargetSettings::Postgresql(PostgresqlSettings {
            host: id("db.example"),
            port: 5432,
            database: id("shop"),
            admin: id("attorn"),
            tls: TargetTls::Verified("pem".into()),
            rules: vec![RoleRule {
                permission: Permission { action: id("invoice.*"), resource: id("invoice/*") },
                roles: vec![id("a \"b"), id("reader")],
            }],
            user_table: Some(UserTable { schema: id("attorn"), table: id("logins") }),
            connections_max: 2,
            leases_max: 100,
            leases_per_agent_max: 10,
            lease_ms_max: 60_000,
        }),
        secret: TargetSecret { version: 1, wrapped: vec![0xff; 4] },
        next_secret: None,
        state: TargetState::Active,
        created_at: TimeMs(1_000),
        changed_at: TimeMs(2_000),
    }
}

fn lease(state: LeaseState) -> LeaseRecord {
    LeaseRecord {
        id: LeaseId::from_random([3; 16]),
        grant: GrantId::from_random([1; 16]),
        agent: id("bot"),
        target: id("shop"),
        name: id("attorn_1"),
        roles: vec![id("reader")],
        state,
        created_at: TimeMs(1_000),
        expires_at: TimeMs(61_000),
        due_at: TimeMs(31_000),
        attempts: 0,
        last_error: None,
        ended_at: (state == LeaseState::Ended).then_some(TimeMs(62_000)),
    }
}

#[test]
fn targets_and_their_types() {
    let text = |secrets: &str, state: &str| {
        format!(
            concat!(
                r#"{{"id":"shop","resource_types":["invoice","order"],"postgresql":{{"host":"db.example","port":5432,"#,
                r#""database":"shop","admin":"attorn","tls_roots_pem":"pem","#,
                r#""rules":[["invoice.*","invoice/*",["a \"b","reader"]]],"user_table":["attorn","logins"],"#,
                r#""connections_max":2,"leases_max":100,"leases_per_agent_max":10,"lease_ms_max":60000}},{},"state":"{}","#,
                r#""created_at_ms":1000,"changed_at_ms":2000}}"#
            ),
            secrets, state
        )
    };
    let first = r#""secret":{"version":1,"wrapped":"/////w=="},"next_secret":null"#;
    for state in [TargetState::Active, TargetState::Suspended, TargetState::Retired] {
        golden(&TargetRecord { state, ..target() }, "target/shop", &text(first, state.as_str()));
    }
    let next_secret = Some(TargetSecret { version: 2, wrapped: vec![0; 3] });
    let both = first.replace("null", r#"{"version":2,"wrapped":"AAAA"}"#);
    golden(&TargetRecord { next_secret, ..target() }, "target/shop", &text(&both, "active"));
    assert_eq!(format!("{:?}", target().secret), "TargetSecret(1, 4 bytes)");
    let stored = [b"\x01", text(first, "active").replace("5432", "0").as_bytes()].concat();
    assert!(TargetRecord::decode(&target().key(), &stored).is_err());
    let mut plain = target();
    let TargetSettings::Postgresql(settings) = &mut plain.settings else { panic!("{plain:?}") };
    (settings.tls, settings.user_table) = (TargetTls::Loopback, None);
    let expect = text(first, "active").replace(r#""pem""#, "null").replace(r#"["attorn","logins"]"#, "null");
    golden(&plain, "target/shop", &expect);
    golden(
        &TargetTypeRecord { resource_type: id("invoice"), target: id("shop") },
        "target_type/invoice",
        r#"{"resource_type":"invoice","target":"shop"}"#,
    );
}

#[test]
fn services_that_are_called() {
    let route = |method, path, query: &[&str], body| ProxyRoute {
        method,
        path: id(path),
        action: id("invoice.read"),
        resource: id("invoice/{id}"),
        query: query.iter().map(|name| (*name).to_owned()).collect(),
        body,
    };
    let settings = ProxySettings {
        origin: id("https://api.example:8443"),
        tls_roots_pem: Some("pem".into()),
        secret_header: id("authorization"),
        secret_prefix: "Bearer ".into(),
        routes: vec![
            route(ProxyMethod::Get, "/v2/invoices/{id}", &["b", "a"], ProxyBody::None),
            route(ProxyMethod::Post, "/v2/invoices/{id}", &[], ProxyBody::Json),
            route(ProxyMethod::Put, "/v2/invoices/{id}", &[], ProxyBody::Bytes("application/pdf".into())),
        ],
        request_headers: [id("accept")].into(),
        response_headers: [id("x-version")].into(),
        request_bytes_max: 1,
        response_bytes_max: 2,
        head_ms_max: 3,
        idle_ms_max: 4,
        total_ms_max: 5,
        requests_max: 6,
    };
    let text = concat!(
        r#"{"id":"shop","resource_types":["invoice","order"],"proxy":{"origin":"https://api.example:8443","#,
        r#""tls_roots_pem":"pem","secret_header":"authorization","secret_prefix":"Bearer ","routes":["#,
        r#"{"method":"GET","path":"/v2/invoices/{id}","action":"invoice.read","resource":"invoice/{id}","#,
        r#""query":["a","b"],"body":"none"},"#,
        r#"{"method":"POST","path":"/v2/invoices/{id}","action":"invoice.read","resource":"invoice/{id}","#,
        r#""query":[],"body":"json"},"#,
        r#"{"method":"PUT","path":"/v2/invoices/{id}","action":"invoice.read","resource":"invoice/{id}","#,
        r#""query":[],"body":{"bytes":"application/pdf"}}],"#,
        r#""request_headers":["accept"],"response_headers":["x-version"],"request_bytes_max":1,"#,
        r#""response_bytes_max":2,"head_ms_max":3,"idle_ms_max":4,"total_ms_max":5,"requests_max":6},"#,
        r#""secret":{"version":1,"wrapped":"/////w=="},"next_secret":null,"state":"active","#,
        r#""created_at_ms":1000,"changed_at_ms":2000}"#
    );
    let record = TargetRecord { settings: TargetSettings::Proxy(settings), ..target() };
    golden(&record, "target/shop", text);
    let spoilt = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let stored = [b"\x01", text.replacen(from, to, 1).as_bytes()].concat();
        assert!(TargetRecord::decode(&record.key(), &stored).is_err(), "{to}");
    };
    spoilt(r#""requests_max":6"#, r#""requests_max":0"#);
    spoilt(r#""GET""#, r#""TRACE""#);
    spoilt("/v2/invoices/{id}", "/v2/../{id}");
    spoilt(r#""proxy""#, r#""other""#);
}

#[test]
fn leases() {
    const KEY: &str = "lease/lse_03030303030303030303030303030303";
    let text = |state: &str, ended: &str| {
        format!(
            concat!(
                r#"{{"id":"lse_03030303030303030303030303030303","grant":"grt_01010101010101010101010101010101","#,
                r#""agent":"bot","target":"shop","name":"attorn_1","roles":["reader"],"state":"{}","#,
                r#""created_at_ms":1000,"expires_at_ms":61000,"due_at_ms":31000,"attempts":0,"last_error":null,"#,
                r#""ended_at_ms":{}}}"#
            ),
            state, ended
        )
    };
    for &state in LeaseState::ALL {
        let ended = if state == LeaseState::Ended { "62000" } else { "null" };
        golden(&lease(state), KEY, &text(state.as_str(), ended));
    }
    for (state, ended) in [("ended", "null"), ("issued", "1")] {
        let stored = [b"\x01", text(state, ended).as_bytes()].concat();
        assert!(LeaseRecord::decode(&Key::lease(&LeaseId::from_random([3; 16])), &stored).is_err(), "{state}");
    }
}

/// What finds a lease is there as long as something may exist outside, and no longer.
#[test]
fn what_finds_a_lease_goes_when_it_has_ended() {
    let intended = lease(LeaseState::Intended);
    let mut opened = Batch::new(TimeMs(0));
    intended.open(&mut opened, (7, 3));
    assert_eq!((opened.put.len(), opened.add[0].delta, opened.add[0].at_most), (4, 1, 7));
    assert_eq!((opened.add[1].delta, opened.add[1].at_most), (1, 3));
    assert_eq!(opened.add[1].key, Key::agent_leases(&id("shop"), &id("bot")));

    let mut issued = Batch::new(TimeMs(0));
    let next = LeaseRecord { due_at: TimeMs(61_000), ..lease(LeaseState::Issued) };
    intended.becomes(&next, &mut issued);
    assert_eq!(issued.delete, [Key::lease_due(&id("shop"), TimeMs(31_000), &intended.id)]);
    assert_eq!(issued.put[1].0, Key::lease_due(&id("shop"), TimeMs(61_000), &intended.id));

    let mut same = Batch::new(TimeMs(0));
    next.becomes(&LeaseRecord { attempts: 1, ..next.clone() }, &mut same);
    assert_eq!((same.put.len(), same.delete.len()), (1, 0));

    let mut ended = Batch::new(TimeMs(0));
    let last = lease(LeaseState::Ended);
    next.becomes(&last, &mut ended);
    let index = [Key::lease_due(&id("shop"), TimeMs(61_000), &last.id), Key::open_lease(&id("shop"), &last.id)];
    assert_eq!(ended.delete, index);
    assert_eq!(ended.add.iter().map(|add| add.delta).collect::<Vec<_>>(), [-1, -1]);
    assert_eq!(ended.add[1].key, Key::agent_leases(&id("shop"), &id("bot")));
    assert_eq!(ended.put[1].0, Key::expiry(TimeMs(62_000), &last.key()));

    // Its open leases are counted once.
    let mut again = Batch::new(TimeMs(0));
    last.becomes(&last.clone(), &mut again);
    assert_eq!((again.put.len(), again.delete.len(), again.add.len()), (1, 0, 0));
}
