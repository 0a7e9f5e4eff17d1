//! What a test process started or wrote goes when it goes, also where it is killed or a `static` holds it: a shell waits
//! at a pipe whose other end is here, and acts when that end is closed without a word.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Held by whoever ends the thing himself in the ordinary way: dropping this leaves it alone.
#[derive(Debug)]
pub(crate) struct Leash(Child);

impl Leash {
    /// Kills a process of ours. It must be dropped before the number can be another's: right after the process was reaped.
    pub(crate) fn on_process(id: u32) -> Self {
        Self::start("read -r word || kill -KILL \"$1\"", &id.to_string())
    }

    /// Removes a folder; those who still write to it have a moment to be gone.
    pub(crate) fn on_folder(path: &Path) -> Self {
        let action = "read -r word || for try in 1 2 3 4 5; do rm -rf -- \"$1\" && break; sleep 1; done";
        Self::start(action, &path.display().to_string())
    }

    fn start(action: &str, argument: &str) -> Self {
        let mut command = Command::new("sh");
        // An interrupt at the keyboard reaches it too, and it has its work to do then.
        command.arg("-c").arg(format!("trap '' HUP INT TERM; {action}")).args(["leash", argument]);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(started.expect("there is a shell"))
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        let told = self.0.stdin.take().map(|mut pipe| pipe.write_all(b"leave\n"));
        // Where the shell was killed there is nobody to tell.
        let _reaped = (told, self.0.wait());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::Directory;

    /// What the kernel does to all pipes of a process that ends.
    fn end_without_a_word(mut leash: Leash) {
        drop(leash.0.stdin.take());
        assert!(leash.0.wait().is_ok_and(|status| status.success()));
    }

    #[test]
    fn a_process_is_killed_when_its_owner_ends_without_a_word() {
        let mut sleeping = Command::new("sleep").arg("1000").spawn().unwrap();
        end_without_a_word(Leash::on_process(sleeping.id()));
        assert_eq!(sleeping.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_folder_is_removed_when_its_owner_ends_without_a_word() {
        let folder = Directory::new();
        folder.write_in("inner", "file", "text");
        end_without_a_word(Leash::on_folder(folder.path()));
        assert!(!folder.path().exists());
    }

    #[test]
    fn what_its_owner_ends_in_the_ordinary_way_is_left_alone() {
        let mut sleeping = Command::new("sleep").arg("1000").spawn().unwrap();
        drop(Leash::on_process(sleeping.id()));
        assert_eq!(sleeping.try_wait().unwrap(), None);
        sleeping.kill().unwrap();
        sleeping.wait().unwrap();
    }
}
