//! `/log/…`: what C2SP tlog-tiles says, and the earlier checkpoints beside it.
//!
//! Checkpoints and hashes are public where `attorn.toml` says so; entries never are.

use std::io;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_log::segments::{Span, parse_segment};
use attorn_log::tiles::{add_to_bundle, hash_tile};
use attorn_log::{Hash, Tile, TileKind};
use axum::body::Body;

use crate::app::App;
use crate::http::call::{Call, Caller, Reply};
use crate::http::failure::Failure;
use crate::published::public_reads::PATIENCE;
use crate::streamed::streamed;

/// What never changes may be kept for ever: by anybody, or by whoever asked for it.
const PUBLIC: &str = "public, max-age=31536000, immutable";
const PRIVATE: &str = "private, max-age=31536000, immutable";

pub(crate) async fn checkpoint(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let none = || Failure::of(ProblemCode::NotFound, "no checkpoint has been cosigned by enough witnesses yet");
    let shown = app.published.shown().ok_or_else(none)?;
    Ok(Reply::text(shown.note().to_owned()))
}

pub(crate) async fn earlier(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let asked = call.path_text("segment");
    let none = || Failure::not_found("segment", asked.escape_default());
    let segment = parse_segment(asked).ok_or_else(none)?;
    // Before it is read: what is read of one that is full now is all of it.
    let is_full = segment < Span::USUAL.segment_of(app.published.size());
    let reader = Arc::clone(&app);
    let file = blocking(move || reader.published.segment(segment)).await.map_err(Failure::internal)?;
    let reply = Reply::text(Body::from_stream(streamed(file.ok_or_else(none)?)));
    Ok(if is_full { reply.kept(immutable(&app)) } else { reply })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// How what never changes is kept.
fn immutable(app: &App) -> &'static str {
    if app.config.public_log { PUBLIC } else { PRIVATE }
}

pub(crate) async fn tile(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let level: TileKind = call.path_text("level").parse().map_err(|_| no_tile(&call))?;
    let tile = published(&app, &call, level)?;
    let kept = immutable(&app);
    let turn = match call.caller {
        Caller::Anonymous => Some(app.published.public_reads.turn(PATIENCE).await?),
        _ => None,
    };
    let read = move || {
        // Until it is read, also if nobody waits for it any more.
        let _turn = turn;
        let hashes = tile.nodes().map(|id| app.store.hash(id)?.ok_or_else(|| Failure::internal("a hash is missing")));
        Ok::<_, Failure>(hash_tile(&hashes.collect::<Result<Vec<Hash>, _>>()?))
    };
    let bytes = tokio::task::spawn_blocking(read).await.map_err(Failure::internal)??;
    Ok(reply(tile, bytes, kept))
}

pub(crate) async fn entries(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let tile = published(&app, &call, TileKind::Entries)?;
    let read = tokio::task::spawn_blocking(move || bundle(&app.store, tile));
    Ok(reply(tile, read.await.map_err(Failure::internal)??, PRIVATE))
}

/// The bytes of a bundle of entries.
pub(super) fn bundle(store: &attorn_store::Store, tile: Tile) -> Result<Vec<u8>, Failure> {
    if tile.is_full()
        && let Some(bytes) = store.bundle_file(tile.index())?
    {
        return Ok(bytes);
    }
    let (mut next, end) = (tile.begin(), tile.begin() + u64::from(tile.width()));
    let mut bytes = Vec::new();
    while next < end {
        let left = usize::try_from(end - next).unwrap_or(usize::MAX);
        let entries = store.entries(next, left)?;
        if entries.is_empty() {
            return Err(Failure::internal(format_args!("entry {next} is missing")));
        }
        next += entries.len() as u64;
        for entry in &entries {
            add_to_bundle(&mut bytes, &entry.bytes);
        }
    }
    Ok(bytes)
}

/// The tile that was asked for, if all of it is under a checkpoint.
fn published(app: &App, call: &Call, kind: TileKind) -> Result<Tile, Failure> {
    let tile = Tile::of(kind, call.path_text("index")).map_err(|_| no_tile(call))?;
    if tile.is_in(app.published.size()) { Ok(tile) } else { Err(no_tile(call)) }
}

fn no_tile(call: &Call) -> Failure {
    Failure::not_found("tile", call.path_text("index").escape_default())
}

fn reply(tile: Tile, bytes: Vec<u8>, kept: &'static str) -> Reply {
    let reply = Reply::bytes(bytes);
    if tile.is_full() { reply.kept(kept) } else { reply }
}
