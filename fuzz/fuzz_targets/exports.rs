//! Feeds [`attorn_fuzz::exports`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attorn_fuzz::exports(bytes));
