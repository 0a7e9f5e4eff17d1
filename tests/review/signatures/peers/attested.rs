//! Attestations of another type, that cannot be read, and conditions that a memory skips.

use super::*;

const DEMAND: &str = "attestations:\n- {predicateType: \"https://slsa.dev/provenance/v1\", authorities: [release]}";
const SPDX: &str = "https://spdx.dev/Document";

fn attached_in(signer: &Signer, place: Place, statement: &Statement) -> Attachments {
    let layer = match place {
        Place::AttestationTag => signer.envelope(statement),
        Place::SignatureTag | Place::Referrer | Place::FallbackTag | Place::UntypedFallbackTag => {
            signer.bundle(Version::V03, statement)
        }
    };
    vec![(layer, place)]
}

const PLACES: [Place; 3] = [Place::AttestationTag, Place::Referrer, Place::UntypedFallbackTag];

#[tokio::test]
async fn cve_2022_35929_a_valid_attestation_of_another_type_does_not_count() {
    let key = Key::generate(KeyKind::P256);
    let authorities = [keys("release", &[&key])];
    for place in PLACES {
        for (predicate_type, admitted) in [
            (PROVENANCE, true),
            (SPDX, false),
            ("https://slsa.dev/provenance/v1.0", false),
            ("HTTPS://slsa.dev/provenance/v1", false),
        ] {
            let answer = asked((DEMAND, &authorities), None, |_, digest| {
                attached_in(&Signer::key(&key), place, &Statement::about(digest, predicate_type))
            })
            .await;
            assert_eq!(answer.allowed, admitted, "{place:?} {predicate_type}: {}", answer.message);
            if !admitted {
                assert_refused(&answer, "attestation-wrong-type", predicate_type);
            }
        }
        // The image is signed as well, which is no attestation (CVE-2022-35930).
        let answer = asked((DEMAND, &authorities), None, |registry, digest| {
            let mut all = attached_in(&Signer::key(&key), place, &Statement::about(digest, SPDX));
            all.extend(both(&Signer::key(&key), registry, digest));
            all
        })
        .await;
        assert_refused(&answer, "attestation-wrong-type", SPDX);
    }
}

#[tokio::test]
async fn cve_2026_39395_a_payload_that_cannot_be_read_is_no_attestation() {
    let key = Key::generate(KeyKind::P256);
    let authorities = [keys("release", &[&key])];
    let good = |digest: &str| Statement::about(digest, PROVENANCE);
    let raw = |text: String| Statement::raw(text.into_bytes());
    type Made<'a> = &'a dyn Fn(&str) -> Statement;
    let cases: [(Made<'_>, &str); 10] = [
        (&|digest| raw(String::from_utf8(good(digest).bytes()).unwrap().replacen('{', "{{", 1)), "no JSON"),
        (&|digest| raw(format!("{} ]", String::from_utf8(good(digest).bytes()).unwrap())), "no JSON"),
        (&|_| raw("null".to_owned()), "no JSON object"),
        (&|_| raw(String::new()), "no JSON"),
        (&|digest| good(digest).payload_type("text/plain"), "not an in-toto statement"),
        (&|digest| good(digest).field("_type", json!("https://in-toto.io/Statement/v9")), "version 0.1 or 1"),
        (&|digest| good(digest).field("predicateType", json!([PROVENANCE])), "no predicate type"),
        (&|digest| good(digest).field("subject", json!([])), "no subject"),
        (&|digest| good(digest).field("subject", json!([{"digest": {"sha256": 1}}])), "no subject"),
        (
            &|digest| {
                let text = String::from_utf8(good(digest).bytes()).unwrap();
                raw(text.replacen('{', "{\"predicateType\":\"https://spdx.dev/Document\",", 1))
            },
            "a field stands twice",
        ),
    ];
    for (made, words) in cases {
        for place in [Place::AttestationTag, Place::Referrer] {
            let answer =
                asked((DEMAND, &authorities), None, |_, digest| attached_in(&Signer::key(&key), place, &made(digest)))
                    .await;
            assert_refused(&answer, "attestation-unreadable", words);
        }
    }
}

#[tokio::test]
async fn kyverno_17173_and_17130_an_answer_from_memory_skips_no_condition() {
    let key = Key::generate(KeyKind::P256);
    let registry = Registry::setup().start().await;
    let digest = pushed(&registry);
    let authorities = [keys("release", &[&key])];
    let where_ = |builder: &str| {
        format!("{DEMAND}\n").replace("}", &format!(", where: [{{path: builder, equals: \"{builder}\"}}]}}"))
    };
    let statement = Statement::about(&digest, PROVENANCE).predicate(json!({"builder": "ours"}));
    Signer::key(&key).envelope(&statement).attach(&registry, "acme/web", &digest, Place::AttestationTag);
    let setup = Webhook::setup().registry(&registry);
    let setup = [("any", DEMAND.to_owned()), ("ours", where_("ours")), ("theirs", where_("theirs"))]
        .into_iter()
        .fold(setup, |setup, (name, demand)| {
            setup.policy(name, &spec(&demand, &authorities)).namespace(name, &[("enforce", name)])
        });
    let webhook = setup.start().await;
    let image = format!("{}/acme/web:v1", registry.host());
    for round in 0..3 {
        for (namespace, admitted) in [("any", true), ("ours", true), ("theirs", false)] {
            let object = review(&pod("web").container("web", &image)).in_namespace(namespace);
            let answer = webhook.review(&object).await;
            assert_eq!(answer.allowed, admitted, "{round} {namespace}: {}", answer.message);
            if !admitted {
                assert_refused(&answer, "attestation-condition", "builder");
            }
        }
    }
}

#[tokio::test]
async fn kyverno_17109_and_16678_whether_a_log_is_needed_is_heeded_for_attestations_too() {
    let (key, sigstore) = (Key::generate(KeyKind::P256), PrivateSigstore::new());
    for (log, logged, admitted) in
        [("optional", false, true), ("optional", true, true), ("required", false, false), ("required", true, true)]
    {
        let keys = json!([{"pem": key.public_pem()}]);
        let authorities = [json!({"name": "release", "keys": keys, "trust": "private", "log": log}).to_string()];
        for place in PLACES {
            let signer = if logged { Signer::key(&key).logged(&sigstore) } else { Signer::key(&key) };
            let answer = asked((DEMAND, &authorities), Some(&sigstore), |_, digest| {
                attached_in(&signer, place, &Statement::about(digest, PROVENANCE))
            })
            .await;
            assert_eq!(answer.allowed, admitted, "{log} {logged} {place:?}: {}", answer.message);
            if !admitted {
                assert_refused(&answer, "attestation-untrusted", "no entry of a transparency log");
            }
        }
    }
}
