#!/bin/sh
# Installs the foreign tools that the integration tests drive, or with the argument `bench` those
# that the benchmarks need. Says one line for each thing it installs, and nothing when all is there.
set -eu
cd "$(dirname "$0")"

main() {
    one_at_a_time
    need node nodejs npm
    need npm npm
    need openssl openssl
    need pgrep procps
    need c++ g++
    at_least_node_20
    node_packages
    case "${1:-tests}" in
        tests) for_tests ;;
        bench) for_benchmarks ;;
        *) fail "there is no set of tools called $1; there are tests and bench" ;;
    esac
}

for_tests() {
    need systemd-analyze systemd
    need python3 python3 python3-venv
    need curl curl
    at_least_python_3_11
    python_packages
    chromium
    need firefox-esr firefox-esr
    need Xvfb xvfb libgl1-mesa-dri libegl1
    web_servers
    viewers
}

for_benchmarks() {
    need wrk wrk
    need taskset util-linux
    PATH=$PATH:/usr/sbin
    need nginx nginx
    need h2load nghttp2-client
    need python3 python3 python3-venv
    at_least_python_3_11
    python_packages
    brotli_of_nginx
    viewer_to_serve
}

# Not every Debian has it; the benchmark leaves nginx out of brotli then.
brotli_of_nginx() {
    [ -e /usr/lib/nginx/modules/ngx_http_brotli_static_module.so ] && return
    if [ "$(id -u)" = 0 ] && apt-cache show libnginx-mod-http-brotli-static >/dev/null 2>&1; then
        debian_packages "nginx's brotli_static" libnginx-mod-http-brotli-static
    fi
}

# The client that Python's neuroglancer serves, as its makers built it.
viewer_to_serve() {
    [ ! -f viewers/built/wheel/index.html ] || return 0
    client=$(sh ../../src/demo/neuroglancer.sh) || fail "run: sh src/demo/neuroglancer.sh"
    mkdir -p viewers/built
    cp -R "$client" viewers/built/wheel
}

# Two runs at once would build the same folders: the second waits for the first.
one_at_a_time() {
    if command -v flock >/dev/null; then
        exec 9<install.sh
        flock 9
    fi
}

# need COMMAND PACKAGE...: the command, from these Debian packages where it is missing.
need() {
    wanted=$1
    shift
    command -v "$wanted" >/dev/null || debian_packages "$wanted" "$@"
    command -v "$wanted" >/dev/null || fail "$wanted is still missing after installing: $*"
}

at_least_node_20() {
    node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' ||
        fail "Node.js $(node --version) is too old: install version 20 or later and put it first in PATH"
}

at_least_python_3_11() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$(python3 --version) is too old: install version 3.11 or later and put it first in PATH"
}

node_packages() {
    cmp -s package-lock.json node_modules/.installed && return
    echo "tests/tools: installing node_modules"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
        fail "run: cd tests/tools && npm ci"
    cp package-lock.json node_modules/.installed
}

python_packages() {
    cmp -s requirements.txt venv/.installed && venv/bin/python -c 'import aiohttp, botocore, cfnlint, cryptography, fsspec, h2, ministack, parliament, requests, tensorstore, zarr' 2>/dev/null && return
    python3 -c 'import ensurepip' 2>/dev/null || debian_packages "python3 -m venv" python3-venv
    echo "tests/tools: installing venv"
    rm -rf venv
    python3 -m venv venv && venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt ||
        fail "run: cd tests/tools && python3 -m venv venv && venv/bin/python -m pip install -r requirements.txt"
    cp requirements.txt venv/.installed
}

# The tests start $CHROMIUM, or else /usr/bin/chromium.
chromium() {
    if [ -n "${CHROMIUM:-}" ]; then
        [ -x "$CHROMIUM" ] || fail "CHROMIUM=$CHROMIUM is not a program: set it to a Chromium, or unset it"
        return
    fi
    [ -x /usr/bin/chromium ] || debian_packages /usr/bin/chromium chromium fonts-dejavu-core
    [ -x /usr/bin/chromium ] || fail "/usr/bin/chromium is still missing: install Chromium and set CHROMIUM to its path"
}

# The tests start them themselves, from /usr/sbin or PATH. Debian's apache2-bin is the program alone.
web_servers() {
    PATH=$PATH:/usr/sbin
    need nginx nginx
    nginx -V 2>&1 | grep -q -- --with-http_auth_request_module ||
        fail "$(command -v nginx) has no auth_request module: install Debian's nginx"
    need apache2 apache2-bin
    [ -f /etc/mime.types ] || debian_packages /etc/mime.types media-types
}

# Viewers of others, which the tests open as they are.
viewers() {
    (cd viewers && cat fetch.sh package-lock.json archives.sha256 rsbuild.config.mjs main.js openseadragon.html | cmp -s - built/.installed) && return
    echo "tests/tools: installing viewers"
    viewers/fetch.sh || fail "run: tests/tools/viewers/fetch.sh"
}

# debian_packages WHAT PACKAGE...: installs them as root on Debian, or fails with the command to run.
debian_packages() {
    what=$1
    shift
    command -v apt-get >/dev/null ||
        fail "$what is missing: install it (on Debian: apt-get install --no-install-recommends $*)"
    [ "$(id -u)" = 0 ] ||
        fail "$what is missing, run: sudo apt-get update && sudo apt-get install --no-install-recommends $*"
    echo "tests/tools: installing $*"
    log=$(mktemp)
    start_no_daemons
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "$what is missing, run: apt-get update && apt-get install --no-install-recommends $*"
    fi
    rm -f "$log"
}

# A package that brings a daemon starts it, on port 80. Debian asks this file first (101: no); a
# container's image often has one already.
start_no_daemons() {
    policy=/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || return 0
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    # A shell that a signal ends may run no trap for EXIT.
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

fail() {
    echo "tests/tools: $1" >&2
    exit 1
}

main "$@"
