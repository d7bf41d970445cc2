//! What a login is, whom it is for, and what it cannot do.

use attorn_api::decisions::DecisionAnswer;
use attorn_tests::Behalf;
use attorn_tests::behalf::ask_by;
use attorn_tests::world::{ask as article, ask_with};
use serde_json::json;

use super::database::{Database, first_column};
use super::logins::{self, SETTLED, agree, delegated, for_login, lease, login, sign_in, until_none};
use super::shop::ODD_ROLE;

/// One grant, one login: what it is in the database, and that its password is nowhere but in the answer.
pub(crate) async fn for_one_grant(world: &Behalf, database: &Database) {
    let ask = for_login(article());
    let answer: DecisionAnswer = world.bot.ask_once("once", &ask).await.expect(200).json();
    let (grant, made) = (answer.grant.unwrap(), answer.login.unwrap());
    assert_eq!((made.host.as_str(), made.port, made.database.as_str()), ("127.0.0.1", database.port, "shop"));
    assert_eq!(made.expires_at_ms, grant.expires_at_ms);
    // Its one use is taken: whoever holds the login needs no token.
    let details = world.staff.registrar.get(format!("/v1/grants/{}", grant.id)).await.expect(200);
    let details: attorn_api::grants::GrantDetails = details.json();
    assert_eq!((details.uses_max, details.uses, details.active), (1, 1, false));
    let password = made.password.clone().unwrap();
    let rows = first_column(&sign_in(database, &made).await, "SELECT text FROM articles ORDER BY id").await;
    assert_eq!(rows.unwrap(), ["how to", "why"]);

    let row = |what: &str| format!("SELECT {what} FROM pg_authid WHERE rolname = '{}'", made.user);
    let comment = database.ask(&row("shobj_description(oid, 'pg_authid')")).await.remove(0);
    for part in [made.lease.as_str(), "agent=support-bot", &grant.id] {
        assert!(comment.contains(part), "{comment}");
    }
    let plain = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls";
    assert_eq!(database.ask(&row(plain)).await, ["f"]);
    assert_eq!(database.ask(&row("rolconnlimit")).await, ["3"]);
    assert!(database.ask(&row("rolpassword")).await[0].starts_with("SCRAM-SHA-256$4096:"));
    // Within the life of the grant, also by the clock of the database.
    let until = database.ask(&row("(extract(epoch FROM rolvaliduntil) * 1000)::bigint")).await.remove(0);
    let until: u64 = until.parse().unwrap();
    assert!((grant.expires_at_ms - 5_000..=grant.expires_at_ms).contains(&until), "{until} {grant:?}");
    assert!(database.log().contains("CREATE ROLE") && !database.log().contains(&password));

    let again: DecisionAnswer = world.bot.ask_once("once", &ask).await.expect(200).json();
    let (same, shown) = (again.grant.unwrap(), again.login.unwrap());
    assert_eq!((same.id, shown.password, again.credential), (grant.id.clone(), None, None));
    assert_eq!(
        (shown.lease, shown.user, shown.expires_at_ms),
        (made.lease.clone(), made.user.clone(), made.expires_at_ms)
    );
    world.bot.ask_once("once", &article()).await.refused(409, "idempotency_conflict");

    let shown = lease(&world.staff.registrar, &made.lease).await;
    assert_eq!((shown.state.as_str(), shown.name, shown.grant), ("issued", made.user.clone(), grant.id.clone()));
    let entries = world.entries().await;
    let types: Vec<&str> = entries.iter().rev().take(2).map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["lease_issued", "lease_intended"]);
    assert!(entries.iter().all(|entry| !entry.to_string().contains(&password)));
    agree(database, &world.staff.registrar).await;

    // A role whose name is a statement is one role.
    let odd = login(&world.bot, &ask_with(json!({ "action": "faq.odd" }))).await;
    let member = format!(
        "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles l ON l.oid = m.member \
         WHERE l.rolname = '{}'",
        odd.user
    );
    assert_eq!(database.ask(&member).await, [ODD_ROLE]);
    for grant in [grant.id, lease(&world.staff.registrar, &odd.lease).await.grant] {
        logins::revoke_grant(&world.staff.registrar, &grant).await;
    }
    until_none(database, &world.staff.registrar, SETTLED).await;
    world.bot.ask_once("once", &ask).await.refused(409, "grant_inactive");
}

