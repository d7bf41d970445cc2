//! What operators do with targets and leases, and the agent that renews.

use attorn_api::audit::EntryList;
use attorn_api::targets::{LeaseRenewed, TargetCheck, TargetFault, TargetRotated};
use attorn_tests::wait::until_within;
use attorn_tests::world::ask as article;
use attorn_tests::{Behalf, Call, Metrics};
use serde_json::{Value, json};

use super::database::Database;
use super::logins::{self, SETTLED, agree, lease, login, until_none};
use super::shop;

async fn check(world: &Behalf, target: &str, end_unknown: bool) -> TargetCheck {
    let body = json!({ "end_unknown": end_unknown });
    world.staff.registrar.post(format!("/v1/targets/{target}/check"), &body).await.expect(200).json()
}

/// Not beyond the grant, by nobody else, and not after its end.
pub(crate) async fn renew(world: &Behalf, database: &Database) {
    let made = login(&world.bot, &article()).await;
    let path = format!("/v1/leases/{}/renew", made.lease);
    let renewed: LeaseRenewed = world.bot.send(Call::new("POST", &path)).await.expect(200).json();
    assert_eq!(renewed.expires_at_ms, made.expires_at_ms, "the grant ends when it did");
    world.helper.send(Call::new("POST", &path)).await.refused(404, "not_found");
    agree(database, &world.staff.registrar).await;
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    until_none(database, &world.staff.registrar, SETTLED).await;
    world.bot.send(Call::new("POST", &path)).await.refused(409, "invalid_state");
    told(world, &made.lease).await;
}

