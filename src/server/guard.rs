//! Around every handler: a panic becomes a 500, and a server on its way out says so.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::server::Drain;

/// The middleware of both routers.
pub(super) async fn guard(State(drain): State<Drain>, request: Request, next: Next) -> Response {
    let version = request.version();
    let mut response = match unpanicked(next.run(request)).await {
        Ok(response) => response,
        Err(panic) => {
            tracing::error!(%panic, "a request ended in a panic and was answered with 500; please report it as a bug");
            text(StatusCode::INTERNAL_SERVER_ERROR, "this request met a bug in pratique; its log has the details")
        }
    };
    // After 408 and 413 the rest of the body is still on its way. HTTP/2 has GOAWAY instead and forbids the header.
    let unread = matches!(response.status(), StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE);
    if version <= Version::HTTP_11 && (unread || drain.started()) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A sentence for the person who reads the caller's log.
pub(super) fn text(status: StatusCode, sentence: impl Into<String>) -> Response {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    (status, [(CONTENT_TYPE, plain)], sentence.into() + "\n").into_response()
}

/// The output of `future`, or what it panicked with.
async fn unpanicked<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        // The future is not polled again after a panic, so nothing sees what the panic left half done.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(words(panic.as_ref()))),
        }
    })
    .await
}

fn words(panic: &(dyn Any + Send)) -> String {
    if let Some(words) = panic.downcast_ref::<&str>() {
        (*words).to_owned()
    } else if let Some(words) = panic.downcast_ref::<String>() {
        words.clone()
    } else {
        "a panic without words".to_owned()
    }
}
