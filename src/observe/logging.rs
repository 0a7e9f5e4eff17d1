//! Where the log goes and what it looks like. Standard error, always: standard output belongs to commands' results.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// Starts the log of the process on standard error; a second start has no effect. `level` is one of trace, debug,
/// info, warn, error.
pub fn start(level: &str, format: Format) {
    if tracing::subscriber::set_global_default(subscriber(level, format, std::io::stderr)).is_err() {
        tracing::debug!("the log was started before");
    }
}

/// The log, written to what `writer` makes.
pub fn subscriber<W>(level: &str, format: Format, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // The libraries below speak up only when something is wrong.
    // kube's client logs answers that it cannot read as a whole, and one may be of a Secret. What fails is told by us.
    let filter = EnvFilter::new(format!("warn,kube_client=off,pratique={level}"));
    // A line that cannot be written (the reader of the pipe is gone, the disk is full) is lost and no more: saying so
    // would be written to standard error too, and panics where that fails, in the middle of a review.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    match format {
        Format::Json => {
            Box::new(builder.json().flatten_event(true).with_current_span(false).with_span_list(false).finish())
        }
        Format::Text => Box::new(builder.with_ansi(std::io::stderr().is_terminal()).finish()),
    }
}
