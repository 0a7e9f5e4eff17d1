//! Logs, times and thresholds: entries of others, times that nobody promised, and certificates beyond their time.

use jiff::{SignedDuration, Timestamp};

use super::*;

fn logged_key(key: &Key) -> [String; 1] {
    let keys = json!([{"pem": key.public_pem()}]);
    [json!({"name": "release", "keys": keys, "trust": "private", "log": "required"}).to_string()]
}

fn one(signer: &Signer, index: usize) -> impl Fn(&Registry, &str) -> Attachments {
    move |registry, digest| vec![both(signer, registry, digest).into_iter().nth(index).unwrap()]
}

#[tokio::test]
async fn cve_2026_22703_any_valid_log_entry_is_not_the_entry_of_this_signature() {
    let (key, sigstore) = (Key::generate(KeyKind::P256), PrivateSigstore::new());
    for wrong in [Wrong::EntryOfAnotherArtifact, Wrong::EntryOfAnotherSigner] {
        for index in 0..2 {
            let signer = Signer::key(&key).logged(&sigstore).but(wrong);
            let answer = asked((SIGNED, &logged_key(&key)), Some(&sigstore), one(&signer, index)).await;
            assert_refused(&answer, "signature-untrusted", "not proved by the transparency log");
        }
    }
    // Two good signatures of one signer, each with the other's entry.
    let other = format!("sha256:{}", "b".repeat(64));
    for keyless_too in [false, true] {
        let signer =
            if keyless_too { Signer::keyless(&sigstore, ISSUER, RELEASE) } else { Signer::key(&key).logged(&sigstore) };
        let authorities = if keyless_too { [keyless("release", ISSUER, RELEASE)] } else { logged_key(&key) };
        let answer = asked((SIGNED, &authorities), Some(&sigstore), |_, digest| {
            let of_other = signer.bundle(Version::V03, &Statement::signature_of(&other));
            let of_other: Value = serde_json::from_slice(&of_other.bytes).unwrap();
            let bundle = signer.bundle(Version::V03, &Statement::signature_of(digest));
            let bundle = changed(bundle, |bundle| {
                let entries = &of_other["verificationMaterial"]["tlogEntries"];
                bundle["verificationMaterial"]["tlogEntries"] = entries.clone();
            });
            vec![(bundle, Place::Referrer)]
        })
        .await;
        let expected = if keyless_too { "signature-invalid" } else { "signature-untrusted" };
        assert_refused(&answer, expected, "log entry");
    }
}

