//! The operator's listener: `/healthz`, `/readyz`, `/metrics`, in the clear.
//!
//! `/readyz` says of every part what it is in, so that nobody has to guess which one keeps a Pod out of its Service. It
//! shows states and reasons, never what is judged. GET alone, and no body is read.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use prometheus::{Encoder, Registry, TextEncoder};

use crate::server::Drain;
use crate::server::guard::{guard, text};

use readiness::Readiness;

mod readiness;

/// How one part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartStatus {
    Ready,
    /// It works, and somebody should look: for example the last good policies are kept because the new ones are broken.
    Degraded(String),
    /// No review may be sent here.
    NotReady(String),
}

/// One part of the program that can be in the way of readiness.
pub struct Part {
    pub name: &'static str,
    pub status: Box<dyn Fn() -> PartStatus + Send + Sync>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("name", &self.name).field("status", &(self.status)()).finish()
    }
}

/// Brings metrics up to date that are only worth computing when somebody looks.
pub type Refresh = Box<dyn Fn() + Send + Sync>;

/// The router of the admin listener, with metrics of how ready we are. `drain` is that of the webhook's listener.
pub fn router(
    parts: Vec<Part>,
    registry: Registry,
    mut refresh: Vec<Refresh>,
    drain: Drain,
) -> Result<Router, prometheus::Error> {
    let readiness = Arc::new(Readiness::register(parts, drain.clone(), &registry)?);
    let counted = Arc::clone(&readiness);
    refresh.push(Box::new(move || counted.count()));
    let refresh: Arc<[Refresh]> = refresh.into();
    let readyz = move || {
        let readiness = Arc::clone(&readiness);
        async move { readiness.answer() }
    };
    let metrics = move || {
        let (registry, refresh) = (registry.clone(), Arc::clone(&refresh));
        async move { exposition(&registry, &refresh) }
    };
    let router = Router::new()
        .route("/healthz", any(|| async { text(StatusCode::OK, "ok") }))
        .route("/readyz", any(readyz))
        .route("/metrics", any(metrics))
        .fallback(|| async { text(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics here") })
        .layer(from_fn(get_only))
        .layer(from_fn_with_state(drain, guard));
    Ok(router)
}

async fn get_only(request: Request, next: Next) -> Response {
    if request.method() == Method::GET {
        return next.run(request).await;
    }
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    response
}

fn exposition(registry: &Registry, refresh: &[Refresh]) -> Response {
    for hook in refresh {
        hook();
    }
    let encoder = TextEncoder::new();
    let mut exposition = Vec::new();
    match encoder.encode(&registry.gather(), &mut exposition) {
        Ok(()) => {
            let format = HeaderValue::from_str(encoder.format_type());
            let format = format.unwrap_or(HeaderValue::from_static("text/plain"));
            ([(CONTENT_TYPE, format)], exposition).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("metrics cannot be encoded: {error}"))
        }
    }
}
