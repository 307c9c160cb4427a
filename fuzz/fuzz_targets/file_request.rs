#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = edgemint_fuzz::file_request::run(data);
});
