//! Statuses: which of them say that there is none, which that nobody knows, and which that it is none of ours.

use super::*;

#[tokio::test]
async fn every_status_is_told_as_what_it_is() {
    let mut lies = Vec::new();
    for (code, reason, words) in [
        (403, "image-inaccessible", "HOST answered 403 Forbidden"),
        (404, "image-not-found", "HOST answered 404, it has no tag \"v1\" in acme/web"),
        (408, "registry-unavailable", "HOST answered 408 Request Timeout; try again"),
        (500, "registry-unavailable", "HOST answered 500 Internal Server Error; try again"),
        (502, "registry-unavailable", "HOST answered 502 Bad Gateway; try again"),
        (503, "registry-unavailable", "HOST answered 503 Service Unavailable; try again"),
        (504, "registry-unavailable", "HOST answered 504 Gateway Timeout; try again"),
        (599, "registry-unavailable", "HOST answered 599; try again"),
        (204, "registry-broken", "HOST answered 204 No Content instead of a manifest"),
        (206, "registry-broken", "HOST answered 206 Partial Content instead of a manifest"),
        (300, "registry-broken", "HOST answered 300 Multiple Choices instead of a manifest"),
        (304, "registry-broken", "HOST answered 304 Not Modified instead of a manifest"),
        (400, "registry-broken", "HOST answered 400 Bad Request instead of a manifest"),
        (405, "registry-broken", "HOST answered 405 Method Not Allowed instead of a manifest"),
        (410, "registry-broken", "HOST answered 410 Gone instead of a manifest"),
        (418, "registry-broken", "HOST answered 418 I'm a teapot instead of a manifest"),
        (501, "registry-unavailable", "HOST answered 501 Not Implemented"),
        (999, "registry-broken", "HOST answered 999 instead of a manifest"),
    ] {
        for door in [Open, Private] {
            lies.push(Lie::on(door, Route::Manifest, Behaviour::status(code), (reason, words)).await);
        }
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn a_page_for_people_is_no_manifest_and_says_no_more_than_its_status() {
    let mut lies = Vec::new();
    for (code, reason, words) in [
        (200, "registry-broken", "HOST answered with text/html instead of a manifest; is this a registry?"),
        (403, "image-inaccessible", "HOST answered 403 Forbidden"),
        (404, "image-not-found", "HOST answered 404, it has no tag \"v1\" in acme/web"),
        (502, "registry-unavailable", "HOST answered 502 Bad Gateway; try again"),
    ] {
        for door in [Open, Private] {
            lies.push(Lie::on(door, Route::Manifest, Behaviour::Html(code), (reason, words)).await);
        }
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn an_error_that_repeats_the_credential_is_not_repeated() {
    let mut lies = Vec::new();
    for (status, reason) in [
        (400, "registry-broken"),
        (401, "image-inaccessible"),
        (403, "image-inaccessible"),
        (404, "image-not-found"),
        (500, "registry-unavailable"),
        (200, "registry-broken"),
    ] {
        let echo = Behaviour::EchoAuthorization { status };
        let words = if status == 200 { "HOST sent a manifest".to_owned() } else { format!("HOST answered {status}") };
        lies.push(Lie::on(Private, Route::Manifest, echo.clone(), (reason, &words)).await);
        let words = format!("answered {status}");
        let words = if status == 200 { "sent an answer without a token" } else { &words };
        let reason = if status == 404 { "registry-broken" } else { reason };
        lies.push(Lie::on(Private, Route::Token, echo, (reason, words)).await);
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn an_error_without_end_is_known_by_its_status() {
    // The status comes first, and the body of an error is of no interest.
    let body = vec![b'{'; 3 << 20];
    let mut lies = Vec::new();
    for (code, reason, words) in [
        (404, "image-not-found", "HOST answered 404"),
        (403, "image-inaccessible", "HOST answered 403 Forbidden"),
        (503, "registry-unavailable", "HOST answered 503 Service Unavailable; try again"),
    ] {
        let behaviour = Behaviour::Status { code, headers: Vec::new(), body: body.clone() };
        lies.push(Lie::on(Open, Route::Manifest, behaviour, (reason, words)).await);
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn more_header_than_anybody_needs_is_refused() {
    let words = ("registry-broken", "HOST sent more header than is read");
    let many = (0..150).map(|number| (format!("X-Padding-{number}"), "a".to_owned())).collect();
    let long = vec![("X-Padding".to_owned(), "a".repeat(100 << 10))];
    let mut lies = Vec::new();
    for headers in [many, long] {
        let behaviour = Behaviour::Status { code: 200, headers, body: Image::single().bytes() };
        lies.push(Lie::on(Open, Route::Manifest, behaviour, words).await);
    }
    assert_refused(lies).await;
}
