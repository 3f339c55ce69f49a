#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meshvpn_fuzz::targets::run("stun", data));
