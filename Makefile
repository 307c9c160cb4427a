# Whether a systemd can be started in namespaces here, as some tests do.
NAMESPACES = unshare --mount --pid --fork --cgroup true 2>/dev/null

.PHONY: demo test lint tools

# Builds and starts the whole loop on this machine: needs Rust, a C compiler, make and perl.
demo:
	cargo run -- demo

# Everything that the gate runs. Installs the foreign tools that the tests drive.
test: tools lint
	all=; $(NAMESPACES) || echo "make test: the tests of the systemd unit need root, and are left out"; \
	if cargo nextest --version >/dev/null 2>&1; \
	then $(NAMESPACES) && all="--run-ignored all"; cargo nextest run $$all; \
	else $(NAMESPACES) && all="-- --include-ignored"; cargo test $$all; fi

lint:
	cargo fmt --check
	cargo check --lib --no-default-features
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

tools:
	sh tests/tools/install.sh
