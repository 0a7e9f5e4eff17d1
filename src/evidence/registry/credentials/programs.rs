//! Programs for tests: small shell scripts in a folder that is gone afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A folder of scripts.
pub(super) struct Programs(PathBuf);

impl Programs {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pratique-programs-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Copied by a process of its own: where this one had it open for writing, a child that another test starts at that
    /// moment would keep it so ("text file busy").
    pub(super) fn script(&self, name: &str, body: &str) -> PathBuf {
        let text = self.write(&format!("{name}.text"), &format!("#!/bin/sh\n{body}\n"));
        let path = self.path(name);
        let copy = Command::new("install").arg("-m755").args([&text, &path]).status().unwrap();
        assert!(copy.success());
        path
    }

    /// A script that counts its runs and says `answer`.
    pub(super) fn counted(&self, name: &str, answer: &str) -> PathBuf {
        self.script(name, &format!("echo >> \"$0.runs\"; cat > \"$0.input\"; cat << 'END'\n{answer}\nEND"))
    }

    pub(super) fn runs(&self, name: &str) -> usize {
        std::fs::read_to_string(self.path(&format!("{name}.runs"))).map_or(0, |text| text.lines().count())
    }

    pub(super) fn input(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.input"))).unwrap()
    }

    /// Waits for the end of the process whose number stands in this file; one that nobody waits for is at its end too.
    pub(super) async fn wait_until_gone(&self, file: &str) {
        let process = std::fs::read_to_string(self.path(file)).unwrap();
        let state = format!("/proc/{}/stat", process.trim());
        for _ in 0..1000 {
            match std::fs::read_to_string(&state) {
                Err(_) => return,
                Ok(text) if text.contains(") Z ") => return,
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("{file}: the process is still there");
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
