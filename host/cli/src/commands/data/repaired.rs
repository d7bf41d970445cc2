//! What is said of a repair: what was done, one line for each thing, and what is still bad.

use attorn_server::data::{Accepted, BadNamed, FilesOf, ForeignState, LostEnd, Rebuilt, Repair};
use serde_json::json;

use crate::commands::damage;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

const WAY_OUT: damage::WayOut = damage::WayOut {
    files: "This repair has made anew what can be: put these files back from an earlier backup. Where nobody has records of \
            decisions any more (`records/`), `attorn repair --with-lost-records` goes on without them.",
    blobs: "A repair cannot make them anew: copy the file from a backup, or push the component again (`attorn policy \
            push`), and start the server anew.",
};

pub(super) fn print(output: &Output, repaired: Repair) -> Result<Exit, Failure> {
    // That it could not be seen is said, and is no reason to say that nothing was repaired.
    let (bad_named, unseen) = match &repaired.bad_named {
        Ok(bad_named) => (bad_named.clone(), None),
        Err(why) => (BadNamed::default(), Some(why.clone())),
    };
    let exit = match damage::exit(&[&repaired.bad_files], &bad_named) {
        _ if unseen.is_some() => Exit::Error,
        Exit::Done if repaired.refused.is_some() => Exit::VerificationFailed,
        exit => exit,
    };
    if output.json {
        output.json(&json!({
            "rebuilt": repaired.rebuilt.map(rebuilt_word),
            "problem": repaired.problem,
            "foreign_state_accepted": repaired.accepted.foreign == ForeignState::Accepted,
            "lost_end_accepted": repaired.accepted.lost_end == LostEnd::Accepted,
            "moved_to": repaired.aside.map(|path| path.display().to_string()),
            "base_moved_to": repaired.bases_aside.map(|path| path.display().to_string()),
            "version": repaired.version,
            "entries": repaired.entries,
            "digest": repaired.digest,
            "bad_files": repaired.bad_files,
            "checkpoints_mended": repaired.checkpoints,
            "refused": repaired.refused.map(|refused| refused.why),
            "remade_problem": repaired.remade.as_ref().map(|(problem, _)| problem),
            "remade_moved_to": repaired.remade.as_ref().map(|(_, aside)| aside.display().to_string()),
            "lost_records_accepted": repaired.lost_records.accepted,
            "lost_records": repaired.lost_records.in_all,
            "index_removed": repaired.index,
            "bad_blobs": damage::blobs(&bad_named),
            "bad_exports": damage::exports(&bad_named),
            "not_looked_at": unseen,
        }))?;
        return Ok(exit);
    }
    output.line(in_one_line(&repaired, exit));
    for line in done(&repaired) {
        output.line(line);
    }
    for aside in repaired.aside.iter().chain(&repaired.bases_aside) {
        output.line(format!("before   {}", aside.display()));
    }
    output.line(format!("version  {}", repaired.version));
    output.line(format!("entries  {}", repaired.entries));
    output.line(format!("digest   {}", repaired.digest));
    if let Some(why) = unseen {
        output.note(format!("what is beside the store could not all be looked at: {why}"));
    }
    damage::say(output, &repaired.bad_files, &bad_named, &WAY_OUT);
    if let Some(refused) = repaired.refused {
        output.line(format!("refused  {}", refused.why));
        output.note("");
        output.note("The server does not start with this directory, and a repair changes nothing about that.");
        if let Some(help) = refused.help {
            output.note(format!("help: {help}"));
        }
    }
    Ok(exit)
}

/// What was made anew, for programs.
const fn rebuilt_word(rebuilt: Rebuilt) -> &'static str {
    match rebuilt {
        Rebuilt::Store => "store",
        Rebuilt::Journal => "journal",
        Rebuilt::Files(_) => "files",
    }
}

/// Which files were written anew, for people.
const fn files_said(of: FilesOf) -> &'static str {
    match of {
        FilesOf::Entries => "files with entries of the audit log",
        FilesOf::Records => "files with decision records",
        FilesOf::Both => "files with entries of the audit log, and files with decision records,",
    }
}

/// Everything that was changed, one line for each.
fn done(repaired: &Repair) -> Vec<String> {
    let mut done = Vec::new();
    if let Some(problem) = &repaired.problem {
        // What somebody answers for is as it was.
        let word = if repaired.accepted == Accepted::NOTHING { "mended  " } else { "accepted" };
        done.push(format!("{word} {problem}"));
    }
    done.extend(repaired.checkpoints.iter().map(|problem| format!("mended   {problem}")));
    if let Some((problem, aside)) = &repaired.remade {
        done.push(format!("moved    `{}`: {problem}", aside.display()));
    }
    if repaired.lost_records.accepted > 0 {
        let count = repaired.lost_records.accepted;
        done.push(format!("accepted {count} records of decisions that are lost; the audit log says which"));
    }
    if let Some(index) = &repaired.index {
        done.push(format!("removed  the query index, which the next start of the server makes anew: {index}"));
    }
    done
}

