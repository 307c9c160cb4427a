.PHONY: demo test lint tools

# Builds and starts the whole loop on this machine: needs Rust, a C compiler, make and perl.
demo:
	cargo run -- demo

# Everything that the gate runs. Installs the foreign tools that the tests drive.
test: tools lint
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run; else cargo test; fi

lint:
	cargo fmt --check
	cargo check --lib --no-default-features
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

tools:
	sh tests/tools/install.sh
