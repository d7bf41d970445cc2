//! What the cases beside this crate cannot say; those are run in the real engine.
