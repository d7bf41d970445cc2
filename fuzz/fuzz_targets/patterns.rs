//! Feeds [`attorn_fuzz::patterns`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attorn_fuzz::patterns(bytes));
