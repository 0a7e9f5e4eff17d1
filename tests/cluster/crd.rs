//! The `CustomResourceDefinition` on a real API server: what it takes, what it refuses and in which words, and that what it
//! keeps means what was written.

use std::fs;
use std::path::Path;

use pratique::fact::attached::{Fingerprint, PublicKey};
use pratique::policy::compile::{KeyAt, compile};
use pratique::policy::document::{Node, parse_documents};
use pratique_testkit::Outcome;
use serde_json::Value;

use crate::guards::installed;

/// Files of `tests/fixtures/policies/invalid`, and what the API server, or kubectl on its way, has against each first of all;
/// where it has nothing, our reader does.
const INVALID: &[(&str, Option<&str>)] = &[
    ("authorities", Some("spec.authorities[3].log: Unsupported value: \"always\"")),
    ("misspelt-demand", Some("spec.rules[0]: Invalid value: a rule says one thing: write demands")),
    ("names", Some("no matches for kind \"ClusterImagePolicy\"")),
    ("no-rules", Some("spec.rules in body should have at least 1 items")),
    ("no-spec", Some("spec: Required value")),
    ("nothing-demanded", Some("spec.rules[1].tags: Invalid value: demands nothing: write deny")),
    ("patterns", None),
    ("signatures", Some("spec.rules[0].signatures.authorities: Required value")),
    ("two-things", Some("spec.rules[0]: Invalid value: a rule says one thing")),
    ("types", Some("cannot unmarshal number")),
    ("unknown-fields", Some("unknown field \"metadata.nmae\"")),
    ("vulnerabilities", Some("spec.rules[2].vulnerabilities.threshold: Unsupported value: \"severe\"")),
];

/// Nothing is wrong with it, and every rule has something to hold on to.
const POLICY: &str = r#"
apiVersion: pratique.dev/v1alpha1
kind: ImagePolicy
metadata: {name: whole}
spec:
  rules:
  - {name: free, images: ["a.example/**"], admit: true}
  - name: asked
    images: ["**"]
    tags: {deny: [latest]}
    vulnerabilities: {threshold: high, authorities: [ops]}
    signatures: {authorities: [ops, release], threshold: 2}
    attestations: [{predicateType: t, authorities: [release], where: [{path: a, equals: b}]}]
  authorities:
  - {name: ops, keys: [{secretRef: {name: keys, key: ops.pub}, notBefore: 2026-01-01, notAfter: 2027-01-01}]}
  - {name: release, keyless: {issuer: "https://a.example", subject: b}}
"#;

