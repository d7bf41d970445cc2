//! How it is said whose approval is asked for.

use attorn_api::approvals::{Group, Wanted};
use attorn_api::decisions::ApprovalRequirement;

/// As policies and decisions have it: a role that is none of the two is a group of the user's provider.
pub(crate) fn required(one: &ApprovalRequirement) -> String {
    match (one.role.as_str(), one.count) {
        ("operator" | "user", count) => format!("{count} of role {}", one.role),
        (name, 1) => format!("1 member of group `{name}` of the user's provider"),
        (name, count) => format!("{count} members of group `{name}` of the user's provider"),
    }
}

/// As an approval has it.
pub(crate) fn wanted(one: &Wanted) -> String {
    match (&one.group, one.count) {
        (None, count) => format!("{count} of role {}", one.role),
        (Some(Group { issuer, name }), 1) => format!("1 member of group `{name}` of {issuer}"),
        (Some(Group { issuer, name }), count) => format!("{count} members of group `{name}` of {issuer}"),
    }
}

/// The same in few words, for a table.
pub(crate) fn briefly(all: &[Wanted]) -> String {
    let one = |one: &Wanted| match &one.group {
        None => format!("{} {}", one.count, one.role),
        Some(Group { name, .. }) => format!("{} of `{name}`", one.count),
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether a yes or no of an operator counts.
pub(crate) fn asks_operators(all: &[Wanted]) -> bool {
    all.iter().any(|one| one.role == "operator")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_told_from_a_role() {
        let required = |role: &str, count| required(&ApprovalRequirement { role: role.into(), count });
        assert_eq!(required("operator", 2), "2 of role operator");
        assert_eq!(required("user", 1), "1 of role user");
        assert_eq!(required("finance", 1), "1 member of group `finance` of the user's provider");
        assert_eq!(required("/A B", 2), "2 members of group `/A B` of the user's provider");
        let group = |name: &str| Some(Group { issuer: "https://sso.example".into(), name: name.into() });
        let wanted = |role: &str, group, count| wanted(&Wanted { role: role.into(), group, count });
        assert_eq!(wanted("operator", None, 2), "2 of role operator");
        let one = |role: &str, group, count| Wanted { role: role.into(), group, count };
        let mixed = [one("operator", None, 1), one("group", group("operator"), 2), one("user", None, 1)];
        assert_eq!(briefly(&mixed), "1 operator, 2 of `operator`, 1 user");
        assert!(asks_operators(&mixed) && !asks_operators(&mixed[1..]));
        assert_eq!(wanted("group", group("user"), 1), "1 member of group `user` of https://sso.example");
        assert_eq!(wanted("group", group("finance"), 2), "2 members of group `finance` of https://sso.example");
    }
}
