//! The program: arguments in, exit status out.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    pratique::command::run(pratique::args::Arguments::parse())
}
