//! What one round came to, and what is another than in the round before.

use std::collections::BTreeMap;

use attorn_toolchain::cases::{CaseReport, Report};
use serde::Serialize;
use serde_json::Value;

/// What each case said and whether that is what is expected, by file and name.
pub(super) type Said = BTreeMap<(String, String), (Option<String>, bool)>;

/// A case that is another than it was.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Changed {
    file: String,
    name: String,
    /// What it said before; none of a new one.
    before: Option<Value>,
    /// What it says now; none of one that is gone.
    now: Option<Value>,
    /// Whether that is what is expected; none of one that is gone.
    holds: Option<bool>,
}

impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, name, before, now, holds } = self;
        let said = |said: &Option<Value>| said.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        match holds {
            None => write!(f, "gone     {file}: {name}"),
            Some(holds) => {
                write!(f, "{}  {file}: {name}", if *holds { "holds  " } else { "FAILED " })?;
                if before.is_some() && before != now {
                    write!(f, "\n         said {}, says {}", said(before), said(now))?;
                }
                Ok(())
            }
        }
    }
}

/// What all cases of a round said.
pub(super) fn said(report: &Report) -> Said {
    let of = |case: &CaseReport| ((case.file.clone(), case.name.clone()), (case.said.clone(), case.passed()));
    report.cases.iter().map(of).collect()
}

/// What is another than before. Of the first round, nothing is.
pub(super) fn changed(before: Option<&Said>, now: &Said) -> Vec<Changed> {
    let Some(before) = before else { return Vec::new() };
    let value = |said: &Option<String>| Some(said.as_ref().map_or(Value::Null, |said| read(said)));
    let mut all: Vec<Changed> = now
        .iter()
        .filter(|(case, said)| before.get(*case) != Some(said))
        .map(|((file, name), (said, holds))| Changed {
            file: file.clone(),
            name: name.clone(),
            before: before.get(&(file.clone(), name.clone())).and_then(|(said, _)| value(said)),
            now: value(said),
            holds: Some(*holds),
        })
        .collect();
    let gone = before.iter().filter(|(case, _)| !now.contains_key(*case));
    all.extend(gone.map(|((file, name), (said, _))| Changed {
        file: file.clone(),
        name: name.clone(),
        before: value(said),
        now: None,
        holds: None,
    }));
    all
}

fn read(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|_| said.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, said: &str, holds: bool) -> ((String, String), (Option<String>, bool)) {
        (("a.json".to_owned(), name.to_owned()), (Some(said.to_owned()), holds))
    }

    #[test]
    fn only_what_is_another_is_told() {
        let before = Said::from([one("same", "1", true), one("other", "1", true), one("gone", "1", true)]);
        let now = Said::from([one("same", "1", true), one("other", "2", false), one("new", "3", true)]);
        assert_eq!(changed(None, &now), []);
        assert_eq!(changed(Some(&now), &now), []);
        let lines: Vec<String> = changed(Some(&before), &now).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            ["holds    a.json: new", "FAILED   a.json: other\n         said 1, says 2", "gone     a.json: gone"]
        );
        // What is expected can change, too.
        let expected = Said::from([one("same", "1", false)]);
        let told = changed(Some(&Said::from([one("same", "1", true)])), &expected);
        assert_eq!(told[0].to_string(), "FAILED   a.json: same");
    }
}