/// What became of it is found by the grant of its decision: `attorn audit show` tells it from that.
async fn told(world: &Behalf, id: &str) {
    let grant = lease(&world.staff.registrar, id).await.grant;
    let kinds = async || {
        let path = format!("/v1/audit/entries?limit=200&grant={grant}");
        let found: EntryList = world.staff.auditor.get(&path).await.expect(200).json();
        let bodies = found.entries.iter().map(|entry| serde_json::from_str(entry.body.get()).unwrap());
        bodies.map(|body: Value| body["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // The decision, and that the grant was revoked, name it, too.
    let all = [
        "decision",
        "lease_intended",
        "lease_issued",
        "lease_renewed",
        "grant_revoked",
        "lease_revoking",
        "lease_ended",
    ];
    until_within(SETTLED, "all that became of it is found", async || kinds().await == all).await;
}

/// The old one is dead, the new one nowhere to be read, and logins are made as before.
pub(crate) async fn rotate(world: &Behalf, database: &Database) {
    let rotated: TargetRotated = world.staff.registrar.act("/v1/targets/shop/rotate").await.expect(200).json();
    assert!(rotated.changed && rotated.target.secret_version == 2, "{rotated:?}");
    assert!(database.connect("shop", "attorn", shop::ADMIN_PASSWORD).await.is_err());
    let made = login(&world.bot, &article()).await;
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    until_none(database, &world.staff.registrar, SETTLED).await;
}

/// A login of ours without a lease is ended when somebody says so; whatever else looks like one is left alone.
pub(crate) async fn unknown(world: &Behalf, database: &Database) {
    let good = check(world, "shop", false).await;
    assert!(good.reachable && good.logins == 0, "{good:?}");
    // More logins than there are connections for: that may be, and is said.
    assert!(matches!(good.problems.as_slice(), [one] if one.contains("may take 3000 connections")), "{good:?}");
    let made = login(&world.bot, &article()).await;
    let asked = format!("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{}'", made.user);
    let comment = database.ask(&asked).await.remove(0);
    let ours = comment.replace(&made.lease, "lse_00000000000000000000000000000000");
    let theirs = ours.replace("log=", "log=x");
    // By the administrator, as logins are: from 16 on nobody ends roles that another made.
    database
        .sql(&format!(
            "SET ROLE attorn; CREATE ROLE attorn_lost LOGIN; COMMENT ON ROLE attorn_lost IS '{ours}';
             CREATE ROLE attorn_theirs LOGIN; COMMENT ON ROLE attorn_theirs IS '{theirs}';
             CREATE ROLE attorn_plain LOGIN"
        ))
        .await;
    let found = check(world, "shop", false).await;
    assert_eq!((found.unknown.as_slice(), found.unknown_ended), (&["attorn_lost".to_owned()][..], 0));
    let found = check(world, "shop", true).await;
    assert_eq!((found.logins, found.unknown_ended), (2, 1));
    let left = [made.user.clone(), "attorn_plain".into(), "attorn_theirs".into()];
    let mut there = logins::there(database).await;
    there.sort_by_key(|name| !left.contains(name));
    assert!(there.len() == 3 && left.iter().all(|name| there.contains(name)), "{there:?}");
    database.sql(&format!("DROP ROLE attorn_plain, attorn_theirs, {}", made.user)).await;
    // Somebody else has ended it: that is as good.
    assert_eq!(check(world, "shop", false).await.missing, std::slice::from_ref(&made.lease));
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    database.sql("DELETE FROM attorn.logins").await;
    until_none(database, &world.staff.registrar, SETTLED).await;
    let last = world.entries().await.pop().unwrap();
    assert_eq!((last["type"].as_str(), last["existed"].as_bool()), (Some("lease_ended"), Some(false)));
}

/// A password that counts no more is found out by whoever looks, however lately somebody was let in by it, and by whoever
/// watches.
pub(crate) async fn dead_password(world: &Behalf, database: &Database) {
    let made = login(&world.bot, &article()).await;
    let good = check(world, "shop", false).await;
    assert!(good.reachable && good.fault.is_none(), "{good:?}");
    let verifier = database.ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'attorn'").await.remove(0);
    // Who was let in before stays.
    database.sql("ALTER ROLE attorn PASSWORD 'another'").await;
    for _ in 0..3 {
        let found = check(world, "shop", false).await;
        assert_eq!((found.reachable, found.fault), (true, Some(TargetFault::SignIn)), "{found:?}");
    }
    let wrong = async || Metrics::of(&world.staff.auditor).await.count("attorn_targets_misconfigured", &[]);
    assert_eq!(wrong().await, Some(1));
    logins::ask(&world.bot, &article()).await.refused(503, "target_misconfigured");
    database.sql(&format!("ALTER ROLE attorn PASSWORD '{verifier}'")).await;
    assert_eq!(check(world, "shop", false).await.fault, None);
    assert_eq!(wrong().await, Some(0));
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    until_none(database, &world.staff.registrar, SETTLED).await;
}

/// Targets that cannot be, and targets that should not.
pub(crate) async fn bad_targets(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let register = async |id: &str, change: &dyn Fn(&mut Value)| {
        let mut body = json!({ "id": id, "resource_types": [id], "password": "x",
            "postgresql": shop::about(&[id], shop::settings(database)) });
        change(&mut body);
        registrar.post("/v1/targets", &body).await
    };
    register("shop", &|_| {}).await.refused(409, "already_exists");
    register("other", &|body| body["resource_types"] = json!(["other", "article"]))
        .await
        .refused(409, "target_type_taken");
    register("other", &|body| body["password"] = "".into()).await.refused(422, "invalid_field");
    register("other", &|body| body["postgresql"]["rules"] = json!([])).await.refused(422, "invalid_field");
    register("other", &|body| body["postgresql"]["host"] = "/tmp".into()).await.refused(422, "invalid_field");
    register("other", &|body| body["postgresql"]["tls_roots_pem"] = "x".into()).await.refused(422, "invalid_field");
    register("other", &|body| body["postgresql"]["sslmode"] = "x".into()).await.refused(400, "invalid_body");
    let own: u16 = world.reach.url.rsplit(':').next().unwrap().parse().unwrap();
    let place = |body: &mut Value| {
        // What an address is, is seen when it is registered; what a name leads to, whenever it is used.
        body["postgresql"]["host"] = "localhost".into();
        body["postgresql"]["port"] = own.into();
    };
    register("itself", &place).await.expect(201);
    let found = check(world, "itself", false).await;
    assert!(!found.reachable && found.problems[0].contains("this server itself"), "{found:?}");
    assert_eq!(found.fault, Some(TargetFault::Settings), "{found:?}");
    for (bad, problem, good) in [
        ("ALTER ROLE attorn NOINHERIT", "INHERIT", "ALTER ROLE attorn INHERIT"),
        ("REVOKE pg_signal_backend FROM attorn", "pg_signal_backend", "GRANT pg_signal_backend TO attorn"),
    ] {
        database.sql(bad).await;
        let found = check(world, "shop", false).await;
        assert!(found.problems.iter().any(|said| said.contains(problem)), "{found:?}");
        database.sql(good).await;
    }
    let roles = json!([{ "action": "*", "resource": "*", "roles": ["signs_in", "makes_roles", "hidden", "nobody", "under_login", "gives_on", "owns", "reader"] }]);
    let risky = |body: &mut Value| {
        body["postgresql"]["rules"] = roles.clone();
        body["postgresql"]["user_table"] = json!({ "schema": "public", "table": "accounts" });
        body["postgresql"]["admin"] = "postgres".into();
        body["password"] = "superuser".into();
    };
    register("risky", &risky).await.expect(201);
    let found = check(world, "risky", false).await;
    let problems = found.problems.join("\n");
    for named in [
        "`signs_in` may not be given: it can sign in (LOGIN)",
        "`nobody` may not be given: there is none of that name",
        "`hidden` may not be given: it is a member of `makes_roles`, which is more than a plain role",
        "`gives_on` may not be given: it gives roles on",
        "`owns` may not be given: it owns something",
        "`makes_roles`",
        "`hidden`",
        "`nobody`",
        "`under_login`",
        "`gives_on`",
        "`owns`",
        "superuser",
        "`public.accounts`",
    ] {
        assert!(problems.contains(named), "{named}: {problems}");
    }
    assert!(!problems.contains("`reader`"), "{problems}");
    for id in ["itself", "risky"] {
        registrar.post(format!("/v1/targets/{id}/retire"), &json!({ "reason": "a test" })).await.expect(200);
    }
}

/// Only a certificate that the registered ones signed, and for this host.
pub(crate) async fn tls(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let other = attorn_tests::svids::Authority::new("other").pem;
    let seen = "SELECT count(*) > 0 FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) \
                WHERE a.usename = 'attorn' AND s.ssl AND s.version = 'TLSv1.3'";
    for (id, host, roots, good) in [
        ("sealed", "localhost", &database.roots_pem, true),
        ("another-root", "localhost", &other, false),
        ("another-name", "127.0.0.1", &database.roots_pem, false),
    ] {
        let mut settings = shop::settings(database);
        settings["host"] = host.into();
        settings["tls_roots_pem"] = roots.as_str().into();
        shop::register(registrar, id, &[id], settings).await;
        let found = check(world, id, false).await;
        assert_eq!(
            (found.reachable, found.fault),
            (good, if good { None } else { Some(TargetFault::Tls) }),
            "{id}: {found:?}"
        );
        // Nothing is kept of one that is retired.
        assert!(!good || database.ask(seen).await == ["t"], "the connection that is kept goes over TLS");
        registrar.post(format!("/v1/targets/{id}/retire"), &json!({ "reason": "a test" })).await.expect(200);
    }
}

/// Nothing more is made, what there is lives on, and it goes on.
pub(crate) async fn suspend(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    let made = login(&world.bot, &article()).await;
    let reason = json!({ "reason": "a test" });
    registrar.post("/v1/targets/shop/suspend", &reason).await.expect(200);
    logins::ask(&world.bot, &article()).await.refused(422, "no_target");
    registrar.post("/v1/targets/shop/suspend", &reason).await.refused(409, "invalid_state");
    agree(database, registrar).await;
    assert_eq!(lease(registrar, &made.lease).await.state, "issued");
    registrar.post("/v1/targets/shop/resume", &reason).await.expect(200);
    logins::revoke_grant(registrar, &lease(registrar, &made.lease).await.grant).await;
    until_none(database, registrar, SETTLED).await;
}
