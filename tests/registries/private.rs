//! Images for whoever has the password, and registries that only their own authority vouches for.

use crate::cluster::Cluster;
use pratique_testkit::real::{Client, Door, Format, Kind, Layout, PASSWORD, Server, USER, encoded};

/// A registry with an index that crane pushed and an image that skopeo copied.
struct Private {
    server: Server,
    index: (String, String),
    image: (String, String),
}

impl Private {
    fn new(kind: Kind) -> Self {
        let server = Server::behind(kind, Door::TlsWithPassword);
        let client = Client::known(&server.docker_config(PASSWORD), server.authority());
        let (index, image) = (Layout::index(Format::Oci, "private"), Layout::image(Format::Oci, "private"));
        let names = ["index", "image"].map(|tag| format!("{}/acme/shop:{tag}", server.host()));
        client.crane(&["push", &index.argument(), &names[0]]);
        client.skopeo_push(image.path(), &names[1], &[]);
        let [index_name, image_name] = names;
        Self { server, index: (index_name, index.digest), image: (image_name, image.digest) }
    }

    /// That trusts the registry's authority and has no credentials.
    fn cluster(&self) -> Cluster {
        Cluster::new().trusting(&self.server.host(), self.server.authority())
    }

    /// Both images resolve.
    fn assert_opens(&self, cluster: &Cluster) {
        for (name, digest) in [&self.index, &self.image] {
            let (repository, _tag) = name.rsplit_once(':').expect("a tag was given");
            cluster.check(name).is(digest);
            cluster.check(&format!("{repository}@{digest}")).is(digest);
            self.server.has_sent("acme/shop", digest);
        }
    }

