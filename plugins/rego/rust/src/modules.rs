//! Rego's modules: read, and searched for what a policy here cannot do, before anything is asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};

use regorus::unstable::{Module, Span};
use regorus::{Engine, PolicyLengthConfig, Value};

use crate::walk::{self, Call, Found};
use crate::{ask, builtins, guard, place};

/// Characters of one line.
const COLUMNS_MAX: NonZeroU32 = NonZeroU32::new(16 << 10).unwrap();
/// Lines of one module.
const LINES_MAX: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// Bytes of one module; `guard` bounds all of them.
const FILE_BYTES_MAX: NonZeroUsize = NonZeroUsize::new(guard::BYTES_MAX).unwrap();

/// What is done where a builtin's arguments are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuiltinErrors {
    /// The evaluation fails, which denies.
    Deny,
    /// The call is undefined, as in OPA.
    Undefined,
}

/// Modules that were found right, ready to be asked.
#[derive(Debug)]
pub(crate) struct Modules {
    pub(crate) engine: Engine,
    rules: Vec<Vec<String>>,
}

impl Modules {
    /// Read these, by their names. `is_v0`: whether they are written as before OPA 1.0.
    pub(crate) fn new(
        texts: &BTreeMap<String, String>,
        data: Value,
        is_v0: bool,
        errors: BuiltinErrors,
    ) -> Result<Self, String> {
        let at = |problem: String| format!("at `modules`: {problem}");
        let bytes: usize = texts.values().map(String::len).sum();
        if bytes > guard::BYTES_MAX {
            return Err(at(format!("they are {bytes} bytes long, and {} are the most", guard::BYTES_MAX)));
        }
        if texts.len() > guard::MODULES_MAX {
            return Err(at(format!("they are {}, and {} are the most", texts.len(), guard::MODULES_MAX)));
        }
        let mut engine = Engine::new();
        engine.set_rego_v0(is_v0);
        engine.set_policy_length_config(PolicyLengthConfig {
            max_col: COLUMNS_MAX,
            max_file_bytes: FILE_BYTES_MAX,
            max_lines: LINES_MAX,
        });
        engine.set_strict_builtin_errors(errors == BuiltinErrors::Deny);
        engine.set_gather_prints(true);
        for (name, text) in texts {
            guard::check(text).map_err(|(line, why)| at(format!("{name}:{line}: {why}")))?;
            engine.add_policy(name.clone(), text.clone()).map_err(|error| at(place::told(&error)))?;
        }
        builtins::add_to(&mut engine, errors == BuiltinErrors::Deny).map_err(|error| at(place::told(&error)))?;
        let modules: Vec<_> = engine.get_modules().clone();
        let found: Vec<(&Module, Vec<Found>)> = modules.iter().map(|module| (&**module, walk::rules(module))).collect();
        check_calls(&found).map_err(at)?;
        let is_ours = |(module, _): &&(&Module, _)| {
            walk::fixed_path(&module.package.refr).first().is_some_and(|first| first == ask::PACKAGE)
        };
        if let Some((module, _)) = found.iter().find(is_ours) {
            let place = shown(&module.package.span);
            return Err(at(format!("{place}: no package begins with `{}`", ask::PACKAGE)));
        }
        let rules = found.iter().flat_map(|(_, rules)| rules).filter(|rule| !rule.is_function);
        let rules: Vec<Vec<String>> = rules.map(|rule| rule.path.clone()).collect();
        if let Some(rule) = rules.iter().find(|rule| is_in_the_way(rule, &data)) {
            let rule = rule.join(".");
            return Err(format!("at `data`: it has a value where the rule `data.{rule}` is; one of them has to go"));
        }
        engine.add_data(data).map_err(|error| format!("at `data`: {}", place::told(&error)))?;
        Ok(Self { engine, rules })
    }

    /// Add the module that asks the others, and see whether all fit together.
    pub(crate) fn prepare(&mut self, asking: &str) -> Result<(), String> {
        let added = self.engine.add_policy(ask::PACKAGE.to_owned(), asking.to_owned());
        let prepared = added.and_then(|_| self.engine.eval_query("true".to_owned(), false));
        prepared.map(drop).map_err(|error| format!("at `modules`: {}", place::told(&error)))
    }

    /// Whether there is a rule at this path, or one below it.
    pub(crate) fn has_rule(&self, path: &[String]) -> bool {
        self.rules.iter().any(|rule| rule.starts_with(path))
    }

