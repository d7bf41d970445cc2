//! Compiled components: machine code that the host runs as it is, and therefore has to trust.
//!
//! An [`Artifact`] is made in three ways only: by compiling in this process, by a [`Worker`] (this very
//! program as a child with limits of its own, because compilers can panic or take all memory on hostile
//! input), or by a [`Cache`] whose files carry a MAC under a key that nobody else has. Nothing else can
//! be loaded. Whoever names the program of a [`Worker`] vouches for it: what it answers is run.
//!
//! This is the only crate of the host with `unsafe` code: one call, in [`Artifact::load`]. It knows no
//! policy, no setting and no step of loading; requests and answers of the worker are parts of bytes
//! whose meaning is its caller's.

mod artifact;
mod cache;
mod frame;
mod limits;
mod parts;
mod worker;

pub use artifact::Artifact;
pub use cache::{ArtifactName, Cache, CacheError, CacheKey, Pin};
pub use frame::{FrameError, PARTS_BYTES_MAX, PARTS_MAX};
pub use limits::WorkerLimits;
pub use parts::Parts;
pub use worker::{Cancel, Progress, Worker, WorkerError, serve};
