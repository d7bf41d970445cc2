//! How agents, users, actions and resources are named in Cedar.

use std::collections::BTreeMap;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};

/// The types of all that a request is about.
#[derive(Debug)]
pub(crate) struct Names {
    namespace: Option<String>,
    agent: EntityTypeName,
    user: EntityTypeName,
    group: EntityTypeName,
    action: EntityTypeName,
    /// Where these are listed, there are no others.
    resources: Option<BTreeMap<String, EntityTypeName>>,
}

impl Names {
    /// The types in this namespace; resources of the listed types, or of all whose names can be told apart.
    pub(crate) fn new(namespace: Option<String>, resources: Option<BTreeMap<String, String>>) -> Result<Self, String> {
        if let Some(namespace) = &namespace {
            parse(namespace).map_err(|error| format!("at `namespace`: {error}"))?;
        }
        let name = |name: &str| parse(&qualified(namespace.as_deref(), name));
        let (agent, user, group, action) = (name("Agent")?, name("User")?, name("Group")?, name("Action")?);
        let resources = resources.map(listed).transpose()?;
        Ok(Self { namespace, agent, user, group, action, resources })
    }

    pub(crate) fn agent(&self, id: &str) -> EntityUid {
        uid(&self.agent, id)
    }

    pub(crate) fn user(&self, id: &str) -> EntityUid {
        uid(&self.user, id)
    }

    pub(crate) fn group(&self, name: &str) -> EntityUid {
        uid(&self.group, name)
    }

    pub(crate) fn action(&self, action: &str) -> EntityUid {
        uid(&self.action, action)
    }

    /// The resource; none if its type has no name in Cedar.
    pub(crate) fn resource(&self, resource_type: &str, id: &str) -> Option<EntityUid> {
        if let Some(listed) = &self.resources {
            return listed.get(resource_type).map(|name| uid(name, id));
        }
        let name = qualified(self.namespace.as_deref(), &derived(resource_type)?);
        parse(&name).ok().map(|name| uid(&name, id))
    }

    /// Whether this is the type of actions.
    pub(crate) fn is_action(name: &EntityTypeName) -> bool {
        name.basename() == "Action"
    }
}

fn listed(resources: BTreeMap<String, String>) -> Result<BTreeMap<String, EntityTypeName>, String> {
    let mut names: BTreeMap<String, EntityTypeName> = BTreeMap::new();
    for (resource_type, name) in resources {
        let at = |problem: String| format!("at `resource_types.{resource_type}`: {problem}");
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        if !(1..=64).contains(&resource_type.len()) || !resource_type.bytes().all(allowed) {
            return Err(at(format!("`{resource_type}` is no resource type")));
        }
        let name = parse(&name).map_err(at)?;
        if let Some((other, _)) = names.iter().find(|(_, other)| **other == name) {
            return Err(at(format!("`{name}` is `{other}` already, and Cedar could not tell them apart")));
        }
        names.insert(resource_type, name);
    }
    Ok(names)
}

/// The name of a type in Cedar: `opening-hours` is `OpeningHours`. No two types have one name: a capital letter stands
/// for a hyphen and that letter. A type that does not begin with a letter, or where something else follows a hyphen, has
/// none.
fn derived(resource_type: &str) -> Option<String> {
    let mut name = String::with_capacity(resource_type.len());
    let mut is_first = true;
    for c in resource_type.chars() {
        match c {
            'a'..='z' if is_first => {
                name.push(c.to_ascii_uppercase());
                is_first = false;
            }
            'a'..='z' | '0'..='9' | '_' if !is_first => name.push(c),
            '-' if !is_first => is_first = true,
            _ => return None,
        }
    }
    // A hyphen at the end, or nothing at all.
    if is_first { None } else { Some(name) }
}

fn qualified(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}::{name}"),
        None => name.to_owned(),
    }
}

/// A type's name, such as `Shop::Order`.
pub(crate) fn parse(name: &str) -> Result<EntityTypeName, String> {
    name.parse().map_err(|_| format!("`{name}` is no name in Cedar, such as `Shop` or `Shop::Order`"))
}

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_type_without_a_name_of_its_own_has_none() {
        for resource_type in ["", "-", "-a", "a-", "a--b", "a-1", "a-_", "1a", "_a", "A", "é"] {
            assert_eq!(derived(resource_type), None, "{resource_type}");
        }
        for (resource_type, name) in [
            ("photo", "Photo"),
            ("opening-hours", "OpeningHours"),
            ("opening_hours", "Opening_hours"),
            ("a-b-c", "ABC"),
            ("v2", "V2"),
            ("in", "In"),
        ] {
            assert_eq!(derived(resource_type).as_deref(), Some(name));
        }
    }

    #[test]
    fn no_two_types_have_one_name() {
        // All types of up to five of these.
        let mut types = vec![String::new()];
        let mut all = Vec::new();
        for _ in 0..5 {
            types = types.iter().flat_map(|start| ["a", "b", "-", "_", "1"].map(|c| format!("{start}{c}"))).collect();
            all.extend(types.clone());
        }
        let named: Vec<String> = all.iter().filter_map(|resource_type| derived(resource_type)).collect();
        assert!(named.len() > 500);
        assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len());
    }

    #[test]
    fn listed_types_are_all_there_are() {
        let list = |pairs: &[(&str, &str)]| {
            Names::new(None, Some(pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect()))
        };
        let names = list(&[("photo", "Flash::Photo")]).unwrap();
        assert_eq!(names.resource("photo", "a\"b").unwrap().to_string(), r#"Flash::Photo::"a\"b""#);
        assert_eq!(names.resource("album", "1"), None);
        for (pairs, problem) in [
            (&[("photo", "P"), ("picture", "P")][..], "at `resource_types.picture`: `P` is `photo` already"),
            (&[("Photo", "P")], "at `resource_types.Photo`: `Photo` is no resource type"),
            (&[("photo", "P::")], "at `resource_types.photo`: `P::` is no name in Cedar"),
            (&[("photo", "if")], "at `resource_types.photo`: `if` is no name in Cedar"),
        ] {
            let error = list(pairs).unwrap_err();
            assert!(error.starts_with(problem), "{error}");
        }
        assert!(Names::new(Some("A::\"b\"".into()), None).unwrap_err().starts_with("at `namespace`: "));
    }

    #[test]
    fn ids_are_taken_as_they_are() {
        let names = Names::new(Some("Shop".into()), None).unwrap();
        let resource = names.resource("file", "team-a/plan.md").unwrap();
        assert_eq!(resource.type_name().to_string(), "Shop::File");
        assert_eq!(AsRef::<str>::as_ref(resource.id()), "team-a/plan.md");
        assert_eq!(names.action("account.read").to_string(), r#"Shop::Action::"account.read""#);
    }
}
