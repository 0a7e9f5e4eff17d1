//! Images are resolved by asking registries: what is asked, how often, with whose credentials, and what follows.

use pratique_testkit::{Answer, Client, Registry, pod, review};

mod check;
mod hostile;
mod outages;
mod programs;
mod records;
mod settings;
mod tenancy;
mod warm;

/// Nothing is demanded but that a tag still names what it named; whoever cannot tell is refused.
const MOVED_IS_REFUSED: &str = "unavailable: deny
rules:
- {name: all, images: [\"**\"], tags: {repointed: deny}}";

/// The first scene of every test: a pod of one image, in this namespace.
async fn ask(webhook: &Client, namespace: &str, image: &str) -> Answer {
    webhook.review(&review(&pod("web").container("web", image)).in_namespace(namespace)).await
}

fn named(registry: &Registry, name: &str) -> String {
    format!("{}/{name}", registry.host())
}

/// A pull secret of a namespace, as kubectl writes it, but for the encoding.
fn pull_secret(namespace: &str, name: &str, registry: &str, user: &str, password: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
         type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: |\n    \
         {{\"auths\": {{\"{registry}\": {{\"username\": \"{user}\", \"password\": \"{password}\"}}}}}}\n"
    )
}
