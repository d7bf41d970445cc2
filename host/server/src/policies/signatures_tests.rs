use attorn_core::{ComponentClass, PolicyLimits, PolicyMode, Selector, TimeMs};
use attorn_store::CommitError;
use attorn_store::records::{PolicySettings, SignerRevocation};
use tempfile::TempDir;

use super::*;

const KEY: &str = "RWT1T3wJB/3rmIZF6vTLLhQFk1hl0DUX3hfkjAmIdJM9fU2g5FY/Z4uh";
const NOW: TimeMs = TimeMs(1_000);

fn version(signer: Option<&str>) -> PolicyVersionRecord {
    let digest = Digest::from_bytes([1; 32]);
    PolicyVersionRecord {
        policy: "p".parse().unwrap(),
        version: 1,
        component: digest,
        settings: PolicySettings::File(digest),
        selector: Selector::default(),
        mode: PolicyMode::Enforce,
        required: false,
        limits: PolicyLimits::NATIVE,
        class: ComponentClass::Native,
        created_at: NOW,
        created_by: "carol".parse().unwrap(),
        signature: signer.map(|signer| VersionSignature { signer: signer.parse().unwrap(), digest }),
    }
}

fn signer(revoked: bool) -> PolicySignerRecord {
    PolicySignerRecord {
        id: "release".parse().unwrap(),
        name: None,
        public_key: KEY.into(),
        created_at: NOW,
        created_by: "carol".parse().unwrap(),
        revoked: revoked.then(|| SignerRevocation { at: NOW, by: "carol".parse().unwrap() }),
    }
}

fn recorded(required: bool) -> SignatureRequirementRecord {
    SignatureRequirementRecord { required, changed_at: NOW, changed_by: "carol".parse().unwrap() }
}

/// A store where these are recorded.
async fn store(required: Option<bool>, revoked: bool) -> (TempDir, Store) {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), crate::keys::ours_of_tests()).unwrap();
    let mut batch = Batch::new(NOW);
    batch.put_record(&signer(revoked));
    if let Some(required) = required {
        batch.put_record(&recorded(required));
    }
    store.commit(batch).await.unwrap();
    (dir, store)
}

/// What it takes to put this version in force, as a batch that may commit only while it holds.
async fn admitted(store: &Store, version: &PolicyVersionRecord) -> Result<Batch, ProblemCode> {
    let mut batch = Batch::new(NOW);
    batch.put_record(version);
    let rests_on = may_come_into_force(store, std::iter::once(version)).await;
    batch.require.extend(rests_on.map_err(|failure| failure.problem.code)?);
    Ok(batch)
}

async fn change(store: &Store, change: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new(NOW);
    change(&mut batch);
    store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn what_is_not_vouched_for_does_not_come_into_force() {
    let (missing, refused) = (Some(ProblemCode::SignatureMissing), Some(ProblemCode::SignatureRefused));
    for (required, revoked, signed_by, expect) in [
        (Some(true), false, None, missing),
        (Some(true), true, None, missing),
        (Some(true), true, Some("release"), refused),
        (Some(true), false, Some("nobody"), refused),
        (Some(true), false, Some("release"), None),
        (Some(false), true, Some("release"), None),
        (Some(false), false, None, None),
        (None, true, Some("release"), None),
        (None, false, None, None),
    ] {
        let (_dir, store) = store(required, revoked).await;
        let found = admitted(&store, &version(signed_by)).await.err();
        assert_eq!(found, expect, "{required:?} {revoked} {signed_by:?}");
    }
}

/// Between the look and the commit.
#[tokio::test]
async fn nothing_comes_into_force_on_what_has_changed_meanwhile() {
    for (required, signed_by, meanwhile) in [
        (Some(true), "release", "the signer is revoked"),
        (Some(false), "release", "signatures are required"),
        (None, "release", "signatures are required"),
    ] {
        let (_dir, store) = store(required, false).await;
        let batch = admitted(&store, &version(Some(signed_by))).await.unwrap();
        // Each of the two records alone is enough.
        change(&store, |batch| match meanwhile {
            "the signer is revoked" => batch.put_record(&signer(true)),
            _ => batch.put_record(&recorded(true)),
        })
        .await;
        let committed = store.commit(batch).await;
        assert!(matches!(committed, Err(CommitError::Conflict(_))), "{required:?}, {meanwhile}: {committed:?}");
    }
    let (_dir, store) = store(Some(true), false).await;
    store.commit(admitted(&store, &version(Some("release"))).await.unwrap()).await.unwrap();
}

/// A push names what it rests on, too, whether signatures are required or not.
#[tokio::test]
async fn no_version_is_recorded_with_a_signer_who_was_revoked_meanwhile() {
    for required in [Some(true), Some(false), None] {
        let (_dir, store) = store(required, false).await;
        let record = version(Some("release"));
        let mut batch = Batch::new(NOW);
        batch.put_record(&record);
        let vouched_for = vouched(&store, &mut batch, &record).await.unwrap().unwrap();
        assert_eq!((vouched_for.id.as_str(), vouched_for.key.as_str()), ("release", "98EBFD07097C4FF5"));
        change(&store, |batch| batch.put_record(&signer(true))).await;
        let committed = store.commit(batch).await;
        assert!(matches!(committed, Err(CommitError::Conflict(_))), "{required:?}: {committed:?}");
        let again = vouched(&store, &mut Batch::new(NOW), &record).await;
        assert_eq!(again.unwrap_err().problem.code, ProblemCode::SignatureRefused);
    }
}

/// What ends a policy waits for nobody's signature.
#[tokio::test]
async fn taking_a_policy_out_of_force_names_no_requirement() {
    let (_dir, store) = store(Some(true), true).await;
    let rests_on = may_come_into_force(&store, std::iter::empty()).await.unwrap();
    assert!(rests_on.is_empty(), "{rests_on:?}");
}

/// All of them are read whenever somebody asks whose a signature is.
#[tokio::test]
async fn those_who_were_revoked_take_room_too() {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), crate::keys::ours_of_tests()).unwrap();
    let named = |number: usize, revoked| {
        let id = format!("signer-{number}").parse().unwrap();
        PolicySignerRecord { id, ..signer(revoked) }
    };
    let numbers: Vec<usize> = (1..EVER_MAX).collect();
    for some in numbers.chunks(64) {
        change(&store, |batch| some.iter().for_each(|number| batch.put_record(&named(*number, true)))).await;
    }
    Signers::of(&store).await.unwrap().room().unwrap();
    change(&store, |batch| batch.put_record(&named(EVER_MAX, true))).await;
    let problem = Signers::of(&store).await.unwrap().room().unwrap_err().problem;
    assert!(problem.detail.contains("1024 signers with those who were revoked"), "{}", problem.detail);
    // Of those who are active there are fewer.
    change(&store, |batch| (1..=ACTIVE_MAX).for_each(|number| batch.put_record(&named(number, false)))).await;
    let problem = Signers::of(&store).await.unwrap().room().unwrap_err().problem;
    assert!(problem.detail.contains("64 active signers") && problem.help.is_some(), "{}", problem.detail);
}
