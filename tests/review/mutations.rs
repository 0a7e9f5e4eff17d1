//! Real reviews with one byte changed: never a fault of ours, and never an admission that a second reader of the same
//! bytes, who knows JSON and the paths of pod specs and nothing of our code, would not give.

use std::ops::Range;

use pratique_testkit::{Protocol, Webhook};
use serde_json::Value;

use crate::facts::reviews;

/// Changes per review and kind of place.
const CHANGES: usize = 120;

/// Repeatable numbers (xorshift): a failure names the byte that was changed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).expect("small")).expect("smaller than a usize")
    }
}

/// Bytes that mean something in JSON, in names and in numbers.
const TELLING: &[u8] = b"\"{}[]:,\\/@. \n0aAzZ-_\x00\xff";
/// Words around which a change is most likely to matter.
const WORDS: [&str; 16] = [
    "apiVersion",
    "request\"",
    "\"kind\"",
    "\"resource\"",
    "\"operation\"",
    "\"object\"",
    "\"oldObject\"",
    "\"spec\"",
    "\"template\"",
    "\"containers\"",
    "\"initContainers\"",
    "\"ephemeralContainers\"",
    "\"volumes\"",
    "\"image\"",
    "\"subResource\"",
    "sha256:",
];

fn near_words(text: &[u8]) -> Vec<Range<usize>> {
    let places = WORDS.iter().flat_map(|word| {
        let word = word.as_bytes();
        let found = text.windows(word.len()).enumerate().filter(move |(_, window)| *window == word);
        found.map(move |(at, _)| at..(at + word.len() + 24).min(text.len()))
    });
    places.collect()
}

/// Where the pod spec of a kind stands.
fn pod_spec<'v>(kind: &str, object: &'v Value) -> &'v Value {
    match kind {
        "pods" => &object["spec"],
        "podtemplates" => &object["template"]["spec"],
        "cronjobs" => &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        _ => &object["spec"]["template"]["spec"],
    }
}

/// Kind of list, name, image.
fn images(pod_spec: &Value) -> Vec<(&'static str, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut images = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for entry in pod_spec[list].as_array().into_iter().flatten() {
            images.push((list, text(&entry["name"]), text(&entry["image"])));
        }
    }
    for entry in pod_spec["volumes"].as_array().into_iter().flatten().filter(|entry| entry.get("image").is_some()) {
        images.push(("volumes", text(&entry["name"]), text(&entry["image"]["reference"])));
    }
    images
}

fn has_digest(image: &str) -> bool {
    let hex = image.rsplit_once("@sha256:").map_or("", |(_, hex)| hex);
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

/// Whether the second reader would admit: every image that is not as it was has a digest.
fn may_be_admitted(body: &[u8]) -> bool {
    let Ok(review) = serde_json::from_slice::<Value>(body) else { return false };
    let request = &review["request"];
    let resource = request["resource"]["resource"].as_str().unwrap_or_default();
    let new = images(pod_spec(resource, &request["object"]));
    let old = if request["operation"] == "UPDATE" { images(pod_spec(resource, &request["oldObject"])) } else { vec![] };
    !new.is_empty() && new.iter().all(|image| old.contains(image) || has_digest(&image.2))
}

#[tokio::test]
async fn one_changed_byte_never_admits_an_image_that_was_not_admitted_before() {
    let webhook = Webhook::enforcing("pinned").await;
    let client = webhook.client(Protocol::Http2);
    let mut numbers = Numbers(0x5eed_0f9a);
    let (mut wrong, mut admitted, mut asked) = (Vec::new(), 0_u32, 0_u32);
    for fixture in reviews().into_iter().filter(|fixture| fixture.facts["user"] != Value::Null) {
        let places = near_words(&fixture.bytes);
        for change in 0..2 * CHANGES {
            let at = match places.get(numbers.below(places.len().max(1))) {
                Some(place) if change % 2 == 0 => place.start + numbers.below(place.len()),
                Some(_) | None => numbers.below(fixture.bytes.len()),
            };
            let mut body = fixture.bytes.clone();
            let byte = match change % 3 {
                0 => body[at] ^ (1 << numbers.below(8)),
                1 => TELLING[numbers.below(TELLING.len())],
                _ => u8::try_from(numbers.below(256)).expect("below 256"),
            };
            body[at] = byte;
            let raw = client.post(body.clone()).await;
            asked += 1;
            let place = String::from_utf8_lossy(&body[at.saturating_sub(30)..(at + 30).min(body.len())]).into_owned();
            let told = format!("{}: byte {at} is {byte:#04x}: ...{place}...: {}", fixture.name, raw.status);
            if !matches!(raw.status.as_u16(), 200 | 400) {
                wrong.push(format!("neither an answer nor a bad request: {told}"));
            } else if raw.admits() {
                admitted += 1;
                if !may_be_admitted(&body) && !brings_nothing(&fixture.facts) {
                    wrong.push(format!("admitted: {told}"));
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} of {asked}: {wrong:#?}", wrong.len());
    assert!(admitted > 500 && admitted < asked, "the changes meet both answers: {admitted} of {asked}");
}

/// What was no matter of ours before the change may be none after it.
fn brings_nothing(facts: &Value) -> bool {
    facts["kind"]["kind"] == "Role" || facts["operation"] == "DELETE"
}