    /// Neither does, in words that name the registry and its status.
    fn assert_stays_shut(&self, cluster: &Cluster) {
        for (name, _) in [&self.index, &self.image] {
            let answer = cluster.check(name);
            let message = answer.is_undetermined("image-inaccessible");
            assert!(message.contains(&self.server.host()) && message.contains("401"), "{message}");
        }
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn the_password_in_the_docker_config_opens_and_no_other() {
    for kind in Kind::ALL {
        let private = Private::new(kind);
        let with = |config: &str| private.cluster().docker_config(config);
        private.assert_opens(&with(&private.server.docker_config(PASSWORD)));
        private.assert_stays_shut(&with(&private.server.docker_config("wrong")));
        private.assert_stays_shut(&with("{}"));
        private.assert_stays_shut(&with(r#"{"auths": {"registry.example": {"username": "a", "password": "b"}}}"#));
        // The same password for a path below the registry, and for one beside ours.
        let scoped = |path: &str| private.server.docker_config(PASSWORD).replace(&private.server.host(), path);
        private.assert_opens(&with(&scoped(&format!("{}/acme", private.server.host()))));
        private.assert_stays_shut(&with(&scoped(&format!("{}/beside", private.server.host()))));
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_missing_image_behind_the_password_is_not_found_only_for_whoever_has_it() {
    for kind in Kind::ALL {
        let private = Private::new(kind);
        let image = format!("{}/acme/shop:none", private.server.host());
        private.cluster().check(&image).is_undetermined("image-inaccessible");
        let cluster = private.cluster().docker_config(&private.server.docker_config(PASSWORD));
        cluster.check(&image).is_refused("image-not-found");
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_credential_helper_opens_and_is_asked_once_for_all_images() {
    for kind in Kind::ALL {
        let private = Private::new(kind);
        let config = format!(r#"{{"credHelpers": {{"{}": "real"}}}}"#, private.server.host());
        let answer = |secret: &str| {
            format!(
                "read server\nfolder=$(dirname \"$0\")\necho \"$1 $server\" >> \"$folder/asked\"\n\
                 echo '{{\"ServerURL\": \"\", \"Username\": \"{USER}\", \"Secret\": \"{secret}\"}}'\n"
            )
        };
        let cluster = private.cluster().docker_config(&config).helper("real", &answer(PASSWORD));
        let answers = cluster.check_all(&[&private.index.0, &private.image.0]);
        answers[0].is(&private.index.1);
        answers[1].is(&private.image.1);
        assert_eq!(cluster.written("asked"), format!("get {}\n", private.server.host()), "{kind:?}");
        private.assert_stays_shut(&private.cluster().docker_config(&config).helper("real", &answer("wrong")));
        let none = "read server\necho 'credentials not found in native keychain'\nexit 1\n";
        private.assert_stays_shut(&private.cluster().docker_config(&config).helper("real", none));
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_certificate_of_an_unknown_authority_is_no_answer_and_the_password_stays_here() {
    for kind in Kind::ALL {
        let private = Private::new(kind);
        let cluster = || Cluster::new().docker_config(&private.server.docker_config(PASSWORD));
        let server = format!("server = \"{}\"\n", private.server.url());
        let answer = cluster().hosts(&private.server.host(), &server).check(&private.index.0);
        let message = answer.is_undetermined("registry-unavailable");
        assert!(message.contains("certificate"), "{kind:?}: {message}");
        // Another authority than the one that issued it.
        let stranger = Server::behind(kind, Door::Tls);
        let cluster = cluster().trusting(&private.server.host(), stranger.authority());
        cluster.check(&private.index.0).is_undetermined("registry-unavailable");
        // Without hosts.toml, loopback is asked over plain HTTP, which this registry does not speak.
        let answer = Cluster::new().docker_config(&private.server.docker_config(PASSWORD)).check(&private.index.0);
        let message = answer.is_undetermined("registry-broken");
        assert!(message.contains("400"), "{kind:?}: {message}");
        let requests = private.server.stop().requests;
        assert_eq!(requests, "", "{kind:?}");
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn no_password_of_the_docker_config_goes_over_plain_http() {
    for kind in Kind::ALL {
        let server = Server::behind(kind, Door::PlainWithPassword);
        let client = Client::plain(&server.docker_config(PASSWORD));
        let (image, layout) = (format!("{}/acme/shop:v1", server.host()), Layout::image(Format::Oci, "plain"));
        client.crane(&["push", &layout.argument(), &image]);
        let with_config = || Cluster::new().docker_config(&server.docker_config(PASSWORD));
        with_config().check(&image).is_undetermined("image-inaccessible");
        // hosts.toml says that it shall be sent there.
        let header = format!(
            "[host.\"{0}\"]\n[host.\"{0}\".header]\nauthorization = \"Basic {1}\"\n",
            server.url(),
            encoded(PASSWORD)
        );
        let toml = format!("server = \"{}\"\n{header}", server.url());
        Cluster::new().hosts(&server.host(), &toml).check(&image).is(&layout.digest);
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_pull_secret_opens_for_the_pods_of_its_namespace_that_name_it() {
    for kind in Kind::ALL {
        let private = Private::new(kind);
        let (image, digest) = &private.index;
        let config = private.server.docker_config(PASSWORD);
        let cluster = private.cluster().secret("shop", "pull", &config);
        cluster.check_pod("shop", image, Some("pull")).is(digest);
        for (namespace, secret) in [("shop", None), ("shop", Some("other")), ("bank", Some("pull"))] {
            cluster.check_pod(namespace, image, secret).is_undetermined("image-inaccessible");
        }
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn the_password_goes_to_the_registry_itself_as_a_host_of_its_own_and_to_nobody_unverified() {
    for kind in Kind::ALL {
        let private = Private::new(kind);
        let (host, url) = (private.server.host(), private.server.url());
        let with = |settings: &dyn Fn(&Cluster) -> String| {
            let cluster = Cluster::new().docker_config(&private.server.docker_config(PASSWORD));
            let settings = settings(&cluster);
            cluster.hosts(&host, &format!("server = \"{url}\"\n[host.\"{url}\"]\n{settings}"))
        };
        let authority = |cluster: &Cluster| cluster.authority(&host, private.server.authority());
        private.assert_opens(&with(&|cluster| format!("ca = \"{}\"\n", authority(cluster))));
        with(&|_| "skip_verify = true\n".to_owned()).check(&private.index.0).is_not_admitted();

        let open = Server::behind(kind, Door::Tls);
        let layout = Layout::image(Format::Oci, "unverified");
        let image = format!("{}/acme/shop:v1", open.host());
        Client::known("{}", open.authority()).crane(&["push", &layout.argument(), &image]);
        let toml = format!("server = \"{}\"\nskip_verify = true\n", open.url());
        Cluster::new().hosts(&open.host(), &toml).check(&image).is(&layout.digest);
    }
}
