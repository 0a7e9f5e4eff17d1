//! Command lines: each is one that the program understands, and each block of them says whether a test runs it.

use std::collections::BTreeSet;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use pratique::args::Arguments;

use crate::texts::{Block, DOCUMENTS, blocks, lines_after, prose, root, words};

#[test]
fn command_lines_are_understood() {
    let lines = command_lines();
    assert!(lines.len() > 5, "the documents: only these command lines were found: {lines:?}");
    for (document, line) in lines {
        match Arguments::try_parse_from(line.split_whitespace()) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {}
            Err(error) => panic!("{document}: `{line}` is not understood; correct it:\n{error}"),
        }
    }
}

#[test]
fn flags_and_variables_are_those_of_the_program() {
    let mut known = BTreeSet::new();
    for command in Arguments::command().get_subcommands() {
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            known.extend(argument.get_long().map(|flag| format!("--{flag}")));
            known.extend(argument.get_env().map(|variable| variable.to_str().unwrap().to_owned()));
        }
    }
    let table = lines_after("| flag | variable |");
    let told: BTreeSet<String> = table.iter().flat_map(|row| words(row)).filter(|word| is_option(word)).collect();
    assert_eq!(told, known, "docs/settings.md: the table of flags (first) is not what the program has (second)");
}

/// Each block of commands is run by `tests/packaging/documents.rs` as part of a story, or says why it is not.
#[test]
fn each_block_of_commands_says_whether_a_test_runs_it() {
    let mut stories = BTreeSet::new();
    for Block { document, line, mark, text } in blocks("sh") {
        let told = mark.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->")).unwrap_or_default();
        match (told.strip_prefix("run: "), told.strip_prefix("not run: ")) {
            (Some(story), _) => {
                let (name, overlay) = story.split_once(" on ").map_or((story, None), |(name, on)| (name, Some(on)));
                let first = stories.insert((document, name.to_owned()));
                assert!(first || overlay.is_none(), "{document}:{line}: only the first block of a story says on what");
                let there = overlay.is_none_or(|its| root().join("manifests/overlays").join(its).is_dir());
                assert!(there, "{document}:{line}: there is no overlay {overlay:?}");
                let code = text.lines().filter_map(|line| line.split(" #").next()).any(|line| line.contains("..."));
                assert!(!code, "{document}:{line}: what is left out cannot be run");
            }
            (None, Some(why)) => {
                assert!(why.split(' ').count() > 2, "{document}:{line}: say why no test can run it, not {why:?}");
                assert!(!text.contains("# refused:"), "{document}:{line}: nobody looks whether it is refused");
            }
            (None, None) => panic!("{document}:{line}: say `<!-- run: STORY -->` or `<!-- not run: WHY -->` before it"),
        }
    }
    assert!(stories.len() > 3, "the documents: only these stories are run: {stories:?}");
}

/// Every line that runs `pratique`, in blocks and in running text, without comments and what it is piped to or from; with
/// its document.
fn command_lines() -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for block in blocks("sh").into_iter().chain(blocks("yaml")) {
        let text = block.text.replace("\\\n", " ");
        let code = text.lines().filter_map(|line| line.split(" #").next()).flat_map(|line| line.split('|'));
        // Steps of pipelines, too.
        let code = code.map(|line| line.trim().trim_start_matches("- ").trim_start_matches("run: ").trim_matches('"'));
        lines.extend(code.map(|code| (block.document, code.to_owned())));
    }
    for (document, text) in &*DOCUMENTS {
        let spans = prose(text).flat_map(|line| line.split('`').skip(1).step_by(2));
        // A command that is only mentioned has no arguments.
        let spans = spans.filter(|code| code.split(' ').count() > 2);
        lines.extend(spans.map(|code| (document.as_str(), code.to_owned())));
    }
    let commands = lines.into_iter().filter(|(_, line)| line.starts_with("pratique "));
    commands.map(|(document, line)| (document, line.split([';', '>', '&']).next().unwrap().to_owned())).collect()
}

fn is_option(word: &str) -> bool {
    word.starts_with("--") || word.starts_with("PRATIQUE_")
}
