use super::*;
use crate::policy::trust::{Examination, Matcher, Signed, Test, Whom};

/// The demands of a rule of a policy that compiles.
pub(super) fn demands_of(compiled: &Compiled, rule: usize) -> Arc<Demands> {
    match &compiled.policy.rules[rule].action {
        Action::Require(demands) => Arc::clone(demands),
        Action::Admit | Action::Refuse(_) => panic!("rule {rule} demands nothing"),
    }
}

fn trusting() -> Compiled {
    let text = valid().into_iter().find(|(path, _)| path.ends_with("valid/trusting.yaml")).unwrap().1;
    compile(&node(&text), "trusting.yaml").unwrap()
}

/// One rule and these authorities, each in YAML's flow style.
fn with(rule: &str, authorities: &[&str]) -> String {
    let authorities: Vec<String> = authorities.iter().map(|its| format!("  - {{{its}}}\n")).collect();
    let rule = with_rules(&[&format!("name: a, images: [\"**\"], {rule}")]);
    format!("{rule}  authorities:\n{}", authorities.concat())
}

const ANYONE: &str = "name: anyone, keyless: {issuer: \"https://i.example\", subject: \"*@i.example\"}";

fn key(name: &str, files: &[&str]) -> String {
    let keys: Vec<String> = files.iter().map(|file| format!("{{file: {file}}}")).collect();
    format!("name: {name}, keys: [{}]", keys.join(", "))
}

#[test]
fn signatures_are_what_the_file_says() {
    let compiled = trusting();
    let demands = demands_of(&compiled, 0);
    assert!(demands.tags.is_none());
    let signatures = demands.signatures.as_ref().unwrap();
    let names: Vec<&str> = signatures.authorities.iter().map(|its| &*its.name).collect();
    assert_eq!(names, ["release", "ops", "anyone-at-acme"]);
    assert_eq!((signatures.threshold, signatures.signed, signatures.identity_required), (2, Signed::Platforms, true));
    let annotations = [("acme.example/team", "shop"), ("env", "prod")];
    assert_eq!(signatures.annotations, annotations.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn authorities_are_what_the_file_says() {
    let compiled = trusting();
    let demands = demands_of(&compiled, 0);
    let [release, ops, anyone] = &*demands.signatures.as_ref().unwrap().authorities else { panic!("three") };
    assert_eq!((&*release.root, &*ops.root, &*anyone.root), ("private", "public", "public"));
    assert_eq!((release.log_required, ops.log_required, anyone.log_required), (true, false, true));
    let Whom::Keyless(keyless) = &release.whom else { panic!("keyless") };
    assert_eq!(keyless.issuer.to_string(), "https://token.actions.githubusercontent.com");
    let extensions = [("githubWorkflowRepository", "acme/shop"), ("runnerEnvironment", "github-hosted")];
    assert_eq!(keyless.extensions, extensions.map(|(name, value)| (name, value.to_owned())).into());
    let Whom::Keyless(keyless) = &anyone.whom else { panic!("keyless") };
    assert!(matches!(keyless.subject, Matcher::Expression(_)));
    assert_eq!(keyless.subject.to_string(), r"[a-z.]+@acme\.example");
    let Whom::Keys(keys) = &ops.whom else { panic!("keys") };
    let period = |index: usize| (keys[index].not_before, keys[index].not_after);
    let day = |text: &str| Some(text.parse::<jiff::Timestamp>().unwrap());
    assert_eq!(period(0), (day("2026-01-01T00:00:00Z"), day("2027-01-01T00:00:00Z")));
    assert_eq!((period(1), period(2)), ((None, None), (None, None)));
    let secret = any_key(KeyAt::Secret { name: "cosign.keys", key: "ops_2.pub" }).unwrap();
    assert_eq!((&keys[1].key, &keys[2].key), (&secret, &any_key(KeyAt::File("keys/ops.pub")).unwrap()));
}

#[test]
fn attestations_are_what_the_file_says_and_a_type_may_be_demanded_twice() {
    let compiled = trusting();
    let demands = demands_of(&compiled, 0);
    let [one, other] = &*demands.attestations else { panic!("two") };
    assert_eq!(one.predicate_type, other.predicate_type);
    let words: Vec<String> = one.conditions.iter().chain(&other.conditions).map(|its| its.words()).collect();
    assert_eq!(
        words,
        [
            r#"runDetails.builder.id must be "https://github.com/actions/runner""#,
            r#"buildDefinition.externalParameters.workflow.ref must match "refs/tags/v[0-9.]+""#,
            r#"buildDefinition.buildType must be one of "https://a.example/build", "https://b.example/build""#,
        ]
    );
}

#[test]
fn what_is_examined_is_all_that_the_demands_name_and_no_more() {
    let compiled = trusting();
    let of = |rule: usize| demands_of(&compiled, rule).examination.as_deref().cloned();
    let Examination { signatures, repository, keys, roots, reports: _, predicates } = of(0).unwrap();
    assert!(signatures);
    assert_eq!(repository.unwrap().name(), "ghcr.io/acme/signatures");
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|(_, root)| &**root == "public"));
    assert_eq!(roots.iter().map(|root| &**root).collect::<Vec<_>>(), ["private", "public"]);
    let paths = predicates["https://slsa.dev/provenance/v1"].iter().map(|path| &**path).collect::<Vec<_>>();
    let expected =
        ["buildDefinition.buildType", "buildDefinition.externalParameters.workflow.ref", "runDetails.builder.id"];
    assert_eq!((predicates.len(), paths), (1, expected.to_vec()));

    let Examination { signatures, repository, keys, roots, reports: _, predicates } = of(1).unwrap();
    assert_eq!((signatures, repository, keys.len(), roots.len(), predicates.len()), (false, None, 3, 1, 1));
    let Examination { signatures, repository, keys, roots, reports: _, predicates } = of(2).unwrap();
    assert_eq!((signatures, repository, keys.len(), roots.len(), predicates.len()), (true, None, 3, 0, 0));
    assert_eq!(of(3), None);
}

