//! The stories that documents tell, by their marks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Blocks that are run one after the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Story {
    pub(super) document: String,
    pub(super) name: String,
    /// The overlay that is installed before; none: the cluster is empty.
    pub(super) on: Option<String>,
    pub(super) blocks: Vec<Block>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Of its first line, from 1.
    pub(super) line: usize,
    pub(super) text: String,
}

/// What readers have, by path from the root of the repository.
pub(super) fn documents() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = vec!["README.md".to_owned(), "certs/README.md".to_owned()];
    for entry in fs::read_dir(root.join("docs")).expect("docs is a folder of this repository") {
        let name = entry.expect("it can be listed").file_name();
        names.push(format!("docs/{}", name.to_str().expect("our names are UTF-8")));
    }
    let texts = names.into_iter().filter(|name| name.ends_with(".md"));
    texts.map(|name| (name.clone(), fs::read_to_string(root.join(name)).expect("it can be read"))).collect()
}

/// The stories of a document, or what is wrong with a mark of it.
pub(super) fn stories(document: &str, text: &str) -> Result<Vec<Story>, String> {
    let mut stories: Vec<Story> = Vec::new();
    let mut lines = (1..).zip(text.lines());
    let mut before = "";
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            before = line;
            continue;
        };
        let block: String = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        if language == "sh" {
            let wrong = |what: &str| format!("{document}:{number}: {what}");
            let mark = before.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->"));
            let mark = mark.ok_or_else(|| wrong("say `<!-- run: STORY -->` or `<!-- not run: WHY -->` before it"))?;
            if let Some(told) = mark.strip_prefix("run: ") {
                let (name, on) = told.split_once(" on ").map_or((told, None), |(name, on)| (name, Some(on)));
                let block = Block { line: number + 1, text: block };
                match (stories.iter_mut().find(|story| story.name == name), on) {
                    (Some(story), None) => story.blocks.push(block),
                    (Some(_), Some(_)) => return Err(wrong("only the first block of a story says on what it is run")),
                    (None, on) => stories.push(Story {
                        document: document.to_owned(),
                        name: name.to_owned(),
                        on: on.map(str::to_owned),
                        blocks: vec![block],
                    }),
                }
            } else {
                let why = mark.strip_prefix("not run: ").map(str::trim).unwrap_or_default();
                if why.is_empty() {
                    return Err(wrong("its mark says neither what story it is of nor why it is not run"));
                }
            }
        }
        before = "";
    }
    Ok(stories)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# A title\n\n<!-- run: first on audit-only -->\n```sh\none\n```\n\n```yaml\na: b\n```\n\n\
                            <!-- not run: needs a moon -->\n```sh\nfly\n```\n<!-- run: other -->\n```sh\ntwo\n```\n\
                            <!-- run: first -->\n```sh\nthree\n\nfour\n```\n";

    #[test]
    fn blocks_of_one_name_are_one_story_in_the_order_in_which_they_stand() {
        let told = stories("a.md", DOCUMENT).unwrap();
        let shown: Vec<_> = told
            .iter()
            .map(|story| {
                let blocks = story.blocks.iter().map(|block| (block.line, block.text.as_str()));
                (story.name.as_str(), story.on.as_deref(), blocks.collect::<Vec<_>>())
            })
            .collect();
        let first = ("first", Some("audit-only"), vec![(5, "one\n"), (22, "three\n\nfour\n")]);
        assert_eq!(shown, [first, ("other", None, vec![(18, "two\n")])]);
    }

    #[test]
    fn a_block_without_one_mark_is_a_mistake() {
        for (from, to, mistake) in [
            ("<!-- run: other -->\n", "", "a.md:16: say `<!-- run: STORY -->` or `<!-- not run: WHY -->` before it"),
            ("<!-- run: other -->\n", "<!-- run: other -->\n\n", "a.md:18: say `<!-- run: STORY -->`"),
            ("not run: needs a moon", "not run: ", "a.md:13: its mark says neither"),
            ("run: other", "runs: other", "a.md:17: its mark says neither"),
            ("<!-- run: first -->", "<!-- run: first on enforce -->", "a.md:21: only the first block of a story"),
        ] {
            let told = stories("a.md", &DOCUMENT.replacen(from, to, 1)).unwrap_err();
            assert!(told.starts_with(mistake), "{told}");
        }
    }
}
