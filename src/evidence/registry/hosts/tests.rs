use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{CertificateParams, KeyPair};

use super::*;

mod over_tls;

/// A folder of hosts, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pratique-hosts-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        for (name, contents) in files {
            folder.write(name, contents);
        }
        folder
    }

    fn write(&self, name: &str, contents: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn outbound(surroundings: Surroundings) -> Outbound {
    Outbound::new(surroundings, BTreeMap::new()).unwrap()
}

fn lines(endpoints: &[Arc<Endpoint>]) -> Vec<String> {
    let line = |endpoint: &Arc<Endpoint>| {
        let ns = endpoint.namespace.as_deref().map_or(String::new(), |registry| format!(" ns={registry}"));
        let word = |is: bool, word: &'static str| if is { word } else { "" };
        let (origin, named) = (word(endpoint.origin, " origin"), word(endpoint.named, " named"));
        format!("{}{ns}{origin}{named}{}", endpoint.base, word(endpoint.unverified, " unverified"))
    };
    endpoints.iter().map(line).collect()
}

/// What is asked for a registry's images, in a cluster.
fn asked(folder: &Folder, registry: &str) -> Vec<String> {
    let outbound = outbound(Surroundings::Cluster);
    let (hosts, _) = Hosts::load(Some(&folder.0), &outbound).unwrap();
    lines(&hosts.endpoints(registry, &outbound))
}

fn warnings(folder: &Folder) -> Vec<String> {
    let (_, warnings) = Hosts::load(Some(&folder.0), &outbound(Surroundings::Cluster)).unwrap();
    said(folder, &warnings)
}

fn mistakes(folder: &Folder) -> Vec<String> {
    said(folder, &Hosts::load(Some(&folder.0), &outbound(Surroundings::Cluster)).unwrap_err())
}

fn said(folder: &Folder, mistakes: &[Mistake]) -> Vec<String> {
    mistakes.iter().map(|mistake| mistake.to_string().replace(folder.0.to_str().unwrap(), "")).collect()
}

#[test]
fn a_registry_without_settings_is_itself() {
    let cluster = outbound(Surroundings::Cluster);
    let (hosts, warnings) = Hosts::load(None, &cluster).unwrap();
    assert_eq!(warnings, []);
    for (registry, base) in [
        ("ghcr.io", "https://ghcr.io/v2 origin"),
        ("r.example:5000", "https://r.example:5000/v2 origin"),
        ("docker.io", "https://registry-1.docker.io/v2 origin"),
        ("[fd00::1]:5000", "https://[fd00::1]:5000/v2 origin"),
        ("localhost:5000", "https://localhost:5000/v2 origin"),
        ("256.256.256.256", "https://not-a-host.invalid/v2 origin"),
    ] {
        assert_eq!(lines(&hosts.endpoints(registry, &cluster)), [base], "{registry}");
    }
}

#[test]
fn a_registry_on_loopback_is_asked_over_plain_http_outside_a_cluster_unless_its_port_is_that_of_tls() {
    let alone = outbound(Surroundings::Alone);
    let (hosts, _) = Hosts::load(None, &alone).unwrap();
    for (registry, base) in [
        ("localhost:5000", "http://localhost:5000/v2 origin"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/v2 origin"),
        ("127.8.9.10:80", "http://127.8.9.10/v2 origin"),
        ("[::1]:5000", "http://[::1]:5000/v2 origin"),
        ("localhost:443", "https://localhost/v2 origin"),
        ("localhost", "https://localhost/v2 origin"),
        ("[::1]", "https://[::1]/v2 origin"),
        ("r.example:5000", "https://r.example:5000/v2 origin"),
    ] {
        let endpoints = hosts.endpoints(registry, &alone);
        assert_eq!(lines(&endpoints), [base], "{registry}");
        assert_eq!(alone.permits(&endpoints[0].base, endpoints[0].named), Ok(()), "{registry}");
    }
}

#[test]
fn the_authority_is_the_host_with_a_port_that_is_not_the_schemes() {
    let cluster = outbound(Surroundings::Cluster);
    let (hosts, _) = Hosts::load(None, &cluster).unwrap();
    for (registry, authority) in
        [("ghcr.io", "ghcr.io"), ("r.example:443", "r.example"), ("[fd00::1]:5000", "[fd00::1]:5000")]
    {
        assert_eq!(hosts.endpoints(registry, &cluster)[0].authority(), authority);
    }
}

#[test]
fn mirrors_come_before_the_registry_and_are_told_whose_images_are_meant() {
    let mirror = "[host.\"https://mirror.example\"]\ncapabilities = [\"pull\"]\n";
    let folder = Folder::with(&[
        ("docker.io/hosts.toml", mirror),
        ("r.example_5000_/hosts.toml", mirror),
        ("q.example:5000/hosts.toml", &format!("server = \"https://elsewhere.example\"\n{mirror}")),
    ]);
    assert_eq!(
        asked(&folder, "docker.io"),
        ["https://mirror.example/v2 ns=docker.io named", "https://registry-1.docker.io/v2 origin named"]
    );
    assert_eq!(
        asked(&folder, "r.example:5000"),
        ["https://mirror.example/v2 ns=r.example:5000 named", "https://r.example:5000/v2 origin named"]
    );
    // Another server in the registry's place is a mirror: the registry's credentials are not for it.
    assert_eq!(
        asked(&folder, "q.example:5000"),
        ["https://mirror.example/v2 ns=q.example:5000 named", "https://elsewhere.example/v2 ns=q.example:5000 named"]
    );
    // Another port, another registry.
    assert_eq!(asked(&folder, "r.example"), ["https://r.example/v2 origin"]);
    assert_eq!(asked(&folder, "r.example:5001"), ["https://r.example:5001/v2 origin"]);
}

#[test]
fn a_host_that_stands_there_twice_is_asked_once() {
    let host = |capabilities: &str| format!("[host.\"https://r.example\"]\ncapabilities = [{capabilities}]\n");
    let folder = Folder::with(&[
        ("r.example/hosts.toml", &format!("server = \"https://r.example\"\n{}", host("\"pull\", \"resolve\""))),
        ("q.example/hosts.toml", &host("\"pull\", \"resolve\"")),
    ]);
    assert_eq!(asked(&folder, "r.example"), ["https://r.example/v2 origin named"]);
    let pulls = Folder::with(&[("r.example/hosts.toml", &host("\"pull\""))]);
    assert_eq!(asked(&pulls, "r.example").len(), 2, "the second may do what the first may not");
    assert_eq!(asked(&folder, "q.example").len(), 2, "two hosts are two");
}

#[test]
fn a_server_or_host_is_the_registry_itself_by_name_and_port() {
    for (registry, server, origin) in [
        ("r.example", "https://r.example", true),
        ("r.example", "https://R.Example:443", true),
        ("r.example", "http://r.example", true),
        ("r.example:5000", "https://r.example:5000", true),
        ("r.example:5000", "http://r.example:5000", true),
        ("r.example:443", "https://r.example", true),
        ("docker.io", "https://docker.io", true),
        ("docker.io", "https://registry-1.docker.io", true),
        ("docker.io", "https://index.docker.io", true),
        ("[fd00::1]:5000", "https://[fd00::1]:5000", true),
        ("r.example", "https://r.example:5000", false),
        ("r.example:5000", "https://r.example", false),
        ("r.example:5000", "http://r.example", false),
        ("r.example", "https://q.example", false),
        ("r.example", "https://r.example.evil.example", false),
        ("docker.io", "https://registry-1.docker.io:5000", false),
        ("docker.io", "https://hub.docker.com", false),
    ] {
        assert_eq!(is_itself(&Url::parse(server).unwrap(), registry), origin, "{registry} {server}");
    }
}

#[test]
fn docker_hub_is_asked_where_its_images_are_whatever_it_is_called() {
    let folder = Folder::with(&[("index.docker.io/hosts.toml", "server = \"https://docker.io\"\n")]);
    assert_eq!(asked(&folder, "docker.io"), ["https://registry-1.docker.io/v2 origin named"]);
    let folder = Folder::with(&[
        ("docker.io/hosts.toml", "[host.\"https://right.example\"]\n"),
        ("registry-1.docker.io/hosts.toml", "[host.\"https://wrong.example\"]\n"),
    ]);
    assert_eq!(asked(&folder, "docker.io")[0], "https://right.example/v2 ns=docker.io named");
    assert_eq!(warnings(&folder), ["/registry-1.docker.io: is passed over: another folder is that of docker.io"]);
}

#[test]
fn the_default_folder_is_for_every_registry_without_one_of_its_own() {
    let folder = Folder::with(&[
        ("_default/hosts.toml", "[host.\"https://mirror.example\"]\n"),
        ("own.example/hosts.toml", "skip_verify = true\n"),
        ("empty.example/README", "no hosts.toml, no certificates"),
    ]);
    // The mirror is named, and the registries that come to it are not.
    assert_eq!(asked(&folder, "ghcr.io"), ["https://mirror.example/v2 ns=ghcr.io named", "https://ghcr.io/v2 origin"]);
    assert_eq!(
        asked(&folder, "docker.io"),
        ["https://mirror.example/v2 ns=docker.io named", "https://registry-1.docker.io/v2 origin"]
    );
    assert_eq!(asked(&folder, "mirror.example"), ["https://mirror.example/v2 origin named"]);
    assert_eq!(asked(&folder, "own.example"), ["https://own.example/v2 origin named unverified"]);
    assert_eq!(asked(&folder, "empty.example"), ["https://empty.example/v2 origin named"]);
    let only = Folder::with(&[("_default/hosts.toml", "server = \"https://mirror.example\"\n")]);
    assert_eq!(asked(&only, "ghcr.io"), ["https://mirror.example/v2 ns=ghcr.io named"]);
}

#[test]
fn a_header_for_every_registry_there_is_is_warned_about() {
    let header = "header = {x-key = \"hunter2\"}\n";
    let every = Folder::with(&[("_default/hosts.toml", header)]);
    assert_eq!(
        warnings(&every),
        ["/_default/hosts.toml: `header` beside no `server` or host is sent to every registry that anybody names: \
          put it in the folder of the registry that it is for"]
    );
    let server = format!("server = \"https://mirror.example\"\n{header}");
    let one = Folder::with(&[("_default/hosts.toml", &server), ("r.example/hosts.toml", header)]);
    assert_eq!(warnings(&one), Vec::<String>::new());
}

#[test]
fn of_two_folders_of_a_registry_the_one_that_containerd_looks_for_first_counts() {
    let folder = Folder::with(&[
        ("r.example:5000/hosts.toml", "[host.\"https://second.example\"]\n"),
        ("r.example_5000_/hosts.toml", "[host.\"https://first.example\"]\n"),
        ("no registry/hosts.toml", "this is not even read"),
        ("..data/hosts.toml", "nor is this"),
    ]);
    assert_eq!(asked(&folder, "r.example:5000")[0], "https://first.example/v2 ns=r.example:5000 named");
    assert_eq!(
        warnings(&folder),
        [
            "/no registry: is the name of no registry: the folder is passed over",
            "/r.example:5000: is passed over: another folder is that of r.example:5000",
        ]
    );
}

#[test]
fn every_mistake_of_every_folder_is_told_at_once() {
    let pem = CertificateParams::new(vec![]).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let other = KeyPair::generate().unwrap().serialize_pem();
    let folder = Folder::with(&[
        ("a.example/hosts.toml", "server = \"https://a.example\"\nca = [\"empty.pem\", \"broken.pem\"]\n"),
        ("a.example/empty.pem", "nothing\n"),
        ("a.example/broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("b.example/hosts.toml", "\nclient = [[\"c.pem\", \"other.key\"]]\n"),
        ("b.example/c.pem", &pem),
        ("b.example/other.key", &other),
        ("c.example/hosts.toml", "client = \"c.pem\"\n"),
        ("c.example/c.pem", &pem),
        ("d.example/hosts.toml", "= 1\n"),
        ("e.example/ca.crt", "nothing\n"),
        ("f.example/hosts.toml", &" ".repeat(300_000)),
    ]);
    fs::write(folder.0.join("c.example/hosts.toml.old"), b"\xff").unwrap();
    let found = mistakes(&folder);
    let fourth = found.get(4).cloned().unwrap_or_default();
    assert!(fourth.starts_with("/d.example/hosts.toml:1: this is no TOML: "), "{fourth}");
    assert_eq!(
        found,
        [
            "/a.example/hosts.toml:2: ca[0]: /a.example/empty.pem holds no certificate in PEM",
            "/a.example/hosts.toml:2: ca[1]: /a.example/broken.pem holds a certificate that cannot be read",
            "/b.example/hosts.toml:2: client: the private key in /b.example/other.key is not that of the certificate \
             in /b.example/c.pem",
            "/c.example/hosts.toml:1: client: /c.example/c.pem holds no private key in PEM that is not encrypted",
            &fourth,
            "/e.example: /e.example/ca.crt holds no certificate in PEM",
            "/f.example/hosts.toml: /f.example/hosts.toml has more than 262144 bytes, which no file of this kind needs",
        ]
    );
}

#[test]
fn a_folder_that_is_not_there_is_a_mistake() {
    let folder = Folder::new();
    let missing = folder.0.join("missing");
    let found = Hosts::load(Some(&missing), &outbound(Surroundings::Alone)).unwrap_err();
    assert_eq!(said(&folder, &found), ["/missing: cannot be read: No such file or directory (os error 2)"]);
    assert!(warnings(&folder).is_empty());
}
