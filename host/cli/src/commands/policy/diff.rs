//! `attorn policy diff`: two versions side by side, two components on cases ([`on_cases`]), or two sets of policies on
//! history ([`history`]).

mod history;
mod on_cases;

use std::path::PathBuf;

use attorn_api::policies::{Policy, PolicyVersion};
use attorn_api::replays::WantedSet;
use attorn_core::PolicyId;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use similar::TextDiff;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;

/// How many lines that are the same stand around those of a text that are not.
const LINES_AROUND: usize = 2;

/// What differs between two versions of a policy; with `--on cases`, which cases two components answer otherwise, without a
/// server; or, with `--on history`, which recorded decisions would be others under another set of policies.
#[derive(Debug, Args)]
#[command(
    override_usage = "attorn policy diff <ID> <FROM> <TO>\n       attorn policy diff <A> <B> --on cases [--cases <DIR>]\n       attorn policy diff <A> <B> --on history [OPTIONS]",
    after_help = "FROM and TO are numbers of versions, as `attorn policy show ID` lists them: what differs is shown with both values, in \
                  this order. Nothing is run.

With `--on cases`, A and B are components. What the cases expect does not matter, only whether both say the same.

With `--on history`, A and B are sets of policies:
  recorded            what was decided then
  active              the policies that are in force now
  ID=VERSION,…        those in force, as if these versions stood among them; `ID=none` takes one out
A version has to be pushed, and need not be in force. Each decision is taken by itself, with the facts and counters of
then; what a policy asks for and nobody looked up then makes it undecidable. Nothing is granted or charged.

Examples:
  attorn policy diff read-only 2 3
  attorn policy diff released.wasm policy.wasm --on cases
  attorn policy diff recorded read-only=3 --on history --since 24h
  attorn policy diff active read-only=3,old-rules=none --on history --since 7d --agent support-bot --action 'faq.*'

Ends with 0 whether something differs or not, 1 if that cannot be said, 2 if the arguments mean nothing, and 5 where
decisions in history are damaged."
)]
pub(crate) struct Diff {
    /// A policy's id and two of its versions; or two components; or two sets
    #[arg(value_name = "WHAT", num_args = 0..=3)]
    what: Vec<String>,
    /// What to try two components or two sets on
    #[arg(long, value_enum, value_name = "WHAT")]
    on: Option<On>,
    /// Where the cases stand; in `cases` if it is not said
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    filters: history::Filters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    /// Cases in files
    Cases,
    /// Recorded decisions
    History,
}

/// What is compared, where a server is asked.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// Two versions of a policy.
    Versions(PolicyId, [u32; 2]),
    /// Two sets of policies on history.
    Sets(WantedSet, WantedSet),
}

impl Diff {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let output = &context.output;
        // What needs no server needs no token.
        if self.on == Some(On::Cases) {
            return self.run_local(output).await;
        }
        match self.wanted()? {
            Wanted::Versions(id, numbers) => versions(&context.operator()?, output, &id, numbers).await,
            Wanted::Sets(a, b) => history::run(&context.operator()?, output, (a, b), &self.filters).await,
        }
    }

    /// Two components on cases.
    async fn run_local(self, output: &Output) -> Result<Exit, Failure> {
        if self.filters.is_narrowed() {
            return Err(Failure::usage("filters are for `--on history`"));
        }
        let [a, b] = self.what.as_slice() else {
            return Err(Failure::usage("`--on cases` takes two components")
                .with_help("`attorn policy diff released.wasm policy.wasm --on cases`"));
        };
        on_cases::run(output, [a.as_ref(), b.as_ref()], &self.cases.unwrap_or_else(|| "cases".into())).await
    }

    fn wanted(&self) -> Result<Wanted, Failure> {
        if self.cases.is_some() {
            return Err(Failure::usage("`--cases` is for `--on cases`"));
        }
        match (self.on, self.what.as_slice()) {
            (Some(_), [a, b]) => Ok(Wanted::Sets(history::set(a)?, history::set(b)?)),
            (Some(_), _) => Err(Failure::usage("`--on history` takes two sets")
                .with_help("`attorn policy diff recorded read-only=3 --on history`")),
            (None, [id, from, to]) => {
                if self.filters.is_narrowed() {
                    return Err(Failure::usage("filters are for `--on history`"));
                }
                let id = parse::id::<PolicyId>(id).map_err(Failure::usage)?;
                Ok(Wanted::Versions(id, [number(from)?, number(to)?]))
            }
            (None, what) => Err(lacking(what)),
        }
    }
}

