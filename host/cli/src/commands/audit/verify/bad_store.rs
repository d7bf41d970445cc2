//! What is bad in a data directory beside what was published of the log, for people and for programs.

use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;

/// How many files that are bad are named.
const BAD_NAMED_MAX: usize = 20;

/// Name what is bad in a data directory, which is all of it that can be walked past. The failure has the first.
pub(super) fn print(output: &Output, bad: &[String]) -> Failure {
    let named = &bad[..bad.len().min(BAD_NAMED_MAX)];
    for one in named {
        output.line(format!("bad       {one}"));
    }
    if bad.len() > named.len() {
        output.line(format!("          and {} more", bad.len() - named.len()));
    }
    first_bad(bad)
}

fn first_bad(bad: &[String]) -> Failure {
    let first = bad.first().map_or("it is bad", String::as_str);
    Failure::unverified(format!("the store: {first}"))
}

/// The same for programs, with what came of verifying the log (`log`): why it does not verify, if so, and what would have
/// been said of it alone.
pub(super) fn print_in_json(
    output: &Output,
    bad: &[String],
    (unverified, said): (Option<Failure>, Option<serde_json::Value>),
) -> Failure {
    let failure = first_bad(bad);
    let of_log = said.unwrap_or_else(|| {
        // Nothing is known of it then, and why is all there is.
        json!({ "verified": false, "entry": null, "problem": unverified.map(|failure| failure.message) })
    });
    // That it could not be written is no worse than that it does not verify.
    let _ = output.json(&json!({
        "verified": false, "entry": of_log["entry"].clone(), "problem": failure.message,
        "bad": &bad[..bad.len().min(BAD_NAMED_MAX)], "bad_count": bad.len(), "log": of_log,
    }));
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn whatever_is_bad_in_a_store_fails_the_verification() {
        let bad: Vec<String> = (0..30).map(|n| format!("file {n}")).collect();
        let failure = print(&Output::new(false), &bad);
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::VerificationFailed, "the store: file 0"));
        let whole = json!({ "verified": true, "entries": 7 });
        let changed = json!({ "verified": false, "entry": 3, "problem": "entry 3 was changed" });
        for (of_log, entry, log) in [
            ((None, Some(whole.clone())), json!(null), whole),
            ((Some(Failure::new("x")), Some(changed.clone())), json!(3), changed),
            (
                (Some(Failure::new("disk on fire")), None),
                json!(null),
                json!({ "verified": false, "entry": null, "problem": "disk on fire" }),
            ),
        ] {
            let output = Output::kept();
            let failure = print_in_json(&output, &bad, of_log);
            assert_eq!(failure.exit, Exit::VerificationFailed);
            let said = output.kept_json().unwrap();
            assert_eq!((&said["verified"], &said["bad_count"], &said["entry"]), (&json!(false), &json!(30), &entry));
            assert_eq!((said["bad"].as_array().unwrap().len(), &said["log"]), (BAD_NAMED_MAX, &log));
        }
    }
}
