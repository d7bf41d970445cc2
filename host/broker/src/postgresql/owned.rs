//! What logins leave behind: what is theirs goes with them, in portions, since a database has room for so many locks at
//! once; and what they made under one of their roles (`SET ROLE`) stays and is nobody's any more.
//!
//! That is not dropped, because nothing says who made it. It is given to a role that may do nothing, so that a function
//! of an agent's runs as nobody, and so that the role owns nothing again, as it must before it is given to another. What
//! a role owns that was never given is left alone: that is somebody's.

use attorn_core::SqlName;
use tokio_postgres::Row;

use super::connect::{Connection, Connector};
use super::quote;
use crate::kind::KindError;

/// Who owns what was made under a role, from when a login ended on.
pub(super) const LEFT: &str = "attorn-left";
/// How many things are dropped in one transaction, and from how many on that is done.
const PORTION: i64 = 100;
/// In how many other databases a role may own something.
const DATABASES_MAX: i64 = 64;
/// What can be dropped by its kind and name, as the database has them.
const DROPPED: [&str; 12] = [
    "table",
    "view",
    "materialized view",
    "sequence",
    "foreign table",
    "type",
    "function",
    "procedure",
    "aggregate",
    "operator",
    "collation",
    "schema",
];

/// Drop what a role owns in the database of this connection until few of it is left, which `DROP OWNED` ends.
pub(super) async fn drop_many(connection: &Connection, oid: u32) -> Result<(), KindError> {
    let question = "SELECT o.type, o.identity, s.objid FROM pg_shdepend s, \
                    pg_identify_object(s.classid, s.objid, 0) o WHERE s.refclassid = 'pg_authid'::regclass \
                    AND s.refobjid = $1 AND s.deptype = 'o' AND s.objsubid = 0 \
                    AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT $2";
    loop {
        let rows = connection.client.query(question, &[&oid, &PORTION]).await?;
        let drops = rows.iter().filter_map(|row| drops(row).transpose()).collect::<Result<Vec<_>, _>>()?;
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) < PORTION || drops.is_empty() {
            return Ok(());
        }
        let dropped = connection.client.batch_execute(&format!("BEGIN; {}; COMMIT", drops.join("; "))).await;
        if dropped.is_err() {
            // What is in the way is in the way of `DROP OWNED`, too, which says so.
            return Ok(connection.client.batch_execute("ROLLBACK").await?);
        }
    }
}

/// What drops one thing; none if that is left to others.
fn drops(row: &Row) -> Result<Option<String>, KindError> {
    let (kind, identity): (Option<&str>, Option<&str>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(match (kind, identity) {
        (Some("large object"), _) => Some(format!("SELECT lo_unlink({})", row.try_get::<_, u32>(2)?)),
        (Some(kind), Some(identity)) if DROPPED.contains(&kind) => {
            Some(format!("DROP {kind} IF EXISTS {identity} CASCADE"))
        }
        // It went meanwhile, or is of a kind of which nobody has many.
        _ => None,
    })
}

/// The other databases in which it owns something, or was given something.
pub(super) async fn elsewhere(connection: &Connection, oid: u32) -> Result<Vec<SqlName>, KindError> {
    let question = "SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid \
                    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1 \
                    AND d.datname <> current_database() LIMIT $2";
    let rows = connection.client.query(question, &[&oid, &DATABASES_MAX]).await?;
    rows.iter().map(|row| parsed(row.try_get(0)?)).collect()
}

/// Those of these roles that a login of this server's has now. They owned nothing when they were given.
pub(super) async fn given(
    connection: &Connection,
    roles: &[SqlName],
    comment_begins: &str,
) -> Result<Vec<SqlName>, KindError> {
    let names: Vec<&str> = roles.iter().map(SqlName::as_str).collect();
    let question = "SELECT r.rolname::text FROM pg_roles r WHERE r.rolname = ANY ($1) AND EXISTS (\
                    SELECT 1 FROM pg_auth_members m WHERE m.roleid = r.oid \
                    AND starts_with(shobj_description(m.member, 'pg_authid'), $2))";
    let rows = connection.client.query(question, &[&names, &comment_begins]).await?;
    rows.iter().map(|row| parsed(row.try_get(0)?)).collect()
}

/// Take from these roles what they own. They were given to a login and owned nothing then, so it was made under them: no
/// other role may be named here.
pub(super) async fn take_from(
    connector: &Connector,
    connection: &Connection,
    roles: &[SqlName],
) -> Result<(), KindError> {
    let names: Vec<&str> = roles.iter().map(SqlName::as_str).collect();
    let question = "SELECT r.oid, r.rolname::text, pg_has_role(current_user, r.oid, 'USAGE') FROM pg_roles r \
                    WHERE r.rolname = ANY ($1) AND EXISTS (SELECT 1 FROM pg_shdepend s WHERE s.refobjid = r.oid \
                    AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o')";
    for row in connection.client.query(question, &[&names]).await? {
        let (oid, role, is_member): (u32, SqlName, bool) = (row.try_get(0)?, parsed(row.try_get(1)?)?, row.try_get(2)?);
        make_left(connection).await?;
        let takes = takes(&role, is_member);
        for database in elsewhere(connection, oid).await? {
            connector.to(&database).await?.client.batch_execute(&takes).await?;
        }
        connection.client.batch_execute(&takes).await?;
        tracing::error!(%role, to = LEFT, "what was made under a role that logins are given was taken from it");
    }
    Ok(())
}

/// Whoever takes must be a member of the role, and whoever gets must be able to make such things where they are. Neither
/// is for longer than that.
fn takes(role: &SqlName, is_member: bool) -> String {
    let role = quote::name(role);
    let (mut before, mut after) =
        (vec![format!("GRANT {role} TO \"{LEFT}\"")], vec![format!("REVOKE {role} FROM \"{LEFT}\"")]);
    if !is_member {
        before.push(format!("GRANT {role} TO CURRENT_USER"));
        after.push(format!("REVOKE {role} FROM CURRENT_USER"));
    }
    let (before, after) = (before.join("; "), after.join("; "));
    format!("BEGIN; {before}; REASSIGN OWNED BY {role} TO \"{LEFT}\"; {after}; COMMIT")
}

/// See that there is a role that may do nothing, and that the administrator may give it something.
async fn make_left(connection: &Connection) -> Result<(), KindError> {
    let question = "SELECT pg_has_role(current_user, oid, 'USAGE') FROM pg_roles WHERE rolname = $1";
    let there = connection.client.query_opt(question, &[&LEFT]).await?;
    let grants = format!("GRANT \"{LEFT}\" TO CURRENT_USER");
    match there.map(|row| row.try_get(0)).transpose()? {
        Some(true) => {}
        Some(false) => connection.client.batch_execute(&grants).await?,
        None => connection.client.batch_execute(&format!("BEGIN; CREATE ROLE \"{LEFT}\"; {grants}; COMMIT")).await?,
    }
    Ok(())
}

pub(super) fn parsed(name: &str) -> Result<SqlName, KindError> {
    name.parse().map_err(|error: attorn_core::ParseError| KindError::refused(error.to_string()))
}
