#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = edgemint_fuzz::handoff_token::run(data);
});
