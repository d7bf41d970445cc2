//! The builtins of Rego that there are here, and those that are refused, with what to do instead.

use regorus::unstable::BUILTINS;
use regorus::{Engine, Value};

use crate::{net, time};

/// In the table of the interpreter, and yet no part of a decision that can be run again, or what operators are made of.
const NOT_HERE: [&str; 3] = ["rand.intn", "__builtin_sets.intersection", "__builtin_sets.union"];

/// What to do where a policy wants what a policy does not have; by the builtin, or by what its name begins with.
const INSTEAD: [(&str, &str); 12] = [
    ("http.send", "a policy has no network; push what it would fetch as a fact, and read that under `data.facts`"),
    ("net.lookup_ip_addr", "a policy has no network; push the addresses as a fact"),
    ("opa.runtime", "there is no OPA around the policy; put what it would read into `data`"),
    ("rand.", "a decision has to come out the same when it is run again; nothing is random"),
    ("uuid.rfc4122", "a decision has to come out the same when it is run again; nothing is random"),
    ("io.jwt.", "the host verifies tokens and a policy never sees one; read `input.user.claims`"),
    ("aws.", "a policy calls nobody, so it has nothing to sign"),
    ("providers.aws.", "a policy calls nobody, so it has nothing to sign"),
    ("crypto.", "a policy has no keys and no secrets; push the digest or the verdict as a fact"),
    ("rego.", "a policy does not look at the text of policies"),
    ("time.", "of the builtins about time, those in the README are here; `input.time_ms` is the time of the decision"),
    ("", "the README beside this plugin lists all builtins that there are"),
];

/// Whether a policy may call it.
pub(crate) fn is_supported(name: &str) -> bool {
    ours().any(|ours| ours == name) || (BUILTINS.contains_key(name) && !NOT_HERE.contains(&name))
}

/// Those that the interpreter does not have by itself, or treats by itself.
fn ours() -> impl Iterator<Item = &'static str> {
    let added = time::BUILTINS.iter().chain(&net::BUILTINS).map(|(name, ..)| *name);
    added.chain(["print", time::NOW])
}

/// What to do instead of calling one that may not be called.
pub(crate) fn instead(name: &str) -> &'static str {
    INSTEAD.iter().find(|(start, _)| name.starts_with(start)).map_or("", |(_, instead)| instead)
}

/// All that may be called, sorted.
#[cfg(test)]
pub(crate) fn all() -> Vec<&'static str> {
    let mut all: Vec<&str> = BUILTINS.keys().copied().chain(ours()).filter(|name| is_supported(name)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Give the interpreter those that it lacks. Where their arguments are wrong, they fail or are undefined, by `strict`.
pub(crate) fn add_to(engine: &mut Engine, strict: bool) -> anyhow::Result<()> {
    for (name, arguments, builtin) in time::BUILTINS.into_iter().chain(net::BUILTINS) {
        let called = move |arguments: Vec<Value>| match builtin(&arguments) {
            Ok(value) => Ok(value),
            Err(why) if strict => Err(anyhow::anyhow!("{name}: {why}")),
            Err(_) => Ok(Value::Undefined),
        };
        engine.add_extension(name.to_owned(), arguments, Box::new(called))?;
    }
    Ok(())
}
