use jiff::SignedDuration;

use crate::server::tls::issue::Authority;

use super::*;

const HOST: &str = "pratique.guards.svc";

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("it is PEM")
}

/// What an API server with this caBundle has against the certificate at that time.
fn against(bundle: &str, leaf: &str, host: &str, now: Timestamp) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let host = ServerName::try_from(host.to_owned()).expect("it is a name");
    let now = Duration::from_secs(u64::try_from(now.as_second()).expect("after 1970"));
    vouched(&provider, bundle.as_bytes(), &der(leaf), &[], &host, UnixTime::since_unix_epoch(now))
}

#[test]
fn a_ca_bundle_vouches_for_what_a_ca_in_it_has_signed_for_that_name_in_its_time() {
    let now = Timestamp::now();
    let make = |lifetime| Authority::make(now, lifetime).expect("a CA");
    let (authority, other, short) = (make(days(30)), make(days(30)), make(days(1)));
    let leaf = authority.issue(&[HOST.to_owned()], now, now + days(10)).expect("a leaf");
    let leaf = leaf.certificate_pem();
    let well = |bundle: &str| assert_eq!(against(bundle, leaf, HOST, now), Ok(()));
    well(&authority.pem());
    well(&(other.pem() + &authority.pem()));
    let fails = |bundle: &str, host, now, words: &str| {
        assert_eq!(against(bundle, leaf, host, now), Err(words.to_owned()));
    };
    fails(&other.pem(), HOST, now, "none of the caBundle's CAs has signed it");
    fails(&authority.pem(), "pratique.shop.svc", now, "it is not for that name");
    fails(&authority.pem(), HOST, now + days(11), "it has expired");
    fails(&authority.pem(), HOST, now - days(1), "no certificate in the caBundle is in its time");
    fails(&short.pem(), HOST, now + days(2), "no certificate in the caBundle is in its time");
    for nothing in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let words = against(nothing, leaf, HOST, now).expect_err("there is nobody to vouch");
        assert!(words.contains("the caBundle"), "{nothing:?}: {words}");
    }
    let large = authority.pem() + &" ".repeat(MOST_BUNDLE);
    fails(&large, HOST, now, "the caBundle is larger than 65536 bytes");
    let end = until(&der(leaf)).expect("it has an end");
    assert_eq!(end.as_second(), (now + days(10)).as_second());
}

/// The CA of the bundle has to be in its time too, as Go has it, although its leaf still is.
#[test]
fn a_ca_whose_time_is_over_vouches_for_nobody() {
    let now = Timestamp::now();
    let authority = Authority::make(now, days(30)).expect("a CA");
    let leaf = authority.issue(&[HOST.to_owned()], now, now + days(60)).expect("a leaf");
    let late = now + days(31);
    let words = against(&authority.pem(), leaf.certificate_pem(), HOST, late);
    assert_eq!(words, Err("no certificate in the caBundle is in its time".to_owned()));
}
