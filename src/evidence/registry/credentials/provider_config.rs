//! The kubelet's `CredentialProviderConfig`: which plugins there are, and for which images.
//!
//! As strict as the kubelet: an unknown field is a mistake. `tokenAttributes` is one as well: such a plugin wants the
//! token of the pod's service account, which an admission webhook does not have.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::evidence::cluster;
use crate::policy::document::reader::{Mistakes, NonEmpty, Place, Read, Text, refuse_repeated, schema, words};
use crate::policy::document::wording::quoted;
use crate::policy::document::{Mistake, Node, parse_documents};

use super::super::go_duration;
use super::docker_config::is_plain_name;
use super::helper::is_executable;
use super::pattern::Pattern;
use super::provider::{ApiVersion, Provider, Setup};
use super::{Password, ProviderPaths};

/// Each is run for an image that it matches; clouds have one plugin each.
const MOST_PROVIDERS: usize = 64;

schema! {
    ConfigFile {
        required api_version "apiVersion": ConfigVersion,
        required kind "kind": ConfigKind,
        required providers "providers": NonEmpty<Vec<Entry>>,
    }
}

schema! {
    Entry {
        required name "name": Text,
        required api_version "apiVersion": ApiVersion,
        required images "matchImages": NonEmpty<Vec<Image>>,
        required keep "defaultCacheDuration": Keep,
        optional arguments "args": Option<Vec<Given>>,
        optional environment "env": Option<Vec<Variable>>,
        optional token_attributes "tokenAttributes": TokenAttributes,
    }
}

schema! {
    Variable {
        required name "name": Text,
        optional value "value": Given,
    }
}

#[derive(Debug, Clone, Copy)]
pub enum ConfigVersion {
    Known,
}
words! { ConfigVersion {
    "kubelet.config.k8s.io/v1" => ConfigVersion::Known,
    "kubelet.config.k8s.io/v1beta1" => ConfigVersion::Known,
    "kubelet.config.k8s.io/v1alpha1" => ConfigVersion::Known,
} }

#[derive(Debug, Clone, Copy)]
pub enum ConfigKind {
    Known,
}
words! { ConfigKind { "CredentialProviderConfig" => ConfigKind::Known, } }

words! { ApiVersion {
    "credentialprovider.kubelet.k8s.io/v1" => ApiVersion::V1,
    "credentialprovider.kubelet.k8s.io/v1beta1" => ApiVersion::V1Beta1,
    "credentialprovider.kubelet.k8s.io/v1alpha1" => ApiVersion::V1Alpha1,
} }

/// An entry of `matchImages`.
#[derive(Debug)]
pub struct Image(Pattern);

impl Read for Image {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let text = String::read(node, place, mistakes)?;
        let pattern = Pattern::parse(&text);
        if pattern.is_none() {
            let message =
                format!("{} is no host with a port and path, such as `*.dkr.ecr.*.amazonaws.com`", quoted(&text));
            mistakes.add(place, message);
        }
        pattern.map(Self)
    }
}

/// A duration of Go's.
#[derive(Debug, Clone, Copy)]
pub struct Keep(Duration);

impl Read for Keep {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let read = node.text().and_then(go_duration::parse).map(Self);
        if read.is_none() {
            mistakes.add(place, "must be a duration such as \"12h\", \"90s\" or \"0s\", in quotes");
        }
        read
    }
}

/// Text for the plugin: it may be empty, and it may be a secret, so that no mistake quotes it.
#[derive(Debug)]
pub struct Given(Password);

impl Read for Given {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        let read = node.text();
        if read.is_none() {
            mistakes.add(place, "must be text: quote it");
        }
        // What no program can be handed.
        if read.is_some_and(|text| text.contains('\0')) {
            mistakes.add(place, "has a NUL in it");
        }
        read.map(|text| Self(Password::new(text)))
    }
}

/// Never read.
#[derive(Debug, Clone, Copy)]
pub struct TokenAttributes;

impl Read for TokenAttributes {
    fn read(node: &Node, place: &Place, mistakes: &mut Mistakes) -> Option<Self> {
        if node.is_null() {
            return Some(Self);
        }
        let message = "asks for the token of the pod's service account, which this webhook does not have: leave the provider out of its configuration";
        mistakes.add(place, message);
        None
    }
}

/// Reads the file and looks for the plugins. All mistakes at once.
pub(super) fn load(paths: &ProviderPaths) -> Result<Vec<Arc<Provider>>, Vec<Mistake>> {
    let source = paths.config.display().to_string();
    let text = cluster::read_text(&paths.config).map_err(|mistake| vec![mistake])?;
    let documents = parse_documents(&text).map_err(|mistake| vec![mistake.in_source(&source)])?;
    let [document] = documents.as_slice() else {
        return Err(vec![Mistake::about(&source, "must be one document, a CredentialProviderConfig")]);
    };
    let mut mistakes = Mistakes::of(&source);
    let file = ConfigFile::read(document, &Place::root(document), &mut mistakes);
    let setups = file.and_then(|file| setups(&file, &paths.binaries, &mut mistakes)).unwrap_or_default();
    if !mistakes.is_empty() {
        return Err(mistakes.in_order());
    }
    Ok(setups.into_iter().map(|setup| Arc::new(Provider::new(setup))).collect())
}

/// `None` only after a mistake was added.
fn setups(file: &ConfigFile, binaries: &Path, mistakes: &mut Mistakes) -> Option<Vec<Setup>> {
    let ConfigFile { api_version, kind, providers } = file;
    let NonEmpty(entries) = providers.given()?;
    refuse_repeated(entries.iter().filter_map(|entry| entry.name.given()), mistakes);
    if let Some(one_too_many) = entries.get(MOST_PROVIDERS).and_then(|entry| entry.name.given()) {
        mistakes.add(&one_too_many.place, format!("is one of more than {MOST_PROVIDERS} providers"));
    }
    let setups = entries.iter().filter_map(|entry| setup(entry, binaries, mistakes)).collect();
    let (ConfigVersion::Known, ConfigKind::Known) = (api_version.given()?, kind.given()?);
    Some(setups)
}

fn setup(entry: &Entry, binaries: &Path, mistakes: &mut Mistakes) -> Option<Setup> {
    let Entry { name, api_version, images, keep, arguments, environment, token_attributes } = entry;
    let name = name.given()?;
    if !is_plain_name(&name.value) {
        let message = "must be the name of a file: letters, digits, `.`, `_` and `-`";
        mistakes.add(&name.place, message);
        return None;
    }
    let binary = binaries.join(&name.value);
    if !is_executable(&binary) {
        mistakes.add(&name.place, format!("there is no file {} that can be executed", binary.display()));
    }
    let mut variables = Vec::new();
    for Variable { name, value } in environment.given().iter().flat_map(|its| its.iter().flatten()) {
        let name = name.given()?;
        if name.value.contains(['=', '\0']) {
            mistakes.add(&name.place, "is no name of a variable");
        }
        variables
            .push((name.value.clone(), value.given().map_or_else(|| Password::new(""), |Given(value)| value.clone())));
    }
    let arguments =
        arguments.given().iter().flat_map(|its| its.iter().flatten()).map(|Given(text)| text.clone()).collect();
    let NonEmpty(images) = images.given()?;
    if !token_attributes.is_absent() {
        token_attributes.given()?;
    }
    Some(Setup {
        name: name.value.clone(),
        binary,
        api_version: *api_version.given()?,
        images: images.iter().map(|Image(pattern)| pattern.clone()).collect(),
        keep: keep.given()?.0,
        arguments,
        environment: variables,
    })
}

#[cfg(test)]
mod tests;
