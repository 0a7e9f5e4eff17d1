//! Examples in YAML: whatever our own program, or kustomize, is to read is read.
//!
//! A block begins with `apiVersion:`, or with a comment that names its file: `# pratique.yaml` is settings, all others are
//! files of other programs.

use pratique::evidence::cluster;
use pratique_testkit::Directory;
use pratique_testkit::signer::{Key, KeyKind};
use serde_json::Value;

use crate::texts::{Block, blocks, root};

/// Of which kind each block is: an object of ours or of the cluster, a kustomization, or neither.
fn objects() -> Vec<Block> {
    blocks("yaml").into_iter().filter(|block| block.text.starts_with("apiVersion:")).collect()
}

fn is_kustomization(block: &Block) -> bool {
    block.text.contains("\nkind: Kustomization\n")
}

#[test]
fn policies_that_are_shown_load_without_a_warning() {
    let directory = Directory::new();
    let policies: Vec<Block> = objects().into_iter().filter(|block| !is_kustomization(block)).collect();
    assert!(!policies.is_empty(), "the documents: show a policy");
    for (index, policy) in policies.iter().enumerate() {
        // A waiver that ends is announced, and the one that is shown ends one day.
        directory.write(&format!("{index}.yaml"), &policy.text.replace("until: 2027-", "until: 2999-"));
    }
    // As `cosign generate-key-pair` writes it.
    directory.write("cosign.pub", &Key::generate(KeyKind::P256).public_pem());
    let places = || policies.iter().map(|its| format!("{}:{}", its.document, its.line)).collect::<Vec<_>>();
    let manifests = cluster::read(&[directory.path().to_owned()]);
    let manifests =
        manifests.unwrap_or_else(|mistakes| panic!("a policy is invalid, by number of {:?}: {mistakes:#?}", places()));
    let warnings = manifests.warnings;
    assert!(warnings.is_empty(), "a policy earns a warning, by number of {:?}: {warnings:#?}", places());
    assert_eq!(manifests.objects, policies.len());
}

/// They stand in a folder beside `manifests`, or among the overlays.
#[test]
fn overlays_that_are_shown_name_what_is_there() {
    let kustomizations: Vec<Block> = objects().into_iter().filter(is_kustomization).collect();
    assert!(!kustomizations.is_empty(), "the documents: show an overlay");
    for Block { document, line, text, .. } in kustomizations {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        let named = ["resources", "components"].iter().filter_map(|list| value[list].as_array()).flatten();
        let paths: Vec<&str> = named.filter_map(Value::as_str).collect();
        assert!(!paths.is_empty(), "{document}:{line}: the overlay names nothing of ours");
        let places = ["docs", "manifests/overlays/audit-only"].map(|place| root().join(place));
        let there =
            places.iter().any(|place| paths.iter().all(|path| place.join(path).join("kustomization.yaml").exists()));
        assert!(there, "{document}:{line}: not all of {paths:?} are there");
    }
}

#[test]
fn files_of_other_programs_say_what_they_are_and_can_be_read() {
    for Block { document, line, mark, text } in blocks("yaml") {
        let marked = mark.starts_with("<!-- ") || document == "docs/settings.md";
        let named = marked || text.starts_with("# ") || text.starts_with("apiVersion:");
        assert!(named, "{document}:{line}: begin the block with a comment that names the file, or mark it for a test");
        let read = serde_saphyr::from_str::<Value>(&text);
        assert!(read.is_ok(), "{document}:{line}: this is no YAML: {}", read.unwrap_err());
    }
}

/// The schema of the chart refuses a misspelt value; here the names are compared.
#[test]
fn values_that_are_shown_are_those_of_the_chart() {
    let known = std::fs::read_to_string(root().join("manifests/chart/values.yaml")).unwrap();
    let known: Value = serde_saphyr::from_str(&known).unwrap();
    let shown: Vec<Block> =
        blocks("yaml").into_iter().filter(|block| block.text.starts_with("# values.yaml\n")).collect();
    assert!(!shown.is_empty(), "the documents: show values of the chart");
    for Block { document, line, text, .. } in shown {
        let values: Value = serde_saphyr::from_str(&text).unwrap();
        for (name, value) in values.as_object().unwrap() {
            let its = known.get(name).unwrap_or_else(|| panic!("{document}:{line}: the chart has no value {name}"));
            // One that is empty takes what its schema says.
            let (Some(its), Some(inner)) = (its.as_object(), value.as_object()) else { continue };
            let unknown: Vec<_> = inner.keys().filter(|name| !its.is_empty() && !its.contains_key(*name)).collect();
            assert!(unknown.is_empty(), "{document}:{line}: the chart has no such values in {name}: {unknown:?}");
        }
    }
}
