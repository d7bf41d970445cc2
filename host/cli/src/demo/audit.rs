//! The audit log verifies, and one changed byte is found.

use std::path::{Path, PathBuf};

use super::Stage;
use super::asking::Told;
use super::host::said;
use super::operators::log_key_path;
use crate::exit::Exit;
use crate::failure::Failure;

/// Where the exported log is.
pub(super) fn export_path(directory: &Path) -> PathBuf {
    directory.join("audit-log.txt")
}

/// Give how many entries the log has.
pub(super) async fn play(stage: &mut Stage<'_>, told: &Told) -> Result<u64, Failure> {
    stage.narrator.part("The audit log");
    let key = log_key_path(&stage.directory).display().to_string();
    let auditor = &stage.operators.auditor;

    let verified = stage.host.attorn(&["--json", "audit", "verify", "--key", &key], Some(auditor)).await?;
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap_or_default();
    let entries = report["entries"].as_u64().unwrap_or(0);
    let as_told = verified.status.success() && report["verified"] == true;
    let came = if as_told {
        format!("{entries} entries of {} verified", report["origin"].as_str().unwrap_or("?"))
    } else {
        said("it failed", &verified).message
    };
    stage.narrator.step("attorn audit verify, with the key that the outsider noted", came, as_told)?;

    let receipt = stage.host.attorn(&["audit", "receipt", &told.allowed_entry.to_string()], Some(auditor)).await?;
    let receipt_path = stage.directory.join("receipt.txt");
    write(&receipt_path, &receipt.stdout)?;
    let path = receipt_path.display().to_string();
    let verified = stage.host.attorn(&["audit", "verify", "--receipt", &path, "--key", &key], None).await?;
    let asked = format!("attorn audit verify --receipt, offline, for entry {}", told.allowed_entry);
    let first_line = String::from_utf8_lossy(&verified.stdout).lines().next().unwrap_or_default().to_owned();
    stage.narrator.step(asked, first_line, verified.status.success())?;

    let export = export_path(&stage.directory);
    let path = export.display().to_string();
    let exported = stage.host.attorn(&["audit", "export", "--out", &path], Some(auditor)).await?;
    stage.narrator.step("attorn audit export", &path, exported.status.success())?;

    let mut bytes = std::fs::read(&export).map_err(|error| Failure::file("read", &export, &error))?;
    nobody_is_named(stage, &bytes)?;
    change_one_byte(&mut bytes, told.denied_entry).ok_or_else(|| Failure::new("the export has no such entry"))?;
    let changed = stage.directory.join("audit-log-changed.txt");
    write(&changed, &bytes)?;
    let path = changed.display().to_string();
    let verified = stage.host.attorn(&["audit", "verify", "--file", &path, "--key", &key], None).await?;
    let named = String::from_utf8_lossy(&verified.stderr).lines().next().unwrap_or_default().to_owned();
    let index = told.denied_entry;
    let as_told = verified.status.code() == Some(Exit::VerificationFailed.code().into())
        && named == format!("error: entry {index} was changed");
    let asked = format!("one byte of entry {index} is changed: its article/42 becomes article/43; attorn audit verify");
    stage.narrator.step(asked, format!("{named} ({})", verified.status), as_told)?;
    Ok(entries)
}

/// Whoever reads the log learns that somebody was acted for, and not who.
fn nobody_is_named(stage: &Stage<'_>, export: &[u8]) -> Result<(), Failure> {
    let Some(act) = &stage.act else { return Ok(()) };
    let text = String::from_utf8_lossy(export);
    let names = act.names()?;
    // By whole words, so that five letters in the middle of a digest are no name.
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
    let found = words.filter(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name))).count();
    let acted = text.matches("\"on_behalf\":{").count();
    let asked = "somebody searches it for Alice: by name, by what the provider calls her, by her id";
    let came = format!("found {found} times; {acted} entries are about what was done on somebody's behalf");
    stage.narrator.step(asked, came, found == 0 && acted > 0)
}

/// Make `article/42` in this entry `article/43`. After the line `entries`, each entry has two lines.
fn change_one_byte(export: &mut [u8], index: u64) -> Option<()> {
    const ARTICLE: &[u8] = b"article/42";
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
    let mut at = find(export, b"\nentries\n")? + b"\nentries\n".len();
    for _ in 0..index.checked_mul(2)?.checked_add(1)? {
        at += find(&export[at..], b"\n")? + 1;
    }
    let line_end = at + find(&export[at..], b"\n")?;
    let last = at + find(&export[at..line_end], ARTICLE)? + ARTICLE.len() - 1;
    export[last] = b'3';
    Some(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| Failure::file("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_of_the_right_entry_is_changed() {
        let export =
            "header\nentries\nenvelope article/42\narticle/42\nenvelope\n{\"a\":\"article/42\"}\nenvelope\nx\n";
        let mut bytes = export.as_bytes().to_vec();
        change_one_byte(&mut bytes, 1).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), export.replace("\"article/42\"", "\"article/43\""));
        for index in [2, 3, u64::MAX] {
            assert_eq!(change_one_byte(&mut export.as_bytes().to_vec(), index), None, "{index}");
        }
        assert_eq!(change_one_byte(&mut b"no log".to_vec(), 0), None);
    }
}
