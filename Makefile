# Whether a systemd can be started in namespaces here, as the tests of its unit do: for root, mostly.
NAMESPACES := $(shell unshare --mount --pid --fork --cgroup true 2>/dev/null && echo yes)

.PHONY: demo test bench fuzz lint tools

# Builds and starts the whole loop on this machine: needs Rust, a C compiler, make and perl. Shows volumes in
# an unmodified Neuroglancer where python3, pip and a network are there to fetch it, once. DEMO is for
# further flags, such as DEMO=--one-host.
demo:
	@if client=$$(sh src/demo/neuroglancer.sh); then set -- --neuroglancer "$$client"; else set --; fi; \
	cargo run -- demo "$$@" $(DEMO)

# Everything that the gate runs. Installs the foreign tools that the tests drive.
test: tools lint
	$(if $(NAMESPACES),,@echo "make test: leaves out the tests that run the systemd unit or act as other users: they need root, and namespaces"; test -z "$$CI")
	if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run $(if $(NAMESPACES),--run-ignored all); \
	else cargo test $(if $(NAMESPACES),-- --include-ignored); fi
	$(MAKE) fuzz

# Each target for SECONDS_EACH, 10 unless given; see fuzz/README.md.
fuzz:
	fuzz/run.sh

# Figures beside those of OpenSSL, of AWS's libraries on Node.js and of nginx, about seven minutes after
# the build. Linux only; the machine should have nothing else to do.
bench:
	sh tests/tools/install.sh bench
	cargo bench --bench bench

lint:
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo check --lib --no-default-features
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

tools:
	sh tests/tools/install.sh