#[tokio::test]
async fn cve_2026_22703_one_good_entry_does_not_vouch_for_another_beside_it() {
    let sigstore = PrivateSigstore::new();
    let signer = Signer::keyless(&sigstore, ISSUER, RELEASE);
    let forged = signer.but(Wrong::EntryOfAnotherArtifact);
    for first in [true, false] {
        let authorities = [keyless("release", ISSUER, RELEASE)];
        let answer = asked((SIGNED, &authorities), Some(&sigstore), |_, digest| {
            let forged = forged.bundle(Version::V03, &Statement::signature_of(digest));
            let forged: Value = serde_json::from_slice(&forged.bytes).unwrap();
            let entry = forged["verificationMaterial"]["tlogEntries"][0].clone();
            let bundle = changed(signer.bundle(Version::V03, &Statement::signature_of(digest)), |bundle| {
                let entries = bundle["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap();
                entries.insert(if first { 0 } else { 1 }, entry);
            });
            vec![(bundle, Place::Referrer)]
        })
        .await;
        assert_refused(&answer, "signature-invalid", "log entry");
    }
}

#[tokio::test]
async fn cve_2026_24122_an_intermediate_that_had_expired_issued_nothing() {
    let (hour, now) = (SignedDuration::from_hours(1), Timestamp::now());
    let sigstore = PrivateSigstore::with_intermediate_until(now - hour * 2);
    for (at, admitted) in [(now - hour, false), (now - hour * 3, true)] {
        for index in 0..2 {
            let signer = Signer::keyless(&sigstore, ISSUER, RELEASE).at(at);
            let authorities = [keyless("release", ISSUER, RELEASE)];
            let answer = asked((SIGNED, &authorities), Some(&sigstore), one(&signer, index)).await;
            assert_eq!(answer.allowed, admitted, "{index}: {}", answer.message);
            if !admitted {
                assert_refused(&answer, "signature-invalid", "no certificate authority of the trusted root");
            }
        }
    }
}

#[tokio::test]
async fn cve_2026_54787_keys_count_within_their_time_alone() {
    let sigstore = PrivateSigstore::new();
    let signer = Signer::keyless(&sigstore, ISSUER, RELEASE);
    let authorities = [keyless("release", ISSUER, RELEASE)];
    let ended = json!((Timestamp::now() - SignedDuration::from_hours(2)).to_string());
    let mut accepted = Vec::new();
    for pointer in ["/tlogs/0/publicKey/validFor", "/ctlogs/0/publicKey/validFor", "/certificateAuthorities/0/validFor"]
    {
        for index in 0..2 {
            let mut root = sigstore.trusted_root();
            root.pointer_mut(pointer).unwrap()["end"] = ended.clone();
            let attach = one(&signer, index);
            let answer = asked_with_root((SIGNED, &authorities), Some(&root.to_string()), attach).await;
            if answer.allowed {
                accepted.push((pointer, index));
            } else {
                assert_refused(&answer, "signature-invalid", "");
            }
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
    // And so do those that a policy names: made an hour ago, which the log proves.
    let key = Key::generate(KeyKind::P256);
    let day = |days: i64| (Timestamp::now() - SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%d").to_string();
    for (period, admitted) in [
        (json!({"notBefore": day(3)}), true),
        (json!({"notAfter": day(2)}), false),
        (json!({"notBefore": day(-2)}), false),
    ] {
        let mut written = period.clone();
        written["pem"] = json!(key.public_pem());
        let authorities =
            [json!({"name": "release", "keys": [written], "trust": "private", "log": "required"}).to_string()];
        for index in 0..2 {
            let signer = Signer::key(&key).logged(&sigstore);
            let answer = asked((SIGNED, &authorities), Some(&sigstore), one(&signer, index)).await;
            assert_eq!(answer.allowed, admitted, "{period}: {}", answer.message);
            if !admitted {
                assert_refused(&answer, "signature-untrusted", "");
            }
        }
    }
}

#[tokio::test]
async fn cve_2026_49834_many_certificates_and_entries_of_one_signer_are_one() {
    let sigstore = PrivateSigstore::new();
    let demand = "signatures: {authorities: [release, everybody], threshold: 2}";
    let authorities = [
        keyless("release", ISSUER, RELEASE),
        keyless("everybody", ISSUER, "https://github.com/acme/*/.github/workflows/*@refs/tags/*"),
    ];
    let ours = Signer::keyless(&sigstore, ISSUER, RELEASE);
    let other = Signer::keyless(&sigstore, ISSUER, "https://github.com/acme/ops/.github/workflows/a.yaml@refs/tags/v1");
    // Three certificates, and in one bundle three times the same entry.
    let of_one = |registry: &Registry, digest: &str| -> Attachments {
        let mut all: Attachments = (0..2).flat_map(|_| both(&ours, registry, digest)).collect();
        let bundle = changed(ours.bundle(Version::V03, &Statement::signature_of(digest)), |bundle| {
            let entries = bundle["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap();
            let entry = entries[0].clone();
            entries.extend([entry.clone(), entry]);
        });
        all.push((bundle, Place::Referrer));
        all
    };
    let answer = asked((demand, &authorities), Some(&sigstore), of_one).await;
    assert!(!answer.allowed && answer.message.contains("fewer than 2 signers"), "{}", answer.message);
    let answer = asked((demand, &authorities), Some(&sigstore), |registry, digest| {
        let mut all = of_one(registry, digest);
        all.extend(both(&other, registry, digest));
        all
    })
    .await;
    assert_admitted(&answer);
}

#[tokio::test]
async fn policy_controller_1968_a_log_is_known_by_its_identifier_in_every_layout() {
    let (sigstore, other) = (PrivateSigstore::new(), PrivateSigstore::new());
    let authorities = [keyless("release", ISSUER, RELEASE)];
    let signer = Signer::keyless(&sigstore, ISSUER, RELEASE);
    for index in 0..2 {
        // Ours behind another's.
        let mut root = sigstore.trusted_root();
        root["tlogs"].as_array_mut().unwrap().insert(0, other.trusted_root()["tlogs"][0].clone());
        let answer = asked_with_root((SIGNED, &authorities), Some(&root.to_string()), one(&signer, index)).await;
        assert_admitted(&answer);
        // The other's alone.
        root["tlogs"].as_array_mut().unwrap().truncate(1);
        let answer = asked_with_root((SIGNED, &authorities), Some(&root.to_string()), one(&signer, index)).await;
        assert_refused(&answer, "signature-invalid", "log");
    }
}

#[tokio::test]
async fn tob_sigstore_2_and_3_a_time_that_nobody_promised_is_none() {
    let sigstore = PrivateSigstore::new();
    let authorities = [keyless("release", ISSUER, RELEASE)];
    // Proved to be in the log, and the time beside it is any.
    for version in Version::ALL {
        let signer = Signer::keyless(&sigstore, ISSUER, RELEASE).but(Wrong::NoPromise);
        let answer = asked((SIGNED, &authorities), Some(&sigstore), |_, digest| {
            vec![(signer.bundle(version, &Statement::signature_of(digest)), Place::Referrer)]
        })
        .await;
        assert_refused(
            &answer,
            "signature-invalid",
            if version == Version::V01 { "promise (SET)" } else { "when it was made" },
        );
    }
    // No entry at all: neither log nor time, whatever the policy says of logs.
    for log in ["optional", "required"] {
        let mut authority: Value = serde_json::from_str(&authorities[0]).unwrap();
        authority["log"] = json!(log);
        for index in 0..2 {
            let signer = Signer::keyless(&sigstore, ISSUER, RELEASE).but(Wrong::NotLogged);
            let answer = asked((SIGNED, &[authority.to_string()]), Some(&sigstore), one(&signer, index)).await;
            assert_refused(&answer, "signature-invalid", "nothing proves when it was made");
        }
    }
}

#[tokio::test]
async fn tob_sigstore_7_a_log_that_is_half_a_minute_ahead_is_ahead() {
    let sigstore = PrivateSigstore::new();
    for index in 0..2 {
        let signer = Signer::keyless(&sigstore, ISSUER, RELEASE).at(Timestamp::now() + SignedDuration::from_secs(50));
        let authorities = [keyless("release", ISSUER, RELEASE)];
        let answer = asked((SIGNED, &authorities), Some(&sigstore), one(&signer, index)).await;
        assert_refused(&answer, "signature-invalid", "yet to come");
    }
}