    /// Whether some rule is at this path, above it or below it.
    pub(crate) fn touches(&self, path: &[String]) -> bool {
        self.rules.iter().any(|rule| rule.starts_with(path) || path.starts_with(rule))
    }

    /// The rules that there are, for whoever looks for one that is not.
    pub(crate) fn listed(&self) -> String {
        let names: BTreeSet<String> = self.rules.iter().map(|rule| format!("`data.{}`", rule.join("."))).collect();
        match names.len() {
            0 => "there are no rules".to_owned(),
            1..=8 => format!("there are {}", names.into_iter().collect::<Vec<_>>().join(", ")),
            count => {
                let first: Vec<String> = names.into_iter().take(8).collect();
                format!("there are {} and {} more", first.join(", "), count - 8)
            }
        }
    }
}

/// Whether `data` has a value where this rule is, or one that is no object above it. The interpreter would take that value
/// and leave the rule out.
fn is_in_the_way(rule: &[String], data: &Value) -> bool {
    let mut at = data;
    for part in rule {
        let Value::Object(_) = at else { return true };
        at = &at[part.as_str()];
        if *at == Value::Undefined {
            return false;
        }
    }
    true
}

/// That nothing is called that is not there, and that no function calls itself.
fn check_calls(modules: &[(&Module, Vec<Found>)]) -> Result<(), String> {
    let all = modules.iter().flat_map(|(_, rules)| rules);
    let functions: BTreeSet<&[String]> = all.filter(|rule| rule.is_function).map(|rule| rule.path.as_slice()).collect();
    let mut called: BTreeMap<&[String], BTreeSet<Vec<String>>> = BTreeMap::new();
    for (module, rules) in modules {
        let names = Names::of(module);
        for rule in rules {
            for call in &rule.calls {
                match names.function(&call.name, &functions) {
                    Some(path) if rule.is_function => {
                        called.entry(&rule.path).or_default().insert(path);
                    }
                    Some(_) => {}
                    None => check_builtin(call)?,
                }
            }
        }
    }
    let spans = modules.iter().flat_map(|(_, rules)| rules).map(|rule| (rule.path.as_slice(), &rule.span));
    let spans: BTreeMap<&[String], &Span> = spans.collect();
    for function in &functions {
        let mut reached: BTreeSet<&[String]> = BTreeSet::new();
        let mut next: Vec<&[String]> = vec![function];
        while let Some(at) = next.pop() {
            for other in called.get(at).into_iter().flatten() {
                if other == function {
                    let place = spans.get(function).map_or_else(String::new, |span| shown(span));
                    return Err(format!(
                        "{place}: the function `data.{}` calls itself, which Rego does not allow",
                        function.join(".")
                    ));
                }
                if reached.insert(other) {
                    next.push(other);
                }
            }
        }
    }
    Ok(())
}

fn check_builtin(call: &Call) -> Result<(), String> {
    let name = call.name.join(".");
    if builtins::is_supported(&name) {
        return Ok(());
    }
    Err(format!("{}: `{name}` is not there to be called: {}", shown(&call.span), builtins::instead(&name)))
}

fn shown(span: &Span) -> String {
    format!("{}:{}:{}", span.source.get_path(), span.line, span.col)
}

/// What names mean in one module.
struct Names {
    package: Vec<String>,
    imports: BTreeMap<String, Vec<String>>,
}

impl Names {
    fn of(module: &Module) -> Self {
        let mut imports = BTreeMap::new();
        for import in &module.imports {
            let path = walk::fixed_path(&import.refr);
            let alias = import.r#as.as_ref().map(|alias| alias.text().to_owned()).or_else(|| path.last().cloned());
            if let Some(alias) = alias {
                imports.insert(alias, path);
            }
        }
        Self { package: walk::fixed_path(&module.package.refr), imports }
    }

    /// The function of the modules that this name means, in the order in which the interpreter looks for it.
    fn function(&self, name: &[String], functions: &BTreeSet<&[String]>) -> Option<Vec<String>> {
        let (first, rest) = name.split_first()?;
        let imported = self.imports.get(first).map(|path| [path, rest].concat());
        let absolute = [Some(name.to_vec()), imported].into_iter().flatten();
        let absolute =
            absolute.filter(|path| path.first().is_some_and(|root| root == "data")).map(|path| path[1..].to_vec());
        let own = [self.package.as_slice(), name].concat();
        absolute.chain([own]).find(|path| functions.contains(path.as_slice()))
    }
}
