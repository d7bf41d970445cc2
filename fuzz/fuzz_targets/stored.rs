//! Feeds [`attorn_fuzz::stored`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attorn_fuzz::stored(bytes));
