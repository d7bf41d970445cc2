//! What a schema declares of Cedar's context.
//!
//! Cedar takes a request only if its context has all that the schema requires of its action, and nothing else. Policies
//! are validated against the same schema, so none can ask for anything else. So a context is cut to what is declared
//! before Cedar sees it: attributes, and members of the records in them. What the agent gave is not cut: an argument that
//! nobody declared may mean something to whoever acts on it.
//!
//! A schema that requires what no context ever has would have every such request denied; it is refused.

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{EntityUid, Schema};
use cedar_policy_core::validator::ValidatorSchema;
use cedar_policy_core::validator::types::Type;

use crate::context::{Attributes, fields};

/// The contexts of all actions of a schema.
#[derive(Debug)]
pub(crate) struct Declared(HashMap<EntityUid, BTreeMap<String, Shape>>);

/// What of a value is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It has no members.
    Plain,
    /// Its members.
    Record(BTreeMap<String, Shape>),
    /// What is said of each of its values.
    Set(Box<Shape>),
}

impl Declared {
    /// What this schema declares, if these attributes can be all that it requires.
    pub(crate) fn new(schema: &Schema, attributes: &Attributes) -> Result<Self, String> {
        let core: &ValidatorSchema = schema.as_ref();
        let mut actions: Vec<&EntityUid> = schema.actions().collect();
        actions.sort();
        let mut declared = HashMap::new();
        for action in actions {
            let Some(context) = core.context_type(action.as_ref()) else { continue };
            attributes
                .check(context)
                .map_err(|problem| format!("at `schema`: the context of `{action}`: {problem}"))?;
            if let Shape::Record(members) = shape(context) {
                declared.insert(action.clone(), members);
            }
        }
        Ok(Self(declared))
    }

    /// What is declared of this action's context; nothing if the schema does not know the action.
    pub(crate) fn of(&self, action: &EntityUid) -> Option<&BTreeMap<String, Shape>> {
        self.0.get(action)
    }
}

fn shape(declared: &Type) -> Shape {
    match declared {
        Type::Record { attrs, .. } => {
            Shape::Record(attrs.iter().map(|(name, member)| (name.to_string(), shape(&member.attr_type))).collect())
        }
        Type::Set { element_type: Some(element) } => Shape::Set(Box::new(shape(element))),
        _ => Shape::Plain,
    }
}

