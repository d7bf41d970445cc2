//! `attorn audit list`.

mod found;

use attorn_api::ProblemCode;
use attorn_api::audit::Entry;
use attorn_core::TimeMs;
use clap::Args;
use serde::Serialize;

use super::epochs::{damaged_entries, damaged_now, not_among, not_kept};
use super::filters::Filters;
use super::place::Place;
use super::{HEADS, row_within, summary};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use found::{Found, Part};

#[derive(Debug, Args)]
#[command(
    after_help = "With `--since`, or `--about` a decision, entries of earlier epochs of the log are among these, where any \
                        may count. With --json then: how many of each epoch (`epochs`), and where to go on (`from`).

Examples:
  attorn audit list --agent support-bot --decision deny --since 24h
  attorn audit list --newest --limit 10
  attorn audit list --epoch 1 --agent support-bot
  attorn audit list --user usr_0123456789abcdef0123456789abcdef --action 'account.*' --json"
)]
pub(crate) struct List {
    #[command(flatten)]
    filters: Filters,
    /// From which entry on: its index, also with its epoch, or as it is printed
    #[arg(long, value_name = "ENTRY", default_value = "0")]
    from: Place,
    /// How many at most, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=200))]
    limit: u8,
    /// Entries of an earlier epoch of the log alone (`attorn audit epochs`). They are read one by one, from the oldest on,
    /// and go on with `--from`: it may take a while. Not with `--newest` or `--after`
    #[arg(long, value_name = "EPOCH", conflicts_with_all = ["newest", "after"])]
    epoch: Option<u64>,
    /// The newest first, of the epoch that the log is in
    #[arg(long)]
    newest: bool,
    /// Print all that entries say, however long it is; `--json` does, too
    #[arg(long)]
    wide: bool,
    /// Go on where a list with the same filters ended: what it printed for this
    #[arg(long, value_name = "PLACE", value_parser = cursor)]
    after: Option<String>,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        self.is_possible()?;
        let (client, output) = (context.operator()?, &context.output);
        self.from.of_this_log(&client).await?;
        let found = self.found(&client, output).await?;
        if output.json {
            self.print_json(output, &found)?;
        } else {
            self.print(output, &found)?;
        }
        // What can be read was printed; that there is more is a failure all the same.
        let damaged = found.parts.iter().filter_map(|part| {
            let damaged = part.list.damaged.as_ref()?;
            Some(part.epoch.map_or_else(|| damaged_now(damaged), |epoch| damaged_entries(epoch, damaged)))
        });
        let damaged: Vec<Failure> = damaged.collect();
        damaged.iter().for_each(Failure::print);
        Ok(damaged.first().map_or(Exit::Done, |failure| failure.exit))
    }

    /// See that the options fit each other: the epoch may stand in `--from`, too.
    fn is_possible(&self) -> Result<(), Failure> {
        let Some(epoch) = self.from.epoch else { return Ok(()) };
        if self.epoch.is_some_and(|other| other != epoch) {
            return Err(Failure::usage(format!("`--from` is of epoch {epoch}, and `--epoch` is another"))
                .with_help("leave `--epoch` out: the entry says which it is"));
        }
        if self.newest || self.after.is_some() {
            return Err(Failure::usage("entries of one epoch are listed from the oldest on, and go on with `--from`"));
        }
        Ok(())
    }

    /// What the server says of its `cursor` is about what is `--after` here.
    fn in_own_words(&self, failure: Failure) -> Failure {
        let is_about_it = failure.code == Some(ProblemCode::InvalidQuery) && failure.message.contains("`cursor`");
        if self.after.is_none() || !is_about_it {
            return failure;
        }
        Failure { message: failure.message.replacen("`cursor`", "`--after`", 1), ..failure }
            .with_help("begin without it, and go on with what the list prints, and the same filters and order")
    }

    fn print(&self, output: &Output, found: &Found) -> Result<(), Failure> {
        let entries = found.parts.iter().flat_map(|part| part.list.entries.iter().map(move |entry| (part, entry)));
        let rows = entries.map(|(part, entry)| {
            let mut row = row_within(entry, if self.wide { usize::MAX } else { summary::CHARS_MAX })?;
            // What is printed names the same entry wherever it is given.
            row[0] = named(found, part, entry.reference.index);
            Ok(row)
        });
        let rows: Vec<Vec<String>> = rows.collect::<Result<_, Failure>>()?;
        output.table(&HEADS, &rows);
        if let Some(of_each) = found.of_each_epoch() {
            output.note(of_each);
        }
        let more = self.more(found);
        match &more {
            Some(more) => output.note(more),
            None if rows.is_empty() => self.nothing(found).iter().for_each(|line| output.note(line)),
            None => {}
        }
        let Some(Part { list: last, epoch, .. }) = found.parts.last() else { return Ok(()) };
        if let Some(through) = last.indexed_through.filter(|through| epoch.is_none() && *through < last.size) {
            output.note(format!("this is about the first {through} of {} entries: the index is behind", last.size));
        }
        found.not_kept.iter().for_each(|one| output.note(not_kept(one)));
        if let Some(note) = not_among(&found.earlier) {
            output.note(note);
        }
        Ok(())
    }

    /// What goes on with the list, if there may be more.
    fn more(&self, found: &Found) -> Option<String> {
        let last = found.parts.last()?;
        if let Some(next) = found.go_on_from(self) {
            return Some(format!("there may be more: `--from {next}`, with the same filters"));
        }
        if let Some(next) = last.list.next {
            let next = named(found, last, next);
            return Some(format!("{} has {} entries; there is more: `--from {next}`", last.of(), last.list.size));
        }
        let cursor = last.list.cursor.as_ref()?;
        // A place goes with its query: how long ago something was is another time by then.
        let since = self.filters.since().map(|since| format!(" and `--since {}`", TimeMs(since.ms)));
        let until = self.filters.until().map(|until| format!(" and `--until {}`", TimeMs(until.ms)));
        let times = [since, until].map(Option::unwrap_or_default).concat();
        Some(format!("there may be more: `--after {cursor}`, with the same filters{times}"))
    }

    /// That nothing was found is no sign that nothing happened: what was looked for may be mistyped.
    fn nothing(&self, found: &Found) -> Vec<String> {
        let Some(last) = found.parts.last() else { return Vec::new() };
        let size = last.list.size;
        if found.parts.len() == 1 && self.from.index >= size {
            let from = named(found, last, self.from.index);
            return vec![format!("{} has {size} entries, and so none from entry {from} on", last.of())];
        }
        if !self.filters.is_narrowed() {
            return Vec::new();
        }
        let mut lines = vec![if self.after.is_some() {
            "no further entry matches".to_owned()
        } else {
            let looked_at: u64 = found.parts.iter().map(Part::looked_at).sum();
            let and = if found.parts.len() > 1 { format!(" of {} epochs", found.parts.len()) } else { String::new() };
            format!("no entry of {looked_at}{and} matches")
        }];
        if self.filters.is_by_resource_alone() {
            lines
                .push("resources of users stand in the log under pseudonyms: name the user, too (`--user`)".to_owned());
        }
        lines
    }

    fn print_json(&self, output: &Output, found: &Found) -> Result<(), Failure> {
        match &found.parts[..] {
            [only] if !found.walks() => output.json(&only.list),
            parts => output.json(&Walked {
                entries: parts.iter().flat_map(|part| &part.list.entries).collect(),
                epochs: parts.iter().map(OfEpoch::of).collect(),
                from: found.go_on_from(self),
                not_kept: found.not_kept.iter().map(|one| one.epoch).collect(),
                indexed_through: parts.last().and_then(|part| part.list.indexed_through),
            }),
        }
    }
}

