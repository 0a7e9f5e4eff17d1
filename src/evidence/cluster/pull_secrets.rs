//! What namespaces bring to pull images with: their pull secrets, and the service accounts that name them.
//!
//! Of a Secret only the types kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg are read; others are passed
//! over unread. Promises: nothing of a Secret is quoted, and what one namespace brings is never used for another.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::evidence::budget::Patience;
use crate::evidence::registry::credentials::Keyring;
use crate::policy::document::wording::quoted;
use crate::policy::document::{Mistake, Node};
use crate::policy::plan::Wait;
use crate::request;

use super::secrets::{Brought, LiveSecrets};
use super::told;

/// The service account of a pod that names none, and the namespace of an object that names none.
pub(super) const DEFAULT: &str = "default";

/// Which pull secrets are used: the setting `registries.pullSecrets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Usage {
    None,
    /// Those that the pod or its service account names.
    #[default]
    Named,
    /// Those, and then all others of the namespace.
    All,
}

/// Pull secrets and service accounts by namespace and name: all that manifests have, or those that an API server is asked
/// for.
#[derive(Debug, Default)]
pub struct PullSecrets {
    namespaces: BTreeMap<String, InNamespace>,
    live: Option<LiveSecrets>,
}

/// What one namespace brings.
#[derive(Debug, Default)]
struct InNamespace {
    secrets: BTreeMap<String, Arc<Keyring>>,
    /// The pull secrets that a service account names, in order.
    accounts: BTreeMap<String, Vec<String>>,
}

impl PullSecrets {
    /// Each is asked for when it is referred to.
    #[must_use]
    pub fn live(secrets: LiveSecrets) -> Self {
        Self { live: Some(secrets), ..Self::default() }
    }

    /// What a pod of this namespace brings; for as long as `wait` says, where an API server has to be asked.
    pub async fn brought(
        &self,
        usage: Usage,
        namespace: &str,
        asked: &request::PullSecrets,
        wait: Wait,
        patience: Patience,
    ) -> Brought {
        match &self.live {
            Some(live) => live.brought(usage, namespace, asked, wait, patience).await,
            None => Brought { keyrings: self.of(usage, namespace, asked), trouble: None },
        }
    }

    /// A registry refused what they hold. None: there is nothing else that it could be asked with.
    pub async fn again(
        &self,
        usage: Usage,
        namespace: &str,
        asked: &request::PullSecrets,
        wait: Wait,
        patience: Patience,
    ) -> Option<Brought> {
        self.live.as_ref()?.again(usage, namespace, asked, wait, patience).await
    }

    /// The keyrings for a pod of this namespace, in the order in which they are tried: those that it names, those of its
    /// service account, and with [`Usage::All`] the others of the namespace. None twice.
    #[must_use]
    pub fn of(&self, usage: Usage, namespace: &str, asked: &request::PullSecrets) -> Vec<Arc<Keyring>> {
        let everything = match usage {
            Usage::None => return Vec::new(),
            Usage::Named => false,
            Usage::All => true,
        };
        let Some(InNamespace { secrets, accounts }) = self.namespaces.get(namespace) else { return Vec::new() };
        let account = if asked.service_account.is_empty() { DEFAULT } else { &asked.service_account };
        let named = asked.named.iter().chain(accounts.get(account).into_iter().flatten());
        let named = named.filter_map(|name| secrets.get(name));
        let others = secrets.values().filter(|_| everything);
        let mut keyrings: Vec<Arc<Keyring>> = Vec::new();
        for keyring in named.chain(others) {
            if !keyrings.iter().any(|known| Arc::ptr_eq(known, keyring)) {
                keyrings.push(Arc::clone(keyring));
            }
        }
        keyrings
    }
}

/// Namespace and name.
pub(super) type Name = (String, String);

/// Secrets and service accounts of the manifests so far, each with the file that it comes from.
#[derive(Debug, Default)]
pub(super) struct Found {
    secrets: BTreeMap<Name, (Arc<Keyring>, String)>,
    accounts: BTreeMap<Name, (Vec<Named>, String)>,
}

/// A Secret that a service account names, with what to say if there is none.
#[derive(Debug)]
struct Named {
    secret: String,
    unknown: Mistake,
}

/// How a type of Secret holds a docker config.
pub(super) struct Form {
    pub(super) key: &'static str,
    pub(super) read: fn(&str, &str) -> Result<(Keyring, Vec<Mistake>), Mistake>,
}

const DOCKER_CONFIG_TYPE: &str = "kubernetes.io/dockerconfigjson";
const LEGACY_TYPE: &str = "kubernetes.io/dockercfg";

