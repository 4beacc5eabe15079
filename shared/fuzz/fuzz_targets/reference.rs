#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| shared_fuzz::reference::holds(input));
