//! `pratique lint`: every mistake in policies and settings at once, and nothing else.

use std::process::ExitCode;

use serde::Serialize;

use crate::args::{Lint, Output};
use crate::policy::document::Mistake;

pub(super) fn run(lint: &Lint) -> ExitCode {
    let (objects, policies, warnings, mistakes) = match read(lint) {
        Ok((objects, policies, warnings)) => (objects, policies, warnings, Vec::new()),
        Err(mistakes) => (0, 0, Vec::new(), mistakes),
    };
    super::print(&match lint.output {
        Output::Text => text(objects, policies, &warnings, &mistakes),
        Output::Json => json(&warnings, &mistakes),
    });
    ExitCode::from(u8::from(!mistakes.is_empty()))
}

/// How many objects and policies there are, with the warnings. What does not depend on each other is told together.
fn read(lint: &Lint) -> Result<(usize, usize, Vec<Mistake>), Vec<Mistake>> {
    let Lint { config: path, manifests, output: _ } = lint;
    let (settings, manifests) = (super::settings(path.as_deref()), super::manifests(manifests));
    let (config, mut warnings) = match settings {
        Ok(settings) => settings,
        Err(mistakes) => return super::both(Err(mistakes), manifests).map(|((), _manifests)| (0, 0, Vec::new())),
    };
    let source = path.as_ref().map_or_else(|| "settings".to_owned(), |path| path.display().to_string());
    let registries = super::World::of(&config, super::surroundings(), &prometheus::Registry::new());
    let manifests = manifests.and_then(|manifests| {
        let policies = super::policies(&manifests, &config, super::bindings(&config), &source)?;
        Ok((manifests, policies))
    });
    let ((manifests, policies), (_registries, told)) = super::both(manifests, registries)?;
    warnings.extend(manifests.warnings);
    warnings.extend(told);
    Ok((manifests.objects, policies.by_name.len(), warnings))
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
