//! What no review asks or waits for yet: blobs, lists of referrers, and manifests by their digest (a name with a digest
//! meets the demands of this version by itself), through the room's own door.

use pratique::evidence::registry::outbound::Surroundings;
use pratique::evidence::registry::{Registries, Settings};
use pratique::fact::{Fact, Fault, Trouble};
use pratique::image::{Digest, Reference};
use serde_json::json;

use super::*;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BLOB: &[u8] = b"{\"architecture\":\"amd64\",\"os\":\"linux\"}";
/// What one request may take at most, and a busy machine beside.
const PATIENCE: Duration = Duration::from_secs(15);

/// The room beside one registry, with its credential in a docker config.
struct Room {
    registry: Registry,
    registries: Registries,
    image: Reference,
    _files: Directory,
}

impl Room {
    fn beside(registry: Registry) -> Self {
        registry.push("acme/web", "v1", &Image::single());
        let files = Directory::new();
        registry.write_hosts(&files.path().join("hosts"));
        let login = json!({"username": ALICE, "password": PASSWORD});
        files.write("config.json", &json!({"auths": {registry.host(): login}}).to_string());
        let settings = Settings {
            hosts: Some(files.path().join("hosts")),
            docker_config: Some(files.file("config.json").into()),
            providers: None,
            realms: std::collections::BTreeMap::new(),
            concurrency: 16,
            surroundings: Surroundings::Alone,
        };
        let (registries, warnings) = Registries::new(settings, &prometheus::Registry::new()).expect("sound files");
        assert!(warnings.is_empty(), "{warnings:?}");
        let image = Reference::parse(&named(&registry, "acme/web")).unwrap();
        Self { registry, registries, image, _files: files }
    }

    async fn at(door: Door) -> Self {
        Self::beside(start(door).await)
    }

    async fn blob(&self, bytes: &[u8], most: usize) -> Fact<Arc<[u8]>> {
        let digest = Digest::parse(&pratique_testkit::digest(bytes)).unwrap();
        let asker = self.registries.asker(&self.image, &[]);
        tokio::time::timeout(PATIENCE, self.registries.blob(&self.image, &digest, most, &asker)).await.expect("in time")
    }

    async fn resolve(&self, digest: &str) -> Fact<pratique::fact::Resolved> {
        let image = Reference::parse(&format!("{}@{digest}", named(&self.registry, "acme/web"))).unwrap();
        let asker = self.registries.asker(&image, &[]);
        tokio::time::timeout(PATIENCE, self.registries.resolve(&image, &asker, None)).await.expect("in time")
    }

    async fn referrers(&self) -> Fact<usize> {
        let digest = Digest::parse(&Image::single().digest()).unwrap();
        let asker = self.registries.asker(&self.image, &[]);
        let answer = self.registries.referrers(&self.image, &digest, &asker);
        match tokio::time::timeout(PATIENCE, answer).await.expect("in time") {
            Fact::Known(seen) => {
                Fact::Known(pratique::fact::Seen { value: seen.value.len(), at: seen.at, source: seen.source })
            }
            Fact::Absent(at) => Fact::Absent(at),
            Fact::Unavailable(trouble) => Fact::Unavailable(trouble),
            Fact::Pending => Fact::Pending,
        }
    }

    /// Panics where it is not this trouble, or where it tells a secret.
    fn assert_trouble<T: std::fmt::Debug>(&self, fact: &Fact<T>, (fault, words): (Fault, &str), what: &str) {
        let Fact::Unavailable(Trouble { fault: found, words: told }) = fact else { panic!("{what}: {fact:?}") };
        assert_eq!(*found, fault, "{what}: {told}");
        assert!(told.contains(&words.replace("HOST", self.registry.host())), "{what}: {told}");
        for value in self.registry.authorizations() {
            assert!(!told.contains(value.split_once(' ').unwrap().1), "{what}");
        }
        assert!(!told.contains(PASSWORD) && !told.contains(QUERY), "{what}");
    }
}

const OTHER_BYTES: (Fault, &str) =
    (Fault::Mismatch, "HOST sent other bytes than those of the digest that was asked for");

#[tokio::test]
async fn a_digest_is_never_known_by_other_bytes() {
    for door in [Open, Private] {
        let room = Room::at(door).await;
        let (digest, other) = (Image::single().digest(), Image::single().label("another"));
        assert!(matches!(room.resolve(&digest).await, Fact::Known(_)));
        for behaviour in [
            Behaviour::WrongBytes,
            answer_with("text/plain", other.bytes()),
            answer_with("", "{}"),
            answer_with("", ""),
        ] {
            room.registry.on(Route::Manifest, behaviour.clone());
            room.assert_trouble(&room.resolve(&digest).await, OTHER_BYTES, &format!("{behaviour:?}"));
        }
        room.registry.on(Route::Manifest, Behaviour::LyingDigestHeader(other.digest()));
        let words = "HOST sent a manifest with the Docker-Content-Digest of another";
        room.assert_trouble(&room.resolve(&digest).await, (Fault::Mismatch, words), words);
        room.registry.on(Route::Manifest, Behaviour::status(404));
        assert!(matches!(room.resolve(&digest).await, Fact::Absent(_)));
    }
}