/// Entries of several epochs, for programs.
#[derive(Serialize)]
struct Walked<'a> {
    entries: Vec<&'a Entry>,
    epochs: Vec<OfEpoch<'a>>,
    /// What to give as `--from` for those that come next; none after the last.
    from: Option<String>,
    /// Epochs that may have more, of which nothing is kept.
    not_kept: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    indexed_through: Option<u64>,
}

/// How many entries were found in an epoch, and how many there are.
#[derive(Serialize)]
struct OfEpoch<'a> {
    epoch: u64,
    size: u64,
    found: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<&'a attorn_api::audit::DamagedEntries>,
}

impl<'a> OfEpoch<'a> {
    fn of(part: &'a Part) -> Self {
        let Part { number, list, .. } = part;
        Self { epoch: *number, size: list.size, found: list.entries.len(), damaged: list.damaged.as_ref() }
    }
}

/// An entry as it is to be printed: with its epoch, unless it is of the one that the log is in and no other is looked at.
fn named(found: &Found, part: &Part, index: u64) -> String {
    match part.epoch {
        Some(epoch) => format!("{epoch}/{index}"),
        None if found.walks() => format!("{}/{index}", part.number),
        None => index.to_string(),
    }
}

/// It goes into a URL.
fn cursor(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if (1..=128).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err("it is not what a list prints that has more: `--after …`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_has_to_be_possible() {
        let asked = |from: &str, epoch, newest| {
            let (filters, from) = (Filters::default(), from.parse().unwrap());
            List { filters, from, limit: 50, epoch, newest, wide: false, after: None }.is_possible()
        };
        assert!(asked("log-1/2/9", None, false).is_ok() && asked("9", Some(4), false).is_ok());
        for (from, epoch, newest) in [("2/9", Some(3), false), ("2/9", None, true)] {
            assert_eq!(asked(from, epoch, newest).unwrap_err().exit, Exit::Usage);
        }
        assert!(cursor("a&b").is_err() && cursor("").is_err() && cursor("aB-_9").is_ok());
    }
}