/// How the store is now.
fn in_one_line(repaired: &Repair, exit: Exit) -> String {
    let said = match repaired.rebuilt {
        None if !done(repaired).is_empty() => "the store fits together; this was done beside it:",
        None if exit != Exit::Done => "the store fits together; nothing was changed",
        None => "everything fits together; nothing was changed",
        Some(Rebuilt::Journal) if repaired.accepted.foreign == ForeignState::Accepted => {
            "the state is kept as it was found; it has a new imprint, and a new journal was begun with it"
        }
        Some(Rebuilt::Journal) if repaired.accepted.lost_end == LostEnd::Accepted => {
            "a new journal was begun with what the store has; what was acknowledged last may be lost"
        }
        Some(Rebuilt::Journal) if repaired.bad_files.is_empty() => {
            "a new journal was begun with the store, which has all that the old one had"
        }
        Some(Rebuilt::Journal) => {
            "a new journal was begun with the store; what is named below neither has, as far as the old one can be read"
        }
        Some(Rebuilt::Files(of)) => {
            return format!("{} were written anew from what the store still has of them", files_said(of));
        }
        Some(Rebuilt::Store) => "the store was made anew from its base copy and its journal",
    };
    said.to_owned()
}

#[cfg(test)]
mod tests {
    use attorn_server::data::LostCount;

    use super::*;

    fn whole() -> Repair {
        Repair {
            rebuilt: None,
            problem: None,
            accepted: Accepted::NOTHING,
            aside: None,
            bases_aside: None,
            bad_files: Vec::new(),
            checkpoints: Vec::new(),
            refused: None,
            remade: None,
            lost_records: LostCount::default(),
            index: None,
            bad_named: Ok(BadNamed::default()),
            version: 7,
            entries: 3,
            digest: "00".to_owned(),
        }
    }

    #[test]
    fn what_was_written_anew_is_named_by_what_is_in_it() {
        let records = "files with decision records";
        assert_eq!((files_said(FilesOf::Records), rebuilt_word(Rebuilt::Files(FilesOf::Records))), (records, "files"));
        assert!(!files_said(FilesOf::Entries).contains("records") && files_said(FilesOf::Both).contains(records));
    }

    #[test]
    fn nothing_was_changed_only_where_nothing_was() {
        let lost = |accepted| LostCount { accepted, in_all: 5 };
        let index = || Some("`conf` in it is no regular file".to_owned());
        let changes = [
            Repair { index: index(), ..whole() },
            Repair { checkpoints: vec!["`newest`: it is empty".to_owned()], ..whole() },
            Repair { lost_records: lost(2), ..whole() },
            Repair { remade: Some(("it is no text".to_owned(), "store.remade.broken-1".into())), ..whole() },
        ];
        for changed in changes {
            let said = in_one_line(&changed, Exit::VerificationFailed);
            assert_eq!((said.contains("nothing"), done(&changed).len()), (false, 1), "{said} {changed:?}");
        }
        // That they were accepted once changes nothing today.
        for unchanged in [whole(), Repair { lost_records: lost(0), ..whole() }] {
            assert_eq!(done(&unchanged), Vec::<String>::new());
            assert_eq!(in_one_line(&unchanged, Exit::Done), "everything fits together; nothing was changed");
            let bad = in_one_line(&unchanged, Exit::VerificationFailed);
            assert_eq!(bad, "the store fits together; nothing was changed");
        }
    }

    #[test]
    fn each_thing_that_was_done_has_its_line() {
        let all = Repair {
            rebuilt: Some(Rebuilt::Store),
            problem: Some("the database is gone".to_owned()),
            checkpoints: vec!["`newest`: it is empty".to_owned(), "`checkpoints/0` is missing".to_owned()],
            lost_records: LostCount { accepted: 2, in_all: 5 },
            index: Some("`conf` in it is no regular file".to_owned()),
            ..whole()
        };
        let expect = [
            "mended   the database is gone",
            "mended   `newest`: it is empty",
            "mended   `checkpoints/0` is missing",
            "accepted 2 records of decisions that are lost; the audit log says which",
            "removed  the query index, which the next start of the server makes anew: `conf` in it is no regular file",
        ];
        assert_eq!(done(&all), expect);
    }

    #[test]
    fn a_foreign_state_is_accepted_and_not_mended() {
        let foreign = Repair {
            rebuilt: Some(Rebuilt::Journal),
            problem: Some("it is not ours".to_owned()),
            accepted: Accepted { foreign: ForeignState::Accepted, ..Accepted::NOTHING },
            ..whole()
        };
        assert_eq!(done(&foreign), ["accepted it is not ours"]);
        assert!(in_one_line(&foreign, Exit::Done).starts_with("the state is kept as it was found"));
        let ours = Repair { accepted: Accepted::NOTHING, ..foreign };
        assert_eq!(done(&ours), ["mended   it is not ours"]);
        let lost = Repair { accepted: Accepted { lost_end: LostEnd::Accepted, ..Accepted::NOTHING }, ..ours };
        assert_eq!(done(&lost), ["accepted it is not ours"]);
        assert!(in_one_line(&lost, Exit::Done).ends_with("what was acknowledged last may be lost"));
    }
}
