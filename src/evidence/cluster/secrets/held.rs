//! What is kept of Secrets and service accounts: keyrings, and names.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::ResourceExt as _;

use crate::evidence::registry::credentials::Keyring;
use crate::fact::{Fault, Trouble};
use crate::policy::document::wording::quoted;

use super::super::pull_secrets::Form;
use super::NAMED;

/// A keyring takes about so many times the bytes that it was read from: its texts, and the tables around them.
const KEYRING_PER_BYTE: usize = 2;

/// One Secret.
#[derive(Clone)]
pub(super) struct Held {
    /// None: it is no pull secret. The error is a clause that quotes nothing of it.
    pub(super) keyring: Result<Option<Arc<Keyring>>, Arc<str>>,
    /// Since when we know it to be as it is.
    pub(super) since: Timestamp,
    /// Identity and version: the same Secret as long as these are the same.
    version: Arc<str>,
    bytes: usize,
}

/// What a service account brings.
#[derive(Clone)]
pub(super) struct Account {
    /// In its order.
    pub(super) secrets: Arc<[Box<str>]>,
    /// It names more than are used.
    pub(super) trouble: Option<Trouble>,
}

/// All pull secrets of a namespace.
#[derive(Clone)]
pub(super) struct Others {
    /// In the order of their names.
    pub(super) secrets: Arc<[(Box<str>, Held)]>,
    /// There are more than are used.
    pub(super) trouble: Option<Trouble>,
}

impl Held {
    /// As it was read; the same as before where nothing was written to it since.
    pub(super) fn of(secret: &Secret, namespace: &str, before: Option<&Self>, now: Timestamp) -> Self {
        let version: Arc<str> =
            format!("{}/{}", secret.uid().unwrap_or_default(), secret.resource_version().unwrap_or_default()).into();
        if let Some(before) = before.filter(|before| before.version == version) {
            return before.clone();
        }
        let (keyring, bytes) = match secret.type_.as_deref().and_then(Form::of) {
            None => (Ok(None), 0),
            Some(form) => {
                let bytes = secret.data.as_ref().and_then(|data| data.get(form.key)).map(|its| its.0.as_slice());
                let keyring = keyring(&form, bytes).map_err(|why| {
                    let name = secret.name_any();
                    format!("pull secret {} of namespace {} is broken: {why}", quoted(&name), quoted(namespace)).into()
                });
                (keyring, bytes.map_or(0, <[u8]>::len))
            }
        };
        Self { keyring, since: now, version, bytes }
    }

    /// Whether nothing was written to it in between.
    pub(super) fn is_the_same_as(&self, other: &Self) -> bool {
        self.version == other.version
    }

    pub(super) fn weight(&self) -> usize {
        let words = self.keyring.as_ref().err().map_or(0, |words| words.len());
        size_of::<Self>() + self.version.len() + words + self.bytes.saturating_mul(KEYRING_PER_BYTE)
    }
}

fn keyring(form: &Form, bytes: Option<&[u8]>) -> Result<Option<Arc<Keyring>>, String> {
    let bytes = bytes.ok_or_else(|| format!("a Secret of its type needs {} in its data", form.key))?;
    let text = std::str::from_utf8(bytes).map_err(|_quotes| format!("{} is no text", form.key))?;
    match (form.read)(text, "") {
        // What is warned of here is for whoever lints the Secret, and not for each pod.
        Ok((keyring, _warnings)) => Ok(Some(Arc::new(keyring))),
        Err(mistake) => Err(format!("{}: {mistake}", form.key)),
    }
}

impl Account {
    pub(super) fn of(account: &ServiceAccount) -> Self {
        let named = account.image_pull_secrets.iter().flatten().map(|its| its.name.as_str());
        let named = named.filter(|name| !name.is_empty());
        let secrets: Vec<Box<str>> = named.clone().take(NAMED).map(Into::into).collect();
        let trouble = (named.count() > secrets.len()).then(|| {
            let words = format!("the service account names more than {NAMED} pull secrets, and no more are used");
            Trouble::new(Fault::Broken, words)
        });
        Self { secrets: secrets.into(), trouble }
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.secrets.iter().map(|name| name.len() + size_of::<Box<str>>()).sum::<usize>()
    }
}

impl Others {
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.secrets.iter().map(|(name, held)| name.len() + held.weight()).sum::<usize>()
    }
}
