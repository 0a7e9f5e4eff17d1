//! One rule that demands signatures or attestations, one image, and each state of what is known about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::decide;
use super::super::verdict::{Answer, Basis, Denial, Outcome, Verdict};
use super::*;
use crate::fact::attached::{Attached, Field, Fingerprint, Flaw, Identity, Layout, Logged, Proof, PublicKey, Signer};
use crate::fact::{
    Admitted, Content, Examined, Fact, Facts, Fault, ImageFacts, PlatformManifest, Resolved, Scope, Seen, Source,
    Trouble,
};
use crate::image::{Digest, Glob, Pattern, Platform};
use crate::policy::plan::{Plan, Wait, plan};
use crate::policy::trust::{AttestationDemand, Condition, Examination, Keyless, Matcher, Test, TrustedKey, Whom};
use crate::policy::{
    Action, Bindings, Controllers, Demands, Inaccessible, Mode, Policies, Policy, Rule, Tolerance, Unavailable,
    Unmatched,
};
use crate::request::{Container, ContainerKind, Request, Subject as Asked};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

fn digest(letter: char) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
}

fn seen<T>(value: T) -> Fact<T> {
    Fact::Known(Seen { value, at: NOW, source: Source::Current })
}

fn key(byte: u8) -> PublicKey {
    PublicKey { fingerprint: Fingerprint([byte; 32]), spki: Arc::new([byte]) }
}

fn by_keys(name: &str, keys: &[u8]) -> Arc<Authority> {
    let trusted = |byte: &u8| TrustedKey { key: key(*byte), not_before: None, not_after: None };
    let whom = Whom::Keys(keys.iter().map(trusted).collect());
    Arc::new(Authority { name: name.into(), root: "public".into(), log_required: false, whom })
}

fn by_identity(name: &str, subject: &str) -> Arc<Authority> {
    let glob = |text: &str| Matcher::Glob(Glob::parse(text).unwrap());
    let keyless =
        Keyless { issuer: glob("https://issuer.example"), subject: glob(subject), extensions: BTreeMap::new() };
    Arc::new(Authority { name: name.into(), root: "public".into(), log_required: true, whom: Whom::Keyless(keyless) })
}

fn demand(authorities: Vec<Arc<Authority>>) -> SignatureDemand {
    SignatureDemand {
        authorities,
        threshold: 1,
        signed: Signed::Either,
        identity_required: false,
        annotations: BTreeMap::new(),
    }
}

fn provenance(authorities: Vec<Arc<Authority>>, conditions: Vec<Condition>) -> AttestationDemand {
    AttestationDemand { predicate_type: PROVENANCE.into(), authorities, conditions }
}

fn image() -> Claim {
    Claim::Image { reference: None, annotations: BTreeMap::new() }
}

fn statement(predicate_type: &str, builder: Field) -> Claim {
    Claim::Statement {
        predicate_type: predicate_type.into(),
        fields: vec![("builder.id".into(), builder)],
        report: None,
    }
}

fn made(claim: Claim, signer: Signer) -> Signature {
    let proof = Proof { signer, root: "public".into(), logged: Logged::Proved, made: Some(NOW) };
    Signature { layout: Layout::Bundle03, claim, proofs: vec![proof], flaw: None }
}

fn by_key(claim: Claim, byte: u8) -> Signature {
    made(claim, Signer::Key(Fingerprint([byte; 32])))
}

fn by_person(claim: Claim, subject: &str) -> Signature {
    let identity = Identity {
        issuer: "https://issuer.example".to_owned(),
        subject: subject.to_owned(),
        extensions: BTreeMap::new(),
    };
    made(claim, Signer::Identity(Arc::new(identity)))
}

fn flawed(kind: FlawKind, words: &str) -> Signature {
    let claimed = Some(("https://issuer.example".into(), "somebody@else.example".into()));
    let flaw = Some(Flaw { kind, words: words.into(), claimed });
    Signature { layout: Layout::SignatureTag, claim: image(), proofs: Vec::new(), flaw }
}

