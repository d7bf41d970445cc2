//! `attorn fact`.

mod lines;

use std::path::PathBuf;

use attorn_api::facts::{DeleteFacts, Fact as Shown, FactList, FactsDeleted, FactsSet, SetFact, SetFacts};
use attorn_core::{FactName, FactPrefix, TimeMs};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_text;
use crate::operator_client::OperatorClient;
use crate::output::{Output, time_or_dash};
use crate::parse;

/// How many facts of a file go into one request.
const AT_A_TIME: usize = 25;
/// The longest file that is imported, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// How many wrong lines of a file are shown.
const SHOWN_MAX: usize = 20;

/// How long a word is at most that may be a text without its quotes.
const WORD_BYTES_MAX: usize = 64;

/// What the server knows, and policies may rest on.
#[derive(Debug, Subcommand)]
pub(crate) enum Fact {
    /// Say that something is so (duty: registrar, as for all of these)
    Set(Set),
    /// Show one fact
    Show(Which),
    /// List facts by name
    List(List),
    /// Forget facts
    Delete(Delete),
    /// Say all that stands in a file: one `{"name": …, "value": …}` a line
    Import(Import),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn fact set resource/account/42/owner '\"alice\"'
  attorn fact set user/alice/risk 7 --expires-at-ms 1893456000000")]
pub(crate) struct Set {
    /// Its name; what is no letter, digit or `-._~` within a segment is written as `%` and two hex digits
    #[arg(value_parser = parse::id::<FactName>)]
    name: FactName,
    /// Its value: JSON
    #[arg(value_name = "JSON")]
    value: String,
    /// From when on it does not count any more, in milliseconds since 1970
    #[arg(long, value_name = "MS")]
    expires_at_ms: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its name
    #[arg(value_parser = parse::id::<FactName>)]
    name: FactName,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those whose names begin so
    #[arg(long, value_parser = parse::id::<FactPrefix>)]
    prefix: Option<FactPrefix>,
    /// Only those after this one
    #[arg(long, value_name = "NAME", value_parser = parse::id::<FactName>)]
    after: Option<FactName>,
    /// How many at most, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=200))]
    limit: u8,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Their names
    #[arg(required = true, num_args = 1..=128, value_name = "NAME", value_parser = parse::id::<FactName>)]
    names: Vec<FactName>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn fact import owners.jsonl

where each line is as

  {\"name\": \"resource/account/42/owner\", \"value\": \"alice\"}")]
pub(crate) struct Import {
    /// The file; empty lines are passed over
    file: PathBuf,
}

impl Fact {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.operator()?, &context.output);
        match self {
            Self::Set(Set { name, value, expires_at_ms }) => {
                let value: Value = parse::strict_json(&value).map_err(|problem| no_value(&value, &problem))?;
                let fact = SetFact { name: name.to_string(), value, expires_at_ms };
                done(output, &set(&client, vec![fact]).await?)
            }
            Self::Show(Which { name }) => show(&client, output, &name).await,
            Self::List(list) => print(output, &client.get(&list.path()).await?),
            Self::Delete(Delete { names }) => {
                let body = DeleteFacts { names: names.iter().map(ToString::to_string).collect() };
                let deleted: FactsDeleted = client.post("/v1/facts/delete", &body).await?;
                if output.json {
                    return output.json(&deleted).map(|()| Exit::Done);
                }
                output.line(format!("forgotten: {}", deleted.deleted));
                if !deleted.not_there.is_empty() {
                    output.line(format!("not there: {}", deleted.not_there.join(", ")));
                }
                Ok(Exit::Done)
            }
            Self::Import(Import { file }) => import(&client, output, &file).await,
        }
    }
}

impl List {
    fn path(&self) -> String {
        let mut path = format!("/v1/facts?limit={}", self.limit);
        // Their alphabet has nothing that means something in a query but `%`, which is not decoded there.
        for (name, value) in [
            ("prefix", self.prefix.as_ref().map(FactPrefix::as_str)),
            ("after", self.after.as_ref().map(FactName::as_str)),
        ] {
            if let Some(value) = value {
                path.extend(["&", name, "=", value]);
            }
        }
        path
    }
}

