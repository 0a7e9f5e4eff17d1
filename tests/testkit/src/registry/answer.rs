//! What an honest registry says.

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;

use super::flow::{Flow, Source};
use super::referrers;
use super::route::Target;
use super::server::{Request, State};
use super::store::digest;

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A whole answer, of which a lie may be made.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Without Content-Length.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn content(status: StatusCode, media_type: &str, body: impl Into<Bytes>) -> Self {
        let answer = Self { status, headers: HeaderMap::new(), body: body.into() };
        answer
            .header(HeaderName::from_static("docker-distribution-api-version"), "registry/2.0")
            .header(CONTENT_TYPE, media_type)
    }

    /// Content that is asked for by its hash.
    pub(super) fn hashed(media_type: &str, body: Bytes) -> Self {
        let digest = digest(&body);
        Self::content(StatusCode::OK, media_type, body).header(CONTENT_DIGEST, &digest)
    }

    /// An error as the specification has it.
    pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let body = json!({"errors": [{"code": code, "message": message}]});
        Self::content(status, "application/json", body.to_string())
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).expect("a test sends a value that can be sent"));
        self
    }

    /// As it is.
    pub(super) fn send(self) -> Response<Flow> {
        let length = self.body.len();
        let body = self.body.clone();
        self.send_as(Some(length.try_into().expect("a length fits")), Source::whole(body))
    }

    /// With another body, and what is said of its length.
    pub(super) fn send_as(self, says: Option<u64>, source: Source) -> Response<Flow> {
        let mut response = Response::new(Flow::new(source));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(says) = says {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(says));
        }
        response
    }
}

/// The answer to a request that may see what it asks for.
pub(super) fn answer(state: &State, request: &Request) -> Answer {
    if let Target::Token = request.target {
        return state.access.token(request);
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        return Answer::error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry is only pulled from");
    }
    let store = state.store();
    let repository = request.target.repository().and_then(|name| store.repository(name));
    match &request.target {
        Target::Ping => Answer::content(StatusCode::OK, "application/json", "{}"),
        Target::Other => Answer::content(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n"),
        Target::Referrers { repository: name, digest } if state.referrers => {
            referrers::list(repository, (name, digest), &request.query, state.page_size)
        }
        Target::Referrers { .. } => Answer::content(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n"),
        Target::Blob { digest, .. } => {
            let blob = repository.and_then(|repository| repository.blob(digest));
            blob.map_or_else(
                || Answer::error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry"),
                |blob| Answer::hashed("application/octet-stream", blob.clone()),
            )
        }
        Target::Manifest { reference, .. } => {
            let Some(repository) = repository else {
                return Answer::error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry");
            };
            let fallback = || (!state.referrers).then(|| referrers::fallback(repository, reference)).flatten();
            match repository.manifest(reference).cloned().or_else(fallback) {
                None => Answer::error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown"),
                Some(manifest) if !accepts(&request.headers, &manifest.media_type) => {
                    let message = "there is one, but the Accept header does not name its media type";
                    Answer::error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
                }
                Some(manifest) => Answer::hashed(&manifest.media_type, manifest.bytes),
            }
        }
        Target::Token => unreachable!("answered above"),
    }
}

/// As docker's registry reads `Accept`: without one, anything goes.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let mut values = headers.get_all(ACCEPT).iter().peekable();
    let named = |value: &HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let mut types = text.split(',').map(|accepted| accepted.split(';').next().unwrap_or_default().trim());
        types.any(|accepted| [media_type, "*/*", "application/*"].contains(&accepted))
    };
    values.peek().is_none() || values.any(named)
}
