//! Our own certificate: files that change, files that are no good, and the one we make.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::*;
use crate::server::admin::PartStatus;

const NAME: &str = "pratique.pratique-system.svc";
const NOON: &str = "2020-01-01T12:00:00Z";

/// A folder that goes away with the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pratique-server-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// As the kubelet writes a Secret: a new folder, and `..data` swapped to it in one step.
    fn publish(&self, version: &str, files: &[(&str, &str)]) {
        fs::create_dir(self.path(version)).unwrap();
        for (name, contents) in files {
            fs::write(self.path(version).join(name), contents).unwrap();
            if !self.path(name).is_symlink() {
                symlink(Path::new("..data").join(name), self.path(name)).unwrap();
            }
        }
        symlink(version, self.path("..data_tmp")).unwrap();
        fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A self-signed certificate and its key in PEM.
fn pair(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    change(&mut params);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_leaves_old_ones_alone() {
    let folder = Folder::new();
    let (old, old_key) = pair(|_| {});
    folder.publish("..1", &[("tls.crt", &old), ("tls.key", &old_key)]);
    let identity = Arc::new(Identity::from_files(&folder.path("tls.crt"), &folder.path("tls.key")).unwrap());
    let watching = tokio::spawn(Arc::clone(&identity).watch(Duration::from_millis(10)));
    let served = Served::start_as(Arc::clone(&identity), &old, None, &quick()).await;
    let mut before = served.connect(Protocol::Http1).await;
    assert_eq!(before.certificate, der(&old));

    // Not usable: the key of another certificate. The old one stays, and the status says why.
    let (new, new_key) = pair(|_| {});
    folder.publish("..2", &[("tls.crt", &new), ("tls.key", &old_key)]);
    let degraded =
        |words: &str| matches!(identity.status(Timestamp::now()), PartStatus::Degraded(why) if why.contains(words));
    until(async || degraded("is not that of the certificate")).await;
    assert_eq!(served.connect(Protocol::Http1).await.certificate, der(&old));

    folder.publish("..3", &[("tls.crt", "rubbish"), ("tls.key", &new_key)]);
    until(async || degraded("holds no PEM certificate")).await;
    fs::remove_file(folder.path("..data")).unwrap();
    until(async || degraded("cannot be read")).await;
    assert_eq!(served.connect(Protocol::Http1).await.certificate, der(&old));

    folder.publish("..4", &[("tls.crt", &new), ("tls.key", &new_key)]);
    until(async || identity.status(Timestamp::now()) == PartStatus::Ready).await;
    let caller = Caller { authority: new.clone(), ..served.caller(Protocol::Http2) };
    assert_eq!(caller.connect().await.unwrap().certificate, der(&new));
    assert_eq!(before.post("12345").await.unwrap().status, 200);
    watching.abort();
}

#[tokio::test]
async fn files_that_cannot_serve_are_refused_with_what_to_do() {
    let folder = Folder::new();
    let (certificate, key) = pair(|_| {});
    let (_, other_key) = pair(|_| {});
    let noon: Timestamp = NOON.parse().unwrap();
    let (expired, expired_key) = pair(|params| params.not_after = std::time::SystemTime::from(noon).into());
    let (future, future_key) = pair(|params| params.not_before = rcgen::date_time_ymd(3000, 1, 1));
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let old_encrypted = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
    let cut = certificate.replace("-----END CERTIFICATE-----\n", "");
    let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let hollow_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let large = "x".repeat((1 << 20) + 1);

    let load = |crt: &str, key: &str| {
        fs::write(folder.path("tls.crt"), crt).unwrap();
        fs::write(folder.path("tls.key"), key).unwrap();
        Identity::from_files(&folder.path("tls.crt"), &folder.path("tls.key"))
    };
    load(&certificate, &key).unwrap();
    macro_rules! refused {
        ($crt:expr, $key:expr, $error:pat, $file:expr) => {
            let error = load($crt, $key).unwrap_err();
            assert!(matches!(error, $error), "{error:?}");
            assert!(error.to_string().contains($file), "{error}");
        };
    }
    refused!(&certificate, &other_key, TlsError::Mismatch { .. }, "tls.key");
    refused!(&certificate, &encrypted, TlsError::EncryptedKey { .. }, "tls.key");
    refused!(&certificate, old_encrypted, TlsError::EncryptedKey { .. }, "tls.key");
    refused!(&certificate, "", TlsError::NoKey { .. }, "tls.key");
    refused!(&certificate, &certificate, TlsError::NoKey { .. }, "tls.key");
    refused!(&certificate, hollow_key, TlsError::BrokenKey { .. }, "tls.key");
    refused!("", &key, TlsError::NoCertificate { .. }, "tls.crt");
    refused!(&key, &key, TlsError::NoCertificate { .. }, "tls.crt");
    refused!(&cut, &key, TlsError::BrokenCertificate { .. }, "tls.crt");
    refused!(hollow, &key, TlsError::BrokenCertificate { .. }, "tls.crt");
    refused!(&large, &key, TlsError::TooLarge { .. }, "tls.crt");
    refused!(&expired, &expired_key, TlsError::Expired { .. }, "expired at 2020-01-01T12:00:00Z; renew it");
    refused!(&future, &future_key, TlsError::NotYetValid { .. }, "clock");
    fs::remove_file(folder.path("tls.key")).unwrap();
    let error = Identity::from_files(&folder.path("tls.crt"), &folder.path("tls.key")).unwrap_err();
    assert!(matches!(&error, TlsError::Unreadable { path, .. } if path.ends_with("tls.key")), "{error:?}");
}

#[test]
fn the_certificate_that_we_make_is_what_go_expects_of_one() {
    let (identity, bundle) = Identity::self_made(&["pratique.example".to_owned(), "10.0.0.7".to_owned()]).unwrap();
    let authority = der(bundle.pem());
    let (_, authority) = X509Certificate::from_der(&authority).unwrap();
    assert!(authority.is_ca());
    assert!(authority.key_usage().unwrap().unwrap().value.key_cert_sign());

    let leaf = identity.leaf();
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    assert_eq!(leaf.issuer(), authority.subject());
    assert!(!leaf.is_ca());
    assert!(leaf.key_usage().unwrap().unwrap().value.digital_signature());
    assert!(leaf.extended_key_usage().unwrap().unwrap().value.server_auth);
    let names = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.iter();
    let names: Vec<_> =
        names.filter_map(|n| if let GeneralName::DNSName(name) = n { Some(*name) } else { None }).collect();
    let service = "pratique.pratique-system.svc";
    assert_eq!(names, [service, "pratique.pratique-system.svc.cluster.local", "localhost", "pratique.example"]);
    let now = Timestamp::now();
    assert!(leaf.validity().not_before.timestamp() < now.as_second() - 3_000);
    assert!(identity.expiry() > now + SignedDuration::from_hours(364 * 24));
    assert!(identity.expiry() < now + SignedDuration::from_hours(366 * 24));
}

#[test]
fn a_certificate_is_ready_then_degraded_then_not_ready() {
    let (identity, _) = Identity::self_made(&[]).unwrap();
    let at = identity.expiry();
    let before = |hours| identity.status(at - SignedDuration::from_hours(hours));
    assert_eq!(before(8 * 24), PartStatus::Ready);
    assert_eq!(before(6 * 24), PartStatus::Degraded(format!("expires at {at}; restart to make a new one")));
    assert_eq!(before(0), PartStatus::NotReady(format!("expired at {at}; restart to make a new one")));
}

#[test]
fn a_name_that_no_certificate_can_hold_is_an_error() {
    let error = Identity::self_made(&["exämple".to_owned()]).unwrap_err();
    assert!(matches!(error, TlsError::NotMade { .. }), "{error:?}");
}

#[test]
fn the_private_key_is_never_printed() {
    let (identity, bundle) = Identity::self_made(&[]).unwrap();
    let printed = format!("{identity:?} {bundle:?} {}", bundle.pem());
    assert!(!printed.contains("PRIVATE"), "{printed}");
    assert_eq!(format!("{identity:?}"), format!("Identity {{ expiry: {:?}, .. }}", identity.expiry()));
}