fn attached(signatures: Vec<Signature>) -> Fact<Arc<Attached>> {
    seen(Arc::new(Attached { signatures, unread: None, untried: 0 }))
}

/// A rule and what is known.
struct Case {
    signatures: Option<SignatureDemand>,
    attestations: Vec<AttestationDemand>,
    mode: Mode,
    unavailable: Unavailable,
    content: Content,
    resolved: Option<Fact<Resolved>>,
    admitted: bool,
    examined: Examined,
}

impl Case {
    fn signed_by(authorities: Vec<Arc<Authority>>, own: Fact<Arc<Attached>>) -> Self {
        Self {
            signatures: Some(demand(authorities)),
            attestations: Vec::new(),
            mode: Mode::Enforce,
            unavailable: Unavailable::Running,
            content: Content::Image { config: None },
            resolved: None,
            admitted: false,
            examined: Examined { own: Some(own), platforms: None },
        }
    }

    fn attested(demand: AttestationDemand, signatures: Vec<Signature>) -> Self {
        let case = Self::signed_by(Vec::new(), attached(signatures));
        Self { signatures: None, attestations: vec![demand], ..case }
    }

    fn signed(mut self, signed: Signed) -> Self {
        if let Some(demand) = &mut self.signatures {
            demand.signed = signed;
        }
        self
    }

    /// An index of amd64 and arm64 on nodes of both.
    fn index(mut self, platforms: Option<[Fact<Arc<Attached>>; 2]>) -> Self {
        let manifest = |architecture: &str, letter| PlatformManifest {
            platform: Some(Platform { architecture: architecture.to_owned(), ..Platform::default() }),
            digest: digest(letter),
        };
        let manifests = [manifest("amd64", 'b'), manifest("arm64", 'c')];
        self.content = Content::Index(manifests.to_vec().into());
        self.examined.platforms = platforms.map(|facts| manifests.into_iter().zip(facts).collect());
        self
    }

    fn verdict(self) -> Verdict {
        let Self { signatures, attestations, mode, unavailable, content, resolved, admitted, examined } = self;
        let examination = Some(Arc::new(Examination { signatures: signatures.is_some(), ..Examination::default() }));
        let demands = Demands { tags: None, signatures, attestations, scan: None, examination };
        let action = Action::Require(Arc::new(demands));
        let rules = vec![Rule { name: "all".into(), images: vec![Pattern::parse("**").unwrap()], action }];
        let tolerance = Tolerance { unavailable, inaccessible: Inaccessible::Deny };
        let policy = Policy { name: "acme".into(), unmatched: Unmatched::Deny, tolerance, rules };
        let bound = |its: Mode| (its == mode).then(|| "acme".into());
        let bindings = Bindings {
            enforce: bound(Mode::Enforce),
            warn: bound(Mode::Warn),
            audit: bound(Mode::Audit),
            floor: None,
            exempt_namespaces: BTreeSet::new(),
            controllers: Controllers::Warn,
            dry_run: false,
        };
        let policies = Policies { by_name: BTreeMap::from([("acme".into(), Arc::new(policy))]), bindings };
        let containers = vec![Container::first(ContainerKind::Regular, "web", "ghcr.io/acme/web:v1")];
        let request = Request::about(Asked::Images { containers, old: Vec::new() });
        let plan = Plan { for_report: true, ..plan(&policies, &Scope::of(Fact::Absent(NOW)), &request) };
        let waits = match mode {
            Mode::Enforce => Wait::UntilDeadline,
            Mode::Warn => Wait::Briefly,
            Mode::Audit => Wait::Afterwards,
        };
        assert_eq!((plan.wants[0].resolve, plan.wants[0].examine[0].wait), (waits, waits));
        let facts = ImageFacts {
            resolved: resolved.unwrap_or_else(|| seen(Resolved { digest: digest('a'), content })),
            recorded: Fact::Absent(NOW),
            admitted: if admitted {
                seen(Admitted { first: NOW, judged: None, platforms: Arc::default(), softened: Arc::default() })
            } else {
                Fact::Absent(NOW)
            },
            examined: vec![examined],
            scanned: None,
        };
        decide(&plan, &Facts { images: vec![facts] }, NOW)
    }

