//! The engine from outside, with components that are written by hand to the byte, so that each does
//! exactly one thing.

mod concurrency;
mod evaluate;
mod hostile_bytes;
mod kit;
mod load;
