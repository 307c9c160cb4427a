#!/bin/sh
# Cargo's RUSTC_WRAPPER for fuzzing on stable Rust: compiles edgemint and the targets with libFuzzer's
# counters, and everything else as ever, so that edgemint's own build of its dependencies is used.
set -eu
rustc=$1
shift
case ${CARGO_PKG_NAME:-} in
edgemint | edgemint-fuzz)
    # What cargo-fuzz passes where no sanitizer is asked for.
    exec "$rustc" "$@" \
        -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
*) exec "$rustc" "$@" ;;
esac