/// What is missing where versions are compared.
fn lacking(what: &[String]) -> Failure {
    let [id, versions @ ..] = what else {
        return Failure::usage("a policy and two of its versions are needed: `<ID> <FROM> <TO>`").with_help(
            "`attorn policy diff read-only 2 3`; two components are compared with `--on cases`, two sets of policies with `--on \
             history`",
        );
    };
    let (id, lacks) = (id.escape_default(), if versions.is_empty() { "`<FROM>` and `<TO>` are" } else { "`<TO>` is" });
    Failure::usage(format!("two versions of `{id}` are needed, and {lacks} missing: `<ID> <FROM> <TO>`")).with_help(format!(
        "`attorn policy show {id}` lists its versions; two components are compared with `--on cases`, two sets of policies \
         with `--on history`"
    ))
}

fn number(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(format!("`{}` is no version", text.escape_default()))
            .with_help("a version is a number, as `attorn policy show ID` lists it")
    })
}

async fn versions(
    client: &OperatorClient,
    output: &Output,
    id: &PolicyId,
    [from, to]: [u32; 2],
) -> Result<Exit, Failure> {
    let policy: Policy = client.get(&format!("/v1/policies/{id}")).await?;
    let version = |number: u32| {
        let found = policy.versions.iter().find(|version| version.version == number);
        found.ok_or_else(|| Failure::new(format!("version {number} is not among the newest of `{id}`")))
    };
    let differing = differences(version(from)?, version(to)?);
    if output.json {
        return output.json(&differing.iter().map(Differing::wire).collect::<Vec<_>>()).map(|()| Exit::Done);
    }
    if differing.is_empty() {
        output.line("nothing differs");
        return Ok(Exit::Done);
    }
    let (texts, values): (Vec<_>, Vec<_>) = differing.iter().partition(|one| one.texts().is_some());
    if !values.is_empty() {
        let (from, to) = (format!("VERSION {from}"), format!("VERSION {to}"));
        output.table(&["WHAT", &from, &to], &values.into_iter().map(Differing::row).collect::<Vec<_>>());
    }
    for one in texts {
        let Some([a, b]) = one.texts() else { continue };
        output.line("");
        output.line(format!("{}, from version {from} to version {to}", one.what));
        unified(&a, &b).lines().for_each(|line| output.line(line));
    }
    Ok(Exit::Done)
}

/// Something that differs, and what it is in each of the two.
#[derive(Debug, PartialEq)]
struct Differing {
    what: String,
    from: Option<Value>,
    to: Option<Value>,
}

impl Differing {
    fn values(&self) -> [String; 2] {
        [&self.from, &self.to].map(|value| value.as_ref().map_or_else(|| "-".into(), ToString::to_string))
    }

    fn row(&self) -> Vec<String> {
        let [from, to] = self.values();
        vec![self.what.clone(), from, to]
    }

    fn wire(&self) -> Value {
        let [from, to] = self.values();
        json!({ "what": self.what, "from": from, "to": to })
    }

    /// Both as texts of several lines, if they are such: a policy in a language of its own, whole or line by line.
    fn texts(&self) -> Option<[String; 2]> {
        let [from, to] = [text(self.from.as_ref())?, text(self.to.as_ref())?];
        (from.lines().count() > 1 || to.lines().count() > 1).then_some([from, to])
    }
}

/// The lines that differ, with a few around them, as `diff -u` writes them.
fn unified(a: &str, b: &str) -> String {
    let lines = TextDiff::from_lines(a, b);
    lines.unified_diff().context_radius(LINES_AROUND).missing_newline_hint(false).to_string()
}

/// A text, or its lines; nothing is an empty one.
fn text(value: Option<&Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(lines)) => {
            // A list of names is no text, and reads well as it is.
            let lines: Vec<&str> = lines.iter().map(Value::as_str).collect::<Option<_>>()?;
            lines.iter().any(|line| line.trim().contains(' ')).then(|| format!("{}\n", lines.join("\n")))
        }
        Some(_) => None,
    }
}

/// What bears on a decision and differs, with both values.
fn differences(from: &PolicyVersion, to: &PolicyVersion) -> Vec<Differing> {
    let flat = |version: &PolicyVersion| {
        let mut flat = Map::new();
        let whole = json!({
            "component": version.component,
            "settings": version.settings,
            "selector": version.selector,
            "mode": version.mode,
            "required": version.required,
            "class": version.class,
            "limits": version.limits,
        });
        flatten(String::new(), &whole, &mut flat);
        flat
    };
    let (from, to) = (flat(from), flat(to));
    let mut names: Vec<&String> = from.keys().chain(to.keys()).collect();
    names.sort();
    names.dedup();
    let differs = names.into_iter().filter(|name| from.get(*name) != to.get(*name));
    let of = |what: &String| Differing { what: what.clone(), from: from.get(what).cloned(), to: to.get(what).cloned() };
    differs.map(of).collect()
}

