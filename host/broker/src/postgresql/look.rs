//! Questions to the database, which change nothing.

use attorn_core::{PostgresqlSettings, SqlName, UserTable};
use tokio_postgres::SimpleQueryMessage;

use super::connect::Connection;
use super::issue::comment_of;
use super::{PREFIX, quote};
use crate::kind::{KindError, Outside};

/// How many logins are looked at. There are never so many: a target has a limit of leases.
const LOGINS_MAX: usize = 200_000;

/// A login as the database has it.
pub(super) struct Found {
    pub(super) oid: u32,
    pub(super) comment: String,
    pub(super) can_login: bool,
}

/// The role of this name, if there is one.
pub(super) async fn login(connection: &Connection, name: &SqlName) -> Result<Option<Found>, KindError> {
    let question = "SELECT oid, coalesce(shobj_description(oid, 'pg_authid'), ''), rolcanlogin FROM pg_roles \
                    WHERE rolname = $1::text";
    let row = connection.client.query_opt(question, &[&name.as_str()]).await?;
    row.map(|row| Ok(Found { oid: row.try_get(0)?, comment: row.try_get(1)?, can_login: row.try_get(2)? })).transpose()
}

/// All logins that this server made.
pub(super) async fn logins(connection: &Connection, log_id: &str) -> Result<Vec<Outside>, KindError> {
    let question = "SELECT rolname::text, shobj_description(oid, 'pg_authid') FROM pg_roles \
                    WHERE starts_with(rolname::text, $1) \
                    AND starts_with(shobj_description(oid, 'pg_authid'), $2) LIMIT $3";
    let begins = comment_of(log_id);
    let limit = i64::try_from(LOGINS_MAX).unwrap_or(i64::MAX);
    let rows = connection.client.query(question, &[&PREFIX, &begins, &limit]).await?;
    let mut found = Vec::new();
    for row in rows {
        let (name, comment): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let lease = comment.strip_prefix(begins.as_str()).and_then(|rest| rest.split(' ').next()?.parse().ok());
        // Whoever can write comments can administer roles, too; what is not as we write it is not ours.
        if let (Some(lease), Ok(name)) = (lease, name.parse()) {
            found.push(Outside { lease, name });
        }
    }
    Ok(found)
}

/// A count of those of these roles that may be given.
pub(super) fn good_roles(roles: &[SqlName]) -> String {
    let names: Vec<String> = roles.iter().map(|role| quote::text(role.as_str())).collect();
    format!("(SELECT count(*) FROM pg_roles r WHERE r.rolname IN ({}) AND {})", names.join(", "), GOOD)
}

/// For how many more connections the database has room that are no superuser's. What no other than its owner may see of
/// others' sessions is not needed: how many there are anybody may know.
pub(super) const FREE: &str = "(current_setting('max_connections')::bigint \
                    - current_setting('superuser_reserved_connections')::bigint \
                    - coalesce(current_setting('reserved_connections', true)::bigint, 0) \
                    - (SELECT coalesce(sum(numbackends), 0)::bigint FROM pg_stat_database))";
/// The version of the database.
pub(super) const VERSION: &str = "current_setting('server_version_num')";
/// The first version in which a login cannot make others members of itself.
pub(super) const VERSION_MIN: i32 = 150_000;

/// Whether a role `r` may be given: neither it nor one that it is a member of can sign in (whoever is a member could give
/// it a password), is more than a plain role, gives roles on, or owns anything in any database, which it could change at
/// will. It goes up from the role, so that it takes no longer when there are many logins.
const GOOD: &str = "NOT EXISTS (WITH RECURSIVE up(oid) AS (SELECT r.oid UNION SELECT m.roleid FROM pg_auth_members m \
                    JOIN up ON m.member = up.oid) SELECT 1 FROM up JOIN pg_roles p ON p.oid = up.oid \
                    WHERE (p.rolcanlogin OR EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.member = p.oid \
                    AND m.admin_option) OR EXISTS (SELECT 1 FROM pg_shdepend s WHERE s.refobjid = p.oid \
                    AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o') \
                    OR p.rolsuper OR p.rolcreaterole OR p.rolcreatedb OR p.rolreplication OR p.rolbypassrls \
                    OR p.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', \
                    'pg_signal_backend', 'pg_write_all_data')))";

/// Whether anybody else than the administrator may change the table of users. No row, and so not `f`, if there is no
/// such table.
pub(super) fn others_write(table: &UserTable) -> String {
    let name = format!("{}.{}", quote::name(&table.schema), quote::name(&table.table));
    format!(
        "(SELECT c.relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user) \
         OR n.nspowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user) \
         OR EXISTS (SELECT 1 FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner AND a.privilege_type <> 'SELECT') \
         OR EXISTS (SELECT 1 FROM aclexplode(n.nspacl) a WHERE a.grantee <> n.nspowner AND a.privilege_type = 'CREATE') \
         OR EXISTS (SELECT 1 FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = c.oid \
         AND a.grantee <> c.relowner AND a.privilege_type <> 'SELECT') \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass({}))",
        quote::text(&name)
    )
}

/// What is wrong with a target.
pub(super) async fn problems(connection: &Connection, settings: &PostgresqlSettings) -> Result<Vec<String>, KindError> {
    let mut problems = Vec::new();
    let admin = "SELECT rolsuper, rolcreaterole, current_setting('server_version_num')::int FROM pg_roles \
                 WHERE rolname = current_user";
    let admin = connection.client.query_one(admin, &[]).await?;
    let (is_super, creates, version): (bool, bool, i32) = (admin.try_get(0)?, admin.try_get(1)?, admin.try_get(2)?);
    if !is_super && !creates {
        problems.push(format!("the administrator `{}` may not make roles: CREATEROLE", settings.admin));
    }
    if is_super {
        problems.push(format!("the administrator `{}` is a superuser; CREATEROLE is enough", settings.admin));
    }
    if version < VERSION_MIN {
        problems.push(format!("the database is of version {version}; no login is made before 15"));
    }
    for role in settings.rules.iter().flat_map(|rule| &rule.roles) {
        let asked = format!("SELECT {}", good_roles(std::slice::from_ref(role)));
        if one(&connection.client.simple_query(&asked).await?) != Some("1") {
            problems.push(format!(
                "the role `{role}` is not there, or it or one that it is a member of can sign in, is more than a plain \
                 role, gives roles on (ADMIN OPTION) or owns something"
            ));
        }
    }
    if let Some(table) = &settings.user_table {
        let asked = format!("SELECT {}", others_write(table));
        if one(&connection.client.simple_query(&asked).await?) != Some("f") {
            problems.push(format!(
                "the table of users `{}.{}` is not there, or others than `{}` own it or may write it",
                table.schema, table.table, settings.admin
            ));
        }
    }
    Ok(problems)
}

fn one(messages: &[SimpleQueryMessage]) -> Option<&str> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}
