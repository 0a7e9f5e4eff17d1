//! The chart makes the objects of the overlays, and refuses what it does not know.
//!
//! helm renders here without a cluster, but for `chart/installed.rs`, which asks a real API server.

use std::path::Path;

use pratique_testkit::real::{built, run_in};
use pratique_testkit::{Directory, Outcome, run};
use serde_json::Value;

mod alike;
mod compared;
mod installed;
mod schema;
mod settings;
mod unsound;
mod values;

/// The oldest that `kubeVersion` of the chart lets in; without a cluster helm must be told one.
const KUBERNETES: &str = "1.33.0";

/// A call of `helm template` of our chart.
struct Rendering<'values> {
    values: &'values str,
    namespace: &'values str,
    /// What the API server knows beside its own kinds.
    kinds: &'values [&'values str],
}

impl<'values> Rendering<'values> {
    fn of(values: &'values str) -> Self {
        Self { values, namespace: "pratique-system", kinds: &[] }
    }

    /// What helm prints, or what it says is wrong.
    fn text(&self) -> Result<String, String> {
        let home = Directory::new();
        home.write("values.yaml", self.values);
        let file = home.file("values.yaml");
        let chart = chart();
        let mut arguments = vec!["template", "pratique", &chart, "--namespace", self.namespace, "--values", &file];
        arguments.extend(["--kube-version", KUBERNETES]);
        arguments.extend(self.kinds.iter().flat_map(|kind| ["--api-versions", kind]));
        let Outcome { code, stdout, stderr } = helm(&home, &arguments);
        if code == Some(0) { Ok(stdout) } else { Err(stderr) }
    }

    fn objects(&self) -> Vec<Value> {
        objects(&self.text().unwrap_or_else(|error| panic!("{}\n{error}", self.values)))
    }
}

/// At home in a folder of its own: no plug-ins and no repositories of whoever runs the tests.
fn helm(home: &Directory, arguments: &[&str]) -> Outcome {
    let helm = built("helm");
    let all: Vec<&str> = std::iter::once(helm.as_str()).chain(arguments.iter().copied()).collect();
    let home = home.path().display();
    let own = ["CACHE", "CONFIG", "DATA"].map(|kind| format!("HELM_{kind}_HOME={home}"));
    run_in(&[&[format!("HOME={home}")], &own[..]].concat(), &all)
}

/// What `kubectl kustomize` makes of these folders under `manifests`: the first is an overlay, the others are components.
fn kustomized(folders: &[&str]) -> Vec<Value> {
    let place = Directory::new();
    // kustomize takes no absolute paths.
    let up = "../".repeat(place.path().components().count() - 1);
    let of = |folder: &str| format!("{up}{}", package().join("manifests").join(folder).display()).replace("//", "/");
    let (overlay, components) = folders.split_first().expect("an overlay");
    let components: Vec<String> = components.iter().map(|folder| format!("- {}\n", of(folder))).collect();
    let components =
        if components.is_empty() { String::new() } else { format!("components:\n{}", components.concat()) };
    place.write("kustomization.yaml", &format!("resources:\n- {}\n{components}", of(overlay)));
    let kubectl = Path::new(&std::env::var("KUBEBUILDER_ASSETS").expect("KUBEBUILDER_ASSETS is set")).join("kubectl");
    let made = run(&kubectl.display().to_string(), &["kustomize", &place.path().display().to_string()]);
    assert_eq!(made.code, Some(0), "{made:?}");
    objects(&made.stdout)
}

/// Every object of a stream of documents.
fn objects(text: &str) -> Vec<Value> {
    let documents = text.split("\n---\n").map(|document| {
        let read: Value = serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}:\n{document}"));
        read
    });
    documents.filter(|object| !object.is_null()).collect()
}

/// The file of the chart, as YAML (or JSON) says.
fn chart_file(name: &str) -> Value {
    let text = chart_text(name);
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn chart_text(name: &str) -> String {
    let path = Path::new(&chart()).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn chart() -> String {
    package().join("manifests/chart").display().to_string()
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn helm_finds_nothing_to_complain_about() {
    let home = Directory::new();
    let linted = helm(&home, &["lint", "--strict", "--quiet", "--kube-version", KUBERNETES, &chart()]);
    assert_eq!((linted.code, linted.stdout.as_str()), (Some(0), ""), "{}", linted.stderr);
}

/// Tests, editors and git have no place in what is pushed to a registry.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn the_packed_chart_has_what_it_reads_and_nothing_else() {
    let home = Directory::new();
    let into = home.path().display().to_string();
    let packed = helm(&home, &["package", &chart(), "--destination", &into]);
    assert_eq!(packed.code, Some(0), "{packed:?}");
    let archive = home.file(&format!("pratique-{}.tgz", env!("CARGO_PKG_VERSION")));
    let listed = run("tar", &["tzf", &archive]).stdout;
    let folders = ["pratique/files/base/", "pratique/files/components/", "pratique/templates/"];
    let files = ["pratique/Chart.yaml", "pratique/values.yaml", "pratique/values.schema.json", "pratique/.helmignore"];
    for line in listed.lines() {
        assert!(files.contains(&line) || folders.iter().any(|folder| line.starts_with(folder)), "{line}");
    }
    let rendered = helm(&home, &["template", "pratique", &archive, "--kube-version", KUBERNETES]);
    assert_eq!(rendered.code, Some(0), "{}", rendered.stderr);
}
