//! Hosts that are asked instead of the registry, as containerd's `hosts.toml` names them.

use crate::cluster::Cluster;
use pratique_testkit::real::{Client, Door, Format, Kind, Layout, PASSWORD, Server};

const RESOLVING: &str = r#"["pull", "resolve"]"#;
const PULLING: &str = r#"["pull"]"#;

/// One mirror before the registry itself.
fn mirrored(origin: &str, mirror: &str, capabilities: &str) -> String {
    format!("server = \"{origin}\"\n[host.\"{mirror}\"]\ncapabilities = {capabilities}\n")
}

fn push(server: &Server, layout: &Layout) {
    Client::new().crane(&["push", &layout.argument(), &format!("{}/acme/shop:v1", server.host())]);
}

/// A registry of a kind and a mirror of the other one, with different images under one name.
fn pair(kind: Kind) -> ((Server, Layout), (Server, Layout)) {
    let (origin, mirror) = (Server::open(kind), Server::open(kind.other()));
    let of = |note| Layout::index(Format::Oci, note);
    ((origin, of("origin")), (mirror, of("mirror")))
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_mirror_that_may_resolve_answers_and_the_registry_is_not_asked() {
    for kind in Kind::ALL {
        let ((origin, at_origin), (mirror, at_mirror)) = pair(kind);
        push(&origin, &at_origin);
        push(&mirror, &at_mirror);
        let cluster = Cluster::new().hosts(&origin.host(), &mirrored(&origin.url(), &mirror.url(), RESOLVING));
        let image = format!("{}/acme/shop:v1", origin.host());
        cluster.check(&image).is(&at_mirror.digest);
        let gone = origin.stop();
        assert_eq!(gone.requests, "", "{kind:?}");
        // So it does when the registry is gone.
        cluster.check(&image).is(&at_mirror.digest);
        let requests = mirror.stop().requests;
        let asked = requests.lines().any(|line| line.contains("/v2/acme/shop/manifests/v1?ns="));
        assert!(asked, "{kind:?}: {requests}");
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn what_the_mirror_does_not_have_the_registry_is_asked_for() {
    for kind in Kind::ALL {
        let ((origin, at_origin), (mirror, _)) = pair(kind);
        push(&origin, &at_origin);
        let cluster = Cluster::new().hosts(&origin.host(), &mirrored(&origin.url(), &mirror.url(), RESOLVING));
        let repository = format!("{}/acme/shop", origin.host());
        cluster.check(&format!("{repository}:v1")).is(&at_origin.digest);
        cluster.check(&format!("{repository}@{}", at_origin.digest)).is(&at_origin.digest);
        origin.has_sent("acme/shop", &at_origin.digest);
        cluster.check(&format!("{repository}:v2")).is_refused("image-not-found");
        // That the mirror does not have it does not say that nobody has.
        let _gone = origin.stop();
        cluster.check(&format!("{repository}:v1")).is_undetermined("registry-unavailable");
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_mirror_that_may_only_pull_never_says_what_a_tag_is() {
    for kind in Kind::ALL {
        let ((origin, at_origin), (mirror, at_mirror)) = pair(kind);
        push(&origin, &at_origin);
        push(&mirror, &at_mirror);
        let cluster = Cluster::new().hosts(&origin.host(), &mirrored(&origin.url(), &mirror.url(), PULLING));
        let repository = format!("{}/acme/shop", origin.host());
        cluster.check(&format!("{repository}:v1")).is(&at_origin.digest);
        // By digest it is asked: only it has this one.
        cluster.check(&format!("{repository}@{}", at_mirror.digest)).is(&at_mirror.digest);
        mirror.has_sent("acme/shop", &at_mirror.digest);
        let _gone = origin.stop();
        cluster.check(&format!("{repository}:v1")).is_undetermined("registry-unavailable");
        let requests = mirror.stop().requests;
        let asked_for_the_tag = requests.lines().any(|line| line.contains("/manifests/v1"));
        assert!(!asked_for_the_tag, "{kind:?}: {requests}");
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn while_the_mirror_is_down_the_registry_answers() {
    for kind in Kind::ALL {
        let ((origin, at_origin), (mirror, _)) = pair(kind);
        push(&origin, &at_origin);
        let cluster = Cluster::new().hosts(&origin.host(), &mirrored(&origin.url(), &mirror.url(), RESOLVING));
        let _gone = mirror.stop();
        let repository = format!("{}/acme/shop", origin.host());
        cluster.check(&format!("{repository}:v1")).is(&at_origin.digest);
        cluster.check(&format!("{repository}@{}", at_origin.digest)).is(&at_origin.digest);
        origin.has_sent("acme/shop", &at_origin.digest);
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_pull_through_cache_resolves_what_the_registry_has_and_remembers_it() {
    for kind in Kind::ALL {
        let origin = Server::open(kind);
        let layout = Layout::index(Format::Oci, "cached");
        push(&origin, &layout);
        let cache = Server::cache_of(kind.other(), &origin);
        let toml = mirrored(&origin.url(), &cache.url(), RESOLVING);
        let cluster = Cluster::new().hosts(&origin.host(), &toml);
        let image = format!("{}/acme/shop:v1", origin.host());
        cluster.check(&image).is(&layout.digest);
        let gone = origin.stop();
        assert_eq!(gone.requests, "", "{kind:?}");
        cluster.check(&image).is(&layout.digest);
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn images_of_docker_hub_come_from_the_mirror_that_is_named_for_it_or_for_all() {
    for kind in Kind::ALL {
        let mirror = Server::open(kind);
        let layout = Layout::index(Format::Docker, "hub");
        Client::new().crane(&["push", &layout.argument(), &format!("{}/library/nginx:1.29", mirror.host())]);
        let toml = mirrored("https://registry-1.docker.io", &mirror.url(), RESOLVING);
        let cluster = Cluster::new().hosts("docker.io", &toml);
        for image in ["nginx:1.29", "docker.io/library/nginx:1.29", "index.docker.io/nginx:1.29"] {
            cluster.check(image).is(&layout.digest);
        }
        let all = Cluster::new().hosts("_default", &format!("[host.\"{}\"]\n", mirror.url()));
        for image in ["nginx:1.29", "registry.example/library/nginx:1.29"] {
            all.check(image).is(&layout.digest);
        }
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_mirror_with_an_authority_of_its_own_is_trusted_where_hosts_toml_says_so() {
    for kind in Kind::ALL {
        let (origin, mirror) = (Server::open(kind), Server::behind(kind.other(), Door::Tls));
        let layout = Layout::image(Format::Docker, "mirror");
        let client = Client::known("{}", mirror.authority());
        client.crane(&["push", &layout.argument(), &format!("{}/acme/shop:v1", mirror.host())]);
        let image = format!("{}/acme/shop:v1", origin.host());
        let toml = mirrored(&origin.url(), &mirror.url(), RESOLVING);
        let cluster = Cluster::new();
        let trusted = format!("{toml}ca = [\"{}\"]\n", cluster.authority(&mirror.host(), mirror.authority()));
        cluster.hosts(&origin.host(), &trusted).check(&image).is(&layout.digest);
        // Without it, whoever answers there is nobody, and does not say that there is no such image.
        Cluster::new().hosts(&origin.host(), &toml).check(&image).is_undetermined("registry-unavailable");
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn the_password_of_the_registry_is_for_itself_and_not_for_its_mirror() {
    for kind in Kind::ALL {
        let (origin, mirror) =
            (Server::behind(kind, Door::TlsWithPassword), Server::behind(kind.other(), Door::TlsWithPassword));
        let config = origin.docker_config(PASSWORD);
        let image = format!("{}/acme/shop:v1", origin.host());
        let (at_origin, at_mirror) = (Layout::image(Format::Oci, "origin"), Layout::image(Format::Oci, "mirror"));
        Client::known(&config, origin.authority()).crane(&["push", &at_origin.argument(), &image]);
        let to_mirror = Client::known(&mirror.docker_config(PASSWORD), mirror.authority());
        to_mirror.crane(&["push", &at_mirror.argument(), &format!("{}/acme/shop:v1", mirror.host())]);
        let cluster = Cluster::new();
        let [ca, mirror_ca] = [&origin, &mirror].map(|server| cluster.authority(&server.host(), server.authority()));
        let toml = format!(
            "server = \"{}\"\nca = \"{ca}\"\n[host.\"{}\"]\ncapabilities = {RESOLVING}\nca = \"{mirror_ca}\"\n",
            origin.url(),
            mirror.url()
        );
        // The mirror would take that password: it is the same for both.
        cluster.hosts(&origin.host(), &toml).docker_config(&config).check(&image).is(&at_origin.digest);
    }
}
