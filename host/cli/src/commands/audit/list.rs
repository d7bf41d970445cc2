//! `attorn audit list`.

use attorn_api::ProblemCode;
use attorn_api::audit::{DamagedEntries, Entry, EntryList};
use clap::Args;

use super::epochs::{damaged_entries, damaged_now, not_among};
use super::filters::Filters;
use super::place::Place;
use super::{HEADS, row};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn audit list --agent support-bot --decision deny --since 24h
  attorn audit list --newest --limit 10
  attorn audit list --epoch 1 --agent support-bot
  attorn audit list --user usr_0123456789abcdef0123456789abcdef --action 'account.*' --json")]
pub(crate) struct List {
    #[command(flatten)]
    filters: Filters,
    /// From which entry on: its index, also with its epoch, or as it is printed
    #[arg(long, value_name = "ENTRY", default_value = "0")]
    from: Place,
    /// How many at most, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=200))]
    limit: u8,
    /// Entries of an earlier epoch of the log (`attorn audit epochs`). They are read one by one, from the oldest on, and go
    /// on with `--from`: it may take a while. Not with `--newest` or `--after`
    #[arg(long, value_name = "EPOCH", conflicts_with_all = ["newest", "after"])]
    epoch: Option<u64>,
    /// The newest first, of the epoch that the log is in
    #[arg(long)]
    newest: bool,
    /// Go on where a list with the same filters ended: what it printed for this
    #[arg(long, value_name = "PLACE", value_parser = cursor)]
    after: Option<String>,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (list, client) = (self.with_epoch()?, context.operator()?);
        list.from.of_this_log(&client).await?;
        let found = list.found(&client).await?;
        let exit = print(&context.output, &found, (list.epoch, list.from.index))?;
        let Some(damaged) = &found.damaged else { return Ok(exit) };
        // What can be read was printed; that there is more is a failure all the same.
        let failure = list.epoch.map_or_else(|| damaged_now(damaged), |epoch| damaged_entries(epoch, damaged));
        failure.print();
        Ok(failure.exit)
    }

    /// The epoch may stand in `--from`.
    fn with_epoch(mut self) -> Result<Self, Failure> {
        let Some(epoch) = self.from.epoch else { return Ok(self) };
        if self.epoch.replace(epoch).is_some_and(|other| other != epoch) {
            return Err(Failure::usage(format!("`--from` is of epoch {epoch}, and `--epoch` is another"))
                .with_help("leave `--epoch` out: the entry says which it is"));
        }
        if self.newest || self.after.is_some() {
            return Err(Failure::usage("entries of one epoch are listed from the oldest on, and go on with `--from`"));
        }
        Ok(self)
    }

    /// A page as full as it can be: the server ends one early when it had to look at much.
    async fn found(&self, client: &OperatorClient) -> Result<EntryList, Failure> {
        let (mut entries, mut cursor, mut from) = (Vec::<Entry>::new(), self.after.clone(), self.from.index);
        let mut damaged: Option<DamagedEntries> = None;
        loop {
            let left = usize::from(self.limit).saturating_sub(entries.len());
            let asked = client.get::<EntryList>(&self.path((from, left), cursor.as_deref())).await;
            let mut page = asked.map_err(|failure| self.in_own_words(failure))?;
            entries.extend(page.entries);
            damaged = match (damaged, page.damaged.take()) {
                (Some(known), Some(more)) => Some(known.and(more)),
                (known, more) => known.or(more),
            };
            let full = entries.len() >= usize::from(self.limit);
            // Without a cursor it goes on by its index: a page is short, too, where entries are large or cannot be read.
            let goes_on = page.cursor.is_some() || page.next.is_some();
            if full || !goes_on {
                return Ok(EntryList { entries, damaged, ..page });
            }
            (cursor, from) = (page.cursor, page.next.unwrap_or(from));
        }
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

    fn path(&self, (from, limit): (u64, usize), cursor: Option<&str>) -> String {
        let of = self.epoch.map_or_else(|| "entries".to_owned(), |epoch| format!("epochs/{epoch}/entries"));
        let mut path = format!("/v1/audit/{of}?from={from}&limit={limit}{}", self.filters.query());
        if self.newest {
            path.push_str("&order=newest");
        }
        if let Some(cursor) = cursor {
            path.push_str("&cursor=");
            path.push_str(cursor);
        }
        path
    }
}

fn print(output: &Output, list: &EntryList, (epoch, from): (Option<u64>, u64)) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let mut rows = list.entries.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    // What is printed names the same entry wherever it is given.
    let named = |index: &str| epoch.map_or_else(|| index.to_owned(), |epoch| format!("{epoch}/{index}"));
    rows.iter_mut().filter_map(|row| row.first_mut()).for_each(|first| *first = named(first));
    output.table(&HEADS, &rows);
    if let Some(next) = list.next {
        let of = epoch.map_or_else(|| "the log".to_owned(), |epoch| format!("epoch {epoch}"));
        let next = named(&next.to_string());
        output.note(format!("{of} has {} entries; there is more: `--from {next}`", list.size));
    }
    if list.entries.is_empty() && from >= list.size {
        let of = epoch.map_or_else(|| "the log".to_owned(), |epoch| format!("epoch {epoch}"));
        output.note(format!("{of} has {} entries, and so none from entry {} on", list.size, named(&from.to_string())));
    }
    if let Some(cursor) = &list.cursor {
        output.note(format!("there may be more: `--after {cursor}`, with the same filters"));
    }
    if let Some(through) = list.indexed_through.filter(|through| *through < list.size) {
        output.note(format!("this is about the first {through} of {} entries: the index is behind", list.size));
    }
    if let Some(note) = not_among(&list.earlier) {
        output.note(note);
    }
    Ok(Exit::Done)
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
    fn the_server_is_asked_for_the_page() {
        let filters = Filters::default();
        let from = || "0".parse().unwrap();
        let mut list = List { filters, from: from(), limit: 50, epoch: None, newest: false, after: None };
        assert_eq!(list.path((0, 50), None), "/v1/audit/entries?from=0&limit=50");
        list.newest = true;
        assert_eq!(list.path((0, 7), Some("abc")), "/v1/audit/entries?from=0&limit=7&order=newest&cursor=abc");
        (list.epoch, list.newest) = (Some(3), false);
        assert_eq!(list.path((9, 7), None), "/v1/audit/epochs/3/entries?from=9&limit=7");
        list.from = "3/9".parse().unwrap();
        assert_eq!(list.with_epoch().unwrap().epoch, Some(3));
        let asked = |from: &str, epoch, newest| {
            let (filters, from) = (Filters::default(), from.parse().unwrap());
            List { filters, from, limit: 50, epoch, newest, after: None }.with_epoch().map(|list| list.epoch)
        };
        assert_eq!(asked("log-1/2/9", None, false).unwrap(), Some(2));
        assert_eq!(asked("9", Some(4), false).unwrap(), Some(4));
        for (from, epoch, newest) in [("2/9", Some(3), false), ("2/9", None, true)] {
            assert_eq!(asked(from, epoch, newest).unwrap_err().exit, Exit::Usage);
        }
        assert!(cursor("a&b").is_err() && cursor("").is_err() && cursor("aB-_9").is_ok());
    }
}
