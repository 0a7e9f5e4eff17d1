//! What a release says of itself in several places is the same in all of them: its version, its image, its toolchain, and
//! what the image is built from.
//!
//! That it builds, starts and is admitted by itself, `release/rehearse.sh` shows.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy frees tests of these, but not what they call")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Every place that has the version, by what stands before it on its line.
const VERSIONS: [(&str, &str); 8] = [
    ("Dockerfile", r#"org.opencontainers.image.version=""#),
    ("Dockerfile", "-t ghcr.io/pratique-dev/pratique:"),
    ("manifests/base/kustomization.yaml", "app.kubernetes.io/version: "),
    ("manifests/base/deployment.yaml", "image: ghcr.io/pratique-dev/pratique:"),
    ("manifests/chart/Chart.yaml", "appVersion: "),
    ("manifests/chart/Chart.yaml", "version: "),
    ("release/publish.sh", "release/publish.sh ghcr.io/pratique-dev/pratique:"),
    ("CHANGELOG.md", "## "),
];

#[test]
fn every_place_that_has_the_version_has_that_of_the_program() {
    for (file, before) in VERSIONS {
        let text = read(file);
        // The first, because a changelog has all that were before.
        let said = text.lines().find_map(|line| line.split_once(before).map(|(_, behind)| behind));
        let said = said.unwrap_or_else(|| panic!("{file} has no line with {before:?}"));
        let said = said.split(['"', ' ', ',']).next();
        assert_eq!(said, Some(VERSION), "{file}, behind {before:?}");
    }
}

/// Two ways to one image: by a container engine, and by what needs none.
#[test]
fn the_dockerfile_and_the_image_that_is_made_without_an_engine_say_the_same() {
    let (docker, own) = (read("Dockerfile"), read("release/image.py"));
    let labels: BTreeSet<&str> = docker.split("org.opencontainers.image.").skip(1).map(before('=')).collect();
    let title = own.split("said = {").nth(1).unwrap().split("return").next().unwrap();
    let made: BTreeSet<&str> =
        title.split(['{', '\n']).filter_map(|line| line.trim().strip_prefix('"')).map(before('"')).collect();
    // When it was made an engine says where it makes it.
    assert_eq!(labels.iter().copied().chain(["created"]).collect::<BTreeSet<_>>(), made);
    for (label, value) in [
        ("title", "Pratique"),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("source", env!("CARGO_PKG_REPOSITORY")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
    ] {
        assert!(docker.contains(&format!("org.opencontainers.image.{label}=\"{value}\"")), "{label} is not {value}");
    }
    for (docker_says, own_says) in [
        ("USER 65532:65532\n", r#""User": "65532:65532""#),
        ("EXPOSE 8443 9090\n", r#""ExposedPorts": {"8443/tcp": {}, "9090/tcp": {}}"#),
        ("ENTRYPOINT [\"/pratique\"]\n", r#""Entrypoint": ["/pratique"]"#),
        ("CMD [\"serve\"]\n", r#""Cmd": ["serve"]"#),
        ("--chmod=0555 /parts/pratique /pratique\n", r#""pratique": (parts / "pratique", 0o555)"#),
        ("--chmod=0444 /parts/THIRD-PARTY /THIRD-PARTY\n", r#""THIRD-PARTY": (parts / "THIRD-PARTY", 0o444)"#),
        ("--chmod=0444 LICENSE /LICENSE\n", r#""LICENSE": (ROOT / "LICENSE", 0o444)"#),
        (" /etc/ssl/certs/ca-certificates.crt\n", r#""etc/ssl/certs/ca-certificates.crt": ("#),
    ] {
        assert!(docker.contains(docker_says), "not in Dockerfile: {docker_says}");
        assert!(own.contains(own_says), "not in release/image.py: {own_says}");
    }
}

#[test]
fn the_image_is_built_by_the_toolchain_that_everything_else_is_built_by() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    let dockerfile = read("Dockerfile");
    let base =
        dockerfile.lines().find_map(|line| line.split_once(" rust:").filter(|_| line.starts_with("FROM"))).unwrap().1;
    assert!(
        base.starts_with(&format!("{channel}-")),
        "Dockerfile builds with rust:{base}, and all else with {channel}"
    );
}

/// A file that the program includes and that the context lacks: `docker build` alone would notice.
#[test]
fn what_the_program_includes_from_outside_its_sources_is_copied_into_the_image_s_build() {
    let ignore = read(".dockerignore");
    let copied: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut included = BTreeSet::new();
    for source in sources(&package().join("src")) {
        let text = fs::read_to_string(&source).unwrap();
        // Tests are not built for the image.
        let text = text.split("#[cfg(test)]").next().unwrap();
        for name in text
            .split("include_")
            .skip(1)
            .filter_map(|rest| rest.split('"').nth(1))
            .filter(|name| name.starts_with("../"))
        {
            included.insert(plain(&source.parent().unwrap().join(name)));
        }
    }
    included.retain(|path| !path.starts_with("src") && package().join(path).is_file());
    assert!(
        included.contains(Path::new("manifests/policies/restricted.yaml")),
        "this test finds nothing: {included:?}"
    );
    for path in included {
        assert!(copied.iter().any(|copy| path.starts_with(copy)), ".dockerignore leaves out {}", path.display());
    }
}

fn before<'text>(end: char) -> impl Fn(&'text str) -> &'text str {
    move |text| text.split(end).next().unwrap_or_default()
}

/// Relative to the package, without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.strip_prefix(package()).unwrap().components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// Rust files below a folder, but those that are tests by their name.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(package().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
