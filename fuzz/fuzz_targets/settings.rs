//! Feeds [`attorn_fuzz::settings`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attorn_fuzz::settings(bytes));