/// One change of [`POLICY`], and all that is said of it.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "name: whole",
        "name: a.whole",
        "<nil>: Invalid value: namespace labels hold the name of a policy: use at most 63 letters, digits and `-`, without dots",
    ),
    ("name: asked", "name: free", "spec: Invalid value: two rules have the same name: give each its own"),
    (
        "admit: true",
        "admit: false",
        "spec.rules[0].admit: Invalid value: false: `admit: false` says nothing: remove it, and write what is demanded or `refuse: \"why\"`",
    ),
    (
        "admit: true",
        "admit: true, refuse: why",
        "spec.rules[0]: Invalid value: a rule says one thing: write demands (tags, vulnerabilities, signatures, attestations; is one misspelt?), or `admit: true`, or `refuse: \"why\"`",
    ),
    (
        "admit: true",
        "tgas: {deny: [latest]}",
        "spec.rules[0]: Invalid value: a rule says one thing: write demands (tags, vulnerabilities, signatures, attestations; is one misspelt?), or `admit: true`, or `refuse: \"why\"`",
    ),
    (
        "tags: {deny: [latest]}",
        "tags: {requireDigest: false}",
        "spec.rules[1].tags: Invalid value: demands nothing: write deny, allow, `requireDigest: true` or `repointed: deny`",
    ),
    (
        "high, authorities: [ops]",
        "high, authorities: [opps]",
        "spec: Invalid value: vulnerabilities.authorities names one that spec.authorities does not have: add it there, or mend the name",
    ),
    (
        "[ops, release]",
        "[ops, relaese]",
        "spec: Invalid value: signatures.authorities names one that spec.authorities does not have: add it there, or mend the name",
    ),
    (
        "t, authorities: [release]",
        "t, authorities: [relaese]",
        "spec: Invalid value: attestations[].authorities names one that spec.authorities does not have: add it there, or mend the name",
    ),
    (
        "threshold: 2",
        "threshold: 3",
        "spec.rules[1].signatures: Invalid value: the threshold can never be met: it is greater than the number of authorities",
    ),
    (
        "{path: a, equals: b}",
        "{path: a, equals: b, in: [c]}",
        "spec.rules[1].attestations[0].where[0]: Invalid value: a condition needs exactly one of equals, matches and in",
    ),
    (
        "{path: a, equals: b}",
        "{path: a}",
        "spec.rules[1].attestations[0].where[0]: Invalid value: a condition needs exactly one of equals, matches and in",
    ),
    (
        "subject: b}}",
        "subject: b}}\n  - {name: ops, keyless: {issuer: \"https://a.example\", subject: c}}",
        "spec: Invalid value: two authorities have the same name: give each its own",
    ),
    (
        "subject: b}}",
        "subject: b}, keys: [{pem: x}]}",
        "spec.authorities[1]: Invalid value: an authority needs exactly one of keyless and keys: make two authorities of two",
    ),
    (
        "issuer: \"https://a.example\", ",
        "",
        "spec.authorities[1].keyless: Invalid value: needs exactly one of issuer and issuerRegExp: without an issuer strangers would be trusted",
    ),
    (
        "subject: b}",
        "subject: b, subjectRegExp: b}",
        "spec.authorities[1].keyless: Invalid value: needs exactly one of subject and subjectRegExp: without a subject strangers would be trusted",
    ),
    (
        "secretRef: {name: keys, key: ops.pub}",
        "file: ops.pub",
        "spec.authorities[0].keys[0]: Invalid value: a policy in a cluster has no files beside it: write the key as pem, or put it into a Secret and name it by secretRef",
    ),
    (
        "secretRef: {name: keys, key: ops.pub}",
        "secretRef: {name: keys, key: ops.pub}, pem: x",
        "spec.authorities[0].keys[0]: Invalid value: needs exactly one of pem and secretRef",
    ),
    (
        "notAfter: 2027-01-01",
        "notAfter: 2026-01-01",
        "spec.authorities[0].keys[0]: Invalid value: notAfter must be later than notBefore",
    ),
];

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn every_valid_policy_is_taken_and_means_the_same_when_it_comes_back() {
    let cluster = installed().await;
    let mut taken = 0;
    for folder in ["tests/fixtures/policies/valid", "manifests/policies"] {
        for file in fs::read_dir(folder).expect("there is such a folder") {
            let path = file.expect("it can be read").path();
            if path.ends_with("kustomization.yaml") || path.extension().is_none_or(|its| its != "yaml") {
                continue;
            }
            // A cluster has no files beside a policy.
            let text = fs::read_to_string(&path).expect("it can be read").replace("    - file: keys/ops.pub\n", "");
            let kept = cluster.kubectl_with_input(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &text);
            assert_eq!(kept.code, Some(0), "{}: {kept:?}", path.display());
            let written = parse_documents(&text).expect("it is YAML").remove(0).to_json();
            assert_eq!(read(&kept.json()), read(&written), "{}", path.display());
            assert!(read(&written).starts_with("Ok("), "{}: {}", path.display(), read(&written));
            taken += 1;
        }
    }
    assert!(taken >= 8, "{taken}");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn every_invalid_policy_is_refused_by_the_api_server_or_by_our_reader() {
    let cluster = installed().await;
    let folder = Path::new("tests/fixtures/policies/invalid");
    let files = fs::read_dir(folder).expect("there is such a folder").map(|file| file.expect("it can be read").path());
    assert_eq!(files.filter(|file| file.extension().is_some_and(|its| its == "yaml")).count(), INVALID.len());
    for (name, refused) in INVALID {
        let text = fs::read_to_string(folder.join(format!("{name}.yaml"))).expect("there is such a file");
        let answer = cluster.kubectl_with_input(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &text);
        match refused {
            Some(words) => assert!(answer.code == Some(1) && answer.stderr.contains(words), "{name}: {answer:?}"),
            None => {
                assert_eq!(answer.code, Some(0), "{name}: {answer:?}");
                assert!(read(&answer.json()).starts_with("Err("), "{name} is taken by both");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn who_makes_a_mistake_is_told_what_to_do() {
    let cluster = installed().await;
    let create = |text: &str| cluster.kubectl_with_input(&["create", "--dry-run=server", "-f", "-"], text);
    let whole = create(POLICY);
    assert_eq!(whole.stdout, "imagepolicy.pratique.dev/whole created (server dry run)\n", "{whole:?}");
    for (from, to, said) in MISTAKES {
        assert_eq!(POLICY.matches(from).count(), 1, "{from}");
        let refused: Outcome = create(&POLICY.replace(from, to));
        let name = if to.starts_with("name: a.whole") { "a.whole" } else { "whole" };
        let expected = format!("The ImagePolicy \"{name}\" is invalid: {said}\n");
        assert_eq!((refused.code, refused.stderr.as_str()), (Some(1), expected.as_str()), "{to}");
    }
}

/// The API server would drop it in silence, and with it a demand.
#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_field_that_nobody_knows_comes_back_for_our_reader_to_refuse() {
    let cluster = installed().await;
    for (from, to, said) in [
        ("  rules:\n", "  unmatch: allow\n  rules:\n", "spec.unmatch: unknown field; did you mean `unmatched`?"),
        ("deny: [latest]", "deny: [latest], denny: [main]", "spec.rules[1].tags.denny: unknown field"),
        ("keys, key: ops.pub", "keys, key: ops.pub, namespace: x", "secretRef.namespace: unknown field"),
        ("equals: b", "equals: b, not: c", "where[0].not: unknown field"),
    ] {
        let text = POLICY.replace(from, to);
        let kept = cluster.kubectl_with_input(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &text);
        assert_eq!(kept.code, Some(0), "{kept:?}");
        let key = |at: KeyAt<'_>| key(at);
        let mistakes = compile(&Node::from_json(&kept.json()), "", &key).expect_err("it has a field that nobody knows");
        assert!(mistakes.iter().any(|mistake| mistake.to_string().contains(said)), "{said}: {mistakes:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_glance_shows_what_became_of_each_policy() {
    let cluster = installed().await;
    let made = cluster.kubectl_with_input(&["create", "-f", "-"], &POLICY.replace("name: whole", "name: glance"));
    assert_eq!(made.code, Some(0), "{made:?}");
    let condition = |kind: &str, status: &str, reason: &str| serde_json::json!({"type": kind, "status": status, "reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let conditions = [condition("Accepted", "True", "Valid"), condition("Ready", "False", "KeysMissing")];
    let status = serde_json::json!({"status": {"observedGeneration": 1, "rules": 2, "conditions": conditions, "warnings": ["w"]}});
    let patched = cluster.kubectl(&[
        "patch",
        "imgpol",
        "glance",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status.to_string(),
    ]);
    assert_eq!(patched.code, Some(0), "{patched:?}");
    let shown = cluster.kubectl(&["get", "imgpol", "glance"]).stdout;
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert_eq!(words[..words.len() - 1], ["NAME", "RULES", "ACCEPTED", "READY", "AGE", "glance", "2", "True", "False"]);
    let wide = cluster.kubectl(&["get", "imagepolicies", "glance", "-o", "wide"]).stdout;
    assert!(wide.contains("REASON") && wide.contains("Valid"), "{wide}");
    let of_category = cluster.kubectl(&["get", "pratique", "-o", "name"]).stdout;
    assert!(of_category.contains("imagepolicy.pratique.dev/glance"), "{of_category}");
    let explained = cluster.kubectl(&["explain", "imgpol.spec.unmatched"]).stdout;
    assert!(explained.contains("An image that no rule matches. Default: deny."), "{explained}");
    // Writing the status leaves the rest as it is, and the other way round.
    let generation = cluster.kubectl(&["get", "imgpol", "glance", "-o", "jsonpath={.metadata.generation}"]).stdout;
    assert_eq!(generation, "1");
}

/// What our reader makes of it.
fn read(policy: &Value) -> String {
    format!("{:?}", compile(&Node::from_json(policy), "policy", &|at: KeyAt<'_>| key(at)))
}

#[expect(clippy::unnecessary_wraps, reason = "as the readers of real keys")]
fn key(at: KeyAt<'_>) -> Result<PublicKey, String> {
    // A key of its own for each, by where it is.
    let text = format!("{at:?}");
    let mut fingerprint = [0; 32];
    for (index, byte) in text.bytes().enumerate() {
        let slot: &mut u8 = &mut fingerprint[index % 32];
        *slot = slot.rotate_left(3) ^ byte;
    }
    Ok(PublicKey { fingerprint: Fingerprint(fingerprint), spki: text.into_bytes().into() })
}
