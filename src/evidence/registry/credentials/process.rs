//! Runs a helper or a plugin: with a time limit, a bounded answer, and nothing left behind when it is killed.
//!
//! What it writes to stderr is never read: it may hold the secrets that it works with.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

/// A program that asks its cloud answers within a second or two, and an API server waits 30 s for us at most; one that
/// takes longer than this hangs. (The kubelet waits a minute, and a Pod with it.)
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Some tokens of 4 kB each and the JSON around them; what is longer is no answer.
pub(super) const MOST_OUTPUT: usize = 64 << 10;
/// Programs at once, of all kinds: an SDK takes 50 MB and more, and a burst of names must not start hundreds.
const MOST_AT_ONCE: usize = 8;

static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(MOST_AT_ONCE));

/// What is run.
pub(super) struct Program<'a, S> {
    pub(super) path: &'a Path,
    pub(super) arguments: &'a [S],
    /// Beside our own.
    pub(super) environment: Vec<(&'a str, &'a str)>,
    pub(super) input: Vec<u8>,
}

/// What came of it.
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) text: Vec<u8>,
}

/// Runs it to its end, which is the time limit at the latest. The error is a clause about "it".
pub(super) async fn run<S: AsRef<OsStr>>(program: Program<'_, S>, limit: Duration) -> Result<Output, String> {
    let _place = PLACES.acquire().await.map_err(|_closed| "was not started: the process is ending".to_owned())?;
    let Program { path, arguments, environment, input } = program;
    let mut command = Command::new(path);
    command.args(arguments).envs(environment).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut group = Group(command.spawn().map_err(|error| format!("cannot be started: {error}"))?);
    match tokio::time::timeout(limit, group.converse(&input)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(format!("did not end within {} seconds and was killed", limit.as_secs())),
    }
}

/// A program with all that it started: killed together when this goes, unless it has ended before.
struct Group(Child);

impl Group {
    async fn converse(&mut self, input: &[u8]) -> Result<Output, String> {
        let (stdin, stdout) = (self.0.stdin.take(), self.0.stdout.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that does not want to know is no mistake: its answer tells.
                drop(stdin.write_all(input).await);
            }
        };
        let read = async {
            let mut text = Vec::new();
            let most = u64::try_from(MOST_OUTPUT).unwrap_or(u64::MAX);
            if let Some(stdout) = stdout {
                stdout.take(most + 1).read_to_end(&mut text).await?;
            }
            Ok::<_, std::io::Error>(text)
        };
        let ((), read) = tokio::join!(write, read);
        let text = read.map_err(|error| format!("cannot be read: {error}"))?;
        if text.len() > MOST_OUTPUT {
            return Err(format!("answered more than {MOST_OUTPUT} bytes and was killed"));
        }
        let status = self.0.wait().await.map_err(|error| format!("cannot be waited for: {error}"))?;
        Ok(Output { status, text })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It has an id for as long as nobody waited for it, and for so long no other group can have that number.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _gone_already = kill_process_group(id, Signal::KILL);
        }
    }
}

/// `exit code 3`, or that a signal ended it.
pub(super) fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}
