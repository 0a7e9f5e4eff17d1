//! Who gets past the handshake when callers need a certificate.

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use super::certificates::Folder;
use super::*;

struct Ca {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "callers");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    fn sign(&self, common: &str, dns: &[&str], usage: ExtendedKeyUsagePurpose) -> Arc<CertifiedKey> {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Arc::new(CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider).unwrap())
    }
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Whether a review of this caller is answered.
async fn answered(served: &Served, protocol: Protocol, certificate: Option<&Arc<CertifiedKey>>) -> bool {
    let caller = Caller { certificate: certificate.cloned(), ..served.caller(protocol) };
    // With TLS 1.3 the refusal comes after the caller's side of the handshake.
    match caller.connect().await {
        Ok(mut session) => session.post("12345").await.is_ok_and(|answer| answer.status == 200),
        Err(_) => false,
    }
}

#[tokio::test]
async fn only_callers_of_the_ca_and_of_a_name_on_the_list_are_answered() {
    let (folder, ca, other) = (Folder::new(), Ca::new(), Ca::new());
    std::fs::write(folder.path("ca.crt"), &ca.pem).unwrap();
    let names = named(&["kube-apiserver", "api.example"]);
    let client = Arc::new(ClientAuthentication::from_file(&folder.path("ca.crt"), names).unwrap());
    let (identity, bundle) = Identity::self_made(&[]).unwrap();
    let served = Served::start_as(Arc::new(identity), bundle.pem(), Some(client), &quick()).await;

    let usage = ExtendedKeyUsagePurpose::ClientAuth;
    let by_common_name = ca.sign("kube-apiserver", &[], usage.clone());
    let by_dns_name = ca.sign("anybody", &["other.example", "api.example"], usage.clone());
    for protocol in PROTOCOLS {
        assert!(answered(&served, protocol, Some(&by_common_name)).await);
        assert!(answered(&served, protocol, Some(&by_dns_name)).await);
        assert!(!answered(&served, protocol, None).await, "without a certificate");
        for (stranger, why) in [
            (ca.sign("somebody", &[], usage.clone()), "another name"),
            (ca.sign("kube-apiserver2", &["api.example.org"], usage.clone()), "a longer name"),
            (ca.sign("Kube-Apiserver", &["x.api.example"], usage.clone()), "capitals, a subdomain"),
            (ca.sign("", &["*.example"], usage.clone()), "a wildcard"),
            (other.sign("kube-apiserver", &["api.example"], usage.clone()), "another CA"),
            (ca.sign("kube-apiserver", &[], ExtendedKeyUsagePurpose::ServerAuth), "a server's certificate"),
        ] {
            assert!(!answered(&served, protocol, Some(&stranger)).await, "{why}");
        }
    }
}

#[tokio::test]
async fn a_new_client_ca_is_taken_over_and_a_broken_one_is_not() {
    let (folder, old, new) = (Folder::new(), Ca::new(), Ca::new());
    let path = folder.path("ca.crt");
    std::fs::write(&path, &old.pem).unwrap();
    let client = Arc::new(ClientAuthentication::from_file(&path, named(&["kube-apiserver"])).unwrap());
    let watching = tokio::spawn(Arc::clone(&client).watch(Duration::from_millis(10)));
    let (identity, bundle) = Identity::self_made(&[]).unwrap();
    let served = Served::start_as(Arc::new(identity), bundle.pem(), Some(Arc::clone(&client)), &quick()).await;
    let by_old = old.sign("kube-apiserver", &[], ExtendedKeyUsagePurpose::ClientAuth);
    let by_new = new.sign("kube-apiserver", &[], ExtendedKeyUsagePurpose::ClientAuth);
    assert!(answered(&served, Protocol::Http1, Some(&by_old)).await);
    assert!(!answered(&served, Protocol::Http1, Some(&by_new)).await);

    std::fs::write(&path, "rubbish").unwrap();
    until(async || client.status() != crate::server::admin::PartStatus::Ready).await;
    assert!(answered(&served, Protocol::Http1, Some(&by_old)).await);

    std::fs::write(&path, &new.pem).unwrap();
    until(async || answered(&served, Protocol::Http1, Some(&by_new)).await).await;
    assert!(!answered(&served, Protocol::Http1, Some(&by_old)).await);
    assert_eq!(client.status(), crate::server::admin::PartStatus::Ready);
    watching.abort();
}

#[test]
fn a_ca_without_names_or_without_certificates_is_an_error() {
    let (folder, ca) = (Folder::new(), Ca::new());
    let path = folder.path("ca.crt");
    std::fs::write(&path, &ca.pem).unwrap();
    ClientAuthentication::from_file(&path, named(&["kube-apiserver"])).unwrap();
    let error = ClientAuthentication::from_file(&path, Vec::new()).unwrap_err();
    assert!(matches!(error, TlsError::NoClientNames), "{error:?}");
    std::fs::write(&path, "").unwrap();
    let error = ClientAuthentication::from_file(&path, named(&["kube-apiserver"])).unwrap_err();
    assert!(matches!(error, TlsError::NoCertificate { .. }), "{error:?}");
}
