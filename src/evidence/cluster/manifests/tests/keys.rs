//! Keys that policies name, read by a reader that takes the frame for the key: what is a key is told elsewhere.

use super::super::keys::Keys;
use super::*;
use crate::evidence::cluster::own_namespace;
use crate::fact::attached::{Fingerprint, PublicKey};
use crate::policy::Action;
use crate::policy::trust::Whom;

const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0Vne/iJpEW1FexH8Gii11eFcqHD2\nGlJ45Bnz9r3JmlTGzO31mGvgql1Fb0DfpokV8poL9bUWrG+N31M86FBEwQ==\n-----END PUBLIC KEY-----\n";

fn framed(pem: &str) -> Result<PublicKey, String> {
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----").ok_or("it is not framed as one")?;
    let mut fingerprint = [0; 32];
    for (index, byte) in body.trim_end().bytes().enumerate() {
        fingerprint[index % 32] ^= byte;
    }
    Ok(PublicKey { fingerprint: Fingerprint(fingerprint), spki: body.trim().as_bytes().into() })
}

impl Folder {
    fn read_in(&self, namespace: &str) -> Result<Manifests, Vec<String>> {
        let keys = Keys::of_namespace(namespace.to_owned(), framed);
        let manifests = read_with(std::slice::from_ref(&self.0), keys);
        manifests.map_err(|mistakes| {
            let folder = format!("{}/", self.0.display());
            mistakes.iter().map(|mistake| mistake.to_string().replace(&folder, "")).collect()
        })
    }
}

/// A policy whose rule is signed by these keys, each in YAML's flow style.
fn signed_by(keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("    - {{{key}}}\n")).collect();
    format!(
        "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: signed}}\nspec:\n  rules:\n  - {{name: all, images: [\"**\"], signatures: {{authorities: [ops]}}}}\n  authorities:\n  - name: ops\n    keys:\n{}",
        keys.concat()
    )
}

fn keys_of(manifests: &Manifests) -> Vec<PublicKey> {
    let Action::Require(demands) = &manifests.policies["signed"].rules[0].action else { panic!("demands") };
    let Whom::Keys(keys) = &demands.signatures.as_ref().unwrap().authorities[0].whom else { panic!("keys") };
    keys.iter().map(|trusted| trusted.key.clone()).collect()
}

/// A Secret as `cosign generate-key-pair k8s://...` makes it, with the private half beside the public one.
fn secret(namespace: &str, map: &str, public: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: cosign, namespace: {namespace}}}\ntype: Opaque\n{map}:\n  cosign.key: aHVudGVyMg==\n  cosign.pub: {public}\n"
    )
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

const IN_SECRET: &str = "secretRef: {name: cosign, key: cosign.pub}";

#[test]
fn a_key_comes_from_a_file_beside_the_policy_and_the_file_is_to_be_watched() {
    let folder = Folder::new("key-file").with("ops.pub", PEM).with("policy.yaml", &signed_by(&["file: ops.pub"]));
    let manifests = folder.read_in("pratique-system").unwrap();
    assert_eq!(keys_of(&manifests), [framed(PEM).unwrap()]);
    assert_eq!(manifests.key_files, [folder.0.join("ops.pub")]);
    assert_eq!((manifests.objects, manifests.warnings.len()), (1, 0));
}

#[test]
fn a_key_comes_from_a_secret_of_our_namespace_in_whatever_order_the_files_are_read() {
    let plain = format!("{PEM:?}");
    for (policy, file) in [("a.yaml", "b.yaml"), ("b.yaml", "a.yaml")] {
        for text in [secret("ours", "data", &base64(PEM)), secret("ours", "stringData", &plain)] {
            let folder = Folder::new("key-secret").with(policy, &signed_by(&[IN_SECRET])).with(file, &text);
            let manifests = folder.read_in("ours").unwrap();
            assert_eq!(keys_of(&manifests), [framed(PEM).unwrap()]);
            assert_eq!((manifests.objects, manifests.key_files.len()), (2, 0));
            assert!(!format!("{manifests:?}").contains("hunter2") && !format!("{manifests:?}").contains("aHVudGVyMg"));
        }
    }
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        secret("ours", "data", &base64(PEM)).trim_end().replace('\n', "\n  ")
    );
    let folder = Folder::new("key-list").with("a.yaml", &signed_by(&[IN_SECRET])).with("b.yaml", &list);
    assert_eq!(keys_of(&folder.read_in("ours").unwrap()), [framed(PEM).unwrap()]);
}

