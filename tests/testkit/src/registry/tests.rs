use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap};
use reqwest::{Certificate, Client, ClientBuilder, Response};
use serde_json::Value;

use super::bomb::Bomb;
use super::{Behaviour, Image, Registry, Route, digest};
use crate::Directory;
use crate::client::install_provider;

mod access;
mod attached;
mod behaviours;

/// A client that follows nothing and decompresses nothing.
fn builder() -> ClientBuilder {
    install_provider();
    let redirects = reqwest::redirect::Policy::none();
    Client::builder().no_proxy().redirect(redirects).timeout(Duration::from_secs(20))
}

fn client() -> Client {
    builder().build().expect("a client can be made")
}

async fn get(registry: &Registry, path: &str) -> Response {
    client().get(registry.url() + path).send().await.expect("the registry answers")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// A registry that holds `app:1`.
async fn with_app() -> (Registry, Image) {
    let registry = Registry::setup().start().await;
    let image = Image::single();
    registry.push("team/app", "1", &image);
    (registry, image)
}

#[tokio::test]
async fn an_image_is_found_by_tag_and_by_digest_with_all_its_parts() {
    let registry = Registry::setup().start().await;
    let image = Image::platforms(&["linux/amd64", "linux/arm64/v8"]).attested();
    let pushed = registry.push("team/app", "1", &image);
    assert_eq!(pushed, image.digest());
    assert_eq!(get(&registry, "/v2/").await.status(), 200);
    for reference in ["1", &pushed] {
        let response = get(&registry, &format!("/v2/team/app/manifests/{reference}")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(response.headers(), "docker-content-digest"), Some(&*pushed));
        assert_eq!(header(response.headers(), "content-type"), Some("application/vnd.oci.image.index.v1+json"));
        assert_eq!(response.content_length(), Some(image.bytes().len() as u64));
        assert_eq!(digest(response.bytes().await.unwrap()), pushed);
    }
    let platforms: Vec<String> = image.children().into_iter().map(|(platform, _)| platform).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64/v8", "unknown/unknown", "unknown/unknown"]);
    let index: Value = serde_json::from_slice(&image.bytes()).unwrap();
    assert_eq!(index["manifests"][1]["platform"]["variant"], "v8");
    for (at, (_, child)) in image.children().into_iter().enumerate() {
        assert_eq!(index["manifests"][at]["digest"], *child);
        let manifest = get(&registry, &format!("/v2/team/app/manifests/{child}")).await;
        let manifest = json(manifest).await;
        for part in [&manifest["config"], &manifest["layers"][0]] {
            let part = part["digest"].as_str().unwrap();
            let blob = get(&registry, &format!("/v2/team/app/blobs/{part}")).await;
            assert_eq!(digest(blob.bytes().await.unwrap()), part);
        }
    }
}

#[tokio::test]
async fn head_says_what_get_says_without_a_body_over_both_protocols() {
    let (registry, image) = with_app().await;
    for builder in [builder().http1_only(), builder().http2_prior_knowledge()] {
        let client = builder.build().unwrap();
        let response = client.head(registry.url() + "/v2/team/app/manifests/1").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(response.headers(), "docker-content-digest"), Some(&*image.digest()));
        let length = image.bytes().len().to_string();
        assert_eq!(header(response.headers(), "content-length"), Some(&*length));
        assert!(response.bytes().await.unwrap().is_empty());
    }
    assert_eq!((registry.count(Route::ManifestHead), registry.count(Route::Manifest)), (2, 0));
}

#[tokio::test]
async fn what_is_not_there_is_404_with_the_specified_code() {
    let (registry, image) = with_app().await;
    for (path, code) in [
        ("/v2/team/app/manifests/2", "MANIFEST_UNKNOWN"),
        ("/v2/team/other/manifests/1", "NAME_UNKNOWN"),
        ("/v2/team/app/blobs/sha256:00", "BLOB_UNKNOWN"),
    ] {
        let response = get(&registry, path).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(json(response).await["errors"][0]["code"], code);
    }
    registry.remove("team/app", "1");
    assert_eq!(get(&registry, "/v2/team/app/manifests/1").await.status(), 404);
    assert_eq!(get(&registry, &format!("/v2/team/app/manifests/{}", image.digest())).await.status(), 200);
}

