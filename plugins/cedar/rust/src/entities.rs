//! Entities: those that stand in the settings, those that facts bring, and the groups that the user is in.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use attorn_policy::{Context, Error, User};
use cedar_policy::{Entities, Entity, EntityTypeName, EntityUid, Schema};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::names::{self, Names};
use crate::place;

/// A fact that is an entity or a list of them, as Cedar's JSON has them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntityFact {
    template: String,
    types: Vec<String>,
    #[serde(default = "yes")]
    required: bool,
}

/// Whose groups are taken over, and how old they may be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Groups {
    issuer: String,
    seconds_max: u64,
}

/// Where entities come from.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) fixed: Entities,
    facts: Vec<Fact>,
    groups: Option<Groups>,
}

#[derive(Debug)]
struct Fact {
    template: String,
    types: BTreeSet<EntityTypeName>,
    required: bool,
}

/// What came of it.
pub(crate) enum Gathered<'a> {
    /// All entities of this request.
    All(Cow<'a, Entities>),
    /// The fact of this template is missing.
    Missing(&'a str),
}

const fn yes() -> bool {
    true
}

impl Sources {
    pub(crate) fn new(
        fixed: Option<Json>,
        facts: Vec<EntityFact>,
        groups: Option<Groups>,
        schema: Option<&Schema>,
    ) -> Result<Self, String> {
        let fixed = fixed.unwrap_or_else(|| Json::Array(Vec::new()));
        let fixed = Entities::from_json_value(fixed, schema)
            .map_err(|error| format!("at `entities`: {}", place::told("", &error)))?;
        let facts = facts
            .into_iter()
            .enumerate()
            .map(|(at, fact)| Fact::new(fact).map_err(|problem| format!("at `entity_facts[{at}].types`: {problem}")));
        Ok(Self { fixed, facts: facts.collect::<Result<_, _>>()?, groups })
    }

    /// The templates of the facts.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &str> {
        self.facts.iter().map(|fact| fact.template.as_str())
    }

    /// The entities of this request.
    pub(crate) fn gather(&self, ctx: &Context, names: &Names, schema: Option<&Schema>) -> Result<Gathered<'_>, Error> {
        let mut brought = Vec::new();
        for fact in &self.facts {
            match ctx.fact::<Json>(&fact.template)? {
                // A list of nothing brings as little as no fact.
                Some(Json::Array(none)) if none.is_empty() && fact.required => {
                    return Ok(Gathered::Missing(&fact.template));
                }
                Some(value) => fact.read(value, schema, &mut brought)?,
                None if fact.required => return Ok(Gathered::Missing(&fact.template)),
                None => {}
            }
        }
        let mut changed = None;
        if let Some(user) = &ctx.user {
            let groups = self.groups_of(user, ctx.time, names);
            if !groups.is_empty() {
                changed = self.with_groups(&names.user(&user.id), groups, &mut brought)?;
            }
        }
        if brought.is_empty() && changed.is_none() {
            return Ok(Gathered::All(Cow::Borrowed(&self.fixed)));
        }
        let failed = |error| Error::new(format!("entities: {}", place::told("", &error)));
        let mut all = self.fixed.clone().add_entities(brought, schema).map_err(failed)?;
        if let Some(user) = changed {
            all = all.upsert_entities([user], schema).map_err(failed)?;
        }
        Ok(Gathered::All(Cow::Owned(all)))
    }

    fn groups_of(&self, user: &User, now_ms: u64, names: &Names) -> HashSet<EntityUid> {
        let Some(Groups { issuer, seconds_max }) = &self.groups else { return HashSet::new() };
        let oldest_ms = now_ms.saturating_sub(seconds_max.saturating_mul(1_000));
        let groups = user.groups.iter().filter(|group| group.issuer == *issuer && group.asserted_at_ms >= oldest_ms);
        groups.map(|group| names.group(&group.name)).collect()
    }

    /// Put the user into these groups. Gives the user where they stand in the settings, whom this takes the place of.
    fn with_groups(
        &self,
        user: &EntityUid,
        groups: HashSet<EntityUid>,
        brought: &mut Vec<Entity>,
    ) -> Result<Option<Entity>, Error> {
        if let Some(entity) = brought.iter_mut().find(|entity| entity.uid() == *user) {
            *entity = joined(entity, &groups)?;
        } else if let Some(entity) = self.fixed.get(user) {
            return Ok(Some(joined(entity, &groups)?));
        } else {
            brought.push(Entity::new_no_attrs(user.clone(), groups));
        }
        Ok(None)
    }
}

impl Fact {
    fn new(fact: EntityFact) -> Result<Self, String> {
        let types = fact.types.iter().map(|name| names::parse(name)).collect::<Result<BTreeSet<_>, _>>()?;
        if types.is_empty() {
            return Err("it is empty, so the fact could bring nothing".into());
        }
        if types.iter().any(Names::is_action) {
            return Err("actions come from the settings alone".into());
        }
        Ok(Self { template: fact.template, types, required: fact.required })
    }

    fn read(&self, value: Json, schema: Option<&Schema>, brought: &mut Vec<Entity>) -> Result<(), Error> {
        let at = |problem: String| Error::new(format!("fact `{}`: {problem}", self.template));
        let values = match value {
            Json::Array(values) => values,
            one => vec![one],
        };
        for value in values {
            let entity = Entity::from_json_value(value, schema).map_err(|error| at(place::told("", &error)))?;
            let uid = entity.uid();
            if !self.types.contains(uid.type_name()) {
                return Err(at(format!("it brings {uid}, and `types` does not list that type")));
            }
            brought.push(entity);
        }
        Ok(())
    }
}

/// The same entity, in these groups too. Cedar has no way to add a parent but by its JSON, which it writes itself here.
fn joined(entity: &Entity, groups: &HashSet<EntityUid>) -> Result<Entity, Error> {
    let failed = |error| Error::new(format!("entities: {}", place::told("", &error)));
    let mut json = entity.to_json_value().map_err(failed)?;
    let Some(Json::Array(parents)) = json.get_mut("parents") else {
        return Err(Error::new("entities: Cedar wrote an entity without parents"));
    };
    for group in groups {
        parents.push(group.to_json_value()?);
    }
    Entity::from_json_value(json, None).map_err(failed)
}
