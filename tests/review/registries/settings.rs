//! hosts.toml, docker config and credential providers: read at the start, and again when they change.

use pratique_testkit::{Directory, Image, Registry, Webhook, eventually, run};

use super::{MOVED_IS_REFUSED, ask, named};
use crate::PRATIQUE;

const BROKEN_HOSTS: &str =
    "server = \"https://registry.example\"\n[host.\"https://mirror.example\"]\n  skip_verify = \"no\"\n";
const BROKEN_PROVIDERS: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: ecr\n  \
                                apiVersion: credentialprovider.kubelet.k8s.io/v1\n  matchImages: []\n  defaultCacheDuration: 12h\n";

/// Three files with one mistake each, and the settings that name them.
fn broken() -> Directory {
    let files = Directory::new();
    files.write_in("certs.d/registry.example", "hosts.toml", BROKEN_HOSTS);
    files.write("docker.json", "{\n  \"auths\": {\"registry.example\": {\"auth\": 7}}\n}\n");
    files.write("providers.yaml", BROKEN_PROVIDERS);
    files.write_in("binaries", "ecr", "#!/bin/sh\n");
    let (hosts, docker, providers) = (files.file("certs.d"), files.file("docker.json"), files.file("providers.yaml"));
    files.write(
        "settings.yaml",
        &format!(
            "registries:\n  hosts: {hosts}\n  dockerConfig: {docker}\n  credentialProviders: {{config: {providers}, binaries: {}}}\n",
            files.file("binaries")
        ),
    );
    files
}

#[test]
fn a_malformed_file_is_an_error_at_the_start_with_its_path_and_line_and_all_are_told_at_once() {
    let files = broken();
    let settings = files.file("settings.yaml");
    for arguments in [
        vec!["serve", "--config", &settings, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
        vec!["check", "--config", &settings, "--policy", "baseline", "nginx:1"],
        vec!["lint", "--config", &settings],
    ] {
        let outcome = run(PRATIQUE, &arguments);
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.code, Some(if arguments[0] == "lint" { 1 } else { 2 }), "{told}");
        for (file, line) in [("certs.d/registry.example/hosts.toml", 3), ("docker.json", 2), ("providers.yaml", 6)] {
            let place = format!("{}:{line}: ", files.file(file));
            assert!(told.contains(&place), "{place} in {arguments:?}: {told}");
        }
    }
}

#[tokio::test]
async fn changed_hosts_are_taken_up_and_broken_ones_leave_the_last_good_ones_in_force() {
    let registry = Registry::setup().tls().start().await;
    registry.push("acme/web", "v1", &Image::single());
    registry.push("acme/other", "v1", &Image::single());
    registry.push("acme/third", "v1", &Image::single());
    let webhook = Webhook::setup().policy("acme", MOVED_IS_REFUSED).enforce("acme").start().await;
    let image = named(&registry, "acme/web:v1");
    assert!(!ask(&webhook, "shop", &image).await.allowed, "nobody said how it is reached");
    let folder = registry.write_hosts(webhook.hosts().path());
    eventually("its hosts.toml is in force", async || ask(&webhook, "shop", &image).await.allowed).await;
    std::fs::write(folder.join("hosts.toml"), "server = \n").expect("the file can be written");
    eventually("the mistake is told", async || webhook.metric("pratique_registry_settings_stale").await == Some(1.0))
        .await;
    let ready = webhook.get("/readyz").await;
    assert_eq!(ready.status, 200, "every replica has the same files");
    let place = format!("{}:1", folder.join("hosts.toml").display());
    assert!(
        ready.text().contains("[!] registries: degraded: the last good ones are in force")
            && ready.text().contains(&place)
    );
    assert!(ask(&webhook, "shop", &named(&registry, "acme/other:v1")).await.allowed, "as the last good one says");
    registry.write_hosts(webhook.hosts().path());
    eventually("it is well again", async || webhook.metric("pratique_registry_settings_stale").await == Some(0.0))
        .await;
    assert!(ask(&webhook, "shop", &named(&registry, "acme/third:v1")).await.allowed);
}

#[tokio::test]
async fn a_changed_docker_config_is_used_for_the_next_review() {
    let registry = Registry::setup().tls().basic("operator", "the-right-password").start().await;
    registry.push("acme/web", "v1", &Image::single());
    let files = Directory::new();
    let config = |password: &str| {
        format!(
            "{{\"auths\": {{\"{}\": {{\"username\": \"operator\", \"password\": \"{password}\"}}}}}}",
            registry.host()
        )
    };
    files.write("docker.json", &config("an-old-password"));
    let webhook = Webhook::setup()
        .registry(&registry)
        .policy("acme", MOVED_IS_REFUSED)
        .enforce("acme")
        .configure(|settings| settings.registries.docker_config = Some(files.path().join("docker.json")))
        .start()
        .await;
    let image = named(&registry, "acme/web:v1");
    let answer = ask(&webhook, "shop", &image).await;
    assert!(
        answer.message.contains("401") && answer.message.contains("to the credential that is for it"),
        "{answer:?}"
    );
    files.write("docker.json", &config("the-right-password"));
    eventually("the new password is used", async || ask(&webhook, "shop", &image).await.allowed).await;
}

#[tokio::test]
async fn a_registry_that_is_listed_among_its_hosts_for_its_authority_is_not_told_as_untrusted() {
    let registry = Registry::setup().tls().start().await;
    registry.push("acme/web", "v1", &Image::single());
    let webhook = Webhook::setup().policy("acme", MOVED_IS_REFUSED).enforce("acme");
    // As containerd's own documentation shows it: the server, and the same as a host with `ca`.
    registry.write_mirror(webhook.hosts().path(), registry.host());
    let webhook = webhook.start().await;
    assert!(ask(&webhook, "shop", &named(&registry, "acme/web:v1")).await.allowed);
    let answer = ask(&webhook, "shop", &named(&registry, "acme/web:v9")).await;
    assert!(answer.message.contains("image-not-found"), "{answer:?}");
}
