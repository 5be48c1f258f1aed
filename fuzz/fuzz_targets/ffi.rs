#![no_main]

#[path = "../../securechat-ffi/tests/calls/mod.rs"]
mod calls;
#[path = "../../securechat-ffi/tests/driver/mod.rs"]
mod driver;

libfuzzer_sys::fuzz_target!(|data: &[u8]| calls::calls(data));