    fn denial(self) -> (Reason, String) {
        let verdict = self.verdict();
        let Answer::Deny(denials) = &verdict.answer else { panic!("{verdict:?}") };
        let [Denial { reason, message, .. }] = denials.as_slice() else { panic!("{denials:?}") };
        (*reason, message.clone())
    }

    fn reason(self) -> Reason {
        self.denial().0
    }

    fn basis(self) -> Basis {
        let verdict = self.verdict();
        let Answer::Admit(permit) = &verdict.answer else { panic!("{verdict:?}") };
        permit.basis()
    }
}

#[test]
fn what_the_policy_names_has_signed_and_the_image_is_admitted() {
    let release = || vec![by_keys("release", &[1])];
    assert_eq!(Case::signed_by(release(), attached(vec![by_key(image(), 1)])).basis(), Basis::EveryDemandMet);
    let two = attached(vec![by_key(image(), 9), by_key(image(), 1)]);
    assert_eq!(Case::signed_by(release(), two).basis(), Basis::EveryDemandMet);
    let people = vec![by_identity("release", "https://github.com/acme/*")];
    let signed = attached(vec![by_person(image(), "https://github.com/acme/web")]);
    assert_eq!(Case::signed_by(people, signed).basis(), Basis::EveryDemandMet);
}

#[test]
fn each_way_of_not_being_signed_has_its_reason_and_says_who_is_missing_and_what_is_there() {
    let two = || vec![by_identity("release", "https://github.com/acme/*"), by_keys("ops", &[1])];
    let cases = [
        (vec![], Reason::Unsigned, "no signature by release or ops"),
        (
            vec![by_key(statement("spdx", Field::Missing), 1)],
            Reason::Unsigned,
            "no signature by release or ops; found bundle-v0.3: an attestation (\"spdx\"), no signature of the image",
        ),
        (
            vec![by_person(image(), "https://github.com/evil/x")],
            Reason::SignatureUntrusted,
            "no signature by release or ops; found bundle-v0.3: issued to \"https://github.com/evil/x\", not to \
             \"https://github.com/acme/*\"",
        ),
        (
            vec![flawed(FlawKind::OtherKey, "made with a key that is none of the policy's")],
            Reason::SignatureUntrusted,
            "no signature by release or ops; found sig-tag: made with a key that is none of the policy's (its \
             certificate names somebody@else.example of https://issuer.example)",
        ),
        (
            vec![flawed(FlawKind::CertificateExpired, "its certificate had expired")],
            Reason::SignatureInvalid,
            "no signature by release or ops; found sig-tag: its certificate had expired (its certificate names \
             somebody@else.example of https://issuer.example)",
        ),
        (
            vec![by_key(Claim::Elsewhere { predicate_type: None, names: "sha256:bbbb".into() }, 1)],
            Reason::SignatureMismatch,
            "no signature by release or ops; found bundle-v0.3: it is of another image, sha256:bbbb",
        ),
    ];
    for (signatures, reason, message) in cases {
        let found = Case::signed_by(two(), attached(signatures)).denial();
        assert_eq!(found, (reason, message.to_owned()));
    }
    assert_eq!(Case::signed_by(two(), Fact::Absent(NOW)).reason(), Reason::Unsigned);
}

#[test]
fn the_nearest_to_a_signature_is_told_first_whatever_the_order() {
    let far = || flawed(FlawKind::Malformed, "it is no JSON");
    let near = || by_key(Claim::Elsewhere { predicate_type: None, names: "sha256:bbbb".into() }, 1);
    for signatures in [vec![far(), near()], vec![near(), far()]] {
        let (reason, message) = Case::signed_by(vec![by_keys("ops", &[1])], attached(signatures)).denial();
        assert_eq!(reason, Reason::SignatureMismatch);
        assert!(message.starts_with("no signature by ops; found bundle-v0.3: it is of another image"), "{message}");
    }
}