/// Why this is no value. Most who read it meant a text.
fn no_value(value: &str, problem: &str) -> Failure {
    let failure = Failure::usage(format!("the value is no JSON: {problem}"));
    if value.is_empty() || value.len() > WORD_BYTES_MAX || value.contains(['"', '\'', '{', '[']) {
        return failure;
    }
    failure.with_help(format!("a text needs its quotes: `'\"{value}\"'`"))
}

/// The first of the names that begin so is the name itself, if it is there at all.
async fn show(client: &OperatorClient, output: &Output, name: &FactName) -> Result<Exit, Failure> {
    let list: FactList = client.get(&format!("/v1/facts?limit=1&prefix={name}")).await?;
    let fact = list.facts.into_iter().find(|fact| fact.name == name.as_str());
    let fact = fact.ok_or_else(|| {
        Failure::new(format!("there is no fact `{name}`"))
            .with_help("`attorn fact list --prefix …` shows what there is")
    })?;
    if output.json {
        return output.json(&fact).map(|()| Exit::Done);
    }
    print(output, &FactList { facts: vec![fact], next: None })
}

async fn set(client: &OperatorClient, facts: Vec<SetFact>) -> Result<FactsSet, Failure> {
    client.post("/v1/facts", &SetFacts { facts }).await
}

/// Each request is taken whole or not at all. All that is wrong with the file is found before the first is
/// sent.
async fn import(client: &OperatorClient, output: &Output, file: &std::path::Path) -> Result<Exit, Failure> {
    let text = read_text(file, FILE_BYTES_MAX)?;
    let facts = lines::facts(&text, parse::now_ms()).map_err(|wrong| {
        let first = wrong.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
        let more = if wrong.len() > SHOWN_MAX { "; …" } else { "" };
        Failure::usage(format!("{} lines of `{}` are wrong: {first}{more}", wrong.len(), file.display())).with_help(
            "nothing was set; each line is `{\"name\": …, \"value\": …}`, with `expires_at_ms` if it expires",
        )
    })?;
    let (all, mut set_so_far) = (facts.len(), 0);
    for some in facts.chunks(AT_A_TIME) {
        let taken = set(client, some.to_vec()).await.inspect_err(|_| {
            output.note(format!("{set_so_far} of {all} facts are set; none after them"));
        })?;
        set_so_far += taken.set;
        output.note(format!("{set_so_far} of {all}"));
    }
    done(output, &FactsSet { set: set_so_far })
}

fn done(output: &Output, set: &FactsSet) -> Result<Exit, Failure> {
    if output.json {
        return output.json(set).map(|()| Exit::Done);
    }
    output.line(format!("set: {}", set.set));
    Ok(Exit::Done)
}

/// What does not count and has not expired was said by somebody who was revoked.
const fn state(fact: &Shown, now_ms: u64) -> &'static str {
    match fact.expires_at_ms {
        _ if fact.counts => "counts",
        Some(at) if at <= now_ms => "expired",
        _ => "source revoked",
    }
}

fn print(output: &Output, list: &FactList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |fact: &Shown| {
        vec![
            fact.name.clone(),
            fact.value.to_string(),
            state(fact, parse::now_ms()).into(),
            fact.set_by.clone(),
            TimeMs(fact.set_at_ms).to_string(),
            time_or_dash(fact.expires_at_ms),
        ]
    };
    let heads = ["NAME", "VALUE", "STATE", "SET BY", "AT", "EXPIRES"];
    output.table(&heads, &list.facts.iter().map(row).collect::<Vec<_>>());
    if let Some(next) = &list.next {
        output.note(format!("there is more: `--after {next}`"));
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_left_out_the_quotes_is_told() {
        let help = |value: &str| no_value(value, &parse::strict_json::<Value>(value).unwrap_err()).help;
        assert_eq!(help("alice").as_deref(), Some(r#"a text needs its quotes: `'"alice"'`"#));
        for value in ["", "[1", r#"{"a":1"#, "\"a", "'a'", &"a".repeat(WORD_BYTES_MAX + 1)] {
            assert_eq!(help(value), None, "{value}");
        }
    }
}
