//! The engine from outside, with components that are written by hand to the byte, so that each does
//! exactly one thing.

#[cfg(test)]
mod cache;
#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod evaluate;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hostile_bytes;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod load;
