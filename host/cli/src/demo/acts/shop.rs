//! What is in the database, and what is registered about it: which logins are made there, and for what.

use attorn_api::targets::{CheckTarget, Postgresql, RegisterTarget, RoleRule, Target, TargetCheck, UserTable};

use super::database::{Database, NAME, Programs};
use super::scene::Scene;
use crate::failure::Failure;

/// Who makes and ends logins there. It is no superuser.
const ADMIN: &str = "attorn";

/// What everybody may know.
pub(super) const ARTICLES: Shop = Shop {
    role: "article_reader",
    holds: "3 articles",
    tables: "
CREATE TABLE articles (id int PRIMARY KEY, question text NOT NULL, answer text NOT NULL);
INSERT INTO articles VALUES
    (1, 'How do I reset my password?', 'Choose \"Forgot password\" where you sign in.'),
    (2, 'What are your business hours?', 'Monday to Friday, 9 to 17.'),
    (3, 'Where is my order?', 'Sign in, and choose \"Orders\".');
GRANT SELECT ON articles TO article_reader;
",
};

/// What belongs to users. Which rows a login sees, the database finds by its name, in a table that only the administrator
/// may write.
pub(super) const INVOICES: Shop = Shop {
    role: "invoice_reader",
    holds: "invoices behind row-level security",
    tables: "
CREATE TABLE invoices (id int PRIMARY KEY, owner text NOT NULL, what text NOT NULL, cents int NOT NULL);
CREATE SCHEMA attorn AUTHORIZATION attorn;
CREATE TABLE attorn.logins (login name PRIMARY KEY, user_id text NOT NULL);
ALTER TABLE attorn.logins OWNER TO attorn;
CREATE FUNCTION attorn.user_id() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS 'SELECT user_id FROM attorn.logins WHERE login = session_user';
ALTER FUNCTION attorn.user_id() OWNER TO attorn;
GRANT USAGE ON SCHEMA attorn TO invoice_reader;
GRANT SELECT ON invoices TO invoice_reader;
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON invoices USING (owner = attorn.user_id());
",
};

/// What is in a database, and who may read it.
pub(super) struct Shop {
    role: &'static str,
    holds: &'static str,
    tables: &'static str,
}

/// For what logins are made there.
pub(super) struct Tie {
    /// What the target is called.
    pub(super) id: &'static str,
    pub(super) action: &'static str,
    pub(super) resource_type: &'static str,
    /// Whether they are made on behalf of users.
    pub(super) for_users: bool,
}

impl Shop {
    /// Start a database, and fill it.
    pub(super) async fn open(&self, scene: &Scene<'_>, programs: &Programs) -> Result<Database, Failure> {
        let database = Database::start(programs, &scene.directory.join("database.log")).await?;
        let Self { role, holds, tables } = self;
        let password = &database.admin_password;
        let roles = format!(
            "CREATE ROLE {ADMIN} LOGIN CREATEROLE IN ROLE pg_signal_backend PASSWORD '{password}'; \
             CREATE ROLE {role} NOLOGIN;"
        );
        // From this version on whoever makes logins needs to be told which roles it may give.
        let gives =
            if database.major < 16 { String::new() } else { format!("GRANT {role} TO {ADMIN} WITH ADMIN OPTION;") };
        let filled = database.superuser().await?.run(&format!("{roles}{gives}{tables}")).await;
        filled.map_err(|why| Failure::new(format!("the database cannot be filled: {why}")))?;
        let asked = format!("initdb, postgres: a database of its own, with {holds}");
        let came = format!("PostgreSQL {} answers on 127.0.0.1:{}", database.version, database.port);
        scene.narrator.step(asked, came, true)?;
        Ok(database)
    }

    /// Register it: whoever may do this gets a login in its one role.
    pub(super) async fn tie(&self, scene: &Scene<'_>, database: &Database, tie: &Tie) -> Result<(), Failure> {
        let Tie { id, action, resource_type, for_users } = tie;
        let body = RegisterTarget {
            id: (*id).into(),
            resource_types: vec![(*resource_type).into()],
            postgresql: Some(Postgresql {
                host: "127.0.0.1".into(),
                port: database.port,
                database: NAME.into(),
                admin: ADMIN.into(),
                // Loopback alone may do without.
                tls_roots_pem: None,
                rules: vec![RoleRule {
                    action: (*action).into(),
                    resource: format!("{resource_type}/*"),
                    roles: vec![self.role.into()],
                }],
                user_table: for_users.then(|| UserTable { schema: "attorn".into(), table: "logins".into() }),
                connections_max: 3,
                leases_max: 20,
                leases_per_agent_max: 10,
                lease_ms_max: 60_000,
            }),
            password: Some(database.admin_password.clone()),
            proxy: None,
            secret: None,
        };
        let registrar = scene.registrar()?;
        let target: Target = registrar.post("/v1/targets", &body).await?;
        let asked = format!(
            "the registrar ties {resource_type}s to it: who may {action} gets a login in the role `{}`",
            self.role
        );
        let came = format!("the target {id} is {}; its administrator's password is kept wrapped", target.state);
        scene.narrator.step(asked, came, target.state == "active")?;
        let check: TargetCheck =
            registrar.post(&format!("/v1/targets/{id}/check"), &CheckTarget { end_unknown: false }).await?;
        let as_told = check.reachable && check.problems.is_empty() && check.logins == 0;
        let came = match check.problems.first() {
            Some(problem) => problem.clone(),
            None => format!("it answers, nothing is wrong with it, and it has {} logins of ours", check.logins),
        };
        scene.narrator.step(format!("attorn target check {id}"), came, as_told)
    }
}
