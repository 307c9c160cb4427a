//! Where the log goes, and in which form.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::output;
use crate::config::{Log, LogFormat, LogLevel};
use crate::telemetry::ACCESS;

/// Sends the log to standard output, where service managers collect it. The record of access is
/// written whatever the level.
pub(super) fn start(log: Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("edgemint", level)
        .with_target(ACCESS, level.max(LevelFilter::INFO));
    // Colours are for a terminal; in a file they are noise.
    let layer = tracing_subscriber::fmt::layer().with_ansi(output::is_terminal());
    let registry = tracing_subscriber::registry();
    // A second start, as in a test of several commands, leaves the first one's log.
    let _ = match log.format {
        LogFormat::Json => {
            registry.with(layer.json().flatten_event(true).with_filter(targets)).try_init()
        }
        LogFormat::Plain => registry.with(layer.with_filter(targets)).try_init(),
    };
}