const DOCKER_CONFIG: Form = Form { key: ".dockerconfigjson", read: Keyring::of_secret };
const LEGACY: Form = Form { key: ".dockercfg", read: Keyring::of_legacy_secret };

impl Form {
    /// The types that hold one.
    pub(super) const TYPES: [&str; 2] = [DOCKER_CONFIG_TYPE, LEGACY_TYPE];

    /// None: a Secret of this type holds none.
    pub(super) fn of(kind: &str) -> Option<Self> {
        match kind {
            DOCKER_CONFIG_TYPE => Some(DOCKER_CONFIG),
            LEGACY_TYPE => Some(LEGACY),
            _other => None,
        }
    }
}

impl Found {
    /// Takes a `v1 Secret`, with warnings.
    pub(super) fn secret(&mut self, document: &Node, source: &str) -> Result<Vec<Mistake>, Mistake> {
        let form = match document.field("type").filter(|its| !its.is_null()).map(|its| (its, its.text())) {
            Some((_, Some(kind))) => Form::of(kind),
            Some((node, None)) => return Err(told(node, source, "type", "must be text".to_owned())),
            None => None,
        };
        let Some(form) = form else { return Ok(Vec::new()) };
        let name = name(document, source, "Secret")?;
        let (keyring, warnings) = form.keyring(document, source)?;
        if let Some((_, first)) = self.secrets.get(&name) {
            return Err(twice(document, source, "Secret", &name, first));
        }
        self.secrets.insert(name, (Arc::new(keyring), source.to_owned()));
        Ok(warnings)
    }

    /// Takes a `v1 ServiceAccount`.
    pub(super) fn service_account(&mut self, document: &Node, source: &str) -> Result<(), Mistake> {
        let name = name(document, source, "ServiceAccount")?;
        let items = match document.field("imagePullSecrets").filter(|its| !its.is_null()) {
            None => &[],
            Some(list) => list
                .items()
                .ok_or_else(|| told(list, source, "imagePullSecrets", "must be a list of names".to_owned()))?,
        };
        let named = items.iter().enumerate().map(|(index, item)| named(index, item, &name, source));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        if let Some((_, first)) = self.accounts.get(&name) {
            return Err(twice(document, source, "ServiceAccount", &name, first));
        }
        self.accounts.insert(name, (named, source.to_owned()));
        Ok(())
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.secrets.len() + self.accounts.len()
    }

    /// All of it together, with a warning for each name that names nothing.
    pub(super) fn finish(self) -> (PullSecrets, Vec<Mistake>) {
        let (mut all, mut warnings) = (PullSecrets::default(), Vec::new());
        for ((namespace, name), (keyring, _)) in self.secrets {
            all.namespaces.entry(namespace).or_default().secrets.insert(name, keyring);
        }
        for ((namespace, name), (named, _)) in self.accounts {
            let brought = all.namespaces.entry(namespace).or_default();
            let (mut known, mut unknown) = (Vec::new(), Vec::new());
            for Named { secret, unknown: warning } in named {
                if !brought.secrets.contains_key(&secret) {
                    unknown.push(warning);
                }
                known.push(secret);
            }
            warnings.extend(unknown);
            brought.accounts.insert(name, known);
        }
        (all, warnings)
    }
}

impl Form {
    fn keyring(&self, document: &Node, source: &str) -> Result<(Keyring, Vec<Mistake>), Mistake> {
        let Self { key, read } = self;
        let field = |map: &str| document.field(map).and_then(|its| its.field(key)).filter(|its| !its.is_null());
        // As the API server: `stringData` overwrites `data`.
        let (map, node) = match (field("stringData"), field("data")) {
            (Some(node), _) => ("stringData", node),
            (None, Some(node)) => ("data", node),
            (None, None) => {
                let message = format!("a Secret of this type needs {key} in its data");
                return Err(told(document, source, "data", message));
            }
        };
        let path = format!("{map}[\"{key}\"]");
        let wrong = |message: &str| told(node, source, &path, message.to_owned());
        let written = node.text().ok_or_else(|| wrong("must be text"))?;
        let decoded;
        let text = if map == "data" {
            // Line ends do not count, in Go's reader either.
            let plain: String = written.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            let bytes = BASE64.decode(plain).map_err(|_quotes| wrong("must be base64"))?;
            decoded = String::from_utf8(bytes).map_err(|_quotes| wrong("must be text in base64"))?;
            &decoded
        } else {
            written
        };
        // Lines of the JSON are no lines of the file.
        let placed = |inner: Mistake| {
            let inner = Mistake { source: String::new(), ..inner };
            told(node, source, &path, format!("in its JSON, {inner}"))
        };
        let (keyring, warnings) = read(text, source).map_err(placed)?;
        Ok((keyring, warnings.into_iter().map(placed).collect()))
    }
}

