//! Docker credential helpers and kubelet credential providers, from the settings to the registry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pratique_testkit::{Directory, Image, Registry, Webhook, eventually, pod, review};

use super::{MOVED_IS_REFUSED, ask, named};

const PASSWORD: &str = "what-the-plugin-knows";

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}")).expect("a script can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("and made executable");
    path
}

/// How often the script noted that it ran.
fn runs(log: &Path) -> usize {
    fs::read_to_string(log).map_or(0, |text| text.lines().count())
}

/// A registry with two images that only the plugin's user may see.
async fn registry() -> Registry {
    let registry = Registry::setup().tls().token("plugin", PASSWORD).private("acme").start().await;
    registry.push("acme/web", "v1", &Image::single());
    registry.push("acme/other", "v1", &Image::single().label("other"));
    registry
}

fn provider_config(files: &Directory) {
    files.write(
        "providers.yaml",
        "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: plugin\n  \
         matchImages: [\"127.0.0.1:*\", \"127.0.0.1\"]\n  defaultCacheDuration: 1h\n  \
         apiVersion: credentialprovider.kubelet.k8s.io/v1\n",
    );
}

async fn webhook(registry: &Registry, files: &Directory, matching: &str) -> Webhook {
    let text = fs::read_to_string(files.path().join("providers.yaml")).expect("it was written");
    files.write("providers.yaml", &text.replace("\"127.0.0.1:*\", \"127.0.0.1\"", &format!("\"{matching}\"")));
    let (config, binaries) = (files.path().join("providers.yaml"), files.path().join("bin"));
    Webhook::setup()
        .registry(registry)
        .policy("acme", MOVED_IS_REFUSED)
        .enforce("acme")
        .configure(|settings| {
            settings.registries.credential_providers = Some(pratique::config::CredentialProviders { config, binaries });
        })
        .start()
        .await
}

#[tokio::test]
async fn a_plugin_is_asked_once_for_a_registry_as_its_answer_says() {
    let (registry, files) = (registry().await, Directory::new());
    let log = files.path().join("asked");
    fs::create_dir(files.path().join("bin")).expect("a folder can be made");
    let answer = format!(
        "cat >> {}\necho >> {}\necho '{{\"apiVersion\": \"credentialprovider.kubelet.k8s.io/v1\", \"kind\": \
         \"CredentialProviderResponse\", \"cacheKeyType\": \"Registry\", \"cacheDuration\": \"1h\", \"auth\": \
         {{\"{}\": {{\"username\": \"plugin\", \"password\": \"{PASSWORD}\"}}}}}}'\n",
        log.display(),
        log.display(),
        registry.host()
    );
    script(&files.path().join("bin"), "plugin", &answer);
    provider_config(&files);
    let webhook = webhook(&registry, &files, registry.host()).await;
    for name in ["acme/web:v1", "acme/other:v1", "acme/web:v1"] {
        let answer = ask(&webhook, "shop", &named(&registry, name)).await;
        assert!(answer.allowed, "{name}: {answer:?}");
    }
    let asked = fs::read_to_string(&log).expect("it ran");
    assert_eq!(runs(&log), 1, "{asked}");
    assert!(asked.contains("\"kind\":\"CredentialProviderRequest\""), "{asked}");
    assert!(asked.contains(&format!("\"image\":\"{}/acme/web\"", registry.host())), "without the tag: {asked}");
}

#[tokio::test]
async fn a_plugin_that_hangs_is_killed_and_the_answer_is_in_time_all_the_same() {
    let (registry, files) = (registry().await, Directory::new());
    let log = files.path().join("asked");
    fs::create_dir(files.path().join("bin")).expect("a folder can be made");
    let hangs = format!("echo $$ >> {}\nsleep 300 &\nwait\n", log.display());
    script(&files.path().join("bin"), "plugin", &hangs);
    provider_config(&files);
    let webhook = webhook(&registry, &files, registry.host()).await;
    let object = pod("web").container("web", &named(&registry, "acme/web:v1"));
    let answer = webhook.review_within(&review(&object), "2s").await;
    assert_eq!((answer.code, answer.retry_after), (Some(503), Some(1)), "{answer:?}");
    let process = fs::read_to_string(&log).expect("it ran").trim().to_owned();
    assert!(Path::new("/proc").join(&process).exists(), "it is given some time");
    eventually("it is killed", async || !Path::new("/proc").join(&process).exists()).await;
    let answer = ask(&webhook, "shop", &named(&registry, "acme/web:v1")).await;
    assert_eq!(answer.code, Some(503), "it may be well in a moment: {answer:?}");
    assert!(answer.message.contains("plugin"), "{answer:?}");
    assert_eq!(runs(&log), 1, "not run again for each review");
}