#[test]
fn what_is_not_written_is_the_default_of_the_design() {
    let text = with("signatures: {authorities: [anyone, k]}", &[ANYONE, &key("k", &["a"])]);
    let demands = demands_of(&compile(&node(&text), "").unwrap(), 0);
    let signatures = demands.signatures.as_ref().unwrap();
    assert_eq!((signatures.threshold, signatures.signed, signatures.identity_required), (1, Signed::Either, false));
    assert!(signatures.annotations.is_empty() && demands.attestations.is_empty());
    let of: Vec<(&str, bool)> = signatures.authorities.iter().map(|its| (&*its.root, its.log_required)).collect();
    assert_eq!(of, [("public", true), ("public", false)]);
}

#[test]
fn the_log_can_be_required_of_keys_and_waived_for_certificates() {
    let authorities = [format!("{ANYONE}, log: optional"), format!("{}, log: required", key("k", &["a"]))];
    let text = with("signatures: {authorities: [anyone, k]}", &[&authorities[0], &authorities[1]]);
    let demands = demands_of(&compile(&node(&text), "").unwrap(), 0);
    let required: Vec<bool> =
        demands.signatures.as_ref().unwrap().authorities.iter().map(|its| its.log_required).collect();
    assert_eq!(required, [false, true]);
}

#[test]
fn every_extension_that_can_be_written_is_asked_of_the_certificate() {
    let Some((_, known)) = mistakes(&with(
        "signatures: {authorities: [a]}",
        &["name: a, keyless: {issuer: i, subject: s, extensions: {\"?\": x}}"],
    ))[0]
        .clone()
        .split_once("known here: ")
        .map(|(before, known)| (before.to_owned(), known.to_owned()))
    else {
        panic!("an unknown extension names those that are known")
    };
    let known: Vec<&str> = known.split(", ").collect();
    assert_eq!(known.len(), 19);
    for name in known {
        let authority = format!("name: a, keyless: {{issuer: i, subject: s, extensions: {{{name}: x}}}}");
        let text = with("signatures: {authorities: [a]}", &[&authority]);
        let demands = demands_of(&compile(&node(&text), "").unwrap(), 0);
        let Whom::Keyless(keyless) = &demands.signatures.as_ref().unwrap().authorities[0].whom else {
            panic!("{name}")
        };
        assert_eq!(keyless.extensions.iter().collect::<Vec<_>>(), [(&name, &"x".to_owned())]);
    }
}

#[test]
fn every_trusted_root_that_is_named_can_be_told_with_its_line() {
    let told: Vec<(String, String)> =
        trusting().roots.into_iter().map(|(root, mistake)| (root.to_string(), mistake.to_string())).collect();
    assert_eq!(
        told[0],
        (
            "private".to_owned(),
            "trusting.yaml:37: spec.authorities[0].trust: the settings have no trusted root `private`: add it to `trust`"
                .to_owned()
        )
    );
    assert_eq!(told.len(), 3);
}

