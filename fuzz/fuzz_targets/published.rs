//! Feeds [`attorn_fuzz::published`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attorn_fuzz::published(bytes));
