//! The bytes of everything that is stored or given away, so that no format drifts unseen. If one of
//! these has to change, it is a new version of the format.

use data_encoding::HEXLOWER;

use crate::fixtures::{Log, verifier};

#[track_caller]
fn golden(found: &str, expect: &str) {
    assert_eq!(found, expect, "\nfound:\n{found}\n");
}

const ENTRY: &str = r#"attorn-entry/v1 main 1 2 686821ee94768100d912a7310e7c62c58c9e7ac40181dd79f15394734d014f61
{"kind":"decision","n":2,"who":"Jörg \"J\" \n"}
"#;

const NOTE: &str = "attorn/main/1
3
305uHGK60VdIByTXTLmOtNiL0SgTWMtpB2O43sYIHRk=

\u{2014} attorn/main/1 blVWDof7NiAhG6QHAoe0dnExgjxDId+C/1J+e0IOWwgV4iIMtA8l1ByJTP+TaNawNeaXx6LTm+4BWzer4YF2DmQc+gs=
";

#[test]
fn an_entry() {
    let log = Log::of(3);
    golden(std::str::from_utf8(&log.entries[2].to_bytes()).unwrap(), ENTRY);
    // Both were computed by other implementations of BLAKE3 and SHA-256 too.
    golden(&log.entries[2].link().to_string(), "10e1db0c1065642dd171eb03529538671ebf876a93e87da1ee4ffa87ecc22958");
    golden(
        &HEXLOWER.encode(&log.entries[2].leaf_hash().0),
        "46c33b24b918fc3f3717c649907d1e1f42cc38976d0526a3d8967fe736ad6f05",
    );
}

#[test]
fn a_checkpoint_and_its_key() {
    golden(Log::of(3).checkpoint().note(), NOTE);
    golden(&verifier().to_string(), "attorn/main/1+6e55560e+ARl/ayPhbIUyxqvIOPrNXqeJvgx2spIDNAOb+os9No1h");
}

#[test]
fn a_receipt() {
    let expect = "c2sp.org/tlog-proof@v1
extra YXR0b3JuLWVudHJ5L3YxIG1haW4gMSAxIDQxNjAzZDllNjRmZjk2YWU0MDI4MjJlMTUxY2Q0YjhlNDBlNWUyMWFiODZjNzViMWJkMTgwOGRiODE2MjZj\
MWMKeyJraW5kIjoiZGVjaXNpb24iLCJuIjoxLCJ3aG8iOiJKw7ZyZyBcIkpcIiBcbiJ9Cg==
index 1
zdYIe2DUm+k7bmC+Ckn0KqcIB6X1bCuNEP1WkYX5P5I=
RsM7JLkY/D83F8ZJkH0eH0LMOJdtBSaj2JZ/5zatbwU=

";
    golden(&Log::of(3).receipt(1).to_string(), &format!("{expect}{NOTE}"));
}

#[test]
fn an_export() {
    let log = Log::of(3);
    let export = String::from_utf8(log.export()).unwrap();
    let (header, entries) = export.split_once("entries\n").unwrap();
    golden(header, &format!("attorn-audit-export/v1\nkey {}\n{NOTE}", verifier()));
    assert!(entries.starts_with(&format!("attorn-entry/v1 main 1 0 {}\n", "0".repeat(64))));
    assert!(entries.ends_with(ENTRY));
}