#[test]
fn a_secret_of_another_namespace_is_never_looked_into() {
    let folder = Folder::new("key-other")
        .with("a.yaml", &signed_by(&[IN_SECRET]))
        .with("b.yaml", &secret("shop", "data", &base64(PEM)));
    assert_eq!(
        folder.read_in("pratique-system").unwrap_err(),
        ["a.yaml:10: spec.authorities[0].keys[0].secretRef.name: gives no public key: the manifests have no Secret \
             `cosign` in our namespace, `pratique-system` (the variable POD_NAMESPACE says which it is)"]
    );
    assert!(folder.read_in("shop").is_ok());
    assert_eq!(own_namespace(), "pratique-system");
}

#[test]
fn what_a_secret_has_wrong_is_told_without_any_of_it() {
    let framed_private =
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nhunter2\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
    for (text, why) in [
        (
            secret("ours", "data", &base64(PEM)).replace("cosign.pub", "other"),
            "Secret `cosign` has no key `cosign.pub`",
        ),
        (secret("ours", "data", "hunter2!"), "`cosign.pub` is no base64"),
        (secret("ours", "data", "/w=="), "`cosign.pub` is no text in base64"),
        (secret("ours", "stringData", "7"), "`cosign.pub` is no text"),
        (secret("ours", "data", "null"), "Secret `cosign` has no key `cosign.pub`"),
        (secret("ours", "data", &base64("hunter2")), "it is not framed as one"),
        (
            secret("ours", "data", &base64(framed_private)),
            "a private key stands there: replace that key pair, and write only the public key",
        ),
    ] {
        let folder = Folder::new("key-wrong").with("a.yaml", &signed_by(&[IN_SECRET])).with("b.yaml", &text);
        let mistakes = folder.read_in("ours").unwrap_err();
        let place = "a.yaml:10: spec.authorities[0].keys[0].secretRef.name: gives no public key: ";
        assert_eq!(mistakes, [format!("{place}{why}")]);
        assert!(!mistakes.concat().contains("hunter2"));
    }
}

#[test]
fn what_a_key_file_has_wrong_is_told_with_its_path() {
    let mistakes = |folder: Folder, file: &str| {
        let policy = signed_by(&[&format!("file: {file}")]);
        let folder = folder.with("policy.yaml", &policy);
        let told = folder.read_in("ours").unwrap_err();
        let [told] = told.as_slice() else { panic!("{told:?}") };
        let place = "policy.yaml:10: spec.authorities[0].keys[0].file: gives no public key: ";
        told.strip_prefix(place).unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    let gone = mistakes(Folder::new("k1"), "gone.pub");
    assert!(gone.starts_with('`') && gone.contains("cannot be read: No such file"), "{gone}");
    let folder = mistakes(Folder::new("k2"), ".");
    assert!(folder.ends_with("is no file"), "{folder}");
    let long = mistakes(Folder::new("k3").with("long.pub", &"x".repeat((64 << 10) + 1)), "long.pub");
    assert!(long.ends_with("has more than 65536 bytes, and no more are read: split it"), "{long}");
    let private = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
    let private = mistakes(Folder::new("k4").with("ops.key", private), "ops.key");
    assert_eq!(private, "a private key stands there: replace that key pair, and write only the public key");
}

#[test]
fn the_same_secret_twice_is_a_mistake_that_names_the_first() {
    let text = secret("ours", "data", &base64(PEM));
    let folder = Folder::new("key-twice").with("a.yaml", &text).with("b.yaml", &text);
    let mistakes = folder.read_in("ours").unwrap_err();
    assert_eq!(mistakes, ["b.yaml:1: metadata.name: Secret ours/cosign is there already, in a.yaml: keep one"]);
    // Those of others are none of our business.
    assert!(folder.read_in("pratique-system").is_ok());
}

#[test]
fn mistakes_are_told_in_the_order_of_the_files_whatever_is_read_first() {
    let folder = Folder::new("key-order")
        .with("a.yaml", &signed_by(&["file: gone.pub"]))
        .with("b.yaml", "metadata: {}")
        .with("c.yaml", &signed_by(&["file: gone.pub"]));
    let files: Vec<String> =
        folder.read_in("ours").unwrap_err().iter().map(|told| told.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(files, ["a.yaml", "b.yaml", "c.yaml"]);
}

#[test]
fn the_trusted_roots_of_all_policies_are_told_with_their_places() {
    let keyless = signed_by(&[]).replace("    keys:\n", "    trust: private\n    keyless: {issuer: i, subject: s}\n");
    let folder = Folder::new("key-roots").with("a.yaml", &keyless);
    let [(root, unknown)] = &*folder.read_in("ours").unwrap().roots else { panic!("one root") };
    assert_eq!(&**root, "private");
    let words = "a.yaml:9: spec.authorities[0].trust: the settings have no trusted root `private`: add it to `trust`";
    assert!(unknown.to_string().ends_with(words), "{unknown}");
}
