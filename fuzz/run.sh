#!/bin/sh
# Fuzzes each target for a bounded time, after its corpus, and stops at the first crash.
#
#   fuzz/run.sh [TARGET...]        all of them, where none is named
#   SECONDS_EACH=600 fuzz/run.sh policy
#   fuzz/run.sh FILE               replays one input, such as fuzz/artifacts/policy/crash-…
#
# New inputs that reach further are kept in target/fuzz/corpus/ and tried again at the next run.
set -eu
cd "$(dirname "$0")/.."
SECONDS_EACH=${SECONDS_EACH:-10}
built=${CARGO_TARGET_DIR:-target}

main() {
    if [ $# = 1 ] && [ -f "$1" ]; then
        replay "$1"
        return
    fi
    case $SECONDS_EACH in
    '' | *[!0-9]* | 0) fail "SECONDS_EACH is a whole number of seconds, 1 or more, not '$SECONDS_EACH'" ;;
    esac
    [ $# != 0 ] || set -- $(ls fuzz/corpus)
    for target in "$@"; do
        [ -d "fuzz/corpus/$target" ] || fail "there is no target '$target'; there are: $(ls fuzz/corpus | tr '\n' ' ')"
    done
    build
    for target in "$@"; do
        fuzz "$target"
    done
}

# The lock file is edgemint's, so that every dependency is the one that the service has.
build() {
    command -v c++ >/dev/null || fail "libFuzzer needs a C++ compiler: install one (on Debian: apt-get install g++)"
    [ fuzz/Cargo.lock -nt Cargo.lock ] || cp Cargo.lock fuzz/Cargo.lock
    RUSTC_WRAPPER="$PWD/fuzz/instrument.sh" CARGO_INCREMENTAL=0 \
        cargo build --manifest-path fuzz/Cargo.toml --target-dir "$built"
}

fuzz() {
    target=$1
    mkdir -p "$built/fuzz/corpus/$target" "fuzz/artifacts/$target"
    echo "fuzz: $target, $SECONDS_EACH s"
    log="$built/fuzz/$target.log"
    # A ledger answers each of its entries with five lines, so that long ones take long.
    longest=4096
    [ "$target" != ledger ] || longest=1024
    # The bounds of one input: its bytes, its seconds, its memory.
    if "$built/debug/$target" "$built/fuzz/corpus/$target" "fuzz/corpus/$target" \
        -artifact_prefix="fuzz/artifacts/$target/" -dict=fuzz/words.dict \
        -max_total_time="$SECONDS_EACH" -max_len="$longest" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=1 >"$log" 2>&1; then
        # Cargo may take a build from elsewhere for this one.
        if ! grep -q '^INFO: Loaded .* modules' "$log" || grep -q 'instrumented for coverage' "$log"; then
            fail "$target was built without counters: run 'cargo clean -p edgemint -p edgemint-fuzz' first"
        fi
        sed -n 's/^stat::number_of_executed_units: */fuzz:   inputs tried: /p' "$log"
    else
        grep -v -e '^#' -e '^INFO:' -e '^WARNING:' "$log" | head -n 80 >&2
        fail "$target fails; reproduce with: fuzz/run.sh fuzz/artifacts/$target/<the file named above>"
    fi
}

replay() {
    target=$(basename "$(dirname "$1")")
    [ -d "fuzz/corpus/$target" ] || fail "$1 lies in no folder that is called as a target"
    build
    "$built/debug/$target" -timeout=10 "$1"
}

fail() {
    echo "fuzz: $1" >&2
    exit 1
}

main "$@"
