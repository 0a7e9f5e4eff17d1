//! Certificates as Fulcio makes them, and as it never would.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, CustomExtension, KeyPair, OtherNameValue, SanType};

use super::*;

const EVERYTHING: &str = "https://issuer.example";

fn fulcio_oid(number: u64) -> Vec<u64> {
    vec![1, 3, 6, 1, 4, 1, 57264, 1, number]
}

fn text(text: &str) -> Vec<u8> {
    [&[0x0c, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn extension(number: u64, content: Vec<u8>) -> CustomExtension {
    CustomExtension::from_oid_content(&fulcio_oid(number), content)
}

fn mail(name: &str) -> SanType {
    SanType::Rfc822Name(Ia5String::try_from(name).unwrap())
}

fn certificate(names: Vec<SanType>, extensions: Vec<CustomExtension>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.custom_extensions = extensions;
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn by(issuer: &str) -> Vec<CustomExtension> {
    vec![extension(8, text(issuer))]
}

#[test]
fn a_mail_address_a_uri_and_a_user_name_are_subjects() {
    let other = SanType::OtherName((fulcio_oid(7), OtherNameValue::Utf8String("foo!example.com".to_owned())));
    let uri = SanType::URI(Ia5String::try_from("https://github.com/acme/x").unwrap());
    for (name, subject) in
        [(mail("a@example.com"), "a@example.com"), (uri, "https://github.com/acme/x"), (other, "foo!example.com")]
    {
        let identity = identity(&certificate(vec![name], by(EVERYTHING))).unwrap();
        assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (EVERYTHING, subject));
    }
}

#[test]
fn the_issuer_is_read_from_either_extension() {
    let names = || vec![mail("a@example.com")];
    for extensions in [
        vec![extension(1, EVERYTHING.into())],
        by(EVERYTHING),
        vec![extension(1, EVERYTHING.into()), extension(8, text(EVERYTHING))],
    ] {
        assert_eq!(identity(&certificate(names(), extensions)).unwrap().issuer, EVERYTHING);
    }
}

#[test]
fn a_certificate_that_names_nobody_or_two_is_no_identity() {
    let one = || vec![mail("a@example.com")];
    let unknown = SanType::OtherName((fulcio_oid(9), OtherNameValue::Utf8String("x".to_owned())));
    let host = SanType::DnsName(Ia5String::try_from("example.com").unwrap());
    for (names, extensions, words) in [
        (one(), vec![], "its certificate names no issuer"),
        (one(), by(""), "its certificate names nobody"),
        (vec![], by(EVERYTHING), "its certificate names no subject"),
        (vec![mail("")], by(EVERYTHING), "its certificate names nobody"),
        (vec![mail("a@example.com"), mail("b@example.com")], by(EVERYTHING), "its certificate names several subjects"),
        (vec![host], by(EVERYTHING), "its certificate's subject is neither a mail address, nor a URI, nor a user name"),
        (
            vec![unknown],
            by(EVERYTHING),
            "its certificate's subject is neither a mail address, nor a URI, nor a user name",
        ),
        (
            one(),
            vec![extension(1, b"https://other.example".to_vec()), extension(8, text(EVERYTHING))],
            "its certificate names two issuers",
        ),
        (
            one(),
            vec![extension(8, EVERYTHING.into())],
            "its certificate has an extension of Fulcio's that cannot be read",
        ),
        (one(), vec![extension(1, vec![0xff])], "its certificate has an extension of Fulcio's that cannot be read"),
        (
            one(),
            vec![extension(8, text(EVERYTHING)), extension(20, text("push")), extension(20, text("x"))],
            "its certificate has an extension of Fulcio's twice",
        ),
    ] {
        let flaw = identity(&certificate(names, extensions)).unwrap_err();
        assert_eq!((flaw.kind, &*flaw.words), (FlawKind::CertificateUntrusted, words));
    }
    assert_eq!(&*identity(b"-----BEGIN PUBLIC KEY-----").unwrap_err().words, "its certificate cannot be read");
}

#[test]
fn every_extension_of_the_policy_is_read_by_its_number() {
    let mut extensions = by(EVERYTHING);
    for (name, number) in EXTENSIONS {
        let content = if number <= LAST_BARE { name.as_bytes().to_vec() } else { text(name) };
        extensions.push(extension(number.into(), content));
    }
    // Numbers that came later, or never will, are nobody's business.
    extensions.extend([extension(23, b"not DER".to_vec()), extension(99, vec![])]);
    let identity = identity(&certificate(vec![mail("a@example.com")], extensions)).unwrap();
    let names: Vec<_> = identity.extensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut expected: Vec<_> = EXTENSIONS.iter().map(|(name, _)| (*name, *name)).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn what_is_claimed_is_short_and_printable() {
    let long = "x".repeat(120);
    let name = format!("a\u{1b}[31m{}@example.com", long.repeat(3));
    let (issuer, subject) = claimed(&certificate(vec![mail(&name)], by(&long))).unwrap();
    assert_eq!(&*issuer, long);
    assert!(subject.len() <= SHOWN + 3 && subject.starts_with("a\\u{1b}[31m"), "{subject}");
    assert_eq!(claimed(b"no certificate"), None);
}

#[test]
fn a_root_is_known_by_its_issuer() {
    assert!(is_root(&certificate(vec![], vec![])));
    assert!(!is_root(b""));
}