impl Attributes {
    /// Whether a context can have all that is required.
    fn check(&self, context: &Type) -> Result<(), String> {
        for (name, declared) in required(context) {
            match self.source(name) {
                Some((part, path)) if self.is_of_settings() => {
                    let whole = [&[part.to_owned()][..], path].concat();
                    check_members(&whole, declared).map_err(|problem| format!("in `{name}`, {problem}"))?;
                }
                Some((part, _)) => check_members(&[part.to_owned()], declared)?,
                None if self.is_of_settings() => {
                    return Err(format!(
                        "it requires `{name}`, and the setting `context` has no such attribute, so every request would be \
                         denied; say where it comes from, or make it `{name}?`"
                    ));
                }
                None => {
                    return Err(format!(
                        "it requires `{name}`, and no context has that, so every request would be denied; say in the \
                         setting `context` where it comes from, such as `\"{name}\": \"arguments.{name}\"`, or make it \
                         `{name}?`"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Whether the records that the host makes can have all that is required of them. `path` leads to one.
fn check_members(path: &[String], declared: &Type) -> Result<(), String> {
    let declared = match declared {
        Type::Set { element_type: Some(element) } => element.as_ref(),
        other => other,
    };
    let path = path.join(".");
    let Some(fields) = fields(&path) else { return Ok(()) };
    for (name, declared) in required(declared) {
        if !fields.contains(&name) {
            let fields = fields.join("`, `");
            return Err(format!(
                "it requires `{path}.{name}`, and no context has that, so every request would be denied; there are `{fields}`"
            ));
        }
        check_members(&[path.clone(), name.to_owned()], declared)?;
    }
    Ok(())
}

/// The members that a record has to have, each with its type.
fn required(declared: &Type) -> impl Iterator<Item = (&str, &Type)> {
    let attrs = match declared {
        Type::Record { attrs, .. } => Some(attrs.iter()),
        _ => None,
    };
    let required = attrs.into_iter().flatten().filter(|(_, member)| member.is_required);
    required.map(|(name, member)| (name.as_str(), &*member.attr_type))
}

#[cfg(test)]
mod tests {
    use attorn_policy::testing::{self, Tested};
    use attorn_policy::{Context, Group, Verdict};
    use serde_json::{Value, json};

    use crate::Cedar;

    fn settings(context: &str) -> Value {
        let schema = format!(
            "entity User; entity Agent; entity Photo; action \"photo.view\" appliesTo {{ principal: User, resource: Photo, \
             context: {{ {context} }} }};"
        );
        json!({ "principal": "user", "policies": "permit(principal, action, resource);", "schema": schema })
    }

    fn asked() -> Context {
        let mut ctx = testing::context("photo.view", "photo/beach.jpg");
        ctx.user = Some(testing::user("usr-alice"));
        ctx
    }

    #[track_caller]
    fn says(settings: &Value, ctx: &Context, code: &str) {
        let said = Tested::<Cedar>::new(&settings.to_string()).unwrap().evaluate(ctx).unwrap();
        let reasons = match said {
            Verdict::Allow(allow) => allow.reasons,
            Verdict::Deny(reasons) => reasons,
            other => panic!("never said: {other:?}"),
        };
        assert_eq!(reasons[0].code, code, "{}", reasons[0].text);
    }

    #[track_caller]
    fn refused(settings: &Value, problem: &str) {
        let error = Tested::<Cedar>::new(&settings.to_string()).unwrap_err().to_string();
        assert!(error.contains("at `schema`: the context of `Action::\"photo.view\"`: "), "{error}");
        assert!(error.contains(problem), "{error}");
    }

    /// All natural schemas of a request work as they are, whatever else a request has.
    #[test]
    fn a_schema_declares_what_it_likes_of_what_there_is() {
        let mut ctx = asked();
        ctx.agent.labels = vec![("team".to_owned(), "faq".to_owned()), ("env".to_owned(), "test".to_owned())];
        ctx.user.as_mut().unwrap().claims = r#"{"email":"alice@example.org","age":null}"#.to_owned();
        ctx.user.as_mut().unwrap().groups =
            vec![Group { issuer: "https://x.example".into(), name: "staff".into(), asserted_at_ms: 5 }];
        for context in [
            "",
            "purpose: String",
            "agent: { id: String }",
            "agent: { entity: Agent, labels: { team?: String } }, user?: { id: String }",
            "user: { claims: { email: String }, groups: Set<{ name: String }> }",
            "time: datetime, time_ms: Long, hops: Long, nothing?: Long",
        ] {
            says(&settings(context), &ctx, "permitted");
        }
        // What is declared is kept to.
        for context in ["purpose: Long", "agent: { id: Long }", "user: { claims: { email: Long } }", "session: String"]
        {
            says(&settings(context), &ctx, "outside_schema");
        }
        says(&settings("user: { claims: { age?: Long } }"), &ctx, "not_representable");
    }

    #[test]
    fn what_the_agent_gave_is_not_cut() {
        let mut ctx = asked();
        ctx.request.arguments = r#"{"size":5}"#.to_owned();
        says(&settings("arguments: { size: Long }"), &ctx, "permitted");
        ctx.request.arguments = r#"{"size":5,"also":"delete"}"#.to_owned();
        says(&settings("arguments: { size: Long }"), &ctx, "outside_schema");
        let mut named = settings("given: { size: Long }");
        named["context"] = json!({ "given": "arguments" });
        says(&named, &ctx, "outside_schema");
    }

    /// One list of attributes serves actions that declare different ones.
    #[test]
    fn each_action_has_what_it_declares() {
        let mut settings = settings("size: Long");
        let more = " action \"photo.list\" appliesTo { principal: User, resource: Photo };";
        settings["schema"] = format!("{}{more}", settings["schema"].as_str().unwrap()).into();
        settings["context"] = json!({ "size": "arguments.size" });
        let mut ctx = asked();
        ctx.request.arguments = r#"{"size":5}"#.to_owned();
        says(&settings, &ctx, "permitted");
        ctx.request.action = "photo.list".to_owned();
        says(&settings, &ctx, "permitted");
        ctx.request.action = "photo.delete".to_owned();
        says(&settings, &ctx, "outside_schema");
    }

    #[test]
    fn what_no_context_ever_has_cannot_be_required() {
        refused(&settings("mfa: Bool"), "it requires `mfa`, and no context has that");
        refused(&settings("agent: { name: String }"), "it requires `agent.name`, and no context has that");
        let deep = "delegations: Set<{ hop: Long, permissions: Set<{ verb: String }> }>";
        refused(&settings(deep), "it requires `delegations.permissions.verb`");
        let mut named = settings("mfa: String, purpose: String");
        named["context"] = json!({ "mfa": "user.acr" });
        refused(&named, "it requires `purpose`, and the setting `context` has no such attribute");
        let mut named = settings("who: { name: String }");
        named["context"] = json!({ "who": "agent" });
        refused(&named, "in `who`, it requires `agent.name`");
        // What others write may have anything.
        for context in ["user: { claims: { a: Long } }", "facts: { a: Long }", "agent: { labels: { a: String } }"] {
            assert!(Tested::<Cedar>::new(&settings(context).to_string()).is_ok(), "{context}");
        }
    }
}
