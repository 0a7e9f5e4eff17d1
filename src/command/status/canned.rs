//! Reviews of Pods that nobody makes, as an API server would send them: one where nothing is judged, so that it costs no
//! question to a registry, and one of an image that the built-in policies refuse by its name alone.

use std::collections::BTreeSet;

use serde_json::json;

use crate::config::Config;
use crate::fact::Labels;

/// What the Pods are called, for whoever reads the log.
const NAME: &str = "pratique-status";
/// No registry can have this name (RFC 6761); the tag is what `baseline` refuses, and without a digest so does `restricted`.
const IMAGE: &str = "registry.invalid/pratique-status:latest";
/// The policies that are built in, as far as no object has their name.
const BUILT_IN: [&str; 2] = ["baseline", "restricted"];

/// What the answer to a review must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// That it comes; allowed, where the namespace is exempt.
    Answer,
    /// By this policy.
    Refusal(String),
    Warning(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Canned {
    pub(super) namespace: String,
    pub(super) expected: Expected,
}

impl Canned {
    /// In our own namespace, which is exempt unless somebody has changed that.
    pub(super) fn answered(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), expected: Expected::Answer }
    }

    /// In the first namespace where a built-in policy refuses it, or else warns of it. `objects`: the policies that somebody
    /// wrote, which may say something else under the same name.
    pub(super) fn judged(
        settings: Option<&Config>,
        namespaces: &[(String, Labels)],
        objects: &BTreeSet<&str>,
    ) -> Option<Self> {
        let built_in = |policy: &str| BUILT_IN.contains(&policy) && !objects.contains(policy);
        let exempt = |name: &str| settings.is_some_and(|config| config.exempt_namespaces.contains(name));
        let dry_run = settings.is_some_and(|config| config.dry_run);
        let open = || namespaces.iter().filter(|(name, _)| !exempt(name));
        let named = |default: Option<&str>, label: &Option<String>| {
            let policy = label.as_deref().or(default)?;
            built_in(policy).then(|| policy.to_owned())
        };
        let enforced = settings.and_then(|config| config.defaults.enforce.as_ref()).map(|name| name.as_str());
        let warned = settings.and_then(|config| config.defaults.warn.as_ref()).map(|name| name.as_str());
        let refusal = open().find_map(|(name, labels)| Some((name, named(enforced, &labels.enforce)?)));
        if let Some((namespace, policy)) = refusal.filter(|_| !dry_run) {
            return Some(Self { namespace: namespace.clone(), expected: Expected::Refusal(policy) });
        }
        let warning = open().find_map(|(name, labels)| Some((name, named(warned, &labels.warn)?)));
        warning.map(|(namespace, policy)| Self { namespace: namespace.clone(), expected: Expected::Warning(policy) })
    }

    /// What the answer must name too.
    pub(super) fn uid() -> String {
        format!("{NAME}-{}", std::process::id())
    }

    /// An `AdmissionReview`, as bytes.
    pub(super) fn review(&self) -> Vec<u8> {
        let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
        let resource = json!({"group": "", "version": "v1", "resource": "pods"});
        let metadata = json!({"name": NAME, "namespace": self.namespace});
        let spec = json!({"containers": [{"name": NAME, "image": IMAGE}]});
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": Self::uid(),
                "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
                "name": NAME,
                "namespace": self.namespace,
                "operation": "CREATE",
                "userInfo": {"username": NAME, "groups": ["system:authenticated"]},
                "object": {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
                "oldObject": null,
                // Nobody makes it: it is not remembered as something that runs.
                "dryRun": true,
                "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
            },
        });
        review.to_string().into_bytes()
    }
}
