//! The command line: one file per command, and the only place that prints.
//!
//! Exit codes: 0 done, 1 the check failed, 2 usage or configuration.

#![expect(
    rustdoc::bare_urls,
    clippy::doc_markdown,
    reason = "these comments are printed by --help, where backticks and brackets would show"
)]

mod check;
mod core_dumps;
mod demo;
mod files;
mod keys;
mod logging;
mod manager;
mod open_files;
mod output;
mod serve;
mod sign;
mod time;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::output::complain;

/// Gives signed-in people CloudFront signed cookies, per person and per hour.
///
/// New here? `edgemint demo` shows the whole loop on this machine, with no AWS account.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve(ConfigFile),
    /// Show the whole loop on this machine: sign in, get cookies, see private data.
    Demo(demo::Options),
    /// Check a configuration without the network: every problem, with file, line and key.
    Check(check::Options),
    /// Sign cookies or a URL with a private key at hand, like `aws cloudfront sign-cookies`.
    #[command(subcommand)]
    Sign(sign::What),
    /// Say whether CloudFront would allow a request, or the exact reason for its 403.
    Verify(verify::Options),
    /// Make, publish, rotate and revoke the keys that sign.
    #[command(subcommand, after_help = keys::HELP)]
    Keys(Box<keys::Action>),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file. Every value in it can be overridden by environment:
    /// EDGEMINT_PUBLIC_URL, EDGEMINT_IDENTITY__ALB__REGION, EDGEMINT_RULE__0__LIFETIME and so on.
    #[arg(long, value_name = "FILE", default_value = "edgemint.toml")]
    config: PathBuf,
}

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// What was asked for was done, or found to be so.
    Yes,
    /// What was checked is not so.
    No,
}

/// Runs a command and returns its exit code.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    if let Err(error) = core_dumps::rule_out() {
        complain(&anyhow::Error::new(error).context("cannot rule out core dumps, which hold keys"));
        return ExitCode::from(2);
    }
    let outcome = match cli.command {
        Command::Serve(options) => serve::run(&options.config),
        Command::Demo(options) => demo::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Sign(what) => sign::run(&what),
        Command::Verify(options) => verify::run(&options),
        Command::Keys(action) => keys::run(&action),
    };
    match outcome {
        Ok(Done::Yes) => ExitCode::SUCCESS,
        Ok(Done::No) => ExitCode::from(1),
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        Cli::command().debug_assert();
    }
}