#[tokio::test]
async fn a_manifest_is_only_given_to_who_accepts_its_type() {
    let (registry, image) = with_app().await;
    let ask = async |accept: &str| {
        let url = registry.url() + "/v2/team/app/manifests/1";
        client().get(url).header(ACCEPT, accept).send().await.unwrap().status()
    };
    assert_eq!(ask(&format!("text/html, {};q=0.5", image.media_type())).await, 200);
    assert_eq!(ask("*/*").await, 200);
    assert_eq!(ask("application/vnd.docker.distribution.manifest.v2+json").await, 404);
    registry.push("team/app", "1", &image.docker());
    assert_eq!(ask("application/vnd.docker.distribution.manifest.v2+json").await, 200);
}

#[tokio::test]
async fn a_tag_moves() {
    let (registry, image) = with_app().await;
    let other = registry.push("team/app", "2", &Image::single().label("other"));
    assert_ne!(other, image.digest());
    registry.point("team/app", "1", &other);
    let response = get(&registry, "/v2/team/app/manifests/1").await;
    assert_eq!(header(response.headers(), "docker-content-digest"), Some(&*other));
}

#[tokio::test]
async fn referrers_come_in_pages_and_by_type() {
    let registry = Registry::setup().page_size(2).start().await;
    let subject = registry.push("team/app", "1", &Image::single());
    let mut attached = Vec::new();
    for number in 0..5 {
        attached.push(registry.attach("team/app", &subject, "application/vnd.sig+json", format!("{number}")));
        registry.attach("team/app", &subject, "application/vnd.other", format!("{number}"));
    }
    let mut path = format!("/v2/team/app/referrers/{subject}?artifactType=application%2Fvnd.sig%2Bjson");
    let mut found = Vec::new();
    let mut pages = 0;
    loop {
        let response = get(&registry, &path).await;
        assert_eq!(header(response.headers(), "oci-filters-applied"), Some("artifactType"));
        let next = header(response.headers(), "link").map(|link| link[1..link.find('>').unwrap()].to_owned());
        let page = json(response).await;
        let digests = page["manifests"].as_array().unwrap().iter();
        found.extend(digests.map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = next else { break };
        path = next;
    }
    assert_eq!((found, pages), (attached, 3));
    let nothing = json(get(&registry, "/v2/team/app/referrers/sha256:00").await).await;
    assert_eq!(nothing["manifests"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn an_attached_artifact_names_its_subject_and_its_layer() {
    let (registry, image) = with_app().await;
    let attached = registry.attach("team/app", &image.digest(), "application/vnd.sig", "signature");
    let manifest = json(get(&registry, &format!("/v2/team/app/manifests/{attached}")).await).await;
    assert_eq!(manifest["subject"]["digest"], *image.digest());
    assert_eq!(manifest["subject"]["size"], image.bytes().len());
    assert_eq!(manifest["artifactType"], "application/vnd.sig");
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let blob = get(&registry, &format!("/v2/team/app/blobs/{layer}")).await;
    assert_eq!(blob.text().await.unwrap(), "signature");
}

#[tokio::test]
async fn without_the_referrers_api_a_tag_lists_them() {
    let registry = Registry::setup().without_referrers().start().await;
    let subject = registry.push("team/app", "1", &Image::single());
    let tag = format!("/v2/team/app/manifests/{}", subject.replace(':', "-"));
    assert_eq!(get(&registry, &tag).await.status(), 404, "nothing refers to it yet");
    let attached = registry.attach("team/app", &subject, "application/vnd.sig", "signature");
    assert_eq!(get(&registry, &format!("/v2/team/app/referrers/{subject}")).await.status(), 404);
    let response = get(&registry, &tag).await;
    let list = header(response.headers(), "docker-content-digest").unwrap().to_owned();
    let index = json(response).await;
    assert_eq!(index["manifests"][0]["digest"], *attached);
    assert_eq!(index["manifests"][0]["artifactType"], "application/vnd.sig");
    let by_digest = get(&registry, &format!("/v2/team/app/manifests/{list}")).await;
    assert_eq!(digest(by_digest.bytes().await.unwrap()), list);
}

#[tokio::test]
async fn with_the_referrers_api_there_is_no_such_tag() {
    let (registry, image) = with_app().await;
    registry.attach("team/app", &image.digest(), "application/vnd.sig", "signature");
    let tag = image.digest().replace(':', "-");
    assert_eq!(get(&registry, &format!("/v2/team/app/manifests/{tag}")).await.status(), 404);
}

#[tokio::test]
async fn requests_are_noted_and_counted_until_they_are_forgotten() {
    let (registry, _) = with_app().await;
    let url = registry.url() + "/v2/team/app/manifests/1?ns=docker.io";
    client().get(url).header(AUTHORIZATION, "Bearer one").header("X-Mirror", "yes").send().await.unwrap();
    get(&registry, "/v2/").await;
    let seen = registry.requests();
    assert_eq!(seen.iter().map(|seen| seen.route).collect::<Vec<_>>(), [Route::Manifest, Route::Ping]);
    assert_eq!((seen[0].path.as_str(), seen[0].query.as_str()), ("/v2/team/app/manifests/1", "ns=docker.io"));
    assert_eq!((seen[0].method.as_str(), seen[0].sequence, seen[1].sequence), ("GET", 1, 2));
    assert_eq!((seen[0].authorization.as_deref(), seen[0].header("x-mirror")), (Some("Bearer one"), Some("yes")));
    assert_eq!((registry.count(Route::Manifest), registry.count(Route::Any)), (1, 2));
    registry.forget();
    assert_eq!((registry.count(Route::Any), registry.requests().len()), (0, 0));
    assert_eq!(registry.authorizations(), ["Bearer one"]);
}

#[tokio::test]
async fn the_peak_of_requests_in_flight_is_known() {
    let registry = Registry::setup().latency(Duration::from_millis(300)).start().await;
    let client = client();
    let requests = [(); 5].map(|()| tokio::spawn(client.get(registry.url() + "/v2/").send()));
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!(registry.most_at_once(), 5);
    registry.forget();
    get(&registry, "/v2/").await;
    get(&registry, "/v2/").await;
    assert_eq!(registry.most_at_once(), 1);
    registry.on_next(Route::Any, 1, Behaviour::EndlessBody);
    let unread = get(&registry, "/v2/").await;
    get(&registry, "/v2/").await;
    assert_eq!(registry.most_at_once(), 2, "an answer that still comes is in flight");
    drop(unread);
}

#[tokio::test]
async fn a_registry_that_went_away_is_gone_and_comes_back_with_everything() {
    let (registry, image) = with_app().await;
    let client = client();
    let url = registry.url() + "/v2/team/app/manifests/1";
    let hanging = {
        registry.on_next(Route::Ping, 1, Behaviour::SlowHeaders);
        tokio::spawn(client.get(registry.url() + "/v2/").send())
    };
    crate::eventually("the hanging request is there", async || registry.count(Route::Ping) == 1).await;
    registry.go_away();
    assert!(!hanging.await.unwrap().unwrap_err().is_timeout(), "it was cut");
    assert!(client.get(&url).send().await.unwrap_err().is_connect());
    registry.come_back().await;
    registry.come_back().await;
    let response = client.get(&url).send().await.unwrap();
    assert_eq!(header(response.headers(), "docker-content-digest"), Some(&*image.digest()));
}

#[tokio::test]
async fn tls_is_of_its_own_authority_and_speaks_both_protocols() {
    let registry = Registry::setup().tls().start().await;
    let root = || Certificate::from_pem(registry.authority().unwrap().as_bytes()).unwrap();
    let known = || builder().tls_certs_only([root()]);
    for (client, version) in [(known(), "HTTP/2.0"), (known().http1_only(), "HTTP/1.1")] {
        let response = client.build().unwrap().get(registry.url() + "/v2/").send().await.unwrap();
        assert_eq!(format!("{:?}", response.version()), version);
        assert_eq!(response.status(), 200);
    }
    let named = format!("https://localhost:{}/v2/", registry.port());
    assert_eq!(known().build().unwrap().get(named).send().await.unwrap().status(), 200);
    let other = Registry::setup().tls().start().await;
    let stranger = Certificate::from_pem(other.authority().unwrap().as_bytes()).unwrap();
    let stranger = builder().tls_certs_only([stranger]).build().unwrap();
    assert!(stranger.get(registry.url() + "/v2/").send().await.unwrap_err().is_connect());
    let sibling = Registry::setup().tls_of(&registry).start().await;
    assert_eq!(sibling.authority(), registry.authority());
    assert_eq!(known().build().unwrap().get(sibling.url() + "/v2/").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_certificate_is_asked_for() {
    let registry = Registry::setup().client_certificate().start().await;
    let root = || Certificate::from_pem(registry.authority().unwrap().as_bytes()).unwrap();
    let (certificate, key) = registry.client_identity().unwrap();
    let identity = reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap();
    let url = registry.url() + "/v2/";
    let known = builder().tls_certs_only([root()]).identity(identity).build().unwrap();
    assert_eq!(known.get(&url).send().await.unwrap().status(), 200);
    let unknown = builder().tls_certs_only([root()]).build().unwrap();
    unknown.get(&url).send().await.unwrap_err();
    assert_eq!(registry.count(Route::Any), 1);
}

#[tokio::test]
async fn hosts_toml_is_written_as_containerd_names_it() {
    let folder = Directory::new();
    let registry = Registry::setup().client_certificate().start().await;
    let inner = registry.write_hosts(folder.path());
    assert_eq!(inner, folder.path().join(format!("127.0.0.1_{}_", registry.port())));
    let read = |name: &str| std::fs::read_to_string(inner.join(name)).unwrap();
    assert_eq!(
        read("hosts.toml"),
        format!(
            "server = \"https://{}\"\nca = \"ca.crt\"\nclient = [[\"client.crt\", \"client.key\"]]\n",
            registry.host()
        )
    );
    assert_eq!(Some(&*read("ca.crt")), registry.authority());
    assert_eq!(read("client.key"), registry.client_identity().unwrap().1);
    let plain = Registry::setup().start().await;
    let inner = plain.write_mirror(folder.path(), "docker.io");
    assert_eq!(inner, folder.path().join("docker.io"));
    assert_eq!(
        std::fs::read_to_string(inner.join("hosts.toml")).unwrap(),
        format!(
            "server = \"https://docker.io\"\n\n[host.\"http://{}\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
            plain.host()
        )
    );
}

#[test]
fn the_bomb_is_a_valid_gzip_stream_of_a_gibibyte() {
    let mut wire = 0;
    let mut gzip = Command::new("gzip").arg("-t").stdin(Stdio::piped()).spawn().unwrap();
    let mut input = gzip.stdin.take().unwrap();
    for piece in Bomb::default() {
        wire += piece.len();
        input.write_all(&piece).unwrap();
    }
    drop(input);
    assert!(gzip.wait().unwrap().success(), "the CRC and the length at its end are right");
    assert!(wire < 1_100_000, "{wire}");
}

#[tokio::test]
async fn a_layout_keeps_every_digest() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/images/web");
    let registry = Registry::setup().start().await;
    let digest = registry.push_layout("acme/web", "1.4.2", &folder);
    assert_eq!(digest, "sha256:100ecbc98c94a92825e62c0cfdc02ecfd4b28fe227c565d3606150807ec3e54e");
    let index = json(get(&registry, "/v2/acme/web/manifests/1.4.2").await).await;
    for child in index["manifests"].as_array().unwrap() {
        let child = child["digest"].as_str().unwrap();
        let manifest = json(get(&registry, &format!("/v2/acme/web/manifests/{child}")).await).await;
        let config = manifest["config"]["digest"].as_str().unwrap();
        let config = get(&registry, &format!("/v2/acme/web/blobs/{config}")).await.bytes().await.unwrap();
        assert_eq!(super::digest(config), manifest["config"]["digest"]);
    }
}
