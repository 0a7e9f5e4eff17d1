//! The real cosign, at home in a folder of its own.

use pratique_testkit::real::{built, run_in};
use pratique_testkit::{Directory, Outcome};

pub(crate) struct Cosign {
    program: String,
    home: Directory,
}

impl Cosign {
    /// With settings and a root that name no service.
    pub(crate) fn new() -> Self {
        let cosign = Self { program: built("cosign"), home: Directory::new() };
        for (what, file) in [("signing-config", "no-services.json"), ("trusted-root", "no-root.json")] {
            cosign.succeeds(&[what, "create"], &[format!("--out={}", cosign.file(file))]);
        }
        cosign
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.home.file(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.home.write(name, text);
    }

    /// Runs it; `settings` are `NAME=value`.
    pub(crate) fn run(&self, settings: &[&str], command: &[&str], more: &[String]) -> Outcome {
        let home = self.home.path().display();
        let mut environment =
            vec![format!("HOME={home}"), format!("DOCKER_CONFIG={home}"), "COSIGN_PASSWORD=".to_owned()];
        environment.extend(settings.iter().map(|&setting| setting.to_owned()));
        let mut all = vec![self.program.as_str()];
        all.extend(command);
        all.extend(more.iter().map(String::as_str));
        run_in(&environment, &all)
    }

    /// What it prints; it must succeed.
    pub(crate) fn succeeds(&self, command: &[&str], more: &[String]) -> String {
        self.succeeds_in(&[], command, more)
    }

    pub(crate) fn succeeds_in(&self, settings: &[&str], command: &[&str], more: &[String]) -> String {
        let outcome = self.run(settings, command, more);
        assert_eq!(outcome.code, Some(0), "cosign {command:?} {more:?}\n{}", outcome.stderr);
        outcome.stdout
    }
}
