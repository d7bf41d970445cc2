//! Wants all the memory that there is.

use std::hint::black_box;

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| {
        let mut all = Vec::new();
        loop {
            all.push(vec![1_u8; 1 << 20]);
            black_box(&all);
        }
    },
}
