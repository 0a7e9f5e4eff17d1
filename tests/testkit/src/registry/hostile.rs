//! What is done instead of answering.

use bytes::Bytes;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode, Version};

use super::answer::{Answer, CONTENT_DIGEST};
use super::behaviour::Behaviour;
use super::bomb::Bomb;
use super::flow::{Cut, Flow, Source};
use super::server::Request;
use super::wire::Excess;

/// Makes of the answer what the behaviour wants. `turn`: how many requests met it before.
pub(super) async fn perform(
    behaviour: &Behaviour,
    turn: usize,
    request: &Request,
    answer: Answer,
) -> Result<Response<Flow>, Cut> {
    let response = match behaviour {
        Behaviour::Status { code, headers, body } => given(*code, headers, body).send(),
        Behaviour::EndlessBody => {
            let start = answer.body.clone();
            found(answer).send_as(None, Source::Padded { start, left: None, excess: None })
        }
        Behaviour::LongBody(length) => lying(answer, *length, *length, None),
        Behaviour::LyingLength { says, sends } => lying(answer, *says, *sends, request.excess()),
        Behaviour::SlowHeaders => std::future::pending().await,
        Behaviour::DrippingBody(interval) => {
            let (length, source) = (answer.body.len(), Source::dripping(answer.body.clone(), *interval));
            answer.send_as(Some(length.try_into().expect("a length fits")), source)
        }
        Behaviour::Redirect { status, to } => plain(*status, "").header(LOCATION, to).send(),
        Behaviour::WrongBytes => {
            let body = Bytes::from([&answer.body[..], b"\n"].concat());
            Answer { body, ..answer }.send()
        }
        Behaviour::LyingDigestHeader(digest) => answer.header(CONTENT_DIGEST, digest).send(),
        Behaviour::NoDigestHeader => {
            let mut answer = answer;
            answer.headers.remove(CONTENT_DIGEST);
            answer.send()
        }
        Behaviour::Alternate(manifests) => {
            let (media_type, bytes) = &manifests[turn % manifests.len()];
            Answer::hashed(media_type, Bytes::from(bytes.clone())).send()
        }
        Behaviour::Reset => return Err(Cut),
        Behaviour::ResetMidBody => {
            let length = answer.body.len();
            let left = answer.body.slice(..length / 2);
            let says = length.try_into().expect("a length fits");
            answer.send_as(Some(says), Source::Broken { left, waited: false })
        }
        Behaviour::GzipBomb => {
            let answer = found(answer).header(CONTENT_ENCODING, "gzip");
            answer.send_as(None, Source::Bomb(Bomb::default()))
        }
        Behaviour::Html(status) => page(*status).send(),
        Behaviour::Challenge(challenge) => plain(401, "").header(WWW_AUTHENTICATE, challenge).send(),
        Behaviour::BareUnauthorized => plain(401, "").send(),
        Behaviour::TooManyRequests { retry_after } => {
            let message = "retry later";
            let answer = Answer::error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message);
            answer.header(RETRY_AFTER, retry_after).send()
        }
        Behaviour::Delay(delay) => {
            tokio::time::sleep(*delay).await;
            answer.send()
        }
        Behaviour::EchoAuthorization { status } => {
            let message = format!("no access with {}", request.authorization().unwrap_or_default());
            Answer::error(status_code(*status), "DENIED", &message).send()
        }
    };
    Ok(response)
}

/// 200, whatever it would have been.
fn found(answer: Answer) -> Answer {
    Answer { status: StatusCode::OK, ..answer }
}

/// A body of another length than is said. Over HTTP/1.1 what is too much follows behind the answer's end.
fn lying(answer: Answer, says: u64, sends: u64, wire: Option<Excess>) -> Response<Flow> {
    let start = answer.body.clone();
    let (left, excess) = match wire {
        Some(wire) if sends > says => (says, Some((wire, sends - says))),
        Some(_) | None => (sends, None),
    };
    found(answer).send_as(Some(says), Source::Padded { start, left: Some(left), excess })
}

fn given(code: u16, headers: &[(String, String)], body: &[u8]) -> Answer {
    let mut answer =
        Answer { status: status_code(code), headers: HeaderMap::new(), body: Bytes::copy_from_slice(body) };
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a test sends a header that can be sent");
        let value = HeaderValue::from_str(value).expect("a test sends a value that can be sent");
        answer.headers.append(name, value);
    }
    answer
}

fn plain(code: u16, body: &str) -> Answer {
    given(code, &[], body.as_bytes())
}

fn page(code: u16) -> Answer {
    let html = "<!DOCTYPE html><html><body><h1>Welcome to the portal</h1></body></html>\n";
    plain(code, html).header(CONTENT_TYPE, "text/html; charset=utf-8")
}

fn status_code(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("a test sends a status that can be sent")
}

/// Whether bytes can be put behind an answer.
pub(super) fn has_room_behind(version: Version) -> bool {
    version <= Version::HTTP_11
}
