//! Too many, too deep, too long, twice.

use super::*;

const INVALID: &str = "signature-invalid";
const UNREADABLE: &str = "attestation-unreadable";

fn deep(count: usize) -> Vec<u8> {
    "[".repeat(count).into_bytes()
}

fn list(bundle: &mut Value, pointer: &str, item: &Value, count: usize) {
    *bundle.pointer_mut(pointer).unwrap() = json!(vec![item; count]);
}

/// One DER element.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &length, content].concat()
}

/// A certificate that nobody issued, with this key and these extensions.
fn certificate(spki: &[u8], extensions: usize) -> Vec<u8> {
    let algorithm = element(0x30, &element(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
    let name = element(0x30, &[]);
    let times = [element(0x17, b"260101000000Z"), element(0x17, b"360101000000Z")].concat();
    let extension = |number: usize| {
        let [_, high, middle, low] = u32::try_from(number).unwrap().to_be_bytes();
        let arc = [0x2a, 0x81, 0x80 | high, 0x80 | middle >> 1, 0x80 | (middle & 1) << 6 | low >> 2, low & 3];
        element(0x30, &[element(0x06, &arc), element(0x04, b"x")].concat())
    };
    let extensions: Vec<u8> = (1..=extensions).flat_map(|number| extension(number + (1 << 14))).collect();
    let parts = [
        element(0xa0, &element(0x02, &[2])),
        element(0x02, &[1]),
        algorithm.clone(),
        name.clone(),
        element(0x30, &times),
        name,
        spki.to_vec(),
        element(0xa3, &element(0x30, &extensions)),
    ];
    element(0x30, &[element(0x30, &parts.concat()), algorithm, element(0x03, &[0, 1])].concat())
}

/// RSA with so many bits.
fn rsa(bits: usize) -> Vec<u8> {
    let modulus = [vec![0], vec![0xff; bits / 8]].concat();
    let key = element(0x30, &[element(0x02, &modulus), element(0x02, &[1, 0, 1])].concat());
    let algorithm = element(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]);
    let algorithm = element(0x30, &[algorithm, element(0x05, &[])].concat());
    element(0x30, &[algorithm, element(0x03, &[&[0][..], &key].concat())].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2024_45395_and_cve_2023_46737_there_is_a_bound_for_everything_that_is_counted() {
    let world = World::new();
    let keyless = Signer::keyless(&world.sigstore, ISSUER, RELEASE);
    let bundle = |digest: &str| keyless.bundle(Version::V03, &Statement::signature_of(digest));
    let chained = |digest: &str| keyless.bundle(Version::V01, &Statement::signature_of(digest));
    let entries = |count: usize| -> Made<'_> {
        Box::new(move |digest| {
            let bundle = changed(bundle(digest), |bundle| {
                let entry = bundle["verificationMaterial"]["tlogEntries"][0].clone();
                list(bundle, "/verificationMaterial/tlogEntries", &entry, count);
            });
            let told = (INVALID, "it has more than 32 log entries");
            Attack::new(&format!("{count} entries"), "signed", told).with(&bundle, Place::Referrer)
        })
    };
    let referrers = |count: u32, told: (&'static str, &'static str)| -> Made<'_> {
        Box::new(move |_| {
            let attack = Attack::new(&format!("{count} referrers"), "signed", told);
            (0..count).fold(attack, |attack, number| attack.raw(BUNDLE, number.to_string(), Place::Referrer))
        })
    };
    let attacks: Vec<Made<'_>> = vec![
        entries(33),
        entries(1_000),
        Box::new(|digest| {
            let bundle = changed(bundle(digest), |bundle| {
                let stamps = vec![json!({"signedTimestamp": base64([0x30; 64])}); 5_000];
                bundle["verificationMaterial"]["timestampVerificationData"] = json!({"rfc3161Timestamps": stamps});
            });
            Attack::new("timestamps", "signed", (INVALID, "more than 32 timestamps")).with(&bundle, Place::Referrer)
        }),
        Box::new(|digest| {
            let bundle = changed(chained(digest), |bundle| {
                let pointer = "/verificationMaterial/x509CertificateChain/certificates";
                let leaf = bundle.pointer(pointer).unwrap()[0].clone();
                list(bundle, pointer, &leaf, 1_000);
            });
            Attack::new("chain", "signed", (INVALID, "more than 10 certificates")).with(&bundle, Place::Referrer)
        }),
        Box::new(|digest| {
            let mut layer = keyless.simple(&Payload::of(digest, "acme/web"));
            let block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
            layer.annotations.insert("dev.sigstore.cosign/chain".to_owned(), block.repeat(10_000));
            Attack::new("PEM chain", "signed", (INVALID, "certificate cannot be read"))
                .with(&layer, Place::SignatureTag)
        }),
        Box::new(|digest| {
            let mut layer = world.signer().simple(&Payload::of(digest, "acme/web"));
            layer.annotations.insert("dev.cosignproject.cosign/signature".to_owned(), "A".repeat(3 << 20));
            let told = ("registry-broken", "more than 2 MiB for a manifest");
            Attack::new("a signature of megabytes", "signed", told).with(&layer, Place::SignatureTag)
        }),
        Box::new(|digest| {
            let subject = json!({"name": "x", "digest": {"sha256": digest.trim_start_matches("sha256:")}});
            let statement = Statement::about(digest, PROVENANCE).field("subject", json!(vec![subject; 25_000]));
            let bundle = world.signer().bundle(Version::V03, &statement);
            Attack::new("subjects", "attested", (UNREADABLE, "more parts than are read")).with(&bundle, Place::Referrer)
        }),
        Box::new(|digest| {
            let subjects = "{\"digest\":{\"a\":\"\"}},".repeat(100_000);
            let text = String::from_utf8(Statement::about(digest, PROVENANCE).bytes()).unwrap();
            let text = text.replacen("\"subject\":[", &format!("\"subject\":[{subjects}"), 1);
            let bundle = world.signer().bundle(Version::V03, &Statement::raw(text.into_bytes()));
            Attack::new("100,000 subjects", "attested", (UNREADABLE, "more parts than are read"))
                .with(&bundle, Place::Referrer)
        }),
        Box::new(|_| {
            let attack = Attack::new("a thousand layers", "signed", ("signature-too-many", "950 more"));
            let layer = Signer::key(&Key::generate(KeyKind::P256)).simple(&Payload::of(pratique_testkit::DIGEST, "x"));
            (0..1_000).fold(attack, |attack, _| attack.with(&layer, Place::SignatureTag))
        }),
        referrers(900, ("signature-too-many", "850 more")),
        referrers(10_000, ("registry-broken", "lists more than 1000 descriptors")),
    ];
    assert_refused(&world, &attacks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosign_3_0_5_what_is_malformed_is_refused_for_what_it_is() {
    let world = World::new();
    let mut attacks: Vec<Made<'_>> = Vec::new();
    let nothing = (INVALID, "it is no JSON, or nested too deeply");
    let closed = format!("{{\"mediaType\":\"{BUNDLE}\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (what, bytes) in [
        ("mebibytes of [", deep((4 << 20) - 1024)),
        ("deep", closed.into_bytes()),
        ("NUL", b"\0".repeat(1_000)),
        ("invalid UTF-8", b"{\"mediaType\":\"\xff\xfe\"}".to_vec()),
        ("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
        ("half", format!("{{\"mediaType\":\"{BUNDLE}\"").into_bytes()),
    ] {
        attacks.push(Box::new(move |_| Attack::new(what, "signed", nothing).raw(BUNDLE, &bytes, Place::Referrer)));
    }
    for (what, json, words) in [
        ("null", "null", "it is no Sigstore bundle of version 0.1, 0.2 or 0.3"),
        ("twice", r#"{"mediaType":"a","mediaType":"b"}"#, "a field stands twice"),
    ] {
        attacks
            .push(Box::new(move |_| Attack::new(what, "signed", (INVALID, words)).raw(BUNDLE, json, Place::Referrer)));
    }
    attacks.push(Box::new(|_| {
        let annotated = pratique_testkit::Layer::new(SIMPLE, deep(3 << 20))
            .annotated("dev.cosignproject.cosign/signature", "AAAA")
            .annotated("dev.sigstore.cosign/bundle", &"[".repeat(1 << 19));
        let mut attack = Attack::new("a payload of [", "signed", ("signature-untrusted", "no key that is trusted"));
        attack.layers.push((annotated, Place::SignatureTag));
        attack
    }));
    attacks.push(Box::new(|_| {
        let told = ("attestation-unreadable", "it is no JSON");
        Attack::new("an envelope of [", "attested", told).raw(ENVELOPE, deep(3 << 20), Place::AttestationTag)
    }));
    attacks.push(Box::new(|digest| {
        let nested = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let text = String::from_utf8(Statement::about(digest, PROVENANCE).bytes()).unwrap();
        let statement = Statement::raw(text.replacen("\"predicate\":{}", &format!("\"predicate\":{nested}"), 1));
        let told = (UNREADABLE, "nested too deeply");
        Attack::new("deep", "attested", told).with(&world.signer().envelope(&statement), Place::AttestationTag)
    }));
    assert_refused(&world, &attacks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_cost_much_are_nobodys() {
    let world = World::new();
    let with = |certificate: Vec<u8>, digest: &str| {
        changed(
            Signer::keyless(&world.sigstore, ISSUER, RELEASE).bundle(Version::V03, &Statement::signature_of(digest)),
            |bundle| {
                bundle["verificationMaterial"]["certificate"]["rawBytes"] = json!(base64(certificate));
            },
        )
    };
    let spki = || Key::generate(KeyKind::P256).spki();
    let cases = [
        ("a key of 16,384 bits", certificate(&rsa(16_384), 1)),
        ("a key of a million bits", certificate(&rsa(1 << 20), 1)),
        ("5,000 extensions", certificate(&spki(), 5_000)),
        ("100,000 extensions", certificate(&spki(), 100_000)),
        ("nothing", Vec::new()),
        ("no end", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
    ];
    let cases = &cases;
    let mut attacks: Vec<Made<'_>> = Vec::new();
    for (what, certificate) in cases {
        attacks.push(Box::new(move |digest| {
            Attack::new(what, "signed", (INVALID, "certificate"))
                .with(&with(certificate.clone(), digest), Place::Referrer)
        }));
    }
    // A certificate of a thousand more extensions by an authority that is trusted, of somebody else.
    let stranger = (1_000..2_000)
        .fold(Signer::keyless(&world.sigstore, ISSUER, "https://evil.example/=#"), |signer, number| {
            signer.extension(number, "x")
        });
    attacks.push(Box::new(move |digest| {
        let bundle = stranger.bundle(Version::V03, &Statement::signature_of(digest));
        let told = ("signature-invalid", "has more elements than any real one");
        Attack::new("a stranger's", "signed", told).with(&bundle, Place::Referrer)
    }));
    assert_refused(&world, &attacks).await;
}
