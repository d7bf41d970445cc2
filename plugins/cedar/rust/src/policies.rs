//! Cedar's policies: parsed, named, checked against the schema, each with the code of its reason.

use std::collections::{BTreeMap, HashMap};

use attorn_policy::Requirements;
use cedar_policy::{Effect, EntityUid, Policy, PolicyId, PolicySet, Schema, SlotId, ValidationMode, Validator};
use serde::Deserialize;

use crate::{place, reasons};

/// The annotation that is a policy's id, as Cedar's own tools read it.
const ID: &str = "id";
/// The annotation that says what the reason means.
const TEXT: &str = "text";
/// The annotation by which the agent may read the reason.
const PUBLIC: &str = "public";
/// The most characters of that text.
const TEXT_CHARS_MAX: usize = 256;
/// The most characters of a code.
const CODE_CHARS_MAX: usize = 64;
/// The most codes that one policy of Attorn may declare.
const CODES_MAX: usize = 64;
/// The most errors that are told at once.
const ERRORS_MAX: usize = 3;

/// A policy that is made of a template, as Cedar's JSON has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Link {
    template_id: String,
    new_id: String,
    values: BTreeMap<String, serde_json::Value>,
}

/// All policies.
#[derive(Debug)]
pub(crate) struct Policies {
    pub(crate) set: PolicySet,
    codes: HashMap<PolicyId, String>,
    reasons: BTreeMap<String, Declared>,
}

/// The reason of one or several policies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    annotation: String,
    effect: Effect,
    pub(crate) text: String,
    pub(crate) public: bool,
}

impl Policies {
    /// Read them. `annotation` is the one whose value becomes the code of a policy's reason.
    pub(crate) fn new(text: &str, links: Vec<Link>, schema: Option<&Schema>, annotation: &str) -> Result<Self, String> {
        let parsed = text.parse::<PolicySet>();
        let parsed = parsed.map_err(|error| format!("at `policies`: {}", place::told(text, &error)))?;
        let mut set = named(&parsed)?;
        for (at, link) in links.into_iter().enumerate() {
            link.add_to(&mut set).map_err(|problem| format!("at `template_links[{at}]`: {problem}"))?;
        }
        if let Some(schema) = schema {
            validate(&set, schema, text)?;
        }
        let mut policies = Self { set, codes: HashMap::new(), reasons: BTreeMap::new() };
        policies.read_reasons(annotation)?;
        Ok(policies)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.set.num_of_policies()
    }

    /// The code of a policy's reason; none if it has none of its own.
    pub(crate) fn code(&self, id: &PolicyId) -> Option<(&str, &Declared)> {
        let (code, declared) = self.reasons.get_key_value(self.codes.get(id)?)?;
        Some((code, declared))
    }

    /// Whether it forbids. One that is not there is taken to.
    pub(crate) fn forbids(&self, id: &PolicyId) -> bool {
        self.set.policy(id).is_none_or(|policy| policy.effect() == Effect::Forbid)
    }

    /// The reasons that policies have of their own.
    pub(crate) fn declare(&self, requirements: Requirements) -> Requirements {
        let reasons = self.reasons.iter();
        reasons.fold(requirements, |so_far, (code, reason)| so_far.reason(code, &reason.text, reason.public))
    }

