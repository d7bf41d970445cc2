//! Revocation of delegations with few and with many below them.

use std::time::Instant;

use attorn_api::delegations::Delegation;
use attorn_core::{DelegationId, Permission};
use attorn_identity::UserKey;
use attorn_store::records::{DelegationBody, DelegationRecord, Record as _, Sealed};
use attorn_store::{Batch, Key, Store};
use futures_util::future::join_all;
use serde_json::json;

use super::scene::Scene;
use crate::Length;
use crate::figure::{Figures, float, median, rounded};

/// How many delegations a tree has above the many.
const HOPS: usize = 3;
/// How many of those that are put into the store go into one batch, and how many batches wait at a time.
const PER_BATCH: usize = 200;
const BATCHES_AT_ONCE: usize = 8;

/// A chain, and how many hang below its last.
pub(super) struct Tree {
    below: usize,
    chain: Vec<Delegation>,
}

/// The chains of all trees, from many below to few, in turns. The first is there to be revoked before it counts.
pub(super) async fn chains(scene: &Scene, length: Length) -> Vec<Tree> {
    let sizes = std::iter::repeat_n(length.descendants, length.trees).flatten();
    let mut trees = Vec::new();
    for (n, below) in std::iter::once(1).chain(sizes).enumerate() {
        trees.push(Tree { below, chain: scene.chain_of(&format!("tree-{n}"), HOPS).await });
    }
    trees
}

/// Put what hangs below them into the store.
pub(super) async fn fill(scene: &Scene, trees: &[Tree], store: &Store) {
    let (began, key) = (Instant::now(), scene.host.user_key(scene.alice()));
    let mut all = 0_u128;
    for tree in trees {
        let last: DelegationId = tree.chain[HOPS - 1].id.parse().unwrap();
        let parent = store.record::<DelegationRecord>(&Key::delegation(&last)).await.unwrap().unwrap().value;
        let mut left = tree.below;
        while left > 0 {
            let mut batches = Vec::new();
            while left > 0 && batches.len() < BATCHES_AT_ONCE {
                let mut batch = Batch::new(parent.created_at);
                for _ in 0..left.min(PER_BATCH) {
                    all += 1;
                    put(&mut batch, &child(scene, &parent, &key, all));
                }
                left -= left.min(PER_BATCH);
                batches.push(store.commit(batch));
            }
            for committed in join_all(batches).await {
                committed.unwrap();
            }
        }
    }
    eprintln!("{all} delegations were put into the store in {:.1?}", began.elapsed());
}

/// One that the last agent of the chain gave to the next.
fn child(scene: &Scene, parent: &DelegationRecord, key: &UserKey, n: u128) -> DelegationRecord {
    // Ids are random in the server, too.
    let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let id: DelegationId = format!("dlg_{random:032x}").parse().unwrap();
    let permission = Permission { action: "account.read".parse().unwrap(), resource: "ledger/*".parse().unwrap() };
    let body = DelegationBody { permissions: vec![permission], evidence: None };
    let sealed = Sealed(key.seal(&Key::delegation(&id).to_string(), &body.encode()).unwrap());
    DelegationRecord {
        id,
        from_agent: Some(parent.to_agent.clone()),
        parent: Some(parent.id.clone()),
        depth: parent.depth + 1,
        to_agent: scene.agents[HOPS].id.parse().unwrap(),
        sealed,
        sealed_reason: None,
        ..parent.clone()
    }
}

/// With all its places in the indexes, as the server writes it.
fn put(batch: &mut Batch, record: &DelegationRecord) {
    let (id, parent) = (&record.id, record.parent.as_ref().unwrap());
    batch.put.push((Key::user_delegation(&record.user, id), Vec::new()));
    batch.put.push((Key::agent_delegation(&record.to_agent, id), Vec::new()));
    batch.put.push((Key::child_delegation(parent, id), Vec::new()));
    batch.put.push((Key::expiry(record.expires_at, &record.key()), Vec::new()));
    batch.put_record(record);
}

/// Revoke everything in each tree, from its last on, and print.
pub(super) async fn measure(scene: &Scene, trees: Vec<Tree>, figures: &mut Figures) {
    let mut took: Vec<(usize, Vec<f64>)> = Vec::new();
    for (n, Tree { below, chain }) in trees.into_iter().enumerate() {
        let leaf = scene.ask_by(&some_below(scene, &chain).await);
        let answer = scene.agents[HOPS].decide(&leaf).await;
        assert!(answer.grant.is_some(), "{answer:?}");
        for delegation in chain.iter().rev() {
            let (path, began) = (format!("/v1/delegations/{}/revoke", delegation.id), Instant::now());
            scene.staff.registrar.post(path, &json!({ "reason": "a measurement" })).await.expect(200);
            let us = began.elapsed().as_secs_f64() * 1e6;
            if n > 0 {
                match took.iter_mut().find(|(size, _)| *size == below) {
                    Some((_, took)) => took.push(us),
                    None => took.push((below, vec![us])),
                }
            }
        }
        let answer = scene.agents[HOPS].decide(&leaf).await;
        assert_eq!(answer.reasons[0].code, "delegation_revoked", "{answer:?}");
    }
    took.sort_by_key(|(below, _)| *below);
    for (below, took) in &took {
        let sorted: Vec<_> = sorted(took).into_iter().map(f64::round).collect();
        let raw = json!({ "below": below, "revocations": took.len(), "took_us": sorted });
        figures.add(&format!("delegation.revoke_{below}"), median(took.clone()), "us (p50)", &raw);
    }
    let ((few, few_us), (many, many_us)) = (took.first().unwrap(), took.last().unwrap());
    let (few_p50, many_p50) = (median(few_us.clone()), median(many_us.clone()));
    let mean = |took: &[f64]| took.iter().sum::<f64>() / float(took.len() as u64);
    let raw = json!({
        "many_us": rounded(many_p50), "few_us": rounded(few_p50), "many": many, "few": few,
        "means_ratio": rounded(mean(many_us) / mean(few_us)),
        "fastest_ratio": rounded(sorted(many_us)[0] / sorted(few_us)[0]),
    });
    figures.add("delegation.revoke_1e5_over_1", many_p50 / few_p50, "ratio", &raw);
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// One of those that hang below the last of the chain.
async fn some_below(scene: &Scene, chain: &[Delegation]) -> String {
    let path = format!("/v1/delegations/{}/tree", chain[HOPS - 1].id);
    let tree: attorn_api::delegations::DelegationTree = scene.staff.registrar.get(path).await.expect(200).json();
    tree.children[0].delegation.id.clone()
}
