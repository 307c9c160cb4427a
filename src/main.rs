//! The `edgemint` program.

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser as _;
use edgemint::cli::{Cli, run};
use zeroizing_alloc::ZeroAlloc;

/// Overwrites memory that is freed: a private key passes through buffers that are not ours, such as
/// those of AWS's client, and nobody else clears them.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    run(Cli::parse())
}