/// Namespace and name of an object.
pub(super) fn name(document: &Node, source: &str, kind: &str) -> Result<Name, Mistake> {
    let metadata = document.field("metadata");
    let field = |key: &str| metadata.and_then(|its| its.field(key)).filter(|its| !its.is_null());
    let name = field("name").and_then(Node::text).filter(|its| !its.is_empty());
    let name = name.ok_or_else(|| told(document, source, "", format!("a {kind} needs metadata.name")))?;
    let namespace = match field("namespace") {
        None => DEFAULT,
        Some(node) => {
            node.text().ok_or_else(|| told(node, source, "metadata.namespace", "must be text: quote it".to_owned()))?
        }
    };
    let namespace = if namespace.is_empty() { DEFAULT } else { namespace };
    Ok((namespace.to_owned(), name.to_owned()))
}

fn named(index: usize, item: &Node, account: &Name, source: &str) -> Result<Named, Mistake> {
    let path = format!("imagePullSecrets[{index}].name");
    let secret = item.field("name").and_then(Node::text).filter(|its| !its.is_empty());
    let secret = secret.ok_or_else(|| told(item, source, &path, "must be the name of a Secret".to_owned()))?;
    let message = format!("there is no pull secret {} in namespace {}", quoted(secret), quoted(&account.0));
    Ok(Named { secret: secret.to_owned(), unknown: told(item, source, &path, message) })
}

pub(super) fn twice(document: &Node, source: &str, kind: &str, (namespace, name): &Name, first: &str) -> Mistake {
    let message = format!("{kind} {namespace}/{name} is there already, in {first}: keep one");
    told(document, source, "metadata.name", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought() -> PullSecrets {
        let mut all = PullSecrets::default();
        for (namespace, name, host) in [
            ("shop", "a", "a.example"),
            ("shop", "b", "b.example"),
            ("shop", "c", "c.example"),
            ("bank", "b", "bank.example"),
        ] {
            let text = format!(r#"{{"auths": {{"{host}": {{"username": "u", "password": "p"}}}}}}"#);
            let (keyring, _) = Keyring::of_secret(&text, "").unwrap();
            all.namespaces.entry(namespace.into()).or_default().secrets.insert(name.into(), Arc::new(keyring));
        }
        let shop = all.namespaces.get_mut("shop").unwrap();
        shop.accounts.insert("default".into(), vec!["c".into()]);
        shop.accounts.insert("builder".into(), vec!["a".into(), "b".into(), "gone".into()]);
        all
    }

    /// The hosts that the keyrings are for, in order.
    fn hosts(usage: Usage, namespace: &str, named: &[&str], account: &str) -> Vec<String> {
        let named = named.iter().map(|&name| name.to_owned()).collect();
        let asked = request::PullSecrets { named, service_account: account.to_owned() };
        let keyrings = brought().of(usage, namespace, &asked);
        let host = |keyring: &Arc<Keyring>| {
            let hosts = ["a.example", "b.example", "c.example", "bank.example"];
            hosts.into_iter().filter(|host| !keyring.matching(host, "x").is_empty()).collect::<String>()
        };
        keyrings.iter().map(host).collect()
    }

    #[test]
    fn the_pods_own_come_first_and_then_those_of_its_service_account() {
        assert_eq!(hosts(Usage::Named, "shop", &["b"], ""), ["b.example", "c.example"]);
        assert_eq!(hosts(Usage::Named, "shop", &["b", "b", "gone"], "builder"), ["b.example", "a.example"]);
        assert_eq!(hosts(Usage::Named, "shop", &[], "other"), Vec::<String>::new());
    }

    #[test]
    fn all_are_those_of_the_namespace_with_the_named_ones_first() {
        assert_eq!(hosts(Usage::All, "shop", &["b"], ""), ["b.example", "c.example", "a.example"]);
        assert_eq!(hosts(Usage::All, "bank", &[], ""), ["bank.example"]);
    }

    #[test]
    fn another_namespaces_secret_is_never_used() {
        assert_eq!(hosts(Usage::Named, "bank", &["a", "b"], "builder"), ["bank.example"]);
        assert_eq!(hosts(Usage::All, "", &["a"], ""), Vec::<String>::new());
        assert_eq!(hosts(Usage::Named, "nowhere", &["a"], ""), Vec::<String>::new());
    }

    #[test]
    fn none_are_used_where_the_setting_says_so() {
        assert_eq!(hosts(Usage::None, "shop", &["a"], "builder"), Vec::<String>::new());
    }
}
