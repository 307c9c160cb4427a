//! The `edgemint` program.

use std::process::ExitCode;

use clap::Parser as _;
use edgemint::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
