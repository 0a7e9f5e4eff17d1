//! What costs its author nothing to make and could cost everybody else much to read.

use super::*;

const LEGACY: &str =
    "cosign/legacy/manifests/sha256-31dc72a13a0c34b40eb95419d2b2fd67320c856baf3b72da518023ee8d370aee.sig.json";
const LEGACY_PAYLOAD: &str =
    "cosign/legacy/blobs/sha256-897d9e862b4599b723442f36ed7b4cfd1628bb7656643c56855988cac161d065.json";
const LEGACY_IMAGE: &str = "31dc72a13a0c34b40eb95419d2b2fd67320c856baf3b72da518023ee8d370aee";

/// With a length in as few bytes as it takes, or a decoder would refuse it for that.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let first = length.iter().position(|byte| *byte != 0).unwrap_or(3);
    let length = &length[first..];
    let long = (content.len() >= 0x80).then(|| 0x80 | u8::try_from(length.len()).unwrap());
    [&[tag], long.as_slice(), length, content].concat()
}

/// So many kinds of hash, the last first: sorting them by insertion moves each past all others.
fn backwards(count: u32) -> Vec<u8> {
    let seven = |number: u32, shift: u32| u8::try_from((number >> shift) & 0x7f).unwrap();
    let kind = |number: u32| {
        let number = number + (1 << 14);
        der(0x30, &[6, 4, 0x2a, 0x80 | seven(number, 14), 0x80 | seven(number, 7), seven(number, 0)])
    };
    der(0x31, &(0..count).rev().flat_map(kind).collect::<Vec<_>>())
}

/// The signature of `LEGACY` with a timestamp whose author listed so many kinds of hash.
fn stamped(count: u32) -> Signature {
    const SIGNED_DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
    let data = der(0x30, &[&[2, 1, 3][..], &backwards(count)].concat());
    let token = der(0x30, &[&SIGNED_DATA[..], &der(0xa0, &data)].concat());
    let timestamp = json!({"SignedRFC3161Timestamp": STANDARD.encode(token)}).to_string();
    let annotations = Annotations { timestamp: Some(timestamp), ..annotations(LEGACY) };
    run(&simple(&fixture(LEGACY_PAYLOAD), annotations), &sha256(LEGACY_IMAGE), &keyless(&[PUBLIC]))
}

#[test]
fn a_timestamp_that_would_be_sorted_for_hours_is_not_read() {
    is_flawed(
        &stamped(3_000),
        FlawKind::BeyondBounds,
        "its certificate or timestamp has more elements than any real one",
    );
    // A few are read, and prove nothing.
    is_flawed(&stamped(9), FlawKind::TimeUnproved, "");
}

#[test]
fn a_certificate_that_would_be_sorted_for_hours_is_not_read() {
    let certificate = |count| {
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            STANDARD.encode(der(0x30, &der(0x30, &backwards(count))))
        )
    };
    for (count, kind) in [(3_000, FlawKind::BeyondBounds), (9, FlawKind::CertificateUntrusted)] {
        let annotations = Annotations { certificate: Some(certificate(count)), ..annotations(LEGACY) };
        let item = simple(&fixture(LEGACY_PAYLOAD), annotations);
        is_flawed(&run(&item, &sha256(LEGACY_IMAGE), &keyless(&[PUBLIC])), kind, "");
    }
}
