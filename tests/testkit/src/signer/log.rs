//! A Rekor v1 of our own: entries with a promise (SET) and a proof of inclusion under a signed checkpoint.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Wrong;
use super::key::{Key, KeyKind, hex, sha256};

/// Entries in its tree.
const LEAVES: usize = 7;

/// Where in the tree every entry stands.
const PLACE: usize = 4;

/// How many entries of earlier trees are counted before.
const EARLIER: usize = 1000;

/// Where checkpoints say they come from.
const ORIGIN: &str = "rekor.test";

/// The log's key.
pub(super) struct Log(Key);

/// An entry as bundles and annotations want it.
pub(super) struct Entry {
    kind: &'static str,
    body: Vec<u8>,
    time: i64,
    log_id: [u8; 32],
    /// Of the promise, base64.
    promise: Option<String>,
    proof: Option<Value>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self(Key::generate(KeyKind::P256))
    }

    pub(super) fn spki(&self) -> Vec<u8> {
        self.0.spki()
    }

    /// Puts a body into the log, all right but for what is wrong.
    pub(super) fn enter(&self, kind: &'static str, body: Vec<u8>, time: Timestamp, wrong: Option<Wrong>) -> Entry {
        let other = Self::new();
        let signs = |this: Wrong| if wrong == Some(this) { &other } else { self };
        let seconds = time.as_second();
        let log_id = sha256(&signs(Wrong::OtherLog).spki());
        let promised = format!(
            r#"{{"body":"{}","integratedTime":{seconds},"logID":"{}","logIndex":{}}}"#,
            BASE64_STANDARD.encode(&body),
            hex(&log_id),
            EARLIER + PLACE,
        );
        let promise = if wrong == Some(Wrong::OtherLog) { &other } else { signs(Wrong::PromiseOfOtherKey) };
        let promise =
            (wrong != Some(Wrong::NoPromise)).then(|| BASE64_STANDARD.encode(promise.0.sign(promised.as_bytes())));
        let checkpoint = if wrong == Some(Wrong::OtherLog) { &other } else { signs(Wrong::CheckpointOfOtherKey) };
        let proof = (wrong != Some(Wrong::NoProof)).then(|| checkpoint.prove(&body, self, wrong));
        // The promise covers the time, so that another one beside it is a lie.
        let moved = if wrong == Some(Wrong::TimeChanged) { SignedDuration::from_secs(1) } else { SignedDuration::ZERO };
        Entry { kind, body, time: (time + moved).as_second(), log_id, promise, proof }
    }

    /// In a tree that holds this entry; the hint in the checkpoint is `hinted`'s.
    fn prove(&self, body: &[u8], hinted: &Self, wrong: Option<Wrong>) -> Value {
        let leaf = |at: usize| {
            if at == PLACE { leaf_hash(body) } else { leaf_hash(format!("entry {at}").as_bytes()) }
        };
        let leaves: Vec<[u8; 32]> = (0..LEAVES).map(leaf).collect();
        let (root, mut path) = root_and_path(&leaves, PLACE);
        if wrong == Some(Wrong::ProofInvalid) {
            path[0][0] ^= 1;
        }
        let note = format!("{ORIGIN} - 1\n{LEAVES}\n{}\n", BASE64_STANDARD.encode(root));
        let hinted = if wrong == Some(Wrong::OtherLog) { self } else { hinted };
        let mut signature = sha256(&hinted.spki())[..4].to_vec();
        signature.extend(self.0.sign(note.as_bytes()));
        let checkpoint = format!("{note}\n\u{2014} {ORIGIN} {}\n", BASE64_STANDARD.encode(signature));
        json!({
            "logIndex": PLACE.to_string(),
            "treeSize": LEAVES.to_string(),
            "rootHash": BASE64_STANDARD.encode(root),
            "hashes": path.iter().map(|hash| BASE64_STANDARD.encode(hash)).collect::<Vec<_>>(),
            "checkpoint": {"envelope": checkpoint},
        })
    }
}

impl Entry {
    /// In `tlogEntries` of a bundle.
    pub(super) fn in_bundle(&self) -> Value {
        let mut entry = json!({
            "logIndex": (EARLIER + PLACE).to_string(),
            "logId": {"keyId": BASE64_STANDARD.encode(self.log_id)},
            "kindVersion": {"kind": self.kind, "version": "0.0.1"},
            "integratedTime": self.time.to_string(),
            "canonicalizedBody": BASE64_STANDARD.encode(&self.body),
        });
        if let Some(promise) = &self.promise {
            entry["inclusionPromise"] = json!({"signedEntryTimestamp": promise});
        }
        if let Some(proof) = &self.proof {
            entry["inclusionProof"] = proof.clone();
        }
        entry
    }

    /// In the annotation `dev.sigstore.cosign/bundle`.
    pub(super) fn in_annotation(&self) -> String {
        json!({
            "SignedEntryTimestamp": self.promise.clone().unwrap_or_default(),
            "Payload": {
                "body": BASE64_STANDARD.encode(&self.body),
                "integratedTime": self.time,
                "logIndex": EARLIER + PLACE,
                "logID": hex(&self.log_id),
            },
        })
        .to_string()
    }
}

/// The body of a `hashedrekord`; `verifier` is a PEM.
pub(super) fn hashed_record(signed: &[u8], signature: &[u8], verifier: &str) -> Vec<u8> {
    let data = json!({"hash": {"algorithm": "sha256", "value": hex(&sha256(signed))}});
    let signature = json!({
        "content": BASE64_STANDARD.encode(signature),
        "publicKey": {"content": BASE64_STANDARD.encode(verifier)},
    });
    let spec = json!({"data": data, "signature": signature});
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}).to_string().into_bytes()
}

/// The body of a `dsse` entry.
pub(super) fn envelope_record(envelope: &[u8], payload: &[u8], signature: &[u8], verifier: &str) -> Vec<u8> {
    let spec = json!({
        "envelopeHash": {"algorithm": "sha256", "value": hex(&sha256(envelope))},
        "payloadHash": {"algorithm": "sha256", "value": hex(&sha256(payload))},
        "signatures": [{
            "signature": BASE64_STANDARD.encode(signature),
            "verifier": BASE64_STANDARD.encode(verifier),
        }],
    });
    json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}).to_string().into_bytes()
}

fn leaf_hash(body: &[u8]) -> [u8; 32] {
    sha256(&[&[0], body].concat())
}

/// RFC 6962, section 2.1: the hash of the tree, and the path from a leaf up to it.
fn root_and_path(leaves: &[[u8; 32]], place: usize) -> ([u8; 32], Vec<[u8; 32]>) {
    if let [leaf] = leaves {
        return (*leaf, Vec::new());
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let inside_left = place < left.len();
    let (left_root, left_path) = root_and_path(left, place);
    let (right_root, right_path) = root_and_path(right, place.saturating_sub(left.len()));
    let mut path = if inside_left { left_path } else { right_path };
    path.push(if inside_left { right_root } else { left_root });
    (sha256(&[&[1], &left_root[..], &right_root[..]].concat()), path)
}
