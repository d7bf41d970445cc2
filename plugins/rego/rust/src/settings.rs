//! The settings: as JSON, and as what `evaluate` asks.

use std::collections::{BTreeMap, BTreeSet};

use attorn_policy::{Requirements, Scope, Window};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::answer::{Answers, Code};
use crate::ask::Question;
use crate::facts::{self, Facts, Written};
use crate::input::Members;
use crate::modules::{BuiltinErrors, Modules};
use crate::reasons;

/// The host lets no grant live longer.
const GRANT_SECONDS_MAX: u64 = 60;
/// Facts that one policy of Attorn may ask for.
const FACTS_MAX: usize = 32;
/// Counters that it may have.
const COUNTERS_MAX: usize = 16;
/// Codes that it may declare.
const CODES_MAX: usize = 64;
/// Characters of a code.
const CODE_CHARS_MAX: usize = 64;
/// Characters of what a code means.
const TEXT_CHARS_MAX: usize = 256;

/// Rego's modules with all that they are asked about, found right.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub struct Rego {
    pub(crate) modules: Modules,
    pub(crate) asked: Asked,
    pub(crate) question: Question,
    pub(crate) input: Members,
    pub(crate) facts: Facts,
    pub(crate) answers: Answers,
    pub(crate) credentials: BTreeSet<String>,
    counters: BTreeMap<String, CounterOf>,
}

/// Which rules decide.
#[derive(Debug)]
pub(crate) enum Asked {
    /// One whose value is the whole answer.
    Decision(String),
    /// Those that allow and those that deny; one of them may be missing.
    Rules {
        /// The references, in this order.
        allow: Option<String>,
        /// As above.
        deny: Option<String>,
    },
}

/// What is said where no rule says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Otherwise {
    Deny,
    Abstain,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnBuiltinErrors {
    Deny,
    Undefined,
}

/// A counter that rules may debit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CounterOf {
    unit: String,
    scope: ScopeOf,
    window: WindowOf,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScopeOf {
    Agent,
    User,
    UserAgent,
    RootDelegation,
    Session,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WindowOf {
    Minute,
    Hour,
    Day,
    Month,
    Total,
}

/// The rules that decide, by their references.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    allow: Option<String>,
    deny: Option<String>,
    decision: Option<String>,
}

/// Settings as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    modules: BTreeMap<String, Json>,
    #[serde(default)]
    data: Map<String, Json>,
    #[serde(default = "one")]
    rego_version: u64,
    #[serde(default = "attorn")]
    package: String,
    rules: Option<Rules>,
    input: Option<BTreeMap<String, String>>,
    #[serde(default)]
    facts: BTreeMap<String, Written>,
    #[serde(default)]
    counters: BTreeMap<String, CounterOf>,
    #[serde(default)]
    reasons: BTreeMap<String, Code>,
    #[serde(default = "fail")]
    builtin_errors: OnBuiltinErrors,
    #[serde(default = "deny")]
    otherwise: Otherwise,
    #[serde(default = "proxy")]
    credentials: BTreeSet<String>,
    grant_seconds_max: Option<u64>,
}

const fn one() -> u64 {
    1
}

fn attorn() -> String {
    "attorn".to_owned()
}

const fn fail() -> OnBuiltinErrors {
    OnBuiltinErrors::Deny
}

const fn deny() -> Otherwise {
    Otherwise::Deny
}

fn proxy() -> BTreeSet<String> {
    BTreeSet::from(["proxy".to_owned()])
}

