//! `pratique lint`: every mistake in policies and settings at once, and nothing else.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::args::{Lint, Output};
use crate::policy::document::Mistake;

pub(super) fn run(lint: &Lint) -> ExitCode {
    let read = super::sources(&lint.sources).and_then(|(config, manifests, warnings)| {
        let source = lint.sources.config.as_ref().map_or_else(|| "settings".to_owned(), |path| path.display().to_string());
        let policies = super::policies(&manifests, super::bindings(&config), &source)?;
        Ok((manifests.objects, policies.by_name.len(), warnings))
    });
    let (objects, policies, warnings, mistakes) = match read {
        Ok((objects, policies, warnings)) => (objects, policies, warnings, Vec::new()),
        Err(mistakes) => (0, 0, Vec::new(), mistakes),
    };
    match lint.output {
        Output::Text => print_text(objects, policies, &warnings, &mistakes),
        Output::Json => print_json(&warnings, &mistakes),
    }
    ExitCode::from(u8::from(!mistakes.is_empty()))
}

#[expect(clippy::print_stdout, reason = "the command's result")]
fn print_text(objects: usize, policies: usize, warnings: &[Mistake], mistakes: &[Mistake]) {
    for warning in warnings {
        println!("warning: {warning}");
    }
    for mistake in mistakes {
        println!("error: {mistake}");
    }
    match mistakes.len() {
        0 => println!("nothing wrong: {objects} objects read, {policies} policies in all with the built-in ones"),
        1 => println!("1 mistake; nothing of this would be put in force"),
        count => println!("{count} mistakes; nothing of this would be put in force"),
    }
}

#[expect(clippy::print_stdout, reason = "the command's result")]
fn print_json(warnings: &[Mistake], mistakes: &[Mistake]) {
    let list = |mistakes: &[Mistake]| mistakes.iter().map(as_json).collect::<Vec<_>>();
    println!("{:#}", json!({"valid": mistakes.is_empty(), "mistakes": list(mistakes), "warnings": list(warnings)}));
}

fn as_json(mistake: &Mistake) -> Value {
    let Mistake { source, line, path, message } = mistake;
    json!({"source": source, "line": line, "path": path, "message": message})
}