/// Alice's login sees Alice's rows, whatever it sets.
pub(crate) async fn own_rows(world: &Behalf, database: &Database) {
    let delegation = delegated(world, json!({ "jti": "rows" })).await;
    let alice = &delegation.user;
    database.sql(&format!("INSERT INTO accounts VALUES ('{alice}', 7), ('usr_bob', 100)")).await;
    let made = login(&world.bot, &world.ask(&delegation)).await;
    let session = sign_in(database, &made).await;
    let owners = async || first_column(&session, "SELECT owner FROM accounts").await;
    assert_eq!(owners().await.unwrap(), std::slice::from_ref(alice));
    // From 16 on it has the rights of its role and cannot become it.
    assert_eq!(session.batch_execute("SET ROLE reader").await.is_ok(), database.major < 16);
    assert_eq!(owners().await.unwrap(), std::slice::from_ref(alice));
    for statement in [
        "RESET ROLE",
        "SET attorn.user_id = 'usr_bob'",
        "RESET ALL",
        "DISCARD ALL",
        "SET search_path = public",
        "ALTER ROLE CURRENT_USER SET search_path = public",
    ] {
        session.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        assert_eq!(owners().await.unwrap(), std::slice::from_ref(alice), "{statement}");
    }
    for statement in [
        "SET SESSION AUTHORIZATION postgres",
        "SET SESSION AUTHORIZATION attorn",
        "SET ROLE attorn",
        "SET ROLE postgres",
        "SET ROLE payer",
        "SET row_security = off; SELECT * FROM accounts",
        "UPDATE attorn.logins SET user_id = 'usr_bob'",
        "INSERT INTO attorn.logins VALUES (session_user, 'usr_bob')",
        "DELETE FROM attorn.logins",
        "SELECT * FROM attorn.logins",
        "CREATE OR REPLACE FUNCTION attorn.user_id() RETURNS text LANGUAGE sql AS 'SELECT ''usr_bob'''",
        "ALTER TABLE accounts DISABLE ROW LEVEL SECURITY",
        "UPDATE accounts SET balance = 0",
    ] {
        assert!(session.batch_execute(statement).await.is_err(), "{statement}");
        drop(session.batch_execute("ROLLBACK; SET row_security = on").await);
        assert_eq!(owners().await.unwrap(), std::slice::from_ref(alice), "{statement}");
    }
    // Without a user there are no rows of anybody's.
    let nobodys = login(&world.bot, &article()).await;
    let rows = first_column(&sign_in(database, &nobodys).await, "SELECT owner FROM accounts").await;
    assert_eq!(rows.unwrap(), Vec::<String>::new());
    agree(database, &world.staff.registrar).await;
    let registrar = &world.staff.registrar;
    for made in [&made, &nobodys] {
        logins::revoke_grant(registrar, &lease(registrar, &made.lease).await.grant).await;
    }
    until_none(database, registrar, SETTLED).await;
}

/// It lives no longer, makes nobody, gives nothing on.
pub(crate) async fn no_more(world: &Behalf, database: &Database) {
    let made = login(&world.bot, &article()).await;
    let session = sign_in(database, &made).await;
    let (me, other) = (&made.user, "attorn_0123456789abcdef0123456789abcdef");
    for statement in [
        format!("ALTER ROLE {me} VALID UNTIL 'infinity'"),
        format!("ALTER ROLE {me} CONNECTION LIMIT -1"),
        format!("ALTER ROLE {me} CREATEROLE"),
        format!("ALTER ROLE {me} SUPERUSER"),
        format!("COMMENT ON ROLE {me} IS 'nobody'"),
        format!("ALTER ROLE {me} RENAME TO {other}"),
        format!("CREATE ROLE {other} LOGIN"),
        format!("GRANT reader TO {me} WITH ADMIN OPTION"),
        "GRANT reader TO payer".into(),
        "ALTER ROLE reader LOGIN".into(),
        "DROP ROLE reader".into(),
        "COPY articles TO PROGRAM 'cat'".into(),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'attorn'; SELECT 1/0".into(),
    ] {
        assert!(session.batch_execute(&statement).await.is_err(), "{statement}");
    }
    // Three connections, and no fourth.
    let (_second, _third) = (sign_in(database, &made).await, sign_in(database, &made).await);
    assert!(logins::try_sign_in(database, &made).await.is_err());
    logins::revoke_grant(&world.staff.registrar, &lease(&world.staff.registrar, &made.lease).await.grant).await;
    until_none(database, &world.staff.registrar, SETTLED).await;
}

/// What no rule, no target, no bound gives.
pub(crate) async fn refused(world: &Behalf, database: &Database) {
    let ask = |action: &str| ask_with(json!({ "action": action }));
    logins::ask(&world.bot, &ask("faq.write")).await.refused(422, "no_target");
    // A rule for one resource gives nothing for another.
    let other = ask_with(json!({ "action": "faq.odd", "resource": "article/43" }));
    logins::ask(&world.bot, &other).await.refused(422, "no_target");
    let mut held_to = for_login(article());
    held_to["arguments"] = json!({ "section": "billing" });
    world.bot.post("/v1/decisions", &held_to).await.refused(422, "invalid_field");
    let mut wish = for_login(article());
    wish["roles"] = json!(["payer"]);
    world.bot.post("/v1/decisions", &wish).await.refused(400, "invalid_body");
    let mut kind = article();
    kind["credential"] = "ssh".into();
    world.bot.post("/v1/decisions", &kind).await.refused(400, "invalid_body");
    // What is denied makes nothing, and says so as ever.
    let delegation = delegated(world, json!({ "jti": "rows" })).await;
    let others = for_login(ask_by(&delegation, "account.read", "account/usr_bob/giro"));
    let answer: DecisionAnswer = world.bot.post("/v1/decisions", &others).await.expect(200).json();
    assert!(answer.login.is_none() && answer.grant.is_none() && !answer.reasons.is_empty());
    until_none(database, &world.staff.registrar, SETTLED).await;
}
