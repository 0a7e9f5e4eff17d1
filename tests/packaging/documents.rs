//! Every command that the documentation shows is run here as it stands there, or is marked with why not.
//!
//! The line before each block of commands is `<!-- run: STORY -->` or `<!-- not run: WHY -->`. The blocks of a story are run in
//! order, in one shell in a copy of our repository, in a cluster of the story's own with nothing in it; where the first block
//! says `<!-- run: STORY on OVERLAY -->`, that overlay is installed there. Every command must succeed, but for those that say
//! `# refused: WORDS`, which must fail and print the words, up to a semicolon.
//!
//! A reader is slower than a shell. So a namespace that was made has its service account before the next command, and what is
//! asked with `--dry-run=server` may be asked again for some seconds: a replica that is on its way out still answers who
//! has a connection to it.

use crate::lifecycle::install;
use crate::place::Place;
use reading::{Story, documents, stories};
use script::script;

mod reading;
mod script;

/// Documents with a test of their own, for they take long; the rest have one together.
const LONG: [&str; 4] = ["README.md", "docs/enforcing.md", "docs/install.md", "docs/runbook.md"];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn the_commands_of_the_readme_do_what_it_says() {
    are_true(|document| document == LONG[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn the_commands_from_audit_to_enforce_do_what_is_said_there() {
    are_true(|document| document == LONG[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn the_commands_that_install_do_what_is_said_there() {
    are_true(|document| document == LONG[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn the_commands_of_the_runbook_do_what_it_says() {
    are_true(|document| document == LONG[3]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn the_commands_of_all_other_documents_do_what_they_say() {
    are_true(|document| !LONG.contains(&document)).await;
}

/// The marks of all documents are in order; and what has a test above is there.
#[test]
fn each_block_of_commands_belongs_to_a_story_or_says_why_not() {
    let told: Vec<Story> = documents().iter().flat_map(|(name, text)| stories(name, text).unwrap()).collect();
    for document in LONG {
        assert!(told.iter().any(|story| story.document == document), "{document} has no story");
    }
}

/// Runs all stories of these documents, whatever becomes of the others, and says what is not so.
async fn are_true(wanted: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    for (document, text) in documents().iter().filter(|(document, _)| wanted(document)) {
        for story in stories(document, text).unwrap_or_else(|mistake| panic!("{mistake}")) {
            let started = std::time::Instant::now();
            match is_true(&story).await {
                Ok(commands) => {
                    println!("{document}: {}: {commands} commands, {:.0?}", story.name, started.elapsed());
                }
                Err(what) => wrong.push(what),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// How many commands it has.
async fn is_true(story: &Story) -> Result<usize, String> {
    let place = Place::new().await;
    if let Some(overlay) = &story.on {
        install(&place, overlay);
    }
    let (script, commands) = script(story)?;
    let outcome = place.shell(&script);
    if outcome.code == Some(0) {
        return Ok(commands);
    }
    let (before, since) = outcome.stdout.rsplit_once(script::MARK).unwrap_or(("", &outcome.stdout));
    let context = before.lines().rev().take(10).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    let (document, name) = (&story.document, &story.name);
    Err(format!(
        "{document}, story {name}, is not so: {since}{}\nbefore:\n{context}\n{}",
        outcome.stderr,
        place.account()
    ))
}