#[test]
fn two_signers_are_two_and_the_one_who_is_missing_is_named() {
    let case = |signatures| {
        let mut case = Case::signed_by(vec![by_keys("dev", &[1]), by_keys("ops", &[2])], attached(signatures));
        case.signatures.as_mut().unwrap().threshold = 2;
        case
    };
    assert_eq!(case(vec![by_key(image(), 2), by_key(image(), 1)]).basis(), Basis::EveryDemandMet);
    let (reason, message) = case(vec![by_key(image(), 1), by_key(image(), 1)]).denial();
    assert_eq!((reason, &*message), (Reason::Unsigned, "fewer than 2 signers that the policy trusts; none by ops"));
}

#[test]
fn one_signed_platform_is_not_enough_and_an_empty_index_is_never_signed() {
    let ours = || attached(vec![by_key(image(), 1)]);
    let ops = || vec![by_keys("ops", &[1])];
    let none = || Fact::Absent(NOW);
    let signed = |signed, own, platforms| Case::signed_by(ops(), own).signed(signed).index(platforms);
    for (how, own, platforms, enough) in [
        (Signed::Index, ours(), None, true),
        (Signed::Index, none(), Some([ours(), ours()]), false),
        (Signed::Platforms, ours(), Some([ours(), none()]), false),
        (Signed::Platforms, none(), Some([ours(), ours()]), true),
        (Signed::Either, none(), Some([ours(), ours()]), true),
        (Signed::Either, none(), Some([ours(), none()]), false),
        (Signed::Either, none(), Some([none(), ours()]), false),
        (Signed::Either, ours(), None, true),
    ] {
        let admitted = matches!(signed(how, own, platforms).verdict().answer, Answer::Admit(_));
        assert_eq!(admitted, enough, "{how:?}");
    }
    let (reason, message) = signed(Signed::Either, none(), Some([ours(), none()])).denial();
    assert_eq!(reason, Reason::Unsigned);
    assert_eq!(message, "no signature by ops on its index, nor for linux/arm64 (sha256:cccccccccccc)");
    let mut empty = signed(Signed::Platforms, ours(), None);
    empty.examined.platforms = Some(Vec::new());
    let (reason, message) = empty.denial();
    assert_eq!(reason, Reason::Unsigned);
    assert_eq!(message, "no signature by ops: its index has no manifest that the pod could run");
}

#[test]
fn an_outage_in_the_middle_is_undetermined_and_never_unsigned() {
    let ops = || vec![by_keys("ops", &[1])];
    let trouble = |fault| Trouble::new(fault, "ghcr.io answered 503 Service Unavailable");
    let unread = |signatures, fault| seen(Arc::new(Attached { signatures, unread: Some(trouble(fault)), untried: 0 }));
    for (own, reason) in [
        (Fact::Unavailable(trouble(Fault::Outage)), Reason::RegistryUnavailable),
        (unread(vec![], Fault::Outage), Reason::RegistryUnavailable),
        (unread(vec![by_key(image(), 9)], Fault::Deadline), Reason::RegistryUnavailable),
        (unread(vec![], Fault::Refused), Reason::ImageInaccessible),
        (unread(vec![], Fault::Mismatch), Reason::DigestMismatch),
        (unread(vec![], Fault::Broken), Reason::RegistryBroken),
        (Fact::Pending, Reason::RegistryUnavailable),
    ] {
        let verdict = Case::signed_by(ops(), own.clone()).verdict();
        assert_eq!(verdict.outcome() == Outcome::Undetermined, reason != Reason::DigestMismatch, "{reason:?}");
        assert_eq!(Case::signed_by(ops(), own).reason(), reason);
    }
    // What is there and enough counts, whatever could not be read beside it.
    let enough = unread(vec![by_key(image(), 1)], Fault::Outage);
    assert_eq!(Case::signed_by(ops(), enough).basis(), Basis::EveryDemandMet);
    let tolerated = |admitted, unavailable| {
        let out = Fact::Unavailable(trouble(Fault::Outage));
        Case { unavailable, admitted, ..Case::signed_by(ops(), out) }
    };
    assert_eq!(tolerated(true, Unavailable::Running).basis(), Basis::UndeterminedButTolerated);
    assert_eq!(tolerated(false, Unavailable::Admit).basis(), Basis::UndeterminedButTolerated);
    assert_eq!(tolerated(true, Unavailable::Deny).reason(), Reason::RegistryUnavailable);
    let broken = Fact::Unavailable(trouble(Fault::Broken));
    let broken = Case { admitted: true, unavailable: Unavailable::Admit, ..Case::signed_by(ops(), broken) };
    assert_eq!(broken.reason(), Reason::RegistryBroken);
}

