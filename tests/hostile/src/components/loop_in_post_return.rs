//! Answers, and then never lets the host go: a loop in the function that frees the answer.

use crate::Variants;
use crate::kit::{Guest, LOOP, POST_EVALUATE};

pub(crate) fn make() -> Variants {
    let fields = format!(r#"(func (export "{POST_EVALUATE}") (param i32) {LOOP})"#);
    Guest { fields, ..Guest::allow() }.alone()
}