/// Objects member by member; lists and all else are one value.
fn flatten(name: String, value: &Value, into: &mut Map<String, Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (member, value) in members {
                let name = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                flatten(name, value, into);
            }
        }
        _ => {
            into.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(changes: Value) -> PolicyVersion {
        let mut version = json!({
            "policy": "p", "version": 1, "digest": "d", "component": "c", "settings": { "a": { "b": 1 }, "c": [1] },
            "selector": {}, "mode": "enforce", "required": true, "class": "native",
            "limits": { "cpu_us_max": 1, "wall_us_max": 2, "memory_bytes_max": 3 },
            "created_at_ms": 0, "created_by": "alice", "active": false, "shadow": null, "paused": [],
        });
        if let (Some(version), Value::Object(changes)) = (version.as_object_mut(), changes) {
            version.extend(changes);
        }
        serde_json::from_value(version).unwrap()
    }

    #[test]
    fn what_is_missing_is_said_by_its_name() {
        use clap::Parser;

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            diff: Diff,
        }

        let wanted = |line: &str| Line::try_parse_from(line.split(' ')).unwrap().diff.wanted();
        for (line, message, help) in [
            ("diff", "a policy and two of its versions are needed: `<ID> <FROM> <TO>`", "read-only 2 3"),
            ("diff p", "two versions of `p` are needed, and `<FROM>` and `<TO>` are missing", "`attorn policy show p`"),
            ("diff p 1", "two versions of `p` are needed, and `<TO>` is missing", "`--on cases`"),
            ("diff p 1 one", "`one` is no version", "a version is a number"),
            ("diff p --on history", "`--on history` takes two sets", "recorded read-only=3"),
        ] {
            let failure = wanted(line).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{line}");
            assert!(failure.message.starts_with(message), "{line}: {failure}");
            assert!(failure.help.as_ref().is_some_and(|found| found.contains(help)), "{line}: {failure}");
        }
        assert_eq!(wanted("diff p 1 2").unwrap(), Wanted::Versions("p".parse().unwrap(), [1, 2]));
        assert!(Line::try_parse_from(["diff", "p", "1", "2", "3"]).is_err());
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let same = version(json!({ "version": 2, "digest": "other", "created_by": "bob", "active": true }));
        assert!(differences(&version(json!({})), &same).is_empty());
        let other = version(json!({
            "settings": { "a": { "b": 2 }, "d": {} }, "mode": "shadow", "selector": { "user": "with" },
        }));
        let expect = [
            ["mode", "\"enforce\"", "\"shadow\""],
            ["selector.user", "null", "\"with\""],
            ["settings.a.b", "1", "2"],
            ["settings.c", "[1]", "-"],
            ["settings.d", "-", "{}"],
        ];
        let found = differences(&version(json!({})), &other);
        assert_eq!(found.iter().map(Differing::row).collect::<Vec<_>>(), expect);
        assert!(found.iter().all(|one| one.texts().is_none()));
    }

    #[test]
    fn of_a_text_the_lines_that_differ_are_shown() {
        let policies = |limit: u32| {
            json!(["a b", "c", "d", "permit(principal, action, resource)", format!("when {limit};"), "e", "f", "g"])
        };
        let one = Differing { what: "x".into(), from: Some(policies(5)), to: Some(policies(7)) };
        let [a, b] = one.texts().unwrap();
        let expect = "@@ -3,5 +3,5 @@\n d\n permit(principal, action, resource)\n-when 5;\n+when 7;\n e\n f\n";
        assert_eq!(unified(&a, &b), expect);
        assert_eq!(unified("a", ""), "@@ -1 +0,0 @@\n-a\n");
    }

    #[test]
    fn texts_are_told_apart_from_what_is_no_text() {
        let texts = |from: Value, to: Value| Differing { what: "x".into(), from: Some(from), to: Some(to) }.texts();
        let two = Some(["a b\nc\n".to_owned(), "d".to_owned()]);
        assert_eq!(texts(json!(["a b", "c"]), json!("d")), two);
        assert_eq!(texts(json!("a b\nc\n"), json!("d")), two);
        for (from, to) in [
            (json!("a"), json!("b")),
            (json!(["faq.read", "faq.list"]), json!(["faq.read"])),
            (json!(["a b", "c"]), json!(5)),
            (json!(["a b", 5]), json!(["a b"])),
            (json!({ "a": "b\nc" }), json!("b")),
        ] {
            assert_eq!(texts(from.clone(), to.clone()), None, "{from} {to}");
        }
    }
}
