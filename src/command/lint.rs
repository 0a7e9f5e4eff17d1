//! `pratique lint`: every mistake in policies and settings at once, and nothing else.

use std::process::ExitCode;

use serde::Serialize;

use crate::args::{Lint, Output};
use crate::policy::document::Mistake;

pub(super) fn run(lint: &Lint) -> ExitCode {
    let read = super::sources(&lint.sources).and_then(|(config, manifests, mut warnings)| {
        let source =
            lint.sources.config.as_ref().map_or_else(|| "settings".to_owned(), |path| path.display().to_string());
        let registries = super::registries(&config, super::surroundings(), &prometheus::Registry::new());
        let policies = super::policies(&manifests, super::bindings(&config), &source);
        let (policies, (_registries, told)) = super::both(policies, registries)?;
        warnings.extend(told);
        Ok((manifests.objects, policies.by_name.len(), warnings))
    });
    let (objects, policies, warnings, mistakes) = match read {
        Ok((objects, policies, warnings)) => (objects, policies, warnings, Vec::new()),
        Err(mistakes) => (0, 0, Vec::new(), mistakes),
    };
    super::print(&match lint.output {
        Output::Text => text(objects, policies, &warnings, &mistakes),
        Output::Json => json(&warnings, &mistakes),
    });
    ExitCode::from(u8::from(!mistakes.is_empty()))
}

fn text(objects: usize, policies: usize, warnings: &[Mistake], mistakes: &[Mistake]) -> String {
    let warnings = warnings.iter().map(|warning| format!("warning: {warning}\n"));
    let lines: String = warnings.chain(mistakes.iter().map(|mistake| format!("error: {mistake}\n"))).collect();
    let sum = match mistakes.len() {
        0 => format!("nothing wrong: {objects} objects read, {policies} policies in all with the built-in ones\n"),
        1 => "1 mistake; nothing of this would be put in force\n".to_owned(),
        count => format!("{count} mistakes; nothing of this would be put in force\n"),
    };
    lines + &sum
}

fn json(warnings: &[Mistake], mistakes: &[Mistake]) -> String {
    let answer = Answer {
        valid: mistakes.is_empty(),
        mistakes: mistakes.iter().map(Told::of).collect(),
        warnings: warnings.iter().map(Told::of).collect(),
    };
    serde_json::to_string_pretty(&answer).expect("strings and lists always become JSON") + "\n"
}

#[derive(Serialize)]
struct Answer<'a> {
    valid: bool,
    mistakes: Vec<Told<'a>>,
    warnings: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    source: &'a str,
    line: Option<u64>,
    path: &'a str,
    message: &'a str,
}

impl<'a> Told<'a> {
    fn of(mistake: &'a Mistake) -> Self {
        let Mistake { source, line, path, message } = mistake;
        Self { source, line: *line, path, message }
    }
}
