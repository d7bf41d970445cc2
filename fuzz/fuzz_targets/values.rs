//! Feeds [`attorn_fuzz::values`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attorn_fuzz::values(bytes));
