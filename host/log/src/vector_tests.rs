//! Receipts that other languages check, too: `tests/vectors/receipts.json`. What the SDKs take and refuse is what is
//! taken and refused here.

use serde_json::Value;

use crate::fixtures::Log;
use crate::{CheckpointVerifier, LoggedEntry, Receipt};

const VECTORS: &str = include_str!("../../../tests/vectors/receipts.json");

fn verify(vectors: &Value, receipt: &Value) -> Option<LoggedEntry> {
    let key: CheckpointVerifier = vectors["key"].as_str().unwrap().parse().unwrap();
    Receipt::parse(receipt["receipt"].as_str().unwrap()).ok()?.verify(&key).ok()
}

#[test]
fn receipts_that_the_sdks_refuse_are_refused() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let refused = vectors["refused"].as_array().unwrap();
    assert!(refused.len() > 20);
    for receipt in refused {
        assert!(verify(&vectors, receipt).is_none(), "{}", receipt["name"]);
    }
}

#[test]
fn receipts_that_the_sdks_take_are_taken() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    for receipt in vectors["good"].as_array().unwrap() {
        let logged = verify(&vectors, receipt).unwrap_or_else(|| panic!("{}", receipt["name"]));
        assert_eq!(logged.entry.at.to_string(), receipt["entry"], "{}", receipt["name"]);
        assert_eq!(logged.checkpoint.size, receipt["size"].as_u64().unwrap(), "{}", receipt["name"]);
    }
    let golden = &vectors["good"][0]["receipt"];
    assert_eq!(Log::of(3).receipt(1).to_string(), golden.as_str().unwrap());
}