#[tokio::test]
async fn a_digest_whose_answer_alternates_a_thousand_times_is_known_by_its_own_bytes_alone() {
    let images = ["one", "two"].map(|label| Image::single().label(label));
    let room = Room::at(Open).await;
    let turn = |image: &Image| ("application/vnd.oci.image.manifest.v1+json".to_owned(), image.bytes());
    room.registry.on(Route::Manifest, Behaviour::Alternate(images.iter().map(turn).collect()));
    for round in 0..1_000 {
        let asked = images[round / 2 % 2].digest();
        match room.resolve(&asked).await {
            Fact::Known(seen) => {
                assert_eq!((seen.value.digest.as_str(), round % 2), (&*asked, round / 2 % 2), "{round}");
            }
            other @ (Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending) => {
                assert_ne!(round % 2, round / 2 % 2, "{round}: {other:?}");
                room.assert_trouble(&other, OTHER_BYTES, "other bytes");
            }
        }
    }
    assert_eq!(room.registry.count(Route::Any), 1_000);
}

fn of_bodies(article: &str, most: &str) -> Vec<(Behaviour, Fault, String)> {
    let cut = || (Fault::Outage, "HOST broke its answer off".to_owned());
    let long = || (Fault::Broken, format!("HOST sent more than {most} for {article}"));
    let answered = |text: &str| format!("HOST answered {text}");
    [
        (Behaviour::EndlessBody, long()),
        (Behaviour::LongBody(1 << 30), long()),
        (Behaviour::LyingLength { says: 1 << 30, sends: 10 }, long()),
        (Behaviour::LyingLength { says: 900, sends: 10 }, cut()),
        (Behaviour::ResetMidBody, cut()),
        (Behaviour::Reset, cut()),
        (Behaviour::GzipBomb, (Fault::Broken, "HOST sent a compressed answer".to_owned())),
        (Behaviour::SlowHeaders, (Fault::Deadline, "HOST did not begin to answer in time".to_owned())),
        (
            Behaviour::DrippingBody(Duration::from_secs(1)),
            (Fault::Deadline, "HOST did not finish its answer in time".to_owned()),
        ),
        (Behaviour::status(403), (Fault::Refused, answered("403 Forbidden"))),
        (Behaviour::BareUnauthorized, (Fault::Refused, answered("401 Unauthorized"))),
        (Behaviour::status(503), (Fault::Outage, answered("503 Service Unavailable"))),
        (Behaviour::TooManyRequests { retry_after: "999999999999".to_owned() }, (Fault::Outage, answered("429"))),
        (Behaviour::EchoAuthorization { status: 500 }, (Fault::Outage, answered("500"))),
        (
            Behaviour::redirect(format!("https://169.254.169.254/?{QUERY}")),
            (Fault::Forbidden, "127.0.0.1 redirects to a link-local address".to_owned()),
        ),
    ]
    .map(|(behaviour, (fault, words))| (behaviour, fault, words))
    .into()
}

#[tokio::test]
async fn a_blob_is_its_own_bytes_in_time_and_of_its_length_or_trouble() {
    let mut cases = of_bodies("a blob", "1000 bytes");
    let wrong = "HOST sent other bytes than those of the digest that was asked for".to_owned();
    cases.push((Behaviour::WrongBytes, Fault::Mismatch, wrong.clone()));
    cases.push((answer_with("application/octet-stream", "{}"), Fault::Mismatch, wrong.clone()));
    cases.push((Behaviour::Html(200), Fault::Mismatch, wrong));
    cases.push((Behaviour::Html(206), Fault::Broken, "HOST answered 206 Partial Content instead of a blob".to_owned()));
    let doors = cases.iter().flat_map(|case| [Open, Private].map(|door| (door, case)));
    join_all(doors.map(async |(door, (behaviour, fault, words))| {
        let what = format!("{behaviour:?} {door:?}").chars().take(120).collect::<String>();
        let echo = matches!(behaviour, Behaviour::EchoAuthorization { .. });
        if door == Open && echo {
            return;
        }
        let room = Room::at(door).await;
        let digest = room.registry.put_blob("acme/web", BLOB);
        assert!(matches!(room.blob(BLOB, 1_000).await, Fact::Known(_)), "{what}: {digest}");
        room.registry.on(Route::Blob, behaviour.clone());
        let fact = room.blob(BLOB, 1_000).await;
        room.assert_trouble(&fact, (*fault, words), &what);
        room.registry.on(Route::Blob, Behaviour::status(404));
        if !matches!(fault, Fault::Outage) {
            assert!(matches!(room.blob(BLOB, 1_000).await, Fact::Absent(_)), "{what}: absent is said by 404 alone");
        }
    }))
    .await;
}

