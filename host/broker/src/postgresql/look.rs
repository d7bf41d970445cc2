//! Questions to the database, which change nothing.

use std::collections::BTreeSet;

use attorn_core::{PostgresqlSettings, SqlName, UserTable};
use tokio_postgres::SimpleQueryMessage;

use super::connect::Connection;
use super::issue::comment_of;
use super::owned::LEFT;
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
            found.push(Outside { lease, name, roles: Vec::new() });
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
/// For how many it has room in all that are no superuser's.
const ROOM: &str = "current_setting('max_connections')::bigint \
                    - current_setting('superuser_reserved_connections')::bigint \
                    - coalesce(current_setting('reserved_connections', true)::bigint, 0)";
/// How many are kept for ending logins, and one to work with.
const KEPT: i64 = 3;
/// Whether the administrator may end others' sessions: without that it has to be a member of each login.
pub(super) const ENDS_OTHERS: &str = "pg_has_role(current_user, 'pg_signal_backend', 'USAGE')";
/// The version of the database.
pub(super) const VERSION: &str = "current_setting('server_version_num')";
/// The first version in which a login cannot make others members of itself.
pub(super) const VERSION_MIN: i32 = 150_000;
/// The first version in which a role is given only by who may give it on.
const VERSION_ADMIN_OPTION: i32 = 160_000;

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
    of_admin(connection, settings, &mut problems).await?;
    of_connections(connection, settings, &mut problems).await?;
    of_what_is_left(connection, &mut problems).await?;
    for role in roles(settings) {
        let asked = format!("SELECT {}", good_roles(std::slice::from_ref(role)));
        if one(&connection.client.simple_query(&asked).await?) != Some("1") {
            problems.push(format!("the role `{role}` may not be given: {}", why_bad(connection, role).await?));
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

/// The roles that a role is or is a member of, that which is asked about first, each with what is wrong with it: as
/// [`GOOD`] has it, which decides.
const WHY: &str = "WITH RECURSIVE up(oid) AS (SELECT oid FROM pg_roles WHERE rolname = $1 UNION \
                   SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.oid) \
                   SELECT p.rolname::text, p.rolcanlogin, \
                   p.rolsuper OR p.rolcreaterole OR p.rolcreatedb OR p.rolreplication OR p.rolbypassrls \
                   OR p.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', \
                   'pg_signal_backend', 'pg_write_all_data'), \
                   EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.member = p.oid AND m.admin_option), \
                   EXISTS (SELECT 1 FROM pg_shdepend s WHERE s.refobjid = p.oid \
                   AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o') \
                   FROM up JOIN pg_roles p ON p.oid = up.oid ORDER BY p.rolname <> $1, p.rolname LIMIT 32";

/// What is wrong with a role that may not be given.
async fn why_bad(connection: &Connection, role: &SqlName) -> Result<String, KindError> {
    let rows = connection.client.query(WHY, &[&role.as_str()]).await?;
    if rows.is_empty() {
        return Ok("there is none of that name".into());
    }
    for row in rows {
        let name: &str = row.try_get(0)?;
        let whose = if name == role.as_str() { "it".into() } else { format!("it is a member of `{name}`, which") };
        for (at, what) in [
            (1, "can sign in (LOGIN)"),
            (
                2,
                "is more than a plain role (an attribute as SUPERUSER, or one that reaches the machine or others' sessions)",
            ),
            (3, "gives roles on (ADMIN OPTION)"),
            (4, "owns something, which a login could change at will"),
        ] {
            if row.try_get(at)? {
                return Ok(format!("{whose} {what}"));
            }
        }
    }
    Ok("what was wrong with it changed while it was looked at".into())
}

/// What its administrator cannot do, or could beyond what is needed.
async fn of_admin(
    connection: &Connection,
    settings: &PostgresqlSettings,
    problems: &mut Vec<String>,
) -> Result<(), KindError> {
    let asked = format!(
        "SELECT rolsuper, rolcreaterole, current_setting('server_version_num')::int, rolinherit, {ENDS_OTHERS} \
         FROM pg_roles WHERE rolname = current_user"
    );
    let row = connection.client.query_one(&asked, &[]).await?;
    let (is_super, creates, version): (bool, bool, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (inherits, ends_others): (bool, bool) = (row.try_get(3)?, row.try_get(4)?);
    let admin = &settings.admin;
    if !is_super && !creates {
        problems.push(format!("the administrator `{admin}` may not make roles: CREATEROLE"));
    }
    if is_super {
        problems.push(format!("the administrator `{admin}` is a superuser; CREATEROLE is enough"));
    }
    if !is_super && !inherits {
        problems.push(format!("the administrator `{admin}` may not end what its logins do: ALTER ROLE … INHERIT"));
    }
    if !ends_others {
        problems.push(format!(
            "the administrator `{admin}` has to be a member of each login to end its sessions, which is slow where there \
             are thousands: GRANT pg_signal_backend TO {}",
            quote::name(admin)
        ));
    }
    if version < VERSION_MIN {
        problems.push(format!("the database is of version {version}; no login is made before 15"));
    }
    if version >= VERSION_ADMIN_OPTION && !is_super {
        let asked = "SELECT pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION') FROM pg_roles r \
                     WHERE r.rolname = $1";
        for role in roles(settings) {
            let row = connection.client.query_opt(asked, &[&role.as_str()]).await?;
            if row.map(|row| row.try_get(0)).transpose()? == Some(false) {
                problems.push(format!("the administrator `{admin}` may not give the role `{role}`: WITH ADMIN OPTION"));
            }
        }
    }
    Ok(())
}

/// Whether those who hold logins may take all connections. What is kept for ending them goes with the server.
async fn of_connections(
    connection: &Connection,
    settings: &PostgresqlSettings,
    problems: &mut Vec<String>,
) -> Result<(), KindError> {
    let reserved = "SELECT coalesce(current_setting('reserved_connections', true)::bigint, 0) > 0 \
                    AND EXISTS (SELECT 1 FROM pg_roles r WHERE r.rolname = 'pg_use_reserved_connections' \
                    AND pg_has_role(current_user, r.oid, 'USAGE'))";
    if connection.client.query_one(reserved, &[]).await?.try_get(0)? {
        return Ok(());
    }
    let most = u64::from(settings.leases_max) * u64::from(settings.connections_max);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let room: i64 = connection.client.query_one(&format!("SELECT {ROOM}"), &[]).await?.try_get(0)?;
    if most + KEPT > room {
        problems.push(format!(
            "logins may take {most} connections, and the database has {room}: if they take all, and this server is \
             started anew then, nothing ends them; less `leases_max` or `connections_max`, or from PostgreSQL 16 on \
             `reserved_connections` and GRANT pg_use_reserved_connections TO {}",
            quote::name(&settings.admin)
        ));
    }
    Ok(())
}

/// Whether there is what logins made under their roles.
async fn of_what_is_left(connection: &Connection, problems: &mut Vec<String>) -> Result<(), KindError> {
    let asked = "SELECT count(*) FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid \
                 WHERE r.rolname = $1 AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'";
    let left: i64 = connection.client.query_one(asked, &[&LEFT]).await?.try_get(0)?;
    if left > 0 {
        problems
            .push(format!("the role `{LEFT}` owns {left} things that logins made under their roles: look, and drop"));
    }
    Ok(())
}

/// All roles of its rules, each once.
fn roles(settings: &PostgresqlSettings) -> BTreeSet<&SqlName> {
    settings.rules.iter().flat_map(|rule| &rule.roles).collect()
}

fn one(messages: &[SimpleQueryMessage]) -> Option<&str> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}
