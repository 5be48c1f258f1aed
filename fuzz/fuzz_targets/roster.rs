#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| securechat_core::fuzzing::roster(data));