    fn read_reasons(&mut self, annotation: &str) -> Result<(), String> {
        let mut policies: Vec<&Policy> = self.set.policies().collect();
        policies.sort_by_key(|policy| policy.id().clone());
        for policy in policies {
            // Without a value, an annotation says nothing that could be a code.
            let (id, at) =
                (policy.id(), |problem: String| format!("at `policies`: policy `{}`: {problem}", policy.id()));
            let Some(value) = policy.annotation(annotation).filter(|value| !value.is_empty()) else {
                if is_public(policy).map_err(at)? {
                    return Err(at(format!(
                        "it has `@{PUBLIC}` and no `@{annotation}`, so there is no reason that the agent could read; give \
                         it one, such as `@{annotation}(\"own_data\")`, or take `@{PUBLIC}` away"
                    )));
                }
                continue;
            };
            let code = sanitised(value).ok_or_else(|| {
                at(format!("`{value}` makes no code; a code begins with a letter and has at most 64 characters"))
            })?;
            let declared = Declared::of(policy, value).map_err(at)?;
            if reasons::OURS.iter().any(|ours| ours.code() == code) {
                return Err(at(format!("the code `{code}` is one that every Cedar policy has; take another")));
            }
            if let Some(other) = self.reasons.get(&code) {
                let why = if other.annotation != declared.annotation {
                    format!("`{}` and `{value}` both become `{code}`; name one otherwise", other.annotation)
                } else if other != &declared {
                    format!("another policy has the code `{code}` with another effect, `@text` or `@public`")
                } else {
                    String::new()
                };
                if !why.is_empty() {
                    return Err(at(why));
                }
            }
            self.codes.insert(id.clone(), code.clone());
            self.reasons.insert(code, declared);
        }
        let (count, most) = (self.reasons.len(), CODES_MAX - reasons::OURS.len());
        if count > most {
            return Err(format!(
                "at `policies`: they have {count} codes by `@{annotation}`, and {most} are the most; let policies \
                 share codes, or name another annotation in `reason_annotation`"
            ));
        }
        Ok(())
    }
}

impl Declared {
    fn of(policy: &Policy, annotation: &str) -> Result<Self, String> {
        let effect = policy.effect();
        let text = match policy.annotation(TEXT).filter(|text| !text.is_empty()) {
            Some(text) if text.chars().count() > TEXT_CHARS_MAX => {
                return Err(format!("its `@text` has more than {TEXT_CHARS_MAX} characters"));
            }
            Some(text) => text,
            None if effect == Effect::Permit => "a Cedar policy permits it",
            None => "a Cedar policy forbids it",
        };
        Ok(Self { annotation: annotation.to_owned(), effect, text: text.to_owned(), public: is_public(policy)? })
    }
}

/// Whether the agent may read its reason.
fn is_public(policy: &Policy) -> Result<bool, String> {
    match policy.annotation(PUBLIC) {
        None | Some("false") => Ok(false),
        Some("" | "true") => Ok(true),
        Some(other) => Err(format!("its `@{PUBLIC}` is `{other}`, and `true` or `false` is right")),
    }
}

impl Link {
    fn add_to(self, set: &mut PolicySet) -> Result<(), String> {
        let mut values = HashMap::new();
        for (slot, value) in self.values {
            let slot = match slot.as_str() {
                "?principal" => SlotId::principal(),
                "?resource" => SlotId::resource(),
                _ => return Err(format!("`{slot}` is no slot; `?principal` and `?resource` are")),
            };
            values.insert(slot, EntityUid::from_json(value).map_err(|error| place::told("", &error))?);
        }
        let (template, new) = (PolicyId::new(self.template_id), PolicyId::new(self.new_id));
        set.link(template, new, values).map_err(|error| place::told("", &error))
    }
}

/// The same policies and templates, under the ids that they give themselves.
fn named(parsed: &PolicySet) -> Result<PolicySet, String> {
    let mut set = PolicySet::new();
    let twice = |id: &PolicyId| format!("at `policies`: two policies have the id `{id}`");
    for policy in parsed.policies() {
        let id = id(policy.annotation(ID), policy.id());
        set.add(policy.new_id(id.clone())).map_err(|_| twice(&id))?;
    }
    for template in parsed.templates() {
        let id = id(template.annotation(ID), template.id());
        set.add_template(template.new_id(id.clone())).map_err(|_| twice(&id))?;
    }
    Ok(set)
}

fn id(annotation: Option<&str>, otherwise: &PolicyId) -> PolicyId {
    annotation.filter(|id| !id.is_empty()).map_or_else(|| otherwise.clone(), PolicyId::new)
}

fn validate(set: &PolicySet, schema: &Schema, text: &str) -> Result<(), String> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let mut errors: Vec<String> = result.validation_errors().map(|error| place::told(text, error)).collect();
    if errors.is_empty() {
        return Ok(());
    }
    errors.sort();
    let more = errors.len().saturating_sub(ERRORS_MAX);
    errors.truncate(ERRORS_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(format!("at `policies`: {}{more}", errors.join("; ")))
}

