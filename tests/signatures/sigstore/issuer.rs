//! Stands in for OIDC issuers: whoever asks here has a token for any identity. Two of them, of the kinds that Fulcio
//! tells apart: one of e-mail addresses, one of GitHub's workflows.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::key::{Key, hex};
use super::service::{Answer, Request, serve};

const AUDIENCE: &str = "sigstore";
const SECONDS: i64 = 600;

pub(crate) struct Issuers {
    url: String,
    key: Arc<Key>,
}

impl Issuers {
    pub(super) fn new() -> Self {
        let key = Arc::new(Key::new());
        let served = Arc::clone(&key);
        let url = serve(|url| {
            let url = url.to_owned();
            move |request: &Request| {
                answer(&url, &served, &request.path).map(|json| Answer { status: 200, tag: String::new(), json })
            }
        });
        Self { url, key }
    }

    pub(crate) fn mail(&self) -> String {
        format!("{}/mail", self.url)
    }

    pub(crate) fn workflows(&self) -> String {
        format!("{}/workflows", self.url)
    }

    /// Fulcio's settings.
    pub(super) fn settings(&self) -> String {
        let entry = |url: &str, kind: &str| {
            format!("  {url}:\n    issuer-url: {url}\n    client-id: {AUDIENCE}\n    type: {kind}\n")
        };
        format!("oidc-issuers:\n{}{}", entry(&self.mail(), "email"), entry(&self.workflows(), "github-workflow"))
    }

    /// A token for an e-mail address.
    pub(crate) fn mail_token(&self, address: &str) -> String {
        self.token(json!({"iss": self.mail(), "sub": address, "email": address, "email_verified": true}))
    }

    /// A token for a workflow of a repository (`acme/shop`), run for a tag; GitHub's claims.
    pub(crate) fn workflow_token(&self, repository: &str, tag: &str) -> String {
        let owner = repository.split('/').next().unwrap_or_default();
        let reference = format!("refs/tags/{tag}");
        let workflow = format!("{repository}/.github/workflows/release.yaml@{reference}");
        let commit = hex(&[0xa7; 20]);
        self.token(json!({
            "iss": self.workflows(), "sub": format!("repo:{repository}:ref:{reference}"),
            "job_workflow_ref": workflow, "workflow_ref": workflow, "job_workflow_sha": commit, "workflow_sha": commit,
            "sha": commit, "event_name": "push", "repository": repository, "workflow": "release", "ref": reference,
            "runner_environment": "github-hosted", "repository_id": "1", "repository_owner": owner,
            "repository_owner_id": "2", "repository_visibility": "public", "run_id": "3", "run_attempt": "1",
        }))
    }

    fn token(&self, mut claims: Value) -> String {
        let now = Timestamp::now().as_second();
        for (name, value) in [("aud", json!(AUDIENCE)), ("iat", json!(now)), ("exp", json!(now + SECONDS))] {
            claims[name] = value;
        }
        let head = json!({"typ": "JWT", "alg": "ES256", "kid": "one"});
        let signed = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = fixed(&self.key.sign(signed.as_bytes()));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn answer(url: &str, key: &Key, path: &str) -> Option<Value> {
    let (issuer, rest) = path.trim_start_matches('/').split_once('/')?;
    let issuer = format!("{url}/{issuer}");
    match rest {
        ".well-known/openid-configuration" => Some(json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/keys"), "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"), "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        })),
        "keys" => {
            let (x, y) = key.point();
            let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
            let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one", "x": x, "y": y});
            Some(json!({"keys": [key]}))
        }
        _ => None,
    }
}

/// Two numbers of 32 bytes each, as a JWT has them, of an ECDSA signature in DER.
fn fixed(der: &[u8]) -> Vec<u8> {
    let first = usize::from(der[3]);
    let (r, s) = (&der[4..4 + first], &der[6 + first..]);
    let number = |bytes: &[u8]| {
        let digits = &bytes[bytes.iter().take_while(|&&byte| byte == 0).count()..];
        [vec![0; 32 - digits.len()], digits.to_vec()].concat()
    };
    [number(r), number(s)].concat()
}
