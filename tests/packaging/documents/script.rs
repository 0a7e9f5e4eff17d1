//! The commands of a story as one script of bash, which ends at the first that does not do what is said, and has told which
//! that is.

use pratique_testkit::{Outcome, run};

use super::reading::Story;

/// Stands before each command in what the script prints.
pub(super) const MARK: &str = "\n@@@ ";
/// How often what is asked as a dry run is asked again, half a second each: a replica that ends is gone by then.
const TRIES: u32 = 40;

#[derive(Debug, PartialEq, Eq)]
struct Command {
    /// Of its first line, from 1.
    line: usize,
    text: String,
}

/// The script, and how many commands are in it.
pub(super) fn script(story: &Story) -> Result<(String, usize), String> {
    let mut script = String::from(SETTLED) + "exec 2>&1\n";
    let mut count = 0;
    for block in &story.blocks {
        for command in
            commands(block.line, &block.text).map_err(|line| format!("{}:{line}: is no command", story.document))?
        {
            count += 1;
            let place = format!("{}:{}", story.document, command.line);
            script += &format!("printf '%s%s\\n%s\\n' {} {} {}\n", quoted(MARK), quoted(&place), quoted(&command.text));
            script += &step(&command.text);
        }
    }
    Ok((script, count))
}

/// What can have Pods has them by then; a reader would not notice.
const SETTLED: &str = r#"
settled() {
    local namespace
    for namespace in $(kubectl get namespaces --field-selector=status.phase=Active -o name); do
        kubectl -n "${namespace#namespace/}" wait --for=create serviceaccount/default --timeout=30s > /dev/null
    done
}
"#;

fn step(text: &str) -> String {
    let tries = if text.contains("--dry-run=server") { TRIES } else { 1 };
    let settled =
        if text.contains("create namespace") || text.contains("--create-namespace") { "settled\n" } else { "" };
    match refusal(text) {
        // Not in a subshell: what it sets is there afterwards.
        None if tries == 1 => format!("{text}\n{settled}"),
        None => format!(
            "for try in {{1..{tries}}}; do\nif {{ {text}\n}}; then break; fi\n(( try < {tries} ))\nsleep 0.5\ndone\n"
        ),
        Some(words) => format!(
            "for try in {{1..{tries}}}; do\nif printed=$( {{ {text}\n}} 2>&1 ); then failed=; else failed=1; fi\n\
             if [[ $failed && $printed == *{}* ]]; then break; fi\n\
             if (( try == {tries} )); then printf 'not refused so, but (%s):\\n%s\\n' \"${{failed:-0}}\" \"$printed\"; exit 1; fi\n\
             sleep 0.5\ndone\n",
            quoted(words)
        ),
    }
}

/// The words with which a command must fail.
fn refusal(text: &str) -> Option<&str> {
    let told = text.lines().find_map(|line| line.split_once("# refused: "))?.1;
    Some(told.split(';').next().unwrap_or(told).trim())
}

/// A block as commands, each of as many lines as bash needs for it; an error is the line where there is none.
fn commands(first: usize, block: &str) -> Result<Vec<Command>, usize> {
    let mut commands = Vec::new();
    let mut open: Option<Command> = None;
    for (number, line) in (first..).zip(block.lines()) {
        if open.is_none() && (line.trim().is_empty() || line.trim_start().starts_with('#')) {
            continue;
        }
        let mut command = open.take().unwrap_or(Command { line: number, text: String::new() });
        command.text += line;
        if is_whole(&command.text) {
            commands.push(command);
        } else {
            command.text += "\n";
            open = Some(command);
        }
    }
    open.map_or(Ok(commands), |open| Err(open.line))
}

/// bash complains of what is not: a here-document, a quote or a loop without its end.
fn is_whole(text: &str) -> bool {
    let Outcome { code, stderr, .. } = run("bash", &["-n", "-c", text]);
    code == Some(0) && stderr.is_empty() && !text.ends_with('\\')
}

/// As one word of bash.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::super::reading::stories;
    use super::*;

    fn outcome(block: &str) -> Outcome {
        let told = stories("a.md", &format!("<!-- run: it -->\n```sh\n{block}\n```\n")).unwrap();
        run("bash", &["-euo", "pipefail", "-c", &script(&told[0]).unwrap().0])
    }

    #[test]
    fn here_documents_and_continued_lines_are_one_command() {
        let block = "# only said\necho one \\\n    two\n\ncat <<'EOF' | sort\nb # refused: not\n\na\nEOF\nfor i in 1 2\ndo echo $i\ndone";
        let lines: Vec<_> = commands(10, block).unwrap().iter().map(|command| command.line).collect();
        assert_eq!(lines, [11, 14, 19]);
        assert_eq!(commands(1, "echo one\ncat <<EOF\nnever"), Err(2));
    }

    #[test]
    fn a_story_is_one_shell_and_ends_with_its_first_command_that_fails() {
        let told = outcome("A='it''s'\ncd /\ncat <<EOF\n$A $PWD\nEOF");
        assert!(told.code == Some(0) && told.stdout.ends_with("\nits /\n"), "{told:?}");
        for failing in ["false", "false | cat", "(exit 3)"] {
            let told = outcome(&format!("true\n{failing}\necho after"));
            let last = told.stdout.rsplit_once(MARK).unwrap().1;
            assert_eq!((told.code == Some(0), last.lines().next()), (false, Some("a.md:4")), "{told:?}");
        }
    }

    #[test]
    fn what_is_refused_must_fail_with_the_words() {
        let refused = |command: &str| outcome(&format!("{command}  # refused: too late; so it is\necho after"));
        assert_eq!(refused("bash -c 'echo it is too late >&2; exit 1'").code, Some(0));
        for wrong in ["bash -c 'echo it is too late >&2'", "bash -c 'echo it is early >&2; exit 1'"] {
            let told = refused(wrong);
            assert!(told.code == Some(1) && told.stdout.contains("not refused so, but"), "{told:?}");
            assert!(!told.stdout.ends_with("after\n"), "{told:?}");
        }
    }

    #[test]
    fn what_is_asked_as_a_dry_run_is_asked_again() {
        let count = "COUNT=$(mktemp)\nbash -c 'echo x >> $0; [ $(wc -l < $0) -gt 2 ]' $COUNT --dry-run=server\nwc -l < $COUNT\nrm $COUNT";
        let told = outcome(count);
        assert!(told.code == Some(0) && told.stdout.contains("\n3\n"), "{told:?}");
    }
}
