//! Feeds [`attorn_fuzz::loader`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attorn_fuzz::loader(bytes));
