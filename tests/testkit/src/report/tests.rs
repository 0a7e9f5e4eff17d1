use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::{DIGEST, Image};

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn trivy_names_the_index_and_the_configuration_and_grype_the_manifest_too() {
    let image = Image::platforms(&["linux/amd64", "linux/arm64"]).label("two");
    let name = "registry.test:5000/acme/web:1.4.2";
    let trivy = parsed(&TrivyReport::of_image(name, &image, "linux/arm64").json());
    let metadata = &trivy["Metadata"];
    assert_eq!(metadata["RepoDigests"], json!([format!("registry.test:5000/acme/web@{}", image.digest())]));
    assert_eq!(metadata["ImageID"], image.config_digest_of("linux/arm64"));
    assert_ne!(metadata["ImageID"], image.config_digest_of("linux/amd64"));
    assert_eq!(metadata["ImageConfig"]["architecture"], "arm64");
    let manifest = image.children()[1].1.clone();
    assert!(!trivy.to_string().contains(&manifest));
    let grype = parsed(&GrypeReport::of_image(name, &image, "linux/arm64").json());
    assert_eq!(grype["source"]["target"]["repoDigests"], metadata["RepoDigests"]);
    assert_eq!(grype["source"]["target"]["manifestDigest"], manifest);
}

#[test]
fn an_image_without_an_index_is_named_by_its_manifest() {
    let image = Image::platform("linux/arm64/v8");
    let trivy = parsed(&TrivyReport::of_image("r.test/a", &image, "linux/arm64/v8").json());
    assert_eq!(trivy["Metadata"]["RepoDigests"], json!([format!("r.test/a@{}", image.digest())]));
    assert_eq!(trivy["Metadata"]["ImageID"], image.config_digest());
    assert_eq!(trivy["Metadata"]["ImageConfig"]["variant"], "v8");
}

#[test]
fn a_layout_on_disk_is_named_by_its_configuration_alone() {
    let trivy = parsed(&TrivyReport::of("layouts/web").config(DIGEST).json());
    assert_eq!(trivy["Metadata"]["ImageID"], DIGEST);
    assert_eq!([&trivy["Metadata"]["RepoDigests"], &trivy["Metadata"]["RepoTags"]], [&Value::Null, &Value::Null]);
}

#[test]
fn each_tool_words_a_finding_its_own_way() {
    let finding = Finding::new("GHSA-1").alias("CVE-1").severity("Critical").fixed("5.6.2").fixed_on("2026-02-11");
    let name = "r.test/a:1";
    let trivy = parsed(&TrivyReport::of(name).finding(finding.clone()).suppressed(Finding::new("CVE-2")).json());
    let result = &trivy["Results"][0];
    assert_eq!(result["Vulnerabilities"][0]["Severity"], "CRITICAL");
    assert_eq!(result["Vulnerabilities"][0]["VendorIDs"], json!(["CVE-1"]));
    assert_eq!(result["ExperimentalModifiedFindings"][0]["Finding"]["Status"], "affected");
    let grype = parsed(&GrypeReport::of(name).finding(finding.clone()).suppressed(Finding::new("CVE-2")).json());
    let vulnerability = &grype["matches"][0]["vulnerability"];
    assert_eq!((&vulnerability["severity"], &vulnerability["fix"]["state"]), (&json!("Critical"), &json!("fixed")));
    assert_eq!(vulnerability["fix"]["available"][0]["date"], "2026-02-11");
    assert_eq!(grype["ignoredMatches"][0]["vulnerability"]["id"], "CVE-2");
    let object = OperatorReport::of(name, "shop", "pod-a").digest(DIGEST).finding(finding);
    let object = parsed(object.yaml().as_bytes());
    assert_eq!(object["report"]["artifact"], json!({"repository": "a", "tag": "1", "digest": DIGEST}));
    assert_eq!(object["report"]["summary"]["criticalCount"], 1);
}

#[test]
fn what_scanned_nothing_looks_as_the_tools_leave_it() {
    let trivy = parsed(&TrivyReport::of("r.test/a").without_packages().json());
    assert_eq!((trivy.get("Results"), trivy["Metadata"].get("OS")), (None, None));
    let secrets = parsed(&TrivyReport::of("r.test/a").finding(Finding::new("CVE-1")).secrets_alone().json());
    assert!(secrets["Results"][0].get("Vulnerabilities").is_none() && secrets["Results"][0]["Packages"].is_array());
    let unlisted = parsed(&TrivyReport::of("r.test/a").without_list().json());
    assert_eq!(unlisted["Results"][0].as_object().unwrap().len(), 3);
    let grype = parsed(&GrypeReport::of("r.test/a").without_packages().json());
    assert_eq!((&grype["matches"], &grype["distro"]["name"]), (&json!([]), &json!("")));
}

#[test]
fn a_statement_carries_the_whole_report() {
    let report = TrivyReport::of("r.test/a").scanned_at("2026-11-20T00:00:00Z");
    let statement = parsed(&report.attested(DIGEST).bytes());
    assert_eq!(statement["predicateType"], COSIGN_VULN);
    assert_eq!(statement["predicate"]["scanner"]["result"], parsed(&report.json()));
    assert_eq!(statement["predicate"]["metadata"]["scanFinishedOn"], "2026-11-20T00:00:00Z");
}

/// The path of every field, with its type; what stands in a list is at `[]`.
fn shape(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| shape(value, &format!("{path}.{name}"), found)),
        Value::Array(list) => list.iter().for_each(|value| shape(value, &format!("{path}[]"), found)),
        Value::String(_) => drop(found.insert(format!("{path}: text"))),
        Value::Number(_) => drop(found.insert(format!("{path}: number"))),
        Value::Bool(_) => drop(found.insert(format!("{path}: yes or no"))),
        Value::Null => drop(found.insert(format!("{path}: null"))),
    }
}

#[test]
fn every_field_is_one_of_real_reports_and_of_its_type() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scans/captured");
    let real = |tool: &str| {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(folder.join(tool)).unwrap() {
            let path = entry.unwrap().path();
            if !path.to_string_lossy().contains(".cdx") && path.extension().is_some_and(|ending| ending == "json") {
                shape(&parsed(&fs::read(path).unwrap()), "", &mut found);
            }
        }
        found
    };
    let finding = Finding::new("GHSA-1").alias("CVE-1").fixed("5.6.2").fixed_on("2026-02-11").score(9.8);
    let left_out = Finding::new("CVE-2").will_not_be_fixed();
    let image = Image::platforms(&["linux/amd64", "linux/arm64"]);
    let name = "127.0.0.1:5077/acme/web:1.4.2";
    let plain = TrivyReport::of_image(name, &image, "linux/amd64").finding(finding.clone());
    // None of the real predicates has anything left out.
    let attested = parsed(&plain.attested(DIGEST).bytes())["predicate"].to_string().into_bytes();
    let trivy = plain.suppressed(left_out.clone());
    let grype = GrypeReport::of_image(name, &image, "linux/amd64").finding(finding).suppressed(left_out);
    let bare = [TrivyReport::of(name).without_packages().json(), TrivyReport::of(name).secrets_alone().json()];
    let made = [("trivy", [vec![trivy.json(), attested], bare.into()].concat()), ("grype", vec![grype.json()])];
    for (tool, reports) in made {
        let (real, mut ours) = (real(tool), BTreeSet::new());
        for report in &reports {
            shape(&parsed(report), "", &mut ours);
        }
        let invented: Vec<&String> = ours.difference(&real).collect();
        assert!(ours.len() > 50 && invented.is_empty(), "{tool}: {invented:#?}");
    }
}