#[test]
fn a_key_that_cannot_be_read_is_a_mistake_where_it_is_named() {
    let pem = format!("-----BEGIN PUBLIC KEY-----\\n{}\\n-----END PUBLIC KEY-----", "M".repeat(60));
    let keys = format!("name: k, keys: [{{pem: \"{pem}\"}}, {{secretRef: {{name: s, key: k}}}}, {{file: f}}]");
    let text = with("signatures: {authorities: [k]}", &[&keys]);
    let refuse = |at: KeyAt<'_>| match at {
        KeyAt::Pem(_) => Err("it is of a kind that is not known".to_owned()),
        KeyAt::Secret { name, key } => Err(format!("no {name}/{key}")),
        KeyAt::File(file) => Err(format!("no {file}")),
    };
    assert_eq!(
        told(&super::super::compile(&node(&text), "", &refuse).unwrap_err()),
        [
            "8: spec.authorities[0].keys[0].pem: is no public key: it is of a kind that is not known",
            "8: spec.authorities[0].keys[1].secretRef.name: gives no public key: no s/k",
            "8: spec.authorities[0].keys[2].file: gives no public key: no f",
        ]
    );
}

#[test]
fn a_threshold_that_the_same_key_under_two_names_can_never_meet_is_a_mistake() {
    let rule = "signatures: {authorities: [a, b], threshold: 2}";
    let (a, b) = (key("a", &["same"]), key("b", &["same"]));
    let never = "6: spec.rules[0].signatures.authorities[0]: can never be met with a threshold of 2: a and b share a \
                 signer, and one signer counts once";
    assert_eq!(mistakes(&with(rule, &[&a, &b])), [never]);
    let exact = |name: &str, root: &str| {
        format!("name: {name}, trust: {root}, keyless: {{issuer: \"https://i.example\", subject: bob@i.example}}")
    };
    assert_eq!(mistakes(&with(rule, &[&exact("a", "public"), &exact("b", "private")])), [never]);
    // With a second key one of them can stand for the other.
    let b = key("b", &["same", "other"]);
    let warned = told(&compile(&node(&with(rule, &[&a, &b])), "").unwrap().warnings);
    let shared = "6: spec.rules[0].signatures.authorities[0]: a and b share a signer, and one signer counts once";
    assert_eq!(warned, [shared]);
    // And where one signer is enough there is nothing to say.
    let one = rule.replace("threshold: 2", "threshold: 1");
    assert_eq!(told(&compile(&node(&with(&one, &[&a, &key("b", &["same"])])), "").unwrap().warnings), [""; 0]);
    // A pattern is for several people.
    let many = "name: b, keyless: {issuer: \"https://i.example\", subject: \"*@i.example\"}";
    assert_eq!(told(&compile(&node(&with(rule, &[&exact("a", "public"), many])), "").unwrap().warnings), [""; 0]);
}

#[test]
fn a_repository_with_a_tag_or_a_digest_is_a_mistake() {
    for (written, why) in [
        ("ghcr.io/acme/sigs:v1", "must name a repository, without tag and digest".to_owned()),
        (
            &*format!("ghcr.io/acme/sigs@sha256:{}", "a".repeat(64)),
            "must name a repository, without tag and digest".to_owned(),
        ),
        ("HTTPS://x", "`HTTPS://x` is no repository: an image name has no scheme: remove \"HTTPS://\"".to_owned()),
    ] {
        let text = with(&format!("signatures: {{authorities: [anyone], repository: \"{written}\"}}"), &[ANYONE]);
        assert_eq!(mistakes(&text), [format!("6: spec.rules[0].signatures.repository: {why}")]);
    }
}

/// CVE-2025-29778, and `genpolicy`'s like: an expression that matches a part matches nothing.
#[test]
fn expressions_match_whole_texts_whatever_is_in_them() {
    let attestation = |expression: &str| {
        let demand = "attestations: [{predicateType: t, authorities: [anyone], where: [{path: p, matches: '";
        with(&format!("{demand}{expression}'}}]}}]"), &[ANYONE])
    };
    for (expression, whole) in [("a|b", "b"), ("^a|b$", "b"), ("a$|^b", "a"), ("(?i)A|B", "b"), ("(?m)^a$", "a")] {
        let demands = demands_of(&compile(&node(&attestation(expression)), "").unwrap(), 0);
        let Test::Matches(matches) = &demands.attestations[0].conditions[0].test else { panic!("matches") };
        assert!(matches.is_match(whole), "{expression}");
        for part in [format!("x{whole}"), format!("{whole}x"), format!("x\n{whole}"), format!("{whole}\n")] {
            assert!(!matches.is_match(&part), "{expression}: {part:?}");
        }
    }
    for open in ["a)|(b", "(?x)a#", "a\\"] {
        let found = mistakes(&attestation(open));
        assert!(found.len() == 1 && found[0].contains("is no regular expression"), "{open}: {found:?}");
    }
}
