//! The lines of a file of facts, checked as the server would check them.
//!
//! What stands under the names is not known here, so the server may still refuse.

use std::collections::HashMap;

use attorn_api::facts::{EXPIRES_IN_MS_MAX, SetFact, VALUE_BYTES_MAX};
use attorn_api::json::canonical;
use attorn_core::FactName;

use crate::parse;

/// The facts, or what is wrong, line by line.
pub(super) fn facts(text: &str, now_ms: u64) -> Result<Vec<SetFact>, Vec<String>> {
    let (mut facts, mut wrong) = (Vec::new(), Vec::new());
    let mut first_of = HashMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = at + 1;
        let mut say = |problem: String| wrong.push(format!("line {at}: {problem}"));
        let fact: SetFact = match parse::strict_json(line) {
            Ok(fact) => fact,
            Err(problem) => {
                say(without_place(&problem).to_owned());
                continue;
            }
        };
        problems(&fact, now_ms).into_iter().for_each(&mut say);
        if let Some(first) = first_of.insert(fact.name.clone(), at) {
            say(format!("the fact `{}` stands on line {first} already", fact.name));
        }
        facts.push(fact);
    }
    if wrong.is_empty() { Ok(facts) } else { Err(wrong) }
}

/// A problem of a line without its place in that line, of which the reader would think as one in the file.
fn without_place(problem: &str) -> &str {
    match problem.rsplit_once(" at line 1 column ") {
        Some((problem, column)) if column.bytes().all(|b| b.is_ascii_digit()) => problem,
        _ => problem,
    }
}

fn problems(fact: &SetFact, now_ms: u64) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(error) = fact.name.parse::<FactName>() {
        problems.push(error.to_string());
    }
    match canonical(&fact.value.to_string()) {
        Err(error) => problems.push(error.to_string()),
        Ok(value) if value.as_str().len() > VALUE_BYTES_MAX => {
            let bytes = value.as_str().len();
            problems.push(format!("the value has {bytes} bytes, and {VALUE_BYTES_MAX} is the most"));
        }
        Ok(_) => {}
    }
    match fact.expires_at_ms {
        Some(at) if at <= now_ms => problems.push("it would have expired already".into()),
        Some(at) if at > now_ms.saturating_add(EXPIRES_IN_MS_MAX) => {
            problems.push("it would expire in more than ten years".into());
        }
        _ => {}
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    #[test]
    fn all_that_is_wrong_is_found() {
        let long = format!(r#"{{"name":"long","value":"{}"}}"#, "x".repeat(VALUE_BYTES_MAX));
        let late = format!(r#"{{"name":"late","value":1,"expires_at_ms":{}}}"#, NOW + EXPIRES_IN_MS_MAX + 1);
        let lines = [
            r#"{"name":"a","value":1}"#,
            "",
            "not json",
            r#"{"name":"a","value":2}"#,
            r#"{"name":"/b","value":1,"expires_at_ms":1000000}"#,
            &long,
            &late,
            r#"{"name":"c"}"#,
            r#"{"name":"d","value":1,"ttl":1}"#,
            r#"{"name":"e","name":"f","value":1}"#,
        ];
        let wrong = facts(&lines.join("\n"), NOW).unwrap_err();
        let expect = [
            ("line 3: ", ""),
            ("line 4: ", "the fact `a` stands on line 1 already"),
            ("line 5: ", "is no name of a fact: a segment may not be ``"),
            ("line 5: ", "it would have expired already"),
            ("line 6: ", "the value has 4098 bytes, and 4096 is the most"),
            ("line 7: ", "it would expire in more than ten years"),
            ("line 8: ", "missing field `value`"),
            ("line 9: ", "unknown field `ttl`"),
            ("line 10: ", "stands twice"),
        ];
        assert_eq!(wrong.len(), expect.len(), "{wrong:?}");
        for (wrong, (line, problem)) in wrong.iter().zip(expect) {
            assert!(wrong.starts_with(line) && wrong.contains(problem) && !wrong.contains("column"), "{wrong}");
        }
    }

    #[test]
    fn what_the_server_takes_is_taken() {
        let full = format!(r#"{{"name":"full","value":"{}"}}"#, "x".repeat(VALUE_BYTES_MAX - 2));
        let last = format!(r#"{{"name":"last","value":null,"expires_at_ms":{}}}"#, NOW + EXPIRES_IN_MS_MAX);
        let taken = facts(&format!("\n{full}\n{last}\n"), NOW).unwrap();
        let names: Vec<_> = taken.iter().map(|fact| fact.name.as_str()).collect();
        assert_eq!(names, ["full", "last"]);
        assert_eq!(facts("", NOW), Ok(Vec::new()));
    }
}
