//! The `caBundle` of our webhooks: read from the live `ValidatingWebhookConfiguration`, and written there by server-side
//! apply as a field of ours.
//!
//! Nothing else of that object is written. It is not made, no webhook is added to it, and where cert-manager was told to
//! fill in the bundle it is left alone.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use crate::server::tls::issue::Authority;

use super::super::registration::OURS;
use super::rotation::MOST_AUTHORITIES;
use super::secret::pem;
use super::trouble::{Asked, Kind, Trouble, ask};

/// As `managedFields` names us.
pub(super) const FIELD_MANAGER: &str = "pratique-certificates";
/// What cert-manager's injector goes by: `inject-ca-from`, `inject-ca-from-secret`, `inject-apiserver-ca`.
const INJECTED: &str = "cert-manager.io/inject-";
/// Bytes of a bundle that are looked at: the largest that we write has 8 certificates of less than 1 KiB.
const LARGEST: usize = 64 << 10;

/// What the live configuration says.
#[derive(Debug, Clone)]
pub(super) enum Live {
    /// There is no such object, or it has no entry of ours: nobody calls us by it.
    Missing(String),
    Present(Present),
}

#[derive(Debug, Clone)]
pub(super) struct Present {
    /// The annotation by which somebody else fills in the bundle.
    pub(super) injected: bool,
    /// The name of each entry of ours, with the CAs that it trusts.
    entries: Vec<(String, Vec<Authority>)>,
    version: Option<String>,
    uid: Option<String>,
}

impl Present {
    /// Whom all of our entries trust.
    pub(super) fn trusted(&self) -> Vec<Authority> {
        let Some((_, first)) = self.entries.first() else { return Vec::new() };
        let everywhere = |authority: &&Authority| self.entries.iter().all(|(_, trusted)| trusted.contains(authority));
        first.iter().filter(everywhere).cloned().collect()
    }

    /// Whether an entry trusts others than these.
    pub(super) fn differs(&self, wanted: &[Authority]) -> bool {
        let same = |trusted: &[Authority]| {
            trusted.len() == wanted.len() && wanted.iter().all(|authority| trusted.contains(authority))
        };
        !self.entries.iter().all(|(_, trusted)| same(trusted))
    }
}

fn asked<'a>(verb: &'static str, name: &'a str) -> Asked<'a> {
    Asked { verb, resource: "validatingwebhookconfigurations", name, role: "ClusterRole" }
}

/// What API servers trust, or will within moments.
pub(super) async fn look(client: Client, name: &str) -> Result<Live, Trouble> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client);
    let found = ask(asked("get", name), api.get_opt(name)).await?;
    Ok(found.map_or_else(
        || {
            Live::Missing(format!(
                "there is no ValidatingWebhookConfiguration {name}, so no API server calls us: apply it"
            ))
        },
        |object| live(name, object),
    ))
}

fn live(name: &str, object: ValidatingWebhookConfiguration) -> Live {
    let annotations = object.metadata.annotations.unwrap_or_default();
    let injected = annotations.iter().any(|(key, value)| key.starts_with(INJECTED) && !value.is_empty());
    let ours = object.webhooks.unwrap_or_default().into_iter().filter(|entry| OURS.contains(&entry.name.as_str()));
    let entries: Vec<_> = ours.map(|entry| (entry.name, authorities(entry.client_config.ca_bundle))).collect();
    if entries.is_empty() {
        let words = "has no webhook called images.pratique.dev, so no API server calls us: apply it again";
        return Live::Missing(format!("the ValidatingWebhookConfiguration {name} {words}"));
    }
    let (version, uid) = (object.metadata.resource_version, object.metadata.uid);
    Live::Present(Present { injected, entries, version, uid })
}

/// What cannot be read vouches for nobody.
fn authorities(bundle: Option<ByteString>) -> Vec<Authority> {
    let bundle = bundle.map(|bundle| bundle.0).unwrap_or_default();
    if bundle.len() > LARGEST {
        return Vec::new();
    }
    // One more than there may be, so that it is seen to differ.
    let certificates = CertificateDer::pem_slice_iter(&bundle).take(MOST_AUTHORITIES + 1);
    certificates.filter_map(Result::ok).filter_map(|certificate| Authority::read(certificate).ok()).collect()
}

/// Lets our entries trust these. False where the object is no longer as it was looked at.
pub(super) async fn write(
    client: Client,
    name: &str,
    present: &Present,
    wanted: &[Authority],
) -> Result<bool, Trouble> {
    let bundle = ByteString(pem(wanted).into_bytes());
    let entry = |(webhook, _): &(String, _)| json!({"name": webhook, "clientConfig": {"caBundle": bundle}});
    let patch = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        // As it was looked at: one that was deleted since is not made again, and a stale bundle overwrites no newer one.
        "metadata": {"name": name, "uid": present.uid, "resourceVersion": present.version},
        "webhooks": present.entries.iter().map(entry).collect::<Vec<_>>(),
    });
    // By force, since whoever wrote a bundle there by hand owns that one field.
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client);
    match ask(asked("patch", name), api.patch(name, &params, &Patch::Apply(&patch))).await {
        Ok(_) => Ok(true),
        Err(trouble) if matches!(trouble.kind, Kind::Conflict | Kind::Missing) => Ok(false),
        Err(trouble) => Err(trouble),
    }
}
