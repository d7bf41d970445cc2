//! Recurses until its stack is full.

use std::hint::black_box;

use attorn_policy::Error;

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| Err(Error::new(format!("{} deep", depth_below(0)))),
}

fn depth_below(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if frame[0] == u64::MAX { 0 } else { 1 + black_box(depth_below(frame[63] + 1)) }
}
