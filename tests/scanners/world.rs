//! What all rows share: scanners at home in a folder of their own, databases made for this run, images in a registry.

use std::path::{Path, PathBuf};

use pratique_testkit::real::{built, run_in};
use pratique_testkit::{Directory, Outcome, Registry};

/// Every image, with its tag.
pub(crate) const IMAGES: [(&str, &str); 6] = [
    ("web", "1.4.2"),
    ("api", "2.0.0"),
    ("clean", "1.0.0"),
    ("static", "1.0.0"),
    ("tool", "0.9.1"),
    ("leaky", "0.1.0"),
];

pub(crate) struct World {
    pub(crate) registry: Registry,
    home: Directory,
}

impl World {
    pub(crate) async fn new() -> Self {
        let (registry, home) = (Registry::setup().start().await, Directory::new());
        for (name, tag) in IMAGES {
            registry.push_layout(&format!("acme/{name}"), tag, &fixtures("images").join(name));
        }
        let world = Self { registry, home };
        let advisories = here("advisories.json");
        // Grype refuses a database that is five days old, so both are made anew.
        world.must(&[&built("trivy-database"), &advisories, "trivy/db"]);
        world.must(&[&built("grype-database"), &advisories, "grype/6"]);
        world
    }

    /// `127.0.0.1:1234/acme/web`.
    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/acme/{name}", self.registry.host())
    }

    /// The same with its tag.
    pub(crate) fn tagged(&self, name: &str) -> String {
        let tag = IMAGES.iter().find(|(image, _)| *image == name).expect("one of ours").1;
        format!("{}:{tag}", self.repository(name))
    }

    /// `trivy image`, into a file.
    pub(crate) fn trivy(&self, report: &Path, arguments: &[&str]) -> Outcome {
        let trivy = built("trivy");
        let report = report.display().to_string();
        let mut all = vec![trivy.as_str(), "image", "--quiet", "--output", &report];
        all.extend(arguments);
        self.run(&all)
    }

    /// `grype`, into a file.
    pub(crate) fn grype(&self, report: &Path, arguments: &[&str]) -> Outcome {
        let grype = built("grype");
        let report = report.display().to_string();
        let mut all = vec![grype.as_str(), "-q", "-o", "json", "--file", &report];
        all.extend(arguments);
        self.run(&all)
    }

    /// Runs a scanner in its home, with the databases that are there and no network but loopback.
    fn run(&self, command: &[&str]) -> Outcome {
        let home = self.home.path().display().to_string();
        let mut settings = vec!["-C".to_owned(), home.clone(), format!("HOME={home}"), format!("DOCKER_CONFIG={home}")];
        let trivy =
            ["SKIP_DB_UPDATE", "SKIP_JAVA_DB_UPDATE", "OFFLINE_SCAN", "SKIP_VERSION_CHECK", "DISABLE_TELEMETRY"];
        settings.extend(trivy.map(|name| format!("TRIVY_{name}=true")));
        settings.push("TRIVY_CACHE_DIR=trivy".to_owned());
        settings.push("GRYPE_DB_CACHE_DIR=grype".to_owned());
        settings.extend(["GRYPE_DB_AUTO_UPDATE", "GRYPE_CHECK_FOR_APP_UPDATE"].map(|name| format!("{name}=false")));
        run_in(&settings, command)
    }

    fn must(&self, command: &[&str]) {
        let outcome = self.run(command);
        assert_eq!(outcome.code, Some(0), "{command:?}\n{}", outcome.stderr);
    }
}

/// A folder of fixtures.
pub(crate) fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A file beside these tests.
pub(crate) fn here(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scanners").join(name).display().to_string()
}

/// The folder of an image's layout.
pub(crate) fn layout(name: &str) -> String {
    fixtures("images").join(name).display().to_string()
}
