//! Policies that are met, that are not, and that are none.

use super::*;
use crate::fixtures::Log;
use crate::witness::sign::Witness;

fn witnesses() -> [Witness; 4] {
    [1, 2, 3, 4].map(|n| Witness::new(&format!("example.org/w{n}"), &[n; 32]))
}

fn cosigned(by: &[usize]) -> SignedCheckpoint {
    let witnesses = witnesses();
    by.iter().fold(Log::of(5).checkpoint(), |checkpoint, at| {
        let line = witnesses[*at].cosign(1_700_000_000, &checkpoint.text());
        let cosignature = witnesses[*at].key.read(&checkpoint, line.as_bytes()).unwrap();
        checkpoint.with_cosignature(&cosignature)
    })
}

fn policy(quorum: &str) -> Result<WitnessPolicy, PolicyError> {
    let keys = witnesses().map(|witness| witness.key.to_string());
    let [one, two, three, four] = keys;
    format!(
        "# a comment\n\nlog {} https://log.example/\nwitness w1 {one} https://w1.example/\nwitness w2\t{two}\n\
         witness w3 {three}\nwitness w4 {four}\n{quorum}\n",
        crate::fixtures::verifier()
    )
    .parse()
}

#[track_caller]
fn met(quorum: &str, by: &[usize], expect: bool) {
    let outcome = policy(quorum).unwrap().check(&cosigned(by));
    assert_eq!(outcome.is_ok(), expect, "{quorum} by {by:?}: {outcome:?}");
    if let Ok(Witnessed { by: found }) = outcome {
        assert_eq!(found.len(), by.len());
    }
}

#[test]
fn a_quorum_is_met_by_enough_and_no_fewer() {
    met("quorum none", &[], true);
    met("quorum w2", &[1], true);
    met("quorum w2", &[0, 2, 3], false);
    for (quorum, needed) in [("any", 1), ("1", 1), ("2", 2), ("3", 3), ("all", 4), ("4", 4)] {
        let text = format!("group g {quorum} w1 w2 w3 w4\nquorum g");
        for count in 0..=4 {
            met(&text, &[0, 1, 2, 3][..count], count >= needed);
        }
    }
    let nested = "group a any w1 w2\ngroup b all w3 w4\ngroup c 2 a b\nquorum c";
    met(nested, &[0, 2, 3], true);
    met(nested, &[0, 1, 2], false);
    met(nested, &[2, 3], false);
    let keys = witnesses().map(|witness| witness.key);
    assert!(WitnessPolicy::quorum_of(2, &keys).check(&cosigned(&[0, 3])).is_ok());
    let error = WitnessPolicy::quorum_of(3, &keys).check(&cosigned(&[0, 3])).unwrap_err();
    let expect = "the witness policy is not met: the checkpoint is cosigned by 2 of it (`example.org/w1`, \
                  `example.org/w4`), and it needs 3 of `example.org/w1`, `example.org/w2`, `example.org/w3`, \
                  `example.org/w4`";
    assert_eq!(error.to_string(), expect);
    let error = policy("quorum w2").unwrap().check(&cosigned(&[])).unwrap_err();
    let expect = "the witness policy is not met: the checkpoint is cosigned by nobody of it, and it needs `w2`";
    assert_eq!(error.to_string(), expect);
}

#[test]
fn a_wrong_cosignature_is_worse_than_none() {
    let line = witnesses()[1].cosign(1, &Log::of(6).checkpoint().text());
    let note = format!("{}{line}", cosigned(&[0]).note());
    let checkpoint = crate::fixtures::verifier().verify(note.as_bytes()).unwrap();
    let error = policy("group g any w1 w2\nquorum g").unwrap().check(&checkpoint).unwrap_err();
    assert_eq!(error.to_string(), "the cosignature of the witness `w2` is wrong");
}

#[test]
fn what_is_no_policy_is_refused() {
    let refused = |quorum: &str, message: &str| {
        assert_eq!(
            policy(quorum).unwrap_err().to_string(),
            format!("line 8 of the witness policy: {message}"),
            "{quorum}"
        );
    };
    refused("quorum w5", "`w5` is not known");
    refused("group g 1 g\nquorum g", "`g` is not known");
    refused("group g 0 w1\nquorum g", "so many members are not in the group");
    refused("group g 2 w1\nquorum g", "so many members are not in the group");
    refused("group g all\nquorum g", "so many members are not in the group");
    refused("group g -1 w1\nquorum g", "so many members are not in the group");
    refused("group g 2 w1 w1\nquorum g", "a member stands twice in the group");
    refused("group w1 1 w2\nquorum w1", "the name `w1` is taken");
    refused("group none 1 w2\nquorum none", "the name `none` is taken");
    let again = format!("witness w5 {}", witnesses()[0].key);
    refused(&again, "that witness is there under another name");
    refused("witness w5 x+y+z", "the verifier key is no ed25519 key");
    let unknown = "it is none of `witness`, `group`, `quorum` and `log`, each as it should be";
    for line in ["quorum", "quorum w1 w2", "group g", "witness w5", "log", "Quorum w1", "quorum\u{a0}w1"] {
        refused(line, unknown);
    }
    assert_eq!(policy("").unwrap_err(), PolicyError::NoQuorum);
    let twice = policy("quorum w1\nquorum w1").unwrap_err().to_string();
    assert_eq!(twice, format!("line 9 of the witness policy: {unknown}"));
    for long in ["x".repeat(WitnessPolicy::BYTES_MAX + 1), "\n".repeat(300)] {
        assert_eq!(long.parse::<WitnessPolicy>(), Err(PolicyError::TooLong));
    }
    let key = |n: u8| Witness::new(&format!("example.org/v{n}"), &[n; 32]).key;
    let many: Vec<String> = (10..30).map(|n| format!("witness v{n} {}", key(n))).collect();
    let many = many.join("\n");
    assert!(format!("{many}\nquorum none").parse::<WitnessPolicy>().unwrap_err().to_string().contains("more than 15"));
}
