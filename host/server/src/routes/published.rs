//! Routes of the published log: as C2SP tlog-tiles has it, and the earlier checkpoints beside it.

use attorn_core::Duty::Auditor;

use super::{GET, TEXT};
use crate::http::route::Access::{self, Operator as Op};
use crate::http::route::{Content, Route, handler, route};
use crate::published::routes as published;

const BYTES: Content = Content::Other("application/octet-stream");

/// All of them.
pub(super) fn all() -> Vec<Route> {
    let get = |path, access, doc, handler| route(GET, path, access, doc, handler);
    let log = Access::PublishedLog;
    vec![
        get(
            "/log/checkpoint",
            log,
            ("showPublishedCheckpoint", "The log's checkpoint; anybody's where `public_log` says so"),
            handler!(published::checkpoint),
        )
        .gives(TEXT),
        get(
            "/log/checkpoints/{segment}",
            log,
            ("showEarlierCheckpoints", "A segment of the earlier checkpoints; anybody's where `public_log` says so"),
            handler!(published::earlier),
        )
        .gives(TEXT),
        get(
            "/log/tile/{level}/{*index}",
            log,
            ("showTile", "A tile of hashes; anybody's where `public_log` says so"),
            handler!(published::tile),
        )
        .gives(BYTES),
        get(
            "/log/tile/entries/{*index}",
            Op(Auditor),
            ("showEntryBundle", "A bundle of entries"),
            handler!(published::entries),
        )
        .gives(BYTES),
    ]
}
