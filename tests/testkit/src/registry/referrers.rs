//! What refers to a manifest: the referrers API, or the tag that stands in for it where a registry has none.
//!
//! OCI distribution specification 1.1, "Listing Referrers" and "Referrers Tag Schema".

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderName, LINK};
use serde_json::{Value, json};

use super::answer::Answer;
use super::image::OCI_INDEX;
use super::route::value;
use super::store::{Manifest, Repository, digest};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// A page of the list. An unknown subject has an empty one, as the specification has it.
pub(super) fn list(
    repository: Option<&Repository>,
    (name, subject): (&str, &str),
    query: &[(String, String)],
    page_size: Option<usize>,
) -> Answer {
    let all = repository.map_or(&[][..], |repository| repository.referrers(subject));
    let artifact_type = value(query, "artifactType");
    let wanted = |descriptor: &&Value| artifact_type.is_none_or(|wanted| descriptor["artifactType"] == wanted);
    let found: Vec<&Value> = all.iter().filter(wanted).collect();
    let from = value(query, "from").and_then(|from| from.parse().ok()).unwrap_or(0).min(found.len());
    let to = page_size.map_or(found.len(), |size| found.len().min(from + size));
    let mut answer = Answer::content(StatusCode::OK, OCI_INDEX, index(&found[from..to]));
    if artifact_type.is_some() {
        answer = answer.header(FILTERS_APPLIED, "artifactType");
    }
    if to < found.len() {
        let filter = artifact_type.map_or(String::new(), |wanted| format!("artifactType={}&", escape(wanted)));
        answer = answer.header(LINK, &format!("</v2/{name}/referrers/{subject}?{filter}from={to}>; rel=\"next\""));
    }
    answer
}

/// The index behind the tag `sha256-<hex>`, or behind its own digest, where the subject has referrers.
pub(super) fn fallback(repository: &Repository, reference: &str) -> Option<Manifest> {
    let list = |subject: &str| {
        let found: Vec<&Value> = repository.referrers(subject).iter().collect();
        let manifest = Manifest { media_type: OCI_INDEX.to_owned(), bytes: index(&found) };
        (!found.is_empty()).then_some(manifest)
    };
    if let Some(hex) = reference.strip_prefix("sha256-") {
        return list(&format!("sha256:{hex}"));
    }
    repository.subjects().filter_map(|subject| list(subject)).find(|manifest| digest(&manifest.bytes) == reference)
}

fn index(manifests: &[&Value]) -> Bytes {
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
    Bytes::from(index.to_string())
}

/// For a value in a query.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
