//! The settings file that helm renders is one that the program takes, and every setting of the program can be written in values.

use std::collections::BTreeSet;

use pratique::config::Config;
use pratique_testkit::{Directory, run};
use serde_json::{Value, json};

use super::{Rendering, chart_file, chart_text, objects, package};

/// The real program under test.
const PRATIQUE: &str = env!("CARGO_BIN_EXE_pratique");

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn the_program_takes_the_rendered_settings_without_complaint() {
    for values in [
        "",
        "enforcement: enforce",
        "{enforcement: enforce, settings: {floor: restricted, defaults: {warn: null, audit: null}}}",
        "webhook: {extraExemptNamespaces: [calico-system, kube-system]}",
        "settings: {listen: '[::]:443', admin: '[::]:80', controllers: null, platforms: [linux/amd64, linux/arm/v7], log: {format: text}}",
    ] {
        let place = Directory::new();
        place.write("pratique.yaml", &rendered(values));
        let linted = run(PRATIQUE, &["lint", "--config", &place.file("pratique.yaml")]);
        assert_eq!((linted.code, linted.stderr.as_str()), (Some(0), ""), "{values}: {linted:?}");
    }
}

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn what_enforces_is_the_default_the_floor_or_baseline() {
    for (values, default, floor) in [
        ("", json!(null), json!(null)),
        ("enforcement: enforce", json!("baseline"), json!(null)),
        ("{enforcement: enforce, settings: {defaults: {enforce: acme}}}", json!("acme"), json!(null)),
        ("{enforcement: enforce, settings: {floor: acme}}", json!(null), json!("acme")),
        ("{enforcement: enforce, settings: {floor: acme, defaults: {enforce: own}}}", json!("own"), json!("acme")),
        // helm takes away what is null in values: it must not come back as the program's own default.
        ("settings: {defaults: {enforce: null}, floor: null}", json!(null), json!(null)),
    ] {
        let settings: Value = serde_saphyr::from_str(&rendered(values)).expect("YAML");
        assert_eq!((&settings["defaults"]["enforce"], &settings["floor"]), (&default, &floor), "{values}");
    }
    let settings: Value =
        serde_saphyr::from_str(&rendered("settings: {defaults: {warn: null, audit: null}, platforms: null}"))
            .expect("YAML");
    assert_eq!(settings["defaults"], json!({"enforce": null, "warn": null, "audit": null}));
}

/// The settings that values.yaml shows as comments, taken for what they say.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn the_settings_in_comments_are_valid_and_with_the_others_all_that_there_are() {
    let text = chart_text("values.yaml");
    let shown = text.lines().skip_while(|line| *line != "  # tls:").take_while(|line| line.starts_with("  # "));
    let shown: Vec<&str> = shown.map(|line| &line["  # ".len()..]).collect();
    assert!(shown.len() > 30, "{shown:?}");
    let shown: Value = serde_saphyr::from_str(&shown.join("\n")).expect("comments are YAML");
    let mut told = paths(&chart_file("values.yaml")["settings"]);
    told.extend(paths(&shown));
    let known = schema_paths(&chart_file("values.schema.json")["properties"]["settings"], "");
    assert_eq!(told, known, "values.yaml, and the schema");

    let values = json!({"settings": shown, "vulnerabilityReports": {"enabled": true}});
    let (_, warnings) = Config::parse(&rendered(&values.to_string()), "values.yaml").expect("valid");
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn every_setting_of_the_program_is_in_the_schema_but_those_that_the_chart_writes() {
    let readme = std::fs::read_to_string(package().join("README.md")).expect("there is one");
    let section = readme.split_once("\n## Settings\n").expect("there is a section").1;
    let mut documented = BTreeSet::new();
    for block in section.split("\n## ").next().expect("a section").split("```yaml\n").skip(1) {
        let block = block.split("```").next().expect("a block ends");
        let settings: Value = serde_saphyr::from_str(block).expect("the README's settings are YAML");
        documented.extend(paths(&settings));
    }
    assert!(documented.len() > 25, "{documented:?}");
    let theirs = [
        // Of webhook.extraExemptNamespaces and the release.
        "exemptNamespaces",
        // Of certificates.
        "tls.certificate",
        "tls.key",
        // Names are fixed.
        "cluster.service",
        "cluster.webhookConfiguration",
        // Without effect in this build.
        "cache.state",
        "cache.sealKey",
    ];
    for path in theirs {
        assert!(documented.remove(path), "{path} is no setting");
    }
    let known = schema_paths(&chart_file("values.schema.json")["properties"]["settings"], "");
    // What is in lists and in what may be null, the README says in comments.
    let known: BTreeSet<String> = known
        .into_iter()
        .filter_map(|path| match path.as_str() {
            "registries.credentialProviders.config" => Some("registries.credentialProviders".to_owned()),
            "registries.credentialProviders.binaries" => None,
            _ => Some(path),
        })
        .collect();
    assert_eq!(known, documented);
}

fn rendered(values: &str) -> String {
    let text = Rendering::of(values).text().unwrap_or_else(|error| panic!("{values}: {error}"));
    let objects = objects(&text);
    let settings = objects.iter().find(|object| object["metadata"]["name"] == "pratique-settings");
    settings.expect("a ConfigMap")["data"]["pratique.yaml"].as_str().expect("text").to_owned()
}

/// `log.level`: of all that is no map with something in it. `realms` is one value: its keys are whoever's.
fn paths(settings: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, value) in settings.as_object().into_iter().flatten() {
        let inner = paths(value);
        if inner.is_empty() || name == "realms" {
            found.insert(name.clone());
        }
        found.extend(inner.into_iter().filter(|_| name != "realms").map(|inner| format!("{name}.{inner}")));
    }
    found
}

fn schema_paths(schema: &Value, above: &str) -> BTreeSet<String> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let paths = properties.flat_map(|(name, schema)| {
        let path = format!("{above}{name}");
        let inner = schema_paths(schema, &format!("{path}."));
        if inner.is_empty() { BTreeSet::from([path]) } else { inner }
    });
    paths.collect()
}
