//! Stands in for Rekor v1: every entry is the only one of a tree of its own, with a promise (SET), an inclusion proof
//! and a checkpoint, in the form of its API (`/api/v1/log/entries`).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::key::{Key, hex, sha256};
use super::service::{Answer, Request, serve};

/// The number of the tree, in the name of the log's checkpoints and of its entries.
const TREE: u64 = 1;

pub(super) struct EntryLog {
    pub(super) url: String,
    pub(super) key: Arc<Key>,
}

impl EntryLog {
    pub(super) fn new() -> Self {
        let key = Arc::new(Key::new());
        let served = Arc::clone(&key);
        let url = serve(|url| {
            let name = url.trim_start_matches("http://").to_owned();
            move |request: &Request| {
                let known = request.path == "/api/v1/log/entries";
                known.then(|| entry(&served, &name, &request.body))
            }
        });
        Self { url, key }
    }
}

fn entry(key: &Key, host: &str, proposed: &[u8]) -> Answer {
    let proposed: Value = serde_json::from_slice(proposed).expect("cosign sends JSON");
    let body = canonical(&proposed).to_string();
    let leaf = sha256(&[&[0], body.as_bytes()].concat());
    let body = STANDARD.encode(body);
    let log = hex(&key.identifier());
    let time = Timestamp::now().as_second();
    // serde_json sorts the fields, as RFC 8785 has it.
    let promised = json!({"body": body, "integratedTime": time, "logID": log, "logIndex": 0}).to_string();
    let note = format!("{host} - {TREE}\n1\n{}\n", STANDARD.encode(leaf));
    let signature = [&key.identifier()[..4], &key.sign(note.as_bytes())].concat();
    let checkpoint = format!("{note}\n\u{2014} {host} {}\n", STANDARD.encode(signature));
    let proof = json!({"checkpoint": checkpoint, "hashes": [], "logIndex": 0, "rootHash": hex(&leaf), "treeSize": 1});
    let verification =
        json!({"inclusionProof": proof, "signedEntryTimestamp": STANDARD.encode(key.sign(promised.as_bytes()))});
    let name = format!("{TREE:016x}{}", hex(&leaf));
    let kept = json!({"body": body, "integratedTime": time, "logID": log, "logIndex": 0, "verification": verification});
    Answer { status: 201, json: json!({&name: kept}), tag: name }
}

/// What Rekor keeps of what is proposed.
fn canonical(proposed: &Value) -> Value {
    match proposed["kind"].as_str() {
        Some("dsse") => {
            let content = &proposed["spec"]["proposedContent"];
            let text = content["envelope"].as_str().expect("an envelope is a text");
            let envelope: Value = serde_json::from_str(text).expect("of JSON");
            let payload = STANDARD.decode(envelope["payload"].as_str().expect("with a payload")).expect("in base64");
            let hash = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex(&sha256(bytes))});
            let signature = json!({"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]});
            json!({"apiVersion": proposed["apiVersion"], "kind": "dsse", "spec": {
                "envelopeHash": hash(text.as_bytes()), "payloadHash": hash(&payload), "signatures": [signature]}})
        }
        Some("hashedrekord") => proposed.clone(),
        other => panic!("a log of hashedrekord and dsse is asked to keep {other:?}"),
    }
}