/// The code that this text makes: in small letters, and with `_` for all that is neither letter nor digit.
fn sanitised(text: &str) -> Option<String> {
    let mut code = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => code.push(c),
            _ if code.ends_with('_') => {}
            _ => code.push('_'),
        }
    }
    let code = code.trim_matches('_');
    (code.starts_with(|c: char| c.is_ascii_lowercase()) && code.len() <= CODE_CHARS_MAX).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policies, String> {
        Policies::new(text, Vec::new(), None, "reason")
    }

    #[track_caller]
    fn refused(text: &str, problem: &str) {
        let error = read(text).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn codes_are_of_their_alphabet() {
        for (text, code) in [
            ("own_data", Some("own_data")),
            ("Own data!", Some("own_data")),
            ("--a--B--", Some("a_b")),
            ("ünïcode", Some("n_code")),
            ("", None),
            ("1st", None),
            ("___", None),
            ("日本", None),
        ] {
            assert_eq!(sanitised(text).as_deref(), code, "{text}");
        }
        assert!(sanitised(&"a".repeat(64)).is_some());
        assert_eq!(sanitised(&"a".repeat(65)), None);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        refused("permit(principal, action, resource);\npermit(principal action, resource);", "line 2, column 18: ");
        refused("permit(principal, action, resource)", "line 1, column ");
        refused("permit(principal, action, resource) when { foo(1) };", "line 1, column 44: ");
    }

    #[test]
    fn codes_that_would_be_confused_are_refused() {
        let policy = |effect: &str, annotations: &str| format!("{annotations} {effect}(principal, action, resource);");
        let two = |a: &str, b: &str| read(&format!("{}{}", policy("permit", a), policy("permit", b)));
        assert!(two("@reason(\"a\")", "@reason(\"a\")").is_ok());
        // Who wants no reason to be read needs none.
        assert!(two("@public(\"false\")", "@reason(\"a\")").is_ok());
        for (a, b, problem) in [
            ("@reason(\"a-b\")", "@reason(\"a_b\")", "`a-b` and `a_b` both become `a_b`"),
            ("@reason(\"a\")", "@reason(\"a\") @public", "another policy has the code `a`"),
            ("@reason(\"a\")", "@reason(\"a\") @text(\"other\")", "another policy has the code `a`"),
            ("@reason(\"1\")", "", "`1` makes no code"),
            ("@reason(\"no permit\")", "", "the code `no_permit` is one that every Cedar policy has"),
            ("@reason(\"a\") @public(\"yes\")", "", "its `@public` is `yes`"),
            ("@public", "", "policy `policy0`: it has `@public` and no `@reason`"),
            ("@id(\"x\") @reason @public(\"true\")", "", "policy `x`: it has `@public` and no `@reason`"),
            ("@public(\"yes\")", "", "its `@public` is `yes`"),
            ("@id(\"x\")", "@id(\"x\")", "two policies have the id `x`"),
        ] {
            let error = two(a, b).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        let both = [policy("permit", "@reason(\"a\")"), policy("forbid", "@reason(\"a\")")].concat();
        refused(&both, "another policy has the code `a` with another effect");
        refused(
            &policy("permit", &format!("@reason(\"a\") @text(\"{}\")", "x".repeat(257))),
            "its `@text` has more than 256 characters",
        );
    }

    #[test]
    fn codes_are_bounded_and_may_be_shared() {
        let most = CODES_MAX - reasons::OURS.len();
        let policy = |code: usize| format!("@reason(\"r{code}\") permit(principal, action, resource);");
        let text =
            |codes: usize, policies: usize| (0..policies).map(|n| policy(n % codes)).collect::<Vec<_>>().concat();
        assert_eq!(read(&text(most, 150)).unwrap().count(), 150);
        let error = read(&text(most + 1, 150)).unwrap_err();
        assert!(error.contains("let policies share codes"), "{error}");
    }

    #[test]
    fn policies_go_by_the_ids_that_they_give_themselves() {
        let policies = read(
            "@id(\"mine\") permit(principal, action, resource); forbid(principal, action, resource) when { false };",
        )
        .unwrap();
        let mut ids: Vec<String> = policies.set.policies().map(|policy| policy.id().to_string()).collect();
        ids.sort();
        assert_eq!(ids, ["mine", "policy1"]);
        assert!(policies.forbids(&PolicyId::new("policy1")) && !policies.forbids(&PolicyId::new("mine")));
        assert!(policies.forbids(&PolicyId::new("nobody's")));
    }
}
