#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = edgemint_fuzz::x_forwarded_for::run(data);
});
