//! 200 MB.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let mut bytes = Guest::allow().build();
    bytes.resize(200 << 20, 0);
    vec![("200 MB", bytes)]
}
