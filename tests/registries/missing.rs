//! What is not there, and what does not answer: never the same.

use crate::cluster::Cluster;
use crate::image::{Format, Layout};
use crate::parts::Client;
use crate::server::{Kind, Server};

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_missing_tag_repository_or_digest_is_an_image_that_is_not_found() {
    for kind in Kind::ALL {
        let (server, client, cluster) = (Server::open(kind), Client::new(), Cluster::new());
        let host = server.host();
        let (there, elsewhere) = (Layout::image(Format::Oci, "there"), Layout::image(Format::Oci, "elsewhere"));
        client.crane(&["push", &there.argument(), &format!("{host}/acme/shop:v1")]);
        cluster.check(&format!("{host}/acme/shop:v1")).is(&there.digest);
        for image in [
            format!("{host}/acme/shop:v2"),
            format!("{host}/acme/other:v1"),
            format!("{host}/acme/shop@{}", elsewhere.digest),
            // A digest that this registry has, in a repository that does not have it.
            format!("{host}/acme/other@{}", there.digest),
        ] {
            let answer = cluster.check(&image);
            let message = answer.is_refused("refused", "image-not-found");
            assert!(message.contains(&host), "{kind:?}: {message}");
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
        for image in [format!("{host}/acme/shop:v1"), format!("{host}/acme/shop@{}", layout.digest)] {
            let answer = cluster.check(&image);
            let message = answer.is_refused("undetermined", "registry-unavailable");
            assert!(message.contains(&host), "{kind:?}: {message}");
        }
    }
}