#[test]
fn a_platform_that_is_unsigned_for_certain_is_not_excused_by_what_could_not_be_read_of_another() {
    let ours = || attached(vec![by_key(image(), 1)]);
    let out = || Fact::Unavailable(Trouble::new(Fault::Outage, "ghcr.io answered 503 Service Unavailable"));
    let half =
        || seen(Arc::new(Attached { unread: Some(Trouble::new(Fault::Deadline, "late")), ..Attached::default() }));
    let reason = |signed, own, platforms| {
        let case = Case::signed_by(vec![by_keys("ops", &[1])], own).signed(signed).index(Some(platforms));
        let verdict = Case { unavailable: Unavailable::Admit, ..case }.verdict();
        match verdict.answer {
            Answer::Admit(permit) => Err(permit.basis()),
            Answer::Deny(denials) => Ok(denials[0].reason),
        }
    };
    for out in [out, half, || Fact::Pending] {
        for platforms in [[Fact::Absent(NOW), out()], [out(), Fact::Absent(NOW)], [out(), attached(vec![])]] {
            assert_eq!(reason(Signed::Platforms, ours(), platforms.clone()), Ok(Reason::Unsigned));
            assert_eq!(reason(Signed::Either, Fact::Absent(NOW), platforms.clone()), Ok(Reason::Unsigned));
            // The index may be signed all the same.
            assert_eq!(reason(Signed::Either, out(), platforms), Err(Basis::UndeterminedButTolerated));
        }
        let doubtful = [ours(), out()];
        assert_eq!(reason(Signed::Platforms, ours(), doubtful), Err(Basis::UndeterminedButTolerated));
    }
}

#[test]
fn without_a_digest_signatures_cannot_be_told_and_the_digest_is_what_is_told() {
    let case = |resolved| {
        let mut case = Case::signed_by(vec![by_keys("ops", &[1])], attached(vec![by_key(image(), 1)]));
        case.examined = Examined::default();
        case.resolved = Some(resolved);
        case
    };
    let trouble = Trouble::new(Fault::Outage, "ghcr.io does not answer");
    assert_eq!(case(Fact::Unavailable(trouble)).reason(), Reason::RegistryUnavailable);
    assert_eq!(case(Fact::Absent(NOW)).reason(), Reason::ImageNotFound);
    assert_eq!(case(Fact::Pending).reason(), Reason::RegistryUnavailable);
}

#[test]
fn what_is_known_from_before_is_said_to_be() {
    let signatures = vec![by_key(image(), 1)];
    let value = Arc::new(Attached { signatures, unread: None, untried: 0 });
    let own = Fact::Known(Seen { value, at: NOW, source: Source::LastKnown(Fault::Outage) });
    assert_eq!(Case::signed_by(vec![by_keys("ops", &[1])], own).basis(), Basis::LastKnownGood);
}

#[test]
fn more_signatures_than_are_tried_is_its_own_reason_and_no_verdict() {
    let own = seen(Arc::new(Attached { signatures: vec![by_key(image(), 9)], unread: None, untried: 7 }));
    let case = || Case::signed_by(vec![by_keys("ops", &[1])], own.clone());
    let (reason, message) = case().denial();
    assert_eq!(reason, Reason::SignatureTooMany);
    assert!(message.starts_with("none of the first 1 signatures and attestations is what"), "{message}");
    assert_eq!(case().verdict().outcome(), Outcome::Undetermined);
}

