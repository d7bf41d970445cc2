//! What stands in for a system (`system.wat`), with the archive of modules in it or without.

use wasm_encoder::{DataSection, Module, RawSection};
use wasmparser::{DataKind, Parser, Payload};

use super::super::linked::in_full;

const SYSTEM: &str = include_str!("system.wat");
/// While a policy is started, chance is a constant; then there is none.
const NO_CHANCE: &str = "unreachable";
/// What nobody imports, so that no other module exports it.
pub(super) const MARK: &str = "attorn:system";

/// The module, with this archive. Without one, nothing is there any more.
pub(super) fn module(archive: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let bytes = archive.map_or(0, <[u8]>::len).to_string();
    let chance = if archive.is_some() { "" } else { NO_CHANCE };
    let text = SYSTEM.replace("{{bytes}}", &bytes).replace("{{chance}}", chance);
    let module = wat::parse_str(text).map_err(in_full)?;
    match archive {
        Some(archive) => with(&module, archive),
        None => Ok(module),
    }
}

/// The archive in the place of the first data, which is empty. As text it would be several times as long.
fn with(module: &[u8], archive: &[u8]) -> Result<Vec<u8>, String> {
    let mut made = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(in_full)? {
            Payload::DataSection(reader) => {
                let mut section = DataSection::new();
                for (at, data) in reader.into_iter().enumerate() {
                    let data = data.map_err(in_full)?;
                    if !matches!(data.kind, DataKind::Passive) {
                        return Err("data in place of a system lies in memory".to_owned());
                    }
                    let bytes = if at == 0 { archive } else { data.data };
                    section.passive(bytes.iter().copied());
                }
                made.section(&section);
            }
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    made.section(&RawSection { id, data: &module[range] });
                }
            }
        }
    }
    Ok(made.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(module: &[u8], text: &[u8]) -> bool {
        memchr::memmem::find(module, text).is_some()
    }

    #[test]
    fn an_archive_is_in_it_while_it_is_started_and_then_no_more() {
        let (with, without) = (module(Some(b"all the modules")).unwrap(), module(None).unwrap());
        for module in [&with, &without] {
            wasmparser::validate(module).unwrap();
            assert!(holds(module, MARK.as_bytes()));
        }
        assert!(holds(&with, b"all the modules") && !holds(&without, b"all the modules"));
        assert_ne!(module(Some(b"")).unwrap(), without, "there is chance only while it is started");
    }
}
