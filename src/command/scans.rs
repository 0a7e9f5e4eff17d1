//! stub
use crate::args::Scans;
use std::process::ExitCode;
pub(super) fn run(_s: &Scans) -> ExitCode {
    ExitCode::SUCCESS
}
