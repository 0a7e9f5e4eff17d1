//! The Secret with our certificates, as a person knows such a Secret (`kubernetes.io/tls`): `tls.crt` and `tls.key` are what
//! is shown, `ca.crt` is all that is to be trusted for it, the oldest CA first. `ca.key` is ours: the keys of those of these
//! CAs that may still sign.
//!
//! Read one by one and by name, never listed. Nothing of it is ever printed.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::server::tls::issue::{Authority, Leaf};

use super::replica::Found;
use super::rotation::{MOST_AUTHORITIES, State};
use super::trouble::{Asked, Trouble, ask};

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const AUTHORITIES: &str = "ca.crt";
const AUTHORITY_KEYS: &str = "ca.key";
/// Bytes of one of its values: ours have 8 certificates at most, of less than 1 KiB each; a whole Secret has up to 1 MiB.
const LARGEST: usize = 64 << 10;

/// Where it is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) namespace: String,
    /// Whom its certificate must be for.
    pub(super) host: String,
}

/// What was read.
pub(super) struct Stored {
    pub(super) state: State,
    /// What of it cannot be used.
    pub(super) flaws: Vec<String>,
    /// To be replaced as it was read: with its labels, and its resourceVersion.
    object: Secret,
}

impl Place {
    fn api(&self, client: Client) -> Api<Secret> {
        Api::namespaced(client, &self.namespace)
    }

    fn asked(&self, verb: &'static str) -> Asked<'_> {
        Asked { verb, resource: "secrets", name: &self.name, role: "Role" }
    }

    /// None where there is no such Secret.
    pub(super) async fn read(&self, client: Client) -> Result<Option<Stored>, Trouble> {
        let api = self.api(client);
        let found = ask(self.asked("get"), api.get_opt(&self.name)).await?;
        Ok(found.map(Stored::of))
    }

    /// False where somebody else was first.
    pub(super) async fn create(&self, client: Client, state: &State) -> Result<bool, Trouble> {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let mut secret = Secret { metadata, type_: Some("kubernetes.io/tls".to_owned()), ..Secret::default() };
        put(state, &mut secret);
        let api = self.api(client);
        match ask(self.asked("create"), api.create(&PostParams::default(), &secret)).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.is_conflict() => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// False where it is no longer as it was read.
    pub(super) async fn replace(&self, client: Client, read: Stored, state: &State) -> Result<bool, Trouble> {
        let mut secret = read.object;
        put(state, &mut secret);
        let api = self.api(client);
        match ask(self.asked("update"), api.replace(&self.name, &PostParams::default(), &secret)).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.is_conflict() => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }
}

impl Stored {
    pub(super) fn found(&self) -> Found<'_> {
        Found { state: &self.state, whole: self.flaws.is_empty() }
    }

    /// What is wrong with it. A leaf that its own CAs do not vouch for is none.
    pub(super) fn examine(&mut self, host: &str, now: Timestamp) -> &[String] {
        if let Some(leaf) = self.state.leaf.take_if(|leaf| !leaf.is_believed(&self.state.authorities, host, now)) {
            let why =
                if leaf.is_valid(now) { "is not for our name, or by no CA of ca.crt" } else { "is not valid now" };
            self.flaws.push(format!("{CERTIFICATE} {why}"));
        }
        &self.flaws
    }

    fn of(object: Secret) -> Self {
        let mut flaws = Vec::new();
        let mut value = |key: &'static str| match object.data.as_ref().and_then(|data| data.get(key)) {
            Some(value) if value.0.len() > LARGEST => {
                flaws.push(format!("{key} is larger than {LARGEST} bytes"));
                None
            }
            Some(value) => Some(value.0.clone()),
            None => {
                flaws.push(format!("{key} is missing"));
                None
            }
        };
        let (certificate, key) = (value(CERTIFICATE), value(KEY));
        let (certificates, keys) = (value(AUTHORITIES), value(AUTHORITY_KEYS));
        let mut authorities = certificates.map(|pem| read_authorities(&pem, &mut flaws)).unwrap_or_default();
        if let Some(keys) = keys {
            give_keys(&keys, &mut authorities, &mut flaws);
        }
        let leaf = certificate.zip(key).and_then(|(certificate, key)| {
            let texts = String::from_utf8(certificate).ok().zip(String::from_utf8(key).ok());
            let leaf = texts.ok_or_else(|| "it is no text".to_owned()).and_then(|(text, key)| Leaf::read(text, key));
            leaf.map_err(|why| flaws.push(format!("{CERTIFICATE} and {KEY} cannot be used ({why})"))).ok()
        });
        Self { state: State { authorities, leaf }, flaws, object }
    }
}

