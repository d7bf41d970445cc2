//! Acting on behalf: decisions by chains of delegations, tokens, and revocation with much below.
//!
//! The server runs in this process, with its store on the disk that the build is on; so does the provider, which is
//! asked for its keys once. Requests come from a load generator in a process of its own. The CPU time of a request is
//! that of this whole process, which does nothing else meanwhile. A chain has four hops at most by default; here the
//! bound is eight, set by `run::Start`, which no configuration reaches.
//!
//! **`delegation.decision_over_signature`** is set against one bare ES256 verification of as many bytes as a proof
//! has. What is divided is a decision at depth 4 as `server::decisions::rehearse` does it: everything from the body of
//! the request to the batch that would be committed (parse, gather, bounds, evaluation in its sandbox on another
//! thread and back, entry and record), by the clock. Not in it: HTTP, the proof's own verification, the durable write,
//! the signature of the token. The raw numbers have what it comes to with the proof and the token. Both take turns in
//! batches. `delegation.gather_parts` says where the reading goes: each part alone, over the store of the same
//! server after it has stopped, times how often a decision at depth 4 does it.
//!
//! **`delegation.revoke_*`**: chains of three are made through the API; what hangs below the third is put into the
//! store while the server is stopped, in batches of sealed records with all their places in the indexes and without
//! entries, because a hundred thousand calls would take long and are not what is measured. In each tree the third,
//! the second and the first delegation are revoked, one after the other, through the API by an operator. Trees of all
//! sizes stand in one store and take turns.

mod below;
mod decide;
mod host;
mod oauth;
mod parts;
mod scene;

use crate::Length;
use crate::figure::Figures;
use scene::Scene;

/// Measure, and print.
pub(crate) async fn measure(length: Length, figures: &mut Figures) {
    let mut scene = Scene::new().await;
    decide::rehearsed(&scene, length, figures).await;
    decide::over_http(&scene, length, figures).await;
    oauth::measure(&scene, length, figures).await;
    let trees = below::chains(&scene, length).await;
    let store = scene.host.stop().await;
    parts::measure(&scene, &store, length, figures).await;
    below::fill(&scene, &trees, &store).await;
    scene.host.start_again(store).await;
    below::measure(&scene, trees, figures).await;
}
