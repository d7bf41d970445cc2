//! What is in the database of the test: articles that everybody may read, accounts of users behind row-level security,
//! and the administrator by whom logins are made, who is no superuser.

use attorn_tests::people::Operator;
use serde_json::{Value, json};

use super::database::Database;

/// The administrator's first password.
pub(crate) const ADMIN_PASSWORD: &str = "the administrator's";
/// A role whose name is a statement.
pub(crate) const ODD_ROLE: &str = "odd\"; DROP TABLE articles; --";

/// From 16 on whoever makes logins needs to be told which roles it may give.
const SHOP: &str = r#"
CREATE ROLE attorn LOGIN CREATEROLE IN ROLE pg_signal_backend PASSWORD 'the administrator''s';
CREATE ROLE reader NOLOGIN;
CREATE ROLE payer NOLOGIN;
CREATE ROLE "odd""; DROP TABLE articles; --" NOLOGIN;
DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000 THEN
    GRANT reader, payer, "odd""; DROP TABLE articles; --" TO attorn WITH ADMIN OPTION;
END IF; END $$;
CREATE ROLE signs_in LOGIN PASSWORD 'x';
CREATE ROLE makes_roles NOLOGIN CREATEROLE;
CREATE ROLE hidden NOLOGIN IN ROLE makes_roles;
CREATE ROLE under_login NOLOGIN IN ROLE signs_in;
CREATE ROLE gives_on NOLOGIN;
GRANT payer TO gives_on WITH ADMIN OPTION;
CREATE ROLE owns NOLOGIN;
CREATE TABLE owned (a int);
ALTER TABLE owned OWNER TO owns;
CREATE TABLE articles (id int PRIMARY KEY, text text NOT NULL);
INSERT INTO articles VALUES (42, 'how to'), (43, 'why');
CREATE TABLE accounts (owner text NOT NULL, balance int NOT NULL);
GRANT SELECT ON articles, accounts TO reader;
GRANT SELECT, UPDATE ON accounts TO payer;
GRANT SELECT ON articles TO "odd""; DROP TABLE articles; --";
CREATE SCHEMA attorn AUTHORIZATION attorn;
CREATE TABLE attorn.logins (login name PRIMARY KEY, user_id text NOT NULL);
ALTER TABLE attorn.logins OWNER TO attorn;
CREATE FUNCTION attorn.user_id() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS 'SELECT user_id FROM attorn.logins WHERE login = session_user';
ALTER FUNCTION attorn.user_id() OWNER TO attorn;
GRANT USAGE ON SCHEMA attorn TO reader, payer;
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON accounts USING (owner = attorn.user_id());
GRANT CREATE ON SCHEMA public TO reader;
"#;

/// Fill the database.
pub(crate) async fn fill(database: &Database) {
    database.superuser("postgres").await.batch_execute("CREATE DATABASE shop").await.unwrap();
    database.sql(SHOP).await;
}

/// What is registered about it.
pub(crate) fn settings(database: &Database) -> Value {
    json!({
        "host": "127.0.0.1", "port": database.port, "database": "shop", "admin": "attorn",
        "rules": [
            { "action": "faq.read", "resource": "article/*", "roles": ["reader"] },
            { "action": "faq.read", "resource": "note/*", "roles": ["reader"] },
            { "action": "faq.odd", "resource": "article/42", "roles": [ODD_ROLE] },
            { "action": "account.read", "resource": "account/*", "roles": ["reader"] },
            { "action": "account.pay", "resource": "account/*", "roles": ["payer"] },
        ],
        "user_table": { "schema": "attorn", "table": "logins" },
        "connections_max": 3, "leases_max": 1_000, "leases_per_agent_max": 1_000, "lease_ms_max": 600_000,
    })
}

/// The same with the rules that are for these types, or with one that is for all where none is.
pub(crate) fn about(types: &[&str], mut settings: Value) -> Value {
    let all = settings["rules"].as_array().unwrap();
    let of = |rule: &&Value| rule["resource"].as_str().and_then(|text| text.split('/').next()).unwrap().to_owned();
    let rules: Vec<Value> = all.iter().filter(|rule| types.contains(&of(rule).as_str())).cloned().collect();
    let any = vec![json!({ "action": "*", "resource": "*", "roles": ["reader"] })];
    settings["rules"] = if rules.is_empty() { any } else { rules }.into();
    settings
}

/// Register it for these resource types.
pub(crate) async fn register(registrar: &Operator, id: &str, types: &[&str], settings: Value) {
    let settings = about(types, settings);
    let body = json!({ "id": id, "resource_types": types, "postgresql": settings, "password": ADMIN_PASSWORD });
    registrar.post("/v1/targets", &body).await.expect(201);
}
