#!/bin/sh
# Prints the folder of an unmodified Neuroglancer for `edgemint demo --neuroglancer`, and fetches it first
# where it is missing: the client in PyPI's package, without its source maps. Nothing of it is run here.
# Says in one line why there is none, and fails.
set -eu
cd "$(dirname "$0")/../.."

version=2.41.2
# Of the wheel for one platform: the client in it is for browsers, and runs anywhere.
sha256=fbfab095d4e11c103c6beb4109aaa6f6bd910cf187e406bc181e53a66721a08b
target=${CARGO_TARGET_DIR:-target}
folder=$target/neuroglancer-$version

main() {
    [ -f "$folder/index.html" ] || fetch
    (cd "$folder" && pwd)
}

fetch() {
    python=tests/tools/venv/bin/python
    [ -x "$python" ] || python=python3
    command -v "$python" >/dev/null || without "python3 is missing"
    "$python" -m pip --version >/dev/null 2>&1 || without "pip is missing (Debian: python3-pip)"
    mkdir -p "$target"
    work=$(mktemp -d "$target/neuroglancer.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "neuroglancer==$version --hash=sha256:$sha256" >"$work/requirements.txt"
    "$python" -m pip download --quiet --disable-pip-version-check --retries 1 --timeout 10 \
        --no-deps --only-binary :all: --platform manylinux_2_28_x86_64 --python-version 310 \
        --implementation cp --abi abi3 --require-hashes --requirement "$work/requirements.txt" \
        --dest "$work" >"$work/log" 2>&1 || without "pip cannot fetch it: $(tail -n 1 "$work/log")"
    "$python" - "$work" <<'PYTHON' || without "its package cannot be unpacked"
import glob, os, sys, zipfile
work, inside = sys.argv[1], "neuroglancer/static/client/"
with zipfile.ZipFile(glob.glob(work + "/*.whl")[0]) as wheel:
    for name in wheel.namelist():
        file = name.removeprefix(inside)
        if name.startswith(inside) and file and not file.endswith(".map"):
            assert os.path.basename(file) == file, file
            os.makedirs(work + "/client", exist_ok=True)
            with open(work + "/client/" + file, "wb") as copy:
                copy.write(wheel.read(name))
PYTHON
    # All at once, so that a fetch that was interrupted leaves nothing that looks whole.
    mv "$work/client" "$folder" 2>/dev/null || [ -f "$folder/index.html" ] || without "$folder is in the way"
}

without() {
    echo "Neuroglancer is not here: $1. The demo shows its built-in page; run it again when that is mended." >&2
    exit 1
}

main