#[tokio::test]
async fn a_list_of_referrers_is_whole_or_trouble() {
    let mut cases = of_bodies("a list of referrers", "4 MiB");
    cases.push((
        answer_with(OCI_INDEX, "{}"),
        Fault::Broken,
        "HOST sent a manifest whose schemaVersion is not 2".to_owned(),
    ));
    let deep = "[".repeat(200_000);
    cases.push((
        answer_with(OCI_INDEX, format!("{{\"manifests\":{deep}")),
        Fault::Broken,
        "HOST sent a manifest that".to_owned(),
    ));
    let image = answer_with("application/vnd.oci.image.manifest.v1+json", Image::single().bytes());
    cases.push((image, Fault::Broken, "HOST sent an image manifest instead of a list of referrers".to_owned()));
    let evil = json!({"schemaVersion": 2, "manifests": [{"digest": "sha256:../../x", "size": 1}]}).to_string();
    cases.push((
        answer_with(OCI_INDEX, evil),
        Fault::Broken,
        "HOST sent a manifest with a descriptor whose digest is none".to_owned(),
    ));
    let doors = cases.iter().flat_map(|case| [Open, Private].map(|door| (door, case)));
    join_all(doors.map(async |(door, (behaviour, fault, words))| {
        let what = format!("{behaviour:?} {door:?}").chars().take(120).collect::<String>();
        if door == Open && matches!(behaviour, Behaviour::EchoAuthorization { .. }) {
            return;
        }
        let room = Room::at(door).await;
        room.registry.attach("acme/web", &Image::single().digest(), "application/vnd.sig", "signature");
        room.registry.on(Route::Referrers, behaviour.clone());
        let fact = room.referrers().await;
        room.assert_trouble(&fact, (*fault, words), &what);
        if *fault != Fault::Outage {
            room.registry.calm();
            assert!(matches!(room.referrers().await, Fact::Known(seen) if seen.value == 1), "{what}: honest again");
        }
    }))
    .await;
}

#[tokio::test]
async fn ten_thousand_referrers_are_too_many_however_they_are_paged() {
    for (page_size, words, most) in [
        (Some(100), "HOST lists more than 1000 referrers, or 8 MiB of them", 11),
        (Some(10), "HOST pages a list of referrers more than 20 times", 20),
        (None, "HOST sent a manifest that lists more than 1000 descriptors", 1),
    ] {
        let setup = Registry::setup();
        let setup = match page_size {
            Some(size) => setup.page_size(size),
            None => setup,
        };
        let room = Room::beside(setup.start().await);
        for number in 0..10_000 {
            room.registry.attach("acme/web", &Image::single().digest(), "application/vnd.sig", number.to_string());
        }
        let fact = room.referrers().await;
        room.assert_trouble(&fact, (Fault::Broken, words), words);
        assert_eq!(room.registry.count(Route::Referrers), most, "{words}");
    }
}

#[tokio::test]
async fn a_next_page_elsewhere_or_in_a_circle_is_not_asked_for() {
    let other = start(Open).await;
    let elsewhere = "HOST sent a next page of referrers that is not its own";
    let subject = Image::single().digest();
    for (link, words, most) in [
        (format!("<{}/v2/acme/web/referrers/{subject}>; rel=\"next\"", other.url()), elsewhere, 1),
        ("<https://169.254.169.254/>; rel=\"next\"".to_owned(), elsewhere, 1),
        (format!("<//{}/v2/acme/web/referrers/{subject}?n=1>; rel=\"next\"", other.host()), elsewhere, 1),
        ("</v2/other/web/referrers/sha256:00>; rel=\"next\"".to_owned(), elsewhere, 1),
        (format!("</v2/acme/web/referrers/{subject}>; rel=\"next\""), elsewhere, 1),
        ("<>; rel=\"next\"".to_owned(), elsewhere, 1),
        // A circle that begins at the second page.
        (format!("</v2/acme/web/referrers/{subject}?n=1>; rel=\"next\""), elsewhere, 2),
    ] {
        let room = Room::at(Open).await;
        let entry = json!({"mediaType": "a/b", "digest": pratique_testkit::DIGEST, "size": 2});
        let body = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).to_string().into_bytes();
        let headers = vec![("Content-Type".to_owned(), OCI_INDEX.to_owned()), ("Link".to_owned(), link.clone())];
        room.registry.on(Route::Any, Behaviour::Status { code: 200, headers, body });
        let fact = room.referrers().await;
        room.assert_trouble(&fact, (Fault::Broken, words), &link);
        assert_eq!(room.registry.count(Route::Referrers), most, "{link}");
    }
    assert_eq!(other.count(Route::Any), 0);
}
