//! A good policy, cut off at every length.

use std::collections::BTreeSet;

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let bytes = Guest::allow().build();
    // What comes after its exports is for debuggers, and nobody misses it: a section of this name, with
    // a header of at most four bytes.
    let name = b"component-name";
    let names = bytes.windows(name.len()).rposition(|window| window == name).unwrap();
    let ends = ends_of_sections(&bytes);
    let cut = |length: usize| {
        let variant = if ends.contains(&length) { "cut between sections" } else { "cut midway" };
        (variant, bytes[..length].to_vec())
    };
    (0..names - 4).map(cut).collect()
}

/// Where a section may begin: after eight bytes of header, and after each section. What is cut there is a
/// component that lacks something.
fn ends_of_sections(bytes: &[u8]) -> BTreeSet<usize> {
    let mut ends = BTreeSet::from([8]);
    let mut at = 8;
    while at < bytes.len() {
        // A section is a byte that says which, its length as LEB128, and that many bytes.
        let (mut length, mut shift) = (0, 0);
        loop {
            at += 1;
            length |= usize::from(bytes[at] & 0x7f) << shift;
            shift += 7;
            if bytes[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1 + length;
        ends.insert(at);
    }
    ends
}
