//! A good policy, cut off at every length.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let bytes = Guest::allow().build();
    // What comes after its exports is for debuggers, and nobody misses it: a section of this name, with
    // a header of at most four bytes.
    let name = b"component-name";
    let names = bytes.windows(name.len()).rposition(|window| window == name).unwrap();
    (0..names - 4).map(|length| ("cut off", bytes[..length].to_vec())).collect()
}
