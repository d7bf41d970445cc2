//! Standard output: lines and tables for people, JSON for programs.
//!
//! When whoever reads closes the pipe, nothing more is written, and that is no error.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use attorn_core::TimeMs;
use serde::Serialize;

use crate::failure::Failure;

/// Standard output, or what came of writing to it.
pub(crate) struct Output {
    /// Whether programs read.
    pub(crate) json: bool,
    broken: Mutex<Option<io::Error>>,
    /// Where it goes instead, if it is to be a part of something else.
    kept: Option<Mutex<Vec<u8>>>,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json, broken: Mutex::new(None), kept: None }
    }

    /// What programs read, to be put into something else.
    pub(crate) const fn kept() -> Self {
        Self { json: true, broken: Mutex::new(None), kept: Some(Mutex::new(Vec::new())) }
    }

    /// The one value that was printed and kept; none if none was.
    pub(crate) fn kept_json(self) -> Option<serde_json::Value> {
        let bytes = self.kept?.into_inner().unwrap_or_else(PoisonError::into_inner);
        serde_json::from_slice(&bytes).ok()
    }

    /// Print a value as JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::of(&error))?;
        text.push('\n');
        self.bytes(text.as_bytes());
        Ok(())
    }

    /// Print a value as one line of JSON.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string(value).map_err(|error| Failure::of(&error))?;
        text.push('\n');
        self.bytes(text.as_bytes());
        Ok(())
    }

    /// Print a line.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        self.bytes(format!("{}\n", harmless(text.as_ref())).as_bytes());
    }

    /// Print a table: columns padded to their widest cell, except for the last.
    pub(crate) fn table(&self, heads: &[&str], rows: &[Vec<String>]) {
        for line in lines(heads, rows) {
            self.line(line);
        }
    }

    /// Print a text as it is.
    pub(crate) fn raw(&self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Print bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            return;
        }
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.is_none() {
            let mut out = io::stdout().lock();
            *broken = out.write_all(bytes).and_then(|()| out.flush()).err();
        }
    }

    /// A remark beside the output, to standard error. Programs get none.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{}", harmless(text.as_ref()));
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether all could be written that somebody wanted to read.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        match broken.take() {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// A time, or a dash where there is none.
pub(crate) fn time_or_dash(at_ms: Option<u64>) -> String {
    at_ms.map_or_else(|| "-".to_owned(), |at| TimeMs(at).to_string())
}

/// The text with everything escaped that would drive a terminal or turn the direction of writing:
/// some of what is printed was chosen by agents.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let harmful = |c: char| c.is_control() || turns(c);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if harmful(c) { c.escape_default().collect() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

fn lines(heads: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let width = |column: usize| {
        let cells = std::iter::once(&heads).chain(rows).filter_map(|row| row.get(column));
        cells.map(|cell| harmless(cell).chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{:width$}", harmless(cell)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(&heads).chain(rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_drive_a_terminal_is_escaped() {
        for (text, expect) in [
            ("plain, \u{e9} and \u{2713}", "plain, \u{e9} and \u{2713}"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("a\nb\tc\u{7f}\u{9b}", "a\\nb\\tc\\u{7f}\\u{9b}"),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}"),
        ] {
            assert_eq!(harmless(text), expect);
        }
    }

    #[test]
    fn what_is_kept_is_one_value_or_none() {
        assert_eq!(Output::kept().kept_json(), None);
        let output = Output::kept();
        output.json(&7).unwrap();
        assert_eq!(output.kept_json(), Some(7.into()));
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".into(), "long one".into(), "x".into()], vec!["bot\n".into(), String::new(), "y".into()]];
        let expect = ["ID     NAME      STATE", "a      long one  x", "bot\\n            y"];
        assert_eq!(lines(&["ID", "NAME", "STATE"], &rows), expect);
        assert_eq!(lines(&["ID", "NAME"], &[]), ["ID  NAME"]);
    }
}