#[test]
fn a_warning_does_not_wait_and_says_that_it_is_pending() {
    let verdict = Case { mode: Mode::Warn, ..Case::signed_by(vec![by_keys("ops", &[1])], Fact::Pending) }.verdict();
    assert!(matches!(verdict.answer, Answer::Admit(_)) && verdict.pending && verdict.unfinished);
    assert!(verdict.warnings.is_empty());
    let verdict = Case { mode: Mode::Warn, ..Case::signed_by(vec![by_keys("ops", &[1])], Fact::Absent(NOW)) }.verdict();
    assert_eq!(verdict.warnings.iter().map(|denial| denial.reason).collect::<Vec<_>>(), [Reason::Unsigned]);
}

#[test]
fn each_way_of_not_being_attested_has_its_reason() {
    let release = || vec![by_keys("release", &[1])];
    let builder = || {
        let test = Test::Equals("https://builder.example".to_owned());
        vec![Condition { path: "builder.id".into(), test }]
    };
    let good = || Field::Text("https://builder.example".into());
    let bad = || Field::Text("https://evil.example".into());
    let elsewhere = || Claim::Elsewhere { predicate_type: Some(PROVENANCE.into()), names: "sha256:bbbb".into() };
    let cases = [
        (vec![], Some(Reason::AttestationMissing)),
        (vec![by_key(image(), 1)], Some(Reason::AttestationMissing)),
        (vec![by_key(statement("https://spdx.dev/Document", good()), 1)], Some(Reason::AttestationWrongType)),
        (vec![by_key(statement(PROVENANCE, good()), 9)], Some(Reason::AttestationUntrusted)),
        (vec![by_key(elsewhere(), 1)], Some(Reason::AttestationMismatch)),
        (vec![by_key(elsewhere(), 9)], Some(Reason::AttestationUntrusted)),
        (vec![by_key(Claim::Unreadable("no JSON".into()), 1)], Some(Reason::AttestationUnreadable)),
        (vec![by_key(statement(PROVENANCE, bad()), 1)], Some(Reason::AttestationCondition)),
        (vec![by_key(statement(PROVENANCE, Field::Missing), 1)], Some(Reason::AttestationCondition)),
        (vec![by_key(statement(PROVENANCE, good()), 1)], None),
        (vec![by_key(statement(PROVENANCE, bad()), 1), by_key(statement(PROVENANCE, good()), 1)], None),
        (
            vec![by_key(statement(PROVENANCE, bad()), 1), by_key(statement(PROVENANCE, good()), 9)],
            Some(Reason::AttestationCondition),
        ),
    ];
    for (signatures, reason) in cases {
        let case = Case::attested(provenance(release(), builder()), signatures.clone());
        match reason {
            Some(reason) => assert_eq!(case.reason(), reason, "{signatures:?}"),
            None => assert_eq!(case.basis(), Basis::EveryDemandMet),
        }
    }
    let bad = vec![by_key(statement(PROVENANCE, bad()), 1)];
    let (_, message) = Case::attested(provenance(release(), builder()), bad).denial();
    let expected = "no attestation https://slsa.dev/provenance/v1 by release; found bundle-v0.3: builder.id must be \
                    \"https://builder.example\"; it is \"https://evil.example\"";
    assert_eq!(message, expected);
}

#[test]
fn every_signature_is_listed_with_whose_it_is_and_why_it_does_not_count() {
    let signatures = vec![
        by_key(image(), 1),
        by_person(image(), "https://github.com/evil/x"),
        flawed(FlawKind::NotLogged, "the log proves another signature"),
    ];
    let authorities = vec![by_keys("ops", &[1]), by_identity("release", "https://github.com/acme/*")];
    let verdict = Case::signed_by(authorities, attached(signatures)).verdict();
    let listed: Vec<_> = verdict.images[0]
        .signatures
        .iter()
        .map(|its| {
            (its.accepted, its.authority.as_deref(), its.subject.as_deref(), its.key.is_some(), its.why.is_some())
        })
        .collect();
    assert_eq!(
        listed,
        [
            (true, Some("ops"), None, true, false),
            (false, None, Some("https://github.com/evil/x"), false, true),
            (false, None, Some("somebody@else.example"), false, true),
        ]
    );
}