fn read_authorities(pem: &[u8], flaws: &mut Vec<String>) -> Vec<Authority> {
    let mut authorities = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem).take(MOST_AUTHORITIES) {
        let certificate = certificate.map_err(|_| "it is no PEM".to_owned());
        match certificate.and_then(Authority::read) {
            Ok(authority) => authorities.push(authority),
            Err(why) => flaws.push(format!("{AUTHORITIES} holds what cannot be used ({why})")),
        }
    }
    if authorities.is_empty() {
        flaws.push(format!("{AUTHORITIES} holds no certificate"));
    }
    authorities
}

fn give_keys(pem: &[u8], authorities: &mut [Authority], flaws: &mut Vec<String>) {
    for key in PrivatePkcs8KeyDer::pem_slice_iter(pem).take(MOST_AUTHORITIES) {
        let key = key.ok().and_then(|key| KeyPair::try_from(&key).ok()).map(Arc::new);
        let Some(key) = key else {
            flaws.push(format!("{AUTHORITY_KEYS} holds what is no key"));
            continue;
        };
        // One that belongs to none is left out when it is written the next time.
        for authority in authorities.iter_mut() {
            authority.give(&key);
        }
    }
    if !authorities.iter().any(Authority::can_issue) {
        flaws.push(format!("{AUTHORITY_KEYS} holds no key of a CA in {AUTHORITIES}"));
    }
}

fn put(state: &State, secret: &mut Secret) {
    let data = secret.data.get_or_insert_default();
    let mut set = |key: &str, value: String| data.insert(key.to_owned(), ByteString(value.into_bytes()));
    set(AUTHORITIES, pem(&state.authorities));
    set(AUTHORITY_KEYS, state.authorities.iter().filter_map(Authority::key_pem).collect());
    if let Some(leaf) = &state.leaf {
        set(CERTIFICATE, leaf.certificate_pem().to_owned());
        set(KEY, leaf.key_pem().to_owned());
    }
}

/// As `caBundle` holds them.
pub(super) fn pem(authorities: &[Authority]) -> String {
    authorities.iter().map(Authority::pem).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rotation::{Seen, Subject};
    use super::*;

    const HOST: &str = "pratique.pratique-system.svc";

    fn whole(now: Timestamp) -> Secret {
        let state = State::default().advanced(now, &Subject::new(HOST.to_owned()), &Seen::default()).unwrap();
        let mut secret = Secret::default();
        put(&state, &mut secret);
        secret
    }

    fn flaws(secret: Secret, now: Timestamp) -> Vec<String> {
        Stored::of(secret).examine(HOST, now).to_vec()
    }

    #[test]
    fn what_was_written_is_read_and_each_value_that_somebody_spoils_is_named_and_not_quoted() {
        let now = Timestamp::now();
        let secret = whole(now);
        assert_eq!(flaws(secret.clone(), now), [""; 0]);
        let other = whole(now).data.unwrap();
        let large = vec![b'x'; LARGEST + 1];
        let unusable = |why| vec![format!("tls.crt and tls.key cannot be used ({why})")];
        let of = |words: &str| vec![words.to_owned()];
        let cases = [
            ("tls.key", Some(&b"-----BEGIN hidden"[..]), unusable("there is no key in PEM")),
            ("tls.key", None, of("tls.key is missing")),
            ("tls.key", Some(&other["tls.key"].0), unusable("the key is not that of the certificate")),
            ("tls.crt", Some(b"hidden"), unusable("there is no certificate")),
            ("tls.crt", Some(&[0xff]), unusable("it is no text")),
            ("ca.key", Some(b"hidden"), of("ca.key holds no key of a CA in ca.crt")),
            ("ca.key", Some(&other["ca.key"].0), of("ca.key holds no key of a CA in ca.crt")),
            ("ca.key", Some(&large), of("ca.key is larger than 65536 bytes")),
        ];
        for (key, value, expected) in cases {
            let mut spoilt = secret.clone();
            let data = spoilt.data.as_mut().unwrap();
            data.remove(key);
            data.extend(value.map(|value| (key.to_owned(), ByteString(value.to_vec()))));
            assert_eq!(flaws(spoilt, now), expected, "{key}");
        }
        let mut spoilt = secret.clone();
        spoilt.data.as_mut().unwrap().insert("ca.crt".to_owned(), other["ca.crt"].clone());
        let expected = ["ca.key holds no key of a CA in ca.crt", "tls.crt is not for our name, or by no CA of ca.crt"];
        assert_eq!(flaws(spoilt, now), expected);
        assert_eq!(Stored::of(secret).examine("pratique.other.svc", now), [expected[1]]);
    }

    #[test]
    fn no_key_is_printed_for_debugging() {
        let stored = Stored::of(whole(Timestamp::now()));
        let printed = format!("{:?}", stored.state);
        assert!(printed.starts_with("State { authorities: [Authority { name: \"Pratique CA "), "{printed}");
        for secret in [stored.state.leaf.as_ref().unwrap().key_pem(), &stored.state.authorities[0].key_pem().unwrap()] {
            assert!(secret.lines().all(|line| !printed.contains(line)), "{printed}");
        }
    }
}