impl TryFrom<Settings> for Rego {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        if let Some(seconds) = settings.grant_seconds_max
            && !(1..=GRANT_SECONDS_MAX).contains(&seconds)
        {
            return Err(format!("at `grant_seconds_max`: {seconds} is not between 1 and {GRANT_SECONDS_MAX}"));
        }
        let is_v0 = match settings.rego_version {
            0 => true,
            1 => false,
            other => {
                return Err(format!("at `rego_version`: {other} is neither 1 nor, for what is older than OPA 1.0, 0"));
            }
        };
        let texts = settings.modules.into_iter().map(|(name, text)| {
            let text = self::text(&name, text)?;
            Ok((name, text))
        });
        let texts = texts.collect::<Result<BTreeMap<_, _>, String>>()?;
        let errors = match settings.builtin_errors {
            OnBuiltinErrors::Deny => BuiltinErrors::Deny,
            OnBuiltinErrors::Undefined => BuiltinErrors::Undefined,
        };
        let mut modules = Modules::new(&texts, Json::Object(settings.data).into(), is_v0, errors)?;
        let asked = Asked::new(&settings.package, settings.rules, settings.otherwise, &modules)?;
        check_codes(&settings.reasons)?;
        if settings.counters.len() > COUNTERS_MAX {
            return Err(format!(
                "at `counters`: they are {}, and {COUNTERS_MAX} are the most",
                settings.counters.len()
            ));
        }
        let facts = Facts::new(settings.facts, &modules)?;
        let question = Question::new(asked.rules(), facts.paths());
        modules.prepare(&question.module(is_v0))?;
        let rego = Self {
            asked,
            question,
            input: Members::new(settings.input)?,
            facts,
            answers: Answers {
                otherwise: settings.otherwise,
                grant_seconds_max: settings.grant_seconds_max,
                codes: settings.reasons,
                counters: settings.counters.keys().cloned().collect(),
            },
            credentials: settings.credentials,
            counters: settings.counters,
            modules,
        };
        let facts = rego.templates().len();
        if facts > FACTS_MAX {
            return Err(format!("at `facts`: they are {facts}, and {FACTS_MAX} are the most"));
        }
        rego.warm_up();
        Ok(rego)
    }
}

impl Rego {
    /// The templates of all facts, each once.
    pub(crate) fn templates(&self) -> BTreeSet<&str> {
        self.facts.templates().collect()
    }

    /// And these counters.
    pub(crate) fn declare_counters(&self, requirements: Requirements) -> Requirements {
        self.counters.iter().fold(requirements, |so_far, (name, counter)| {
            so_far.counter(name, &counter.unit, counter.scope.into(), counter.window.into())
        })
    }

    /// Ask once about nothing in particular: what the interpreter makes when it is first needed is then made, and stands
    /// in the snapshot that decisions start from. That the rules say nothing about nothing is no mistake.
    fn warm_up(&self) {
        let facts = self.facts.paths().iter().map(|_| Some(Json::Null)).collect();
        let _ = self.question.ask(self.modules.engine.clone(), Json::Object(Map::new()), facts, 0);
    }
}

impl Asked {
    fn new(package: &str, rules: Option<Rules>, otherwise: Otherwise, modules: &Modules) -> Result<Self, String> {
        let parts: Vec<String> = package.split('.').map(str::to_owned).collect();
        if let Some(odd) = parts.iter().find(|part| !facts::is_name(part)) {
            return Err(format!("at `package`: `{odd}` is no name in Rego; a package is named as in `httpapi.authz`"));
        }
        let rules = if let Some(rules) = rules {
            Rules {
                allow: checked("allow", rules.allow, modules)?,
                deny: checked("deny", rules.deny, modules)?,
                decision: checked("decision", rules.decision, modules)?,
            }
        } else {
            let found = |name: &str| {
                let is_there = modules.has_rule(&[parts.as_slice(), &[name.to_owned()]].concat());
                is_there.then(|| format!("data.{package}.{name}"))
            };
            match found("decision") {
                Some(decision) => Rules { decision: Some(decision), ..Rules::default() },
                None => Rules { allow: found("allow"), deny: found("deny"), decision: None },
            }
        };
        match rules {
            Rules { decision: Some(decision), allow: None, deny: None } => Ok(Self::Decision(decision)),
            Rules { decision: Some(_), .. } => {
                Err("at `rules`: it names a `decision` beside `allow` or `deny`; a decision is the whole answer".into())
            }
            Rules { allow: None, deny: None, .. } => Err(format!(
                "at `package`: the package `{package}` has no rule `allow`, `deny` or `decision`, and {}; name another \
                 package, or the rules themselves in `rules`",
                modules.listed()
            )),
            Rules { allow: None, .. } if otherwise == Otherwise::Deny => {
                Err("at `modules`: no rule could ever allow anything, since there is neither `allow` nor `decision`; \
                     write one, or let the policy abstain by `\"otherwise\": \"abstain\"`"
                    .into())
            }
            Rules { allow, deny, .. } => Ok(Self::Rules { allow, deny }),
        }
    }

