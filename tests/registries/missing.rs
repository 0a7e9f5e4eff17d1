//! What is not there, and what does not answer: never the same.

use crate::cluster::Cluster;
use pratique_testkit::real::{Client, Format, Kind, Layout, Server};

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_missing_tag_or_repository_is_an_image_that_is_not_found() {
    for kind in Kind::ALL {
        let (server, client, cluster) = (Server::open(kind), Client::new(), Cluster::new());
        let host = server.host();
        let layout = Layout::image(Format::Oci, "there");
        client.crane(&["push", &layout.argument(), &format!("{host}/acme/shop:v1")]);
        cluster.check(&format!("{host}/acme/shop:v1")).is(&layout.digest);
        for image in [
            format!("{host}/acme/shop:v2"),
            // No tag is `latest`.
            format!("{host}/acme/shop"),
            format!("{host}/acme/other:v1"),
        ] {
            let answer = cluster.check(&image);
            let message = answer.is_refused("image-not-found");
            assert!(message.contains(&host) && message.contains("404"), "{kind:?}: {message}");
        }
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_registry_that_was_stopped_gives_no_answer() {
    for kind in Kind::ALL {
        let (server, client, cluster) = (Server::open(kind), Client::new(), Cluster::new());
        let host = server.host();
        let layout = Layout::image(Format::Oci, "there");
        client.crane(&["push", &layout.argument(), &format!("{host}/acme/shop:v1")]);
        cluster.check(&format!("{host}/acme/shop:v1")).is(&layout.digest);
        let _gone = server.stop();
        for tag in ["v1", "v2"] {
            let answer = cluster.check(&format!("{host}/acme/shop:{tag}"));
            let message = answer.is_undetermined("registry-unavailable");
            assert!(message.contains(&host) && !message.contains("answered 404"), "{kind:?}: {message}");
        }
    }
}
