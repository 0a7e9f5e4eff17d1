//! A TUF repository on loopback, signed with a throw-away key that holds every role.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sigstore_tuf::canonical_json::to_canonical_bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const LATER: &str = "2999-01-01T00:00:00Z";

type Files = Arc<Mutex<HashMap<String, (u16, Vec<u8>)>>>;

/// What it serves may be changed while it does.
pub(super) struct TufRepository {
    key: Ed25519KeyPair,
    files: Files,
    asked: Arc<Mutex<Vec<String>>>,
    pub(super) url: String,
    task: tokio::task::JoinHandle<()>,
}

impl TufRepository {
    /// Empty so far.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tuf", listener.local_addr().unwrap());
        let (files, asked) = (Files::default(), Arc::<Mutex<Vec<String>>>::default());
        let (served, seen) = (Arc::clone(&files), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    request.push(byte);
                }
                let request = String::from_utf8(request).unwrap();
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, body) = served.lock().unwrap().get(&path).cloned().unwrap_or((404, Vec::new()));
                seen.lock().unwrap().push(path);
                let head =
                    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                // Who stops reading in the middle has heard enough.
                let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
            }
        });
        Self { key: Ed25519KeyPair::generate().unwrap(), files, asked, url, task }
    }

    /// The `root.json` to begin with.
    pub(super) fn root(&self) -> String {
        let public = hex(self.key.public_key().as_ref());
        let key = json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}});
        let role = json!({"keyids": ["one"], "threshold": 1});
        let signed = self.signed(&json!({
            "_type": "root", "spec_version": "1.0.31", "version": 1, "expires": LATER, "consistent_snapshot": false,
            "keys": {"one": key},
            "roles": {"root": role, "timestamp": role, "snapshot": role, "targets": role},
        }));
        String::from_utf8(signed).unwrap()
    }

    /// Serves this `trusted_root.json` under this version of all metadata.
    pub(super) fn publish(&self, version: u64, trusted_root: &str) {
        self.publish_until(version, trusted_root, LATER);
    }

    pub(super) fn publish_until(&self, version: u64, trusted_root: &str, expires: &str) {
        let hash = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, trusted_root.as_bytes()).as_ref());
        let target = json!({"length": trusted_root.len(), "hashes": {"sha256": hash}});
        let of = |r#type: &str, rest: (&str, Value)| {
            let mut signed = json!({"_type": r#type, "spec_version": "1.0.31", "version": version, "expires": expires});
            signed[rest.0] = rest.1;
            self.signed(&signed)
        };
        self.put("targets.json", of("targets", ("targets", json!({"trusted_root.json": target}))));
        self.put("snapshot.json", of("snapshot", ("meta", json!({"targets.json": {"version": version}}))));
        self.put("timestamp.json", of("timestamp", ("meta", json!({"snapshot.json": {"version": version}}))));
        self.put("targets/trusted_root.json", trusted_root.as_bytes().to_vec());
    }

    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) {
        self.put_status(name, 200, bytes);
    }

    pub(super) fn put_status(&self, name: &str, status: u16, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(format!("/tuf/{name}"), (status, bytes));
    }

    /// What is served under this name.
    pub(super) fn file(&self, name: &str) -> Vec<u8> {
        self.files.lock().unwrap()[&format!("/tuf/{name}")].1.clone()
    }

    /// Paths so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Nobody listens any more.
    pub(super) async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    fn signed(&self, signed: &Value) -> Vec<u8> {
        let signature = self.key.sign(&to_canonical_bytes(signed).unwrap());
        let signatures = json!([{"keyid": "one", "sig": hex(signature.as_ref())}]);
        json!({"signed": signed, "signatures": signatures}).to_string().into_bytes()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