    /// The references of all rules that are asked.
    fn rules(&self) -> Vec<String> {
        match self {
            Self::Decision(decision) => vec![decision.clone()],
            Self::Rules { allow, deny } => [allow, deny].into_iter().flatten().cloned().collect(),
        }
    }
}

fn checked(name: &str, reference: Option<String>, modules: &Modules) -> Result<Option<String>, String> {
    let Some(reference) = reference else { return Ok(None) };
    let at = |problem: String| format!("at `rules.{name}`: {problem}");
    let path: Vec<String> = reference.split('.').map(str::to_owned).collect();
    let named = path.first().is_some_and(|root| root == "data") && path.iter().all(|part| facts::is_name(part));
    if !named || path.len() < 2 {
        return Err(at(format!("`{reference}` refers to no rule; one is named as in `data.httpapi.authz.allow`")));
    }
    if !modules.has_rule(&path[1..]) {
        return Err(at(format!("there is no rule `{reference}`; {}", modules.listed())));
    }
    Ok(Some(reference))
}

/// A text, or its lines.
fn text(name: &str, value: Json) -> Result<String, String> {
    let odd = || format!("at `modules.{name}`: it is neither a text nor a list of lines");
    match value {
        Json::String(text) => Ok(text),
        Json::Array(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Json::as_str).collect();
            lines.map(|lines| lines.join("\n")).ok_or_else(odd)
        }
        _ => Err(odd()),
    }
}

fn check_codes(codes: &BTreeMap<String, Code>) -> Result<(), String> {
    for (code, about) in codes {
        let at = |problem: String| format!("at `reasons.{code}`: {problem}");
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let is_code = code.starts_with(|c: char| c.is_ascii_lowercase()) && code.bytes().all(allowed);
        if !is_code || code.len() > CODE_CHARS_MAX {
            return Err(at(format!(
                "`{code}` is no code; one is like `own_data`, with at most {CODE_CHARS_MAX} characters"
            )));
        }
        if reasons::OURS.iter().any(|ours| ours.code() == code) {
            return Err(at(format!("the code `{code}` is one that every Rego policy has; take another")));
        }
        if about.text.is_empty() || about.text.chars().count() > TEXT_CHARS_MAX {
            return Err(at(format!("its `text` has to have between 1 and {TEXT_CHARS_MAX} characters")));
        }
    }
    let most = CODES_MAX - reasons::OURS.len();
    if codes.len() > most {
        return Err(format!("at `reasons`: they are {}, and {most} are the most", codes.len()));
    }
    Ok(())
}

impl From<ScopeOf> for Scope {
    fn from(scope: ScopeOf) -> Self {
        match scope {
            ScopeOf::Agent => Self::Agent,
            ScopeOf::User => Self::User,
            ScopeOf::UserAgent => Self::UserAgent,
            ScopeOf::RootDelegation => Self::RootDelegation,
            ScopeOf::Session => Self::Session,
        }
    }
}

impl From<WindowOf> for Window {
    fn from(window: WindowOf) -> Self {
        match window {
            WindowOf::Minute => Self::Minute,
            WindowOf::Hour => Self::Hour,
            WindowOf::Day => Self::Day,
            WindowOf::Month => Self::Month,
            WindowOf::Total => Self::Total,
        }
    }
}
