//! Images for everybody, over plain HTTP on loopback.

use pratique_testkit::Directory;
use pratique_testkit::real::{Client, Format, Kind, Layout, Server};

use crate::cluster::Cluster;

/// The name resolves to the digest, by tag, by digest, and by both; and by digest, it is this registry that was asked.
fn assert_resolves(cluster: &Cluster, server: &Server, repository: &str, tag: &str, digest: &str) {
    let name = format!("{}/{repository}", server.host());
    for image in [format!("{name}:{tag}"), format!("{name}@{digest}"), format!("{name}:{tag}@{digest}")] {
        cluster.check(&image).is(digest);
    }
    server.has_sent(repository, digest);
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn what_crane_pushed_resolves_to_its_digest() {
    for kind in Kind::ALL {
        let (server, client, cluster) = (Server::open(kind), Client::new(), Cluster::new());
        for format in Format::ALL {
            for layout in [Layout::image(format, "crane"), Layout::index(format, "crane")] {
                let tagged = format!("{}/acme/shop:v1", server.host());
                client.crane(&["push", &layout.argument(), &tagged]);
                assert_eq!(client.crane(&["digest", &tagged]), layout.digest, "{kind:?} {format:?}");
                assert_resolves(&cluster, &server, "acme/shop", "v1", &layout.digest);
            }
        }
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn what_skopeo_copied_resolves_to_its_digest() {
    for kind in Kind::ALL {
        let (server, client, cluster) = (Server::open(kind), Client::new(), Cluster::new());
        let repository = "acme/deep/shop";
        let layouts = [Layout::image(Format::Oci, "skopeo"), Layout::index(Format::Oci, "skopeo")];
        for layout in &layouts {
            let tagged = format!("{}/{repository}:v1", server.host());
            client.skopeo_push(layout.path(), &tagged, &["--all"]);
            assert_eq!(client.skopeo_digest(&tagged), layout.digest, "{kind:?}");
            assert_resolves(&cluster, &server, repository, "v1", &layout.digest);
        }
        // Made over into docker's media types on the way: other bytes, another digest.
        for (layout, tag) in layouts.iter().zip(["image", "list"]) {
            let tagged = format!("{}/{repository}:{tag}", server.host());
            client.skopeo_push(layout.path(), &tagged, &["--all", "--format", "v2s2"]);
            let digest = client.skopeo_digest(&tagged);
            assert_ne!(digest, layout.digest, "{kind:?}");
            assert_resolves(&cluster, &server, repository, tag, &digest);
        }
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn what_crane_put_together_itself_resolves_to_the_digest_that_it_says() {
    for kind in Kind::ALL {
        let (server, client, cluster) = (Server::open(kind), Client::new(), Cluster::new());
        let name = |tag: &str| format!("{}/shop:{tag}", server.host());
        let files = Directory::new();
        files.write("empty.tar", &"\0".repeat(1024));
        let layer = files.file("empty.tar");
        // Neither states a platform in its configuration; docker's media types, then OCI's.
        client.crane(&["append", "-f", &layer, "-t", &name("docker")]);
        client.crane(&["append", "--oci-empty-base", "-f", &layer, "-t", &name("oci")]);
        for (tag, base) in [("index", "--docker-empty-base=false"), ("list", "--docker-empty-base")] {
            client.crane(&["index", "append", base, "-m", &name("docker"), "-m", &name("oci"), "-t", &name(tag)]);
        }
        for tag in ["docker", "oci", "index", "list"] {
            assert_resolves(&cluster, &server, "shop", tag, &client.crane(&["digest", &name(tag)]));
        }
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_tag_that_was_pushed_again_is_what_it_is_now_and_the_old_digest_is_still_there() {
    for kind in Kind::ALL {
        let (server, client, cluster) = (Server::open(kind), Client::new(), Cluster::new());
        let repository = format!("{}/acme/shop", server.host());
        let tagged = format!("{repository}:v1");
        let [old, new] = ["old", "new"].map(|note| Layout::image(Format::Oci, note));
        client.crane(&["push", &old.argument(), &tagged]);
        cluster.check(&tagged).is(&old.digest);
        client.crane(&["push", &new.argument(), &tagged]);
        cluster.check(&tagged).is(&new.digest);
        cluster.check(&format!("{repository}@{}", old.digest)).is(&old.digest);
        server.has_sent("acme/shop", &old.digest);
        let answers = cluster.check_all(&[&tagged, &format!("{tagged}@{}", old.digest)]);
        answers[0].is(&new.digest);
        answers[1].is(&old.digest);
    }
}
