//! `attorn audit epochs`, and how another list speaks of them.

use attorn_api::audit::{EarlierEpoch, LogEpochEnd, LogEpochList};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::time_or_dash;

pub(super) async fn list(context: &Context) -> Result<Exit, Failure> {
    let list: LogEpochList = context.operator()?.get("/v1/audit/epochs").await?;
    let output = &context.output;
    if output.json {
        return output.json(&list).map(|()| Exit::Done);
    }
    let why = |ended| match ended {
        None => "-",
        Some(LogEpochEnd::Restored) => "restored",
        Some(LogEpochEnd::KeyRotated) => "key rotated",
        Some(LogEpochEnd::KeyCompromised) => "key compromised",
    };
    let rows: Vec<Vec<String>> = (list.epochs.iter())
        .map(|one| {
            let ended = time_or_dash(one.ended_at_ms);
            vec![one.epoch.to_string(), one.size.to_string(), why(one.ended).into(), ended, one.key.clone()]
        })
        .collect();
    output.table(&["EPOCH", "ENTRIES", "ENDED BY", "AT", "KEY"], &rows);
    Ok(Exit::Done)
}

/// What a list of entries says of epochs that are not in it; none if there are none.
pub(super) fn not_among(earlier: &[EarlierEpoch]) -> Option<String> {
    let last = earlier.last()?;
    let each: Vec<_> = earlier.iter().map(|one| format!("{} with {} entries", one.epoch, one.size)).collect();
    let of = if earlier.len() == 1 { "an earlier epoch" } else { "earlier epochs" };
    let option = last.epoch;
    Some(format!("the log has {of} that this is not about ({}): `--epoch {option}` lists one", each.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_epochs_are_named_with_how_to_search_them() {
        let one = |epoch| EarlierEpoch { epoch, size: epoch * 10 };
        assert_eq!(not_among(&[]), None);
        let said = not_among(&[one(1), one(3)]).unwrap();
        let expect = "the log has earlier epochs that this is not about (1 with 10 entries, 3 with 30 entries): \
                      `--epoch 3` lists one";
        assert_eq!(said, expect);
    }
}
