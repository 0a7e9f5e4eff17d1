//! Where the log goes and what it looks like. Standard error, always: standard output belongs to commands' results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// Starts the log of the process; a second start has no effect. `level` is one of trace, debug, info, warn, error.
pub fn start(level: &str, format: Format) {
    // The libraries below speak up only when something is wrong.
    let filter = EnvFilter::new(format!("warn,pratique={level}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        Format::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        Format::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}
