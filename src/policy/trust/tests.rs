use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::fact::attached::{
    Attached, Claim, Field, Fingerprint, Flaw, FlawKind, Identity, Layout, Logged, Proof, Signature, Signer,
};

const NOW: &str = "2026-06-01T12:00:00Z";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const RELEASE: &str = "https://github.com/acme/shop/.github/workflows/release.yaml@refs/tags/v1";
const SLSA: &str = "https://slsa.dev/provenance/v1";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn image(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn fingerprint(number: u8) -> Fingerprint {
    Fingerprint([number; 32])
}

fn by_key(number: u8) -> Proof {
    Proof {
        signer: Signer::Key(fingerprint(number)),
        root: "public".into(),
        logged: Logged::Unproved("there is no log entry".into()),
        made: None,
    }
}

fn by(issuer: &str, subject: &str) -> Proof {
    let identity = Identity { issuer: issuer.to_owned(), subject: subject.to_owned(), extensions: BTreeMap::new() };
    Proof {
        signer: Signer::Identity(Arc::new(identity)),
        root: "public".into(),
        logged: Logged::Proved,
        made: Some(at("2026-05-01T00:00:00Z")),
    }
}

fn with_extension(proof: &Proof, name: &'static str, value: &str) -> Proof {
    let Signer::Identity(identity) = &proof.signer else { panic!("no identity") };
    let mut identity = Identity::clone(identity);
    identity.extensions.insert(name, value.to_owned());
    Proof { signer: Signer::Identity(Arc::new(identity)), ..proof.clone() }
}

fn trusted(number: u8) -> TrustedKey {
    let key = PublicKey { fingerprint: fingerprint(number), spki: [number].into() };
    TrustedKey { key, not_before: None, not_after: None }
}

fn authority(name: &str, log_required: bool, whom: Whom) -> Authority {
    Authority { name: name.into(), root: "public".into(), log_required, whom }
}

fn keys(name: &str, numbers: &[u8]) -> Arc<Authority> {
    Arc::new(authority(name, false, Whom::Keys(numbers.iter().copied().map(trusted).collect())))
}

fn glob(text: &str) -> Matcher {
    Matcher::Glob(Glob::parse(text).unwrap())
}

fn expression(text: &str) -> Matcher {
    Matcher::Expression(whole(text))
}

fn whole(text: &str) -> Regex {
    Regex::new(&anchored(text)).unwrap()
}

fn keyless(issuer: Matcher, subject: Matcher) -> Authority {
    authority("release", true, Whom::Keyless(Keyless { issuer, subject, extensions: BTreeMap::new() }))
}

fn signature(claim: Claim, proofs: &[Proof]) -> Signature {
    Signature { layout: Layout::Bundle03, claim, proofs: proofs.to_vec(), flaw: None }
}

fn of_image() -> Claim {
    Claim::Image { reference: None, annotations: BTreeMap::new() }
}

fn attached(signatures: &[Signature]) -> Attached {
    Attached { signatures: signatures.to_vec(), ..Attached::default() }
}

fn demand(authorities: &[Arc<Authority>], threshold: usize) -> SignatureDemand {
    SignatureDemand {
        authorities: authorities.to_vec(),
        threshold,
        signed: Signed::Either,
        identity_required: false,
        annotations: BTreeMap::new(),
    }
}

fn signers(demand: &SignatureDemand, proofs: &[Proof]) -> usize {
    let signatures: Vec<Signature> =
        proofs.iter().map(|proof| signature(of_image(), std::slice::from_ref(proof))).collect();
    demand.signers(&attached(&signatures), &image("ghcr.io/acme/shop:v1"), at(NOW))
}

fn accepted(authority: &Authority, proof: &Proof) -> Result<(), String> {
    authority.accepts(proof, at(NOW)).map_err(|mismatch| mismatch.words())
}

// Whom an authority accepts.

#[test]
fn an_authority_accepts_its_own_and_nobody_else() {
    let release = keyless(glob(GITHUB), glob("https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*"));
    assert_eq!(accepted(&release, &by(GITHUB, RELEASE)), Ok(()));
    let ops = keys("ops", &[1, 2]);
    assert_eq!(accepted(&ops, &by_key(2)), Ok(()));
    let other = Err("made by somebody else".to_owned());
    assert_eq!(accepted(&ops, &by_key(3)), other);
    assert_eq!(accepted(&ops, &by(GITHUB, RELEASE)), other);
    assert_eq!(accepted(&release, &by_key(1)), other);
    // Another root may hold the same names, and anyone's certificates.
    assert_eq!(accepted(&release, &Proof { root: "private".into(), ..by(GITHUB, RELEASE) }), other);
    assert_eq!(accepted(&ops, &Proof { root: "private".into(), ..by_key(1) }), other);
}

/// Kyverno took any identity where expressions were written: both count, and both count whole.
#[test]
fn cve_2025_29778_expressions_for_issuer_and_subject_both_count() {
    let release = keyless(expression("https://token.actions.*"), expression("https://github.com/acme/.*"));
    assert_eq!(accepted(&release, &by(GITHUB, RELEASE)), Ok(()));
    assert_eq!(
        accepted(&release, &by("https://accounts.google.com", RELEASE)),
        Err(r#"vouched for by the issuer "https://accounts.google.com", not by "https://token.actions.*""#.to_owned())
    );
    assert_eq!(
        accepted(&release, &by(GITHUB, "https://github.com/evil/shop")),
        Err(r#"issued to "https://github.com/evil/shop", not to "https://github.com/acme/.*""#.to_owned())
    );
}

/// Kyverno admitted a wrong subject, and a wrong issuer.
#[test]
fn kyverno_4668_a_wrong_subject_or_a_wrong_issuer_alone_is_refused() {
    let release = keyless(glob(GITHUB), glob(RELEASE));
    for (issuer, subject) in [(GITHUB, "bob@acme.example"), ("https://accounts.google.com", RELEASE), ("", RELEASE)] {
        let demand = demand(&[Arc::new(keyless(glob(GITHUB), glob(RELEASE)))], 1);
        assert!(release.accepts(&by(issuer, subject), at(NOW)).is_err(), "{issuer} {subject}");
        assert_eq!(signers(&demand, &[by(issuer, subject)]), 0, "{issuer} {subject}");
    }
}

/// Portieris, kata's genpolicy and k8schain matched a part of what an attacker writes: each of these holds what is
/// trusted, and is somebody else.
#[test]
fn ghsa_unanchored_patterns_let_no_attacker_in_with_a_part_of_the_name() {
    let of_globs = keyless(glob("https://*.trusted.example"), glob("https://trusted.example/org/*"));
    let of_expressions =
        keyless(expression(r"https://[^/]*\.trusted\.example"), expression(r"https://trusted\.example/org/[^/]*"));
    let (issuer, subject) = ("https://login.trusted.example", "https://trusted.example/org/web");
    for authority in [&of_globs, &of_expressions] {
        assert_eq!(accepted(authority, &by(issuer, subject)), Ok(()));
        for attacker in [
            "https://login.trusted.example.attacker.example",
            "https://attacker.example/https://login.trusted.example",
            "https://attacker.example/.trusted.example",
            "xhttps://login.trusted.example",
            "https://login.trusted.example\n",
            "https://login.trusted.example/",
            "https://attackertrusted.example",
            "https://logintrusted.example",
            "",
        ] {
            assert!(authority.accepts(&by(attacker, subject), at(NOW)).is_err(), "issuer {attacker:?}");
        }
        for attacker in [
            "https://attacker.example/https://trusted.example/org/web",
            "https://trusted.example/org/web/../../evil/x",
            "https://trusted.example.attacker.example/org/web",
            "https://trusted.example/organisation/web",
            "https://trusted.example/org/web/evil",
            "https://trustedxexample/org/web",
            "x\nhttps://trusted.example/org/web",
            "",
        ] {
            assert!(authority.accepts(&by(issuer, attacker), at(NOW)).is_err(), "subject {attacker:?}");
        }
    }
}

#[test]
fn extensions_are_exact_and_a_missing_one_is_another() {
    let mut release = keyless(glob(GITHUB), glob("**"));
    let Whom::Keyless(asked) = &mut release.whom else { panic!("keyless") };
    asked.extensions.insert("githubWorkflowRepository", "acme/shop".to_owned());
    let proof = by(GITHUB, RELEASE);
    assert_eq!(accepted(&release, &with_extension(&proof, "githubWorkflowRepository", "acme/shop")), Ok(()));
    let missing = r#"its certificate has no githubWorkflowRepository, and it must be "acme/shop""#;
    assert_eq!(accepted(&release, &proof), Err(missing.to_owned()));
    for other in ["acme/shop2", "evil/acme/shop", "acme/shop\n", ""] {
        assert!(accepted(&release, &with_extension(&proof, "githubWorkflowRepository", other)).is_err(), "{other:?}");
    }
    assert_eq!(
        accepted(&release, &with_extension(&proof, "sourceRepositoryURI", "acme/shop")),
        Err(missing.to_owned())
    );
}

#[test]
fn a_key_counts_from_its_first_day_until_its_last_has_begun() {
    let mut key = trusted(1);
    (key.not_before, key.not_after) = (Some(at("2026-01-01T00:00:00Z")), Some(at("2026-07-01T00:00:00Z")));
    let ops = authority("ops", false, Whom::Keys(vec![key]));
    let made = |text: &str| accepted(&ops, &Proof { made: Some(at(text)), ..by_key(1) });
    assert_eq!(made("2026-01-01T00:00:00Z"), Ok(()));
    assert_eq!(made("2026-06-30T23:59:59Z"), Ok(()));
    let outside = |at: &str| Err(format!("made at {at}, outside of the time in which its key counts"));
    assert_eq!(made("2025-12-31T23:59:59Z"), outside("2025-12-31T23:59:59Z"));
    assert_eq!(made("2026-07-01T00:00:00Z"), outside("2026-07-01T00:00:00Z"));
    // What is not proved counts as made now.
    assert_eq!(ops.accepts(&by_key(1), at("2026-06-30T00:00:00Z")), Ok(()));
    let late = ops.accepts(&by_key(1), at("2026-07-01T00:00:00Z"));
    assert_eq!(late, Err(Mismatch::OutsideKeyPeriod { made: None }));
    assert_eq!(ops.accepts(&by_key(1), at("2025-07-01T00:00:00Z")), Err(Mismatch::OutsideKeyPeriod { made: None }));
}

#[test]
fn a_key_that_is_written_for_two_periods_counts_in_both() {
    let period =
        |from: &str, to: &str| TrustedKey { not_before: Some(at(from)), not_after: Some(at(to)), ..trusted(1) };
    let ops = authority(
        "ops",
        false,
        Whom::Keys(vec![
            period("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"),
            period("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ]),
    );
    let made = |text: &str| ops.accepts(&Proof { made: Some(at(text)), ..by_key(1) }, at(NOW)).is_ok();
    assert!(made("2025-01-10T00:00:00Z") && made("2026-01-10T00:00:00Z") && !made("2025-06-01T00:00:00Z"));
}

#[test]
fn where_the_log_is_required_it_must_prove_the_signature() {
    let (optional, required) = (keys("ops", &[1]), authority("ops", true, Whom::Keys(vec![trusted(1)])));
    assert_eq!(accepted(&optional, &by_key(1)), Ok(()));
    assert_eq!(
        accepted(&required, &by_key(1)),
        Err("not proved by the transparency log: there is no log entry".to_owned())
    );
    assert_eq!(accepted(&required, &Proof { logged: Logged::Proved, ..by_key(1) }), Ok(()));
}

#[test]
fn a_certificate_without_a_proved_time_counts_for_nobody() {
    let mut release = keyless(glob(GITHUB), glob(RELEASE));
    release.log_required = false;
    let stamped = Proof { logged: Logged::Unproved("there is none".into()), ..by(GITHUB, RELEASE) };
    assert_eq!(accepted(&release, &stamped), Ok(()));
    let timeless = Proof { made: None, ..stamped };
    let why = "not proved by the transparency log: neither a log nor a timestamp says when it was made";
    assert_eq!(accepted(&release, &timeless), Err(why.to_owned()));
}

#[test]
fn what_a_signer_chose_is_told_short_and_harmless() {
    let release = keyless(glob(GITHUB), glob(RELEASE));
    let subject = format!("\u{1b}[2J\n\"\u{202e}{}", "x".repeat(10_000));
    let words = accepted(&release, &by(GITHUB, &subject)).unwrap_err();
    assert!(words.starts_with(r#"issued to "\u{1b}[2J\n'\u{202e}xxx"#), "{words}");
    assert!(words.len() < 300 && words.ends_with(&format!("not to \"{RELEASE}\"")), "{words}");
}

// How many signers there are.

#[test]
fn one_signer_is_one_however_often_and_with_whatever_certificate() {
    let both = demand(&[Arc::new(keyless(glob(GITHUB), glob("**"))), keys("ops", &[1, 2]), keys("dev", &[1, 2])], 2);
    assert_eq!(signers(&both, &[by_key(1), by_key(1), by_key(1)]), 1);
    let proof = by(GITHUB, RELEASE);
    let another = with_extension(&proof, "runInvocationURI", "https://github.com/acme/shop/actions/runs/2");
    let anyone = || Arc::new(keyless(glob("**"), glob("**")));
    let twice = demand(&[anyone(), anyone()], 2);
    assert_eq!(signers(&twice, &[proof.clone(), another]), 1);
    assert_eq!(signers(&twice, &[proof.clone(), by(GITHUB, "https://github.com/acme/other")]), 2);
    assert_eq!(signers(&twice, &[proof.clone(), by("https://accounts.google.com", RELEASE)]), 2);
    // Nor does a second root make a second signer.
    let private = Authority { root: "private".into(), ..keyless(glob("**"), glob("**")) };
    let roots = demand(&[anyone(), Arc::new(private)], 2);
    assert_eq!(signers(&roots, &[proof.clone(), Proof { root: "private".into(), ..proof }]), 1);
}

#[test]
fn one_signer_never_stands_for_two_authorities() {
    let demand = demand(&[keys("release", &[1]), keys("ops", &[1])], 2);
    assert_eq!(signers(&demand, &[by_key(1)]), 1);
    assert!(!demand.met_by(&attached(&[signature(of_image(), &[by_key(1)])]), &image("a/b"), at(NOW)));
}

#[test]
fn nor_two_signers_for_one_authority() {
    let demand = demand(&[keys("release", &[1, 2]), keys("ops", &[3])], 2);
    assert_eq!(signers(&demand, &[by_key(1), by_key(2)]), 1);
    assert_eq!(signers(&demand, &[by_key(1), by_key(2), by_key(3)]), 2);
}

#[test]
fn whoever_can_stand_for_several_makes_room_in_any_order() {
    let demand = demand(&[keys("a", &[1, 2]), keys("b", &[1]), keys("c", &[2, 3])], 3);
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        assert_eq!(signers(&demand, &order.map(by_key)), 3, "{order:?}");
    }
}

#[test]
fn empty_lists_never_meet_a_demand() {
    let (nothing, image) = (Attached::default(), image("ghcr.io/acme/shop"));
    let ops = [keys("ops", &[1])];
    assert!(!demand(&ops, 1).met_by(&nothing, &image, at(NOW)));
    assert!(!demand(&ops, 0).met_by(&nothing, &image, at(NOW)));
    let signed = attached(&[signature(of_image(), &[by_key(1)])]);
    assert!(!demand(&[], 0).met_by(&signed, &image, at(NOW)));
    assert!(!demand(&ops, 1).met_by(&attached(&[signature(of_image(), &[])]), &image, at(NOW)));
    assert!(demand(&ops, 1).met_by(&signed, &image, at(NOW)));
    assert!(!attestation(&[]).met_by(&nothing, at(NOW)));
    assert!(!attestation(&[]).met_by(&attached(&[signature(statement(SLSA, &[]), &[])]), at(NOW)));
    let nobody = AttestationDemand { authorities: Vec::new(), ..attestation(&[]) };
    assert!(!nobody.met_by(&attached(&[signature(statement(SLSA, &[]), &[by_key(1)])]), at(NOW)));
    assert!(attestation(&[]).met_by(&attached(&[signature(statement(SLSA, &[]), &[by_key(1)])]), at(NOW)));
}

/// Who can be in the signatures of a digest: three keys, two identities, one of them with two roots.
fn anybody(number: usize) -> Proof {
    match number % 6 {
        0 => by_key(1),
        1 => by_key(2),
        2 => by_key(3),
        3 => by(GITHUB, RELEASE),
        4 => by(GITHUB, "https://github.com/acme/other"),
        _ => Proof { root: "private".into(), ..by(GITHUB, RELEASE) },
    }
}

fn any_authority(numbers: &[u8]) -> Arc<Authority> {
    match numbers {
        [] => Arc::new(keyless(glob(GITHUB), glob("**"))),
        [4, ..] => Arc::new(Authority { root: "private".into(), ..keyless(glob(GITHUB), glob(RELEASE)) }),
        numbers => keys("keys", numbers),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn neither_order_nor_repetition_changes_how_many_signers_there_are(
        made in prop::collection::vec(0..6_usize, 0..8),
        trusts in prop::collection::vec(prop::collection::vec(1..5_u8, 0..3), 1..5),
        order in any::<prop::sample::Index>(),
        repeated in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let authorities: Vec<Arc<Authority>> = trusts.iter().map(|numbers| any_authority(numbers)).collect();
        let straight = demand(&authorities, 1);
        let proofs: Vec<Proof> = made.iter().copied().map(anybody).collect();
        let count = signers(&straight, &proofs);
        prop_assert!(count <= authorities.len());

        let mut shuffled = proofs.clone();
        if !proofs.is_empty() {
            shuffled.extend(repeated.iter().map(|which| proofs[which.index(proofs.len())].clone()));
            let turn = order.index(shuffled.len());
            shuffled.rotate_left(turn);
            let middle = shuffled.len() / 2;
            shuffled[..middle].reverse();
        }
        prop_assert_eq!(signers(&straight, &shuffled), count);
        let mut reversed = authorities.clone();
        reversed.reverse();
        prop_assert_eq!(signers(&demand(&reversed, 1), &shuffled), count);
        // All in one signature, as several keys verify one.
        let together = attached(&[signature(of_image(), &shuffled)]);
        prop_assert_eq!(straight.signers(&together, &image("a/b"), at(NOW)), count);
    }
}

// What is signed.

fn objection(demand: &SignatureDemand, claim: Claim, to: &str) -> Option<String> {
    let signature = signature(claim, &[by_key(1)]);
    let objection = demand.objection(&signature, &image(to));
    let counted = demand.signers(&attached(&[signature]), &image(to), at(NOW));
    assert_eq!(counted, usize::from(objection.is_none()));
    objection
}

#[test]
fn only_a_signature_of_this_image_counts_as_one() {
    let demand = demand(&[keys("ops", &[1])], 1);
    assert_eq!(objection(&demand, of_image(), "a/b"), None);
    for (claim, why) in [
        (statement(SLSA, &[]), format!("an attestation (\"{SLSA}\"), no signature of the image")),
        (
            Claim::Elsewhere { predicate_type: None, names: "sha256:ab12...".into() },
            "it is of another image, sha256:ab12...".to_owned(),
        ),
        (
            Claim::Elsewhere { predicate_type: Some(SLSA.into()), names: "sha256:ab12...".into() },
            "it is of another image, sha256:ab12...".to_owned(),
        ),
        (Claim::Unreadable("it is no JSON".into()), "what it signs cannot be read: it is no JSON".to_owned()),
    ] {
        assert_eq!(objection(&demand, claim, "a/b"), Some(why));
    }
}

#[test]
fn where_identity_is_required_the_payload_names_the_repository_of_the_image() {
    let mut demand = demand(&[keys("ops", &[1])], 1);
    let named = |text: &str| Claim::Image { reference: Some(text.into()), annotations: BTreeMap::new() };
    let to = "ghcr.io/acme/shop:v1";
    assert_eq!(objection(&demand, named("evil.example/x"), to), None);
    demand.identity_required = true;
    let digest = format!("ghcr.io/acme/shop@sha256:{}", "a".repeat(64));
    for same in ["ghcr.io/acme/shop", "ghcr.io/acme/shop:v2", "GHCR.io/acme/shop", &digest] {
        assert_eq!(objection(&demand, named(same), to), None, "{same}");
    }
    for hub in ["index.docker.io/library/nginx", "docker.io/library/nginx:1", "nginx", "docker.io/nginx"] {
        assert_eq!(objection(&demand, named(hub), "nginx:1.27"), None, "{hub}");
    }
    for other in
        ["ghcr.io/acme/shop2", "ghcr.io/acme/shop/x", "ghcr.io/acme", "acme/shop", "evil.example/ghcr.io/acme/shop"]
    {
        let why = format!("it is for \"{other}\", not for \"ghcr.io/acme/shop\"");
        assert_eq!(objection(&demand, named(other), to), Some(why));
    }
    let none = "it names no repository, and must name \"ghcr.io/acme/shop\"";
    assert_eq!(objection(&demand, of_image(), to).as_deref(), Some(none));
    for no_image in ["", "https://ghcr.io/acme/shop", "ghcr.io/acme/shop:"] {
        let why = format!("it is for \"{no_image}\", which is no image, and must be for \"ghcr.io/acme/shop\"");
        assert_eq!(objection(&demand, named(no_image), to), Some(why));
    }
}

#[test]
fn each_annotation_that_is_demanded_is_in_the_payload() {
    let mut demand = demand(&[keys("ops", &[1])], 1);
    demand.annotations = [("env", "prod"), ("team", "shop")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let annotated = |pairs: &[(&str, &str)]| Claim::Image {
        reference: None,
        annotations: pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
    };
    assert_eq!(objection(&demand, annotated(&[("env", "prod"), ("team", "shop"), ("more", "x")]), "a/b"), None);
    let other = r#"its annotation "env" is "dev", not "prod""#;
    assert_eq!(objection(&demand, annotated(&[("env", "dev"), ("team", "shop")]), "a/b").as_deref(), Some(other));
    let missing = r#"it has no annotation "team", and it must be "shop""#;
    assert_eq!(objection(&demand, annotated(&[("env", "prod")]), "a/b").as_deref(), Some(missing));
}

fn statement(predicate_type: &str, fields: &[(&str, Field)]) -> Claim {
    let fields = fields.iter().map(|(path, field)| (Arc::from(*path), field.clone())).collect();
    Claim::Statement { predicate_type: predicate_type.into(), fields, report: None }
}

fn attestation(conditions: &[(&str, fn() -> Test)]) -> AttestationDemand {
    let condition = |(path, test): &(&str, fn() -> Test)| Condition { path: (*path).into(), test: test() };
    AttestationDemand {
        predicate_type: SLSA.into(),
        authorities: vec![keys("ops", &[1])],
        conditions: conditions.iter().map(condition).collect(),
    }
}

fn text(text: &str) -> Field {
    Field::Text(text.into())
}

/// policy-controller passed an image that had a valid signature, and no attestation of the type that was asked for.
#[test]
fn cve_2022_35930_a_valid_signature_is_no_attestation_and_neither_is_one_of_another_type() {
    let demand = attestation(&[]);
    let other = "https://slsa.dev/provenance/v1.1";
    for (claim, objection) in [
        (of_image(), Objection::NoStatement),
        (Claim::Elsewhere { predicate_type: None, names: "x".into() }, Objection::NoStatement),
        (statement(other, &[]), Objection::OtherType(other.into())),
        (statement("", &[]), Objection::OtherType("".into())),
        (
            Claim::Elsewhere { predicate_type: Some(other.into()), names: "x".into() },
            Objection::OtherType(other.into()),
        ),
        (
            Claim::Elsewhere { predicate_type: Some(SLSA.into()), names: "sha256:ab...".into() },
            Objection::Elsewhere("sha256:ab...".into()),
        ),
    ] {
        let found = signature(claim, &[by_key(1)]);
        assert_eq!(demand.objection(&found), Some(objection));
        assert!(!demand.met_by(&attached(&[found]), at(NOW)));
    }
}

/// cosign said OK to a malformed payload, and to a predicate of another type, if only the signature was valid.
#[test]
fn cve_2026_39395_a_valid_signature_over_a_malformed_payload_meets_nothing() {
    let malformed = signature(Claim::Unreadable("it has no subject".into()), &[by_key(1)]);
    let demanded = attestation(&[]);
    assert_eq!(demanded.objection(&malformed), Some(Objection::Unreadable("it has no subject".into())));
    assert!(!demanded.met_by(&attached(std::slice::from_ref(&malformed)), at(NOW)));
    assert_eq!(demand(&[keys("ops", &[1])], 1).signers(&attached(&[malformed]), &image("a/b"), at(NOW)), 0);
}

#[test]
fn an_attestation_by_somebody_else_or_by_nobody_meets_nothing() {
    let demand = attestation(&[]);
    let stranger = signature(statement(SLSA, &[]), &[by_key(2)]);
    assert_eq!(demand.objection(&stranger), None);
    assert!(!demand.met_by(&attached(&[stranger]), at(NOW)));
    let flaw = Some(Flaw { kind: FlawKind::OtherKey, words: "x".into(), claimed: None });
    let unproved = Signature { flaw, ..signature(statement(SLSA, &[]), &[]) };
    assert!(!demand.met_by(&attached(&[unproved]), at(NOW)));
}

#[test]
fn type_signer_and_conditions_are_met_by_one_statement_together() {
    let demand = attestation(&[
        ("builder.id", || Test::Equals("a".to_owned())),
        ("builder.version", || Test::Equals("1".to_owned())),
    ]);
    let with =
        |id: &str, version: &str| statement(SLSA, &[("builder.id", text(id)), ("builder.version", text(version))]);
    let met = |signatures: &[Signature]| demand.met_by(&attached(signatures), at(NOW));
    assert!(met(&[signature(with("a", "1"), &[by_key(1)])]));
    // One half each.
    assert!(!met(&[signature(with("a", "2"), &[by_key(1)]), signature(with("b", "1"), &[by_key(1)])]));
    // What is right is a stranger's, and what is ours is wrong.
    assert!(!met(&[signature(with("a", "1"), &[by_key(2)]), signature(with("b", "1"), &[by_key(1)])]));
    let objection = demand.objection(&signature(with("a", "2"), &[by_key(1)])).unwrap();
    assert_eq!(objection.words(), r#"builder.version must be "1"; it is "2""#);
}

#[test]
fn a_field_that_is_missing_or_no_text_meets_no_condition_whatever_it_asks() {
    let tests: [fn() -> Test; 4] = [
        || Test::Matches(whole(".*")),
        || Test::Matches(whole("")),
        || Test::Equals(String::new()),
        || Test::OneOf(vec![String::new()]),
    ];
    for test in tests {
        let demand = attestation(&[("p", test)]);
        let objection = |fields: &[(&str, Field)]| demand.objection(&signature(statement(SLSA, fields), &[by_key(1)]));
        assert_eq!(objection(&[("p", text(""))]), None);
        for fields in [&[("p", Field::Missing)][..], &[("p", Field::NotScalar)], &[], &[("q", text(""))]] {
            let found = if fields == [("p", Field::NotScalar)] { Field::NotScalar } else { Field::Missing };
            let words = demand.conditions[0].words();
            assert_eq!(objection(fields), Some(Objection::Condition { words, found }), "{fields:?}");
        }
    }
}

#[test]
fn a_condition_compares_whole_texts() {
    let met = |test: fn() -> Test, found: &str| {
        Condition { path: "p".into(), test: test() }.met_by(&[("p".into(), text(found))])
    };
    let equals: fn() -> Test = || Test::Equals("v1".to_owned());
    let matches: fn() -> Test = || Test::Matches(whole("v1|v2"));
    let one_of: fn() -> Test = || Test::OneOf(vec!["v1".to_owned(), "v2".to_owned()]);
    for test in [equals, matches, one_of] {
        assert!(met(test, "v1"));
        for other in ["v10", "xv1", "V1", "v1\n", "", "v1|v2"] {
            assert!(!met(test, other), "{other:?}");
        }
    }
    assert!(met(matches, "v2") && met(one_of, "v2") && !met(equals, "v2"));
}

#[test]
fn conditions_are_told_as_the_policy_writes_them() {
    let words = |test: Test| Condition { path: "builder.id".into(), test }.words();
    assert_eq!(words(Test::Equals("a".to_owned())), r#"builder.id must be "a""#);
    assert_eq!(words(Test::Matches(whole("a|b"))), r#"builder.id must match "a|b""#);
    let texts = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    assert_eq!(words(Test::OneOf(texts)), r#"builder.id must be one of "a", "b", "c" and 2 more"#);
}
