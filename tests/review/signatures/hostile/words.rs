//! What signers may choose is shown to people: escaped, wherever it is shown.

use super::*;

/// Colours, a bell, a line of its own, a carriage return, NUL, a line turned around, and what JSON or HTML would end.
const EVIL: &str = "\u{1b}[31mred\u{7}\nallowed: true\r\0\"}<b>";
const TURNED: &str = "\u{202e}\u{1b}]0;title\u{7}\u{2066}\u{9b}2J\u{0}\n2026 INFO admitted";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_signer_wrote_gets_out_unescaped() {
    let world = World::new();
    let evil = |text: &str| format!("https://evil.example/{text}");
    let stranger = |issuer: &str, subject: &str| Signer::keyless(&world.sigstore, issuer, subject);
    let untrusted = ("signature-untrusted", "");
    let attacks: Vec<Made<'_>> = vec![
        Box::new(|digest| {
            let bundle = stranger(ISSUER, &evil(EVIL)).bundle(Version::V03, &Statement::signature_of(digest));
            Attack::new("subject", "signed", untrusted).with(&bundle, Place::Referrer)
        }),
        Box::new(|digest| {
            let bundle = stranger(&evil(EVIL), RELEASE).bundle(Version::V03, &Statement::signature_of(digest));
            Attack::new("issuer", "signed", untrusted).with(&bundle, Place::Referrer)
        }),
        Box::new(|digest| {
            let layer = stranger(&evil(TURNED), RELEASE).simple(&Payload::of(digest, &evil(TURNED)));
            Attack::new("issuer, turned", "signed", untrusted).with(&layer, Place::SignatureTag)
        }),
        Box::new(|digest| {
            let forged = stranger(&evil(EVIL), &evil(EVIL)).but(pratique_testkit::signer::Wrong::OtherAuthority);
            let bundle = forged.bundle(Version::V03, &Statement::signature_of(digest));
            Attack::new("claimed", "signed", ("signature-invalid", "")).with(&bundle, Place::Referrer)
        }),
        Box::new(|digest| {
            let layer = world.signer().envelope(&Statement::about(digest, &evil(EVIL)));
            let told = ("attestation-wrong-type", "");
            Attack::new("predicateType", "attested", told).with(&layer, Place::AttestationTag)
        }),
        Box::new(|digest| {
            let layer = world.signer().bundle(Version::V03, &Statement::about(digest, &evil(TURNED)));
            Attack::new("predicateType as a signature", "signed", ("unsigned", "")).with(&layer, Place::Referrer)
        }),
        Box::new(|_| {
            let layer = world.signer().simple(&Payload::annotated(EVIL, TURNED, &[(EVIL, TURNED)]));
            Attack::new("digest", "signed", ("signature-mismatch", "of another image"))
                .with(&layer, Place::SignatureTag)
        }),
        Box::new(|digest| {
            let r#type = "cosign container image signature\u{1b}[0m";
            let payload = Payload::of_type(r#type, digest, TURNED, &json!({TURNED: EVIL}));
            Attack::new("type", "signed", ("signature-mismatch", "cannot be read"))
                .with(&world.signer().simple(&payload), Place::SignatureTag)
        }),
        Box::new(|digest| {
            let layer = stranger(ISSUER, RELEASE).bundle(Version::V03, &Statement::signature_of(digest));
            let layer = changed(layer, |bundle| {
                bundle["verificationMaterial"]["tlogEntries"][0]["kindVersion"] =
                    json!({"kind": EVIL, "version": TURNED});
            });
            Attack::new("kind", "signed", ("signature-invalid", "of the kind")).with(&layer, Place::Referrer)
        }),
        Box::new(|digest| {
            let statement = Statement::raw(b"\xff\xfe{\"predicateType\": \"\x1b[31m".to_vec());
            let layer = world.signer().envelope(&statement);
            Attack::new(digest, "attested", ("attestation-unreadable", "no JSON")).with(&layer, Place::AttestationTag)
        }),
    ];
    assert_refused(&world, &attacks).await;
    // The same in what people run by hand.
    let registry = Registry::setup().start().await;
    let beside = world.beside(&[&registry], &[]).await;
    let digest = pushed(&registry);
    for made in &attacks {
        for (layer, place) in made(&digest).layers {
            registry.attach_layers("acme/web", &digest, place, &[layer]);
        }
    }
    let image = format!("{}/acme/web:v1", registry.host());
    for policy in ["signed", "attested"] {
        for form in [["-o", "json"].as_slice(), &[]] {
            let (config, manifests) =
                (beside.files.file("settings.yaml"), beside.manifests.path().display().to_string());
            let mut arguments = vec!["check", "--config", &config, "--manifests", &manifests, "--policy", policy];
            arguments.extend(form);
            arguments.push(&image);
            let outcome = run(PRATIQUE, &arguments);
            assert_ne!(outcome.code, Some(0), "{outcome:?}");
            assert_harmless(&outcome.stdout);
            assert_harmless(&outcome.stderr);
            assert!(outcome.stdout.contains("acme/web"), "{outcome:?}");
        }
    }
}
