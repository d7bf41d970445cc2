//! The settings: as JSON, and as what `evaluate` asks.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Authorizer, Request, RestrictedExpression, Schema};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::context::Attributes;
use crate::declared::Declared;
use crate::entities::{EntityFact, Groups, Sources};
use crate::names::Names;
use crate::place;
use crate::policies::{Link, Policies};

/// The host lets no grant live longer.
const GRANT_SECONDS_MAX: u64 = 60;
/// Facts that one policy of Attorn may ask for.
const FACTS_MAX: usize = 32;

/// Cedar's policies with all that they are asked about, found right.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub struct Cedar {
    pub(crate) principal: Principal,
    pub(crate) otherwise: Otherwise,
    pub(crate) policies: Policies,
    pub(crate) schema: Option<Schema>,
    /// What the schema declares of contexts, if there is one.
    pub(crate) declared: Option<Declared>,
    pub(crate) entities: Sources,
    pub(crate) names: Names,
    pub(crate) context: Attributes,
    pub(crate) facts: BTreeMap<String, String>,
    pub(crate) credentials: BTreeSet<String>,
    pub(crate) grant_seconds_max: Option<u64>,
    pub(crate) authorizer: Authorizer,
}

/// Who Cedar's principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Principal {
    Agent,
    User,
}

/// What is said where no policy permits and none forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Otherwise {
    Deny,
    Abstain,
}

/// Settings as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    principal: Principal,
    policies: Json,
    #[serde(default)]
    template_links: Vec<Link>,
    schema: Option<Json>,
    entities: Option<Json>,
    #[serde(default)]
    entity_facts: Vec<EntityFact>,
    #[serde(default)]
    facts: BTreeMap<String, String>,
    groups: Option<Groups>,
    namespace: Option<String>,
    resource_types: Option<BTreeMap<String, String>>,
    context: Option<BTreeMap<String, String>>,
    #[serde(default = "deny")]
    otherwise: Otherwise,
    #[serde(default = "reason")]
    reason_annotation: String,
    #[serde(default = "proxy")]
    credentials: BTreeSet<String>,
    grant_seconds_max: Option<u64>,
}

const fn deny() -> Otherwise {
    Otherwise::Deny
}

fn reason() -> String {
    "reason".to_owned()
}

fn proxy() -> BTreeSet<String> {
    BTreeSet::from(["proxy".to_owned()])
}

impl TryFrom<Settings> for Cedar {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        if let Some(seconds) = settings.grant_seconds_max
            && !(1..=GRANT_SECONDS_MAX).contains(&seconds)
        {
            return Err(format!("at `grant_seconds_max`: {seconds} is not between 1 and {GRANT_SECONDS_MAX}"));
        }
        let schema = settings.schema.map(schema).transpose()?;
        let text = text("policies", settings.policies)?;
        let policies = Policies::new(&text, settings.template_links, schema.as_ref(), &settings.reason_annotation)?;
        if policies.count() == 0 {
            return Err(
                "at `policies`: there is no policy; one that denies all is `forbid(principal, action, resource);`"
                    .into(),
            );
        }
        let entities = Sources::new(settings.entities, settings.entity_facts, settings.groups, schema.as_ref())?;
        let context = Attributes::new(settings.context)?;
        let declared = schema.as_ref().map(|schema| Declared::new(schema, &context)).transpose()?;
        let cedar = Self {
            principal: settings.principal,
            otherwise: settings.otherwise,
            policies,
            schema,
            entities,
            names: Names::new(settings.namespace, settings.resource_types)?,
            declared,
            context,
            facts: settings.facts,
            credentials: settings.credentials,
            grant_seconds_max: settings.grant_seconds_max,
            authorizer: Authorizer::new(),
        };
        let facts = cedar.templates().len();
        if facts > FACTS_MAX {
            return Err(format!("at `facts`: with `entity_facts` they are {facts}, and {FACTS_MAX} are the most"));
        }
        cedar.warm_up()?;
        Ok(cedar)
    }
}

impl Cedar {
    /// The templates of all facts, each once.
    pub(crate) fn templates(&self) -> BTreeSet<&str> {
        self.facts.values().map(String::as_str).chain(self.entities.templates()).collect()
    }

    /// Ask once about nothing in particular: what Cedar makes when it is first needed is then made, and stands in the
    /// snapshot that decisions start from.
    fn warm_up(&self) -> Result<(), String> {
        let failed = |error: String| format!("Cedar does not start: {error}");
        let values = [
            ("datetime", RestrictedExpression::new_datetime("2026-01-05T09:00:00.000Z")),
            ("decimal", RestrictedExpression::new_decimal("0.5")),
            ("duration", RestrictedExpression::new_duration("1d2h3m4s5ms")),
            ("ip", RestrictedExpression::new_ip("127.0.0.1/8")),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value));
        let context = cedar_policy::Context::from_pairs(values).map_err(|error| failed(error.to_string()))?;
        let (principal, action) = (self.names.agent("nobody"), self.names.action("nothing"));
        let resource = self.names.resource("nothing", "nothing").unwrap_or_else(|| self.names.user("nobody"));
        let request =
            Request::new(principal, action, resource, context, None).map_err(|error| failed(error.to_string()))?;
        self.authorizer.is_authorized(&request, &self.policies.set, &self.entities.fixed);
        Ok(())
    }
}

/// A text, or its lines.
fn text(field: &str, value: Json) -> Result<String, String> {
    let odd = || format!("at `{field}`: it is neither a text nor a list of lines");
    match value {
        Json::String(text) => Ok(text),
        Json::Array(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Json::as_str).collect();
            lines.map(|lines| lines.join("\n")).ok_or_else(odd)
        }
        _ => Err(odd()),
    }
}

/// In Cedar's own format, or in its JSON.
fn schema(value: Json) -> Result<Schema, String> {
    if value.is_object() {
        return Schema::from_json_value(value).map_err(|error| format!("at `schema`: {}", place::told("", &error)));
    }
    let text = text("schema", value)?;
    match Schema::from_cedarschema_str(&text) {
        Ok((schema, _)) => Ok(schema),
        Err(error) => Err(format!("at `schema`: {}", place::told(&text, &error))),
    }
}
