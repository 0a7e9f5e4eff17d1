//! The volumes of a Pod, written into a folder as a kubelet writes them: each a folder whose files are links into one that is
//! replaced as a whole, so that a reader has all of the old or all of the new.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, KeyToPath, Pod, Secret, ServiceAccount, ServiceAccountTokenProjection, Volume,
    VolumeProjection,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::command::{Rewriting, field};

/// What a kubelet asks for where nothing is said.
const TOKEN_SECONDS: i64 = 3600;

/// The files of a volume, by their paths in it.
type Files = BTreeMap<String, Vec<u8>>;

pub(super) struct Volumes {
    folder: PathBuf,
    ip: String,
    written: BTreeMap<String, Files>,
    /// Each is asked for once: no test runs as long as one is good for.
    tokens: BTreeMap<String, Vec<u8>>,
    generation: u32,
}

impl Volumes {
    pub(super) fn new(folder: &Path, ip: &str) -> Self {
        let (written, tokens) = (BTreeMap::new(), BTreeMap::new());
        Self { folder: folder.to_owned(), ip: ip.to_owned(), written, tokens, generation: 0 }
    }

    /// Writes what is new or has changed; an error says what is waited for.
    pub(super) async fn refresh(&mut self, client: &Client, pod: &Pod, paths: &Rewriting) -> Result<(), String> {
        let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
        for volume in volumes.into_iter().flatten() {
            let mut files = self.content(client, pod, volume).await?;
            if volume.secret.is_none() {
                for bytes in files.values_mut() {
                    if let Ok(text) = std::str::from_utf8(bytes) {
                        *bytes = paths.apply(text).into_bytes();
                    }
                }
            }
            if self.written.get(&volume.name) != Some(&files) {
                self.generation += 1;
                replace(&self.folder.join(&volume.name), &files, self.generation).map_err(|error| error.to_string())?;
                self.written.insert(volume.name.clone(), files);
            }
        }
        Ok(())
    }

    /// Puts the volumes of a container where its paths are rewritten to.
    pub(super) fn mount(&self, container: &Container, paths: &Rewriting) -> std::io::Result<()> {
        let mut mounts: Vec<_> = container.volume_mounts.iter().flatten().collect();
        // Folders before what is mounted inside of them.
        mounts.sort_by_key(|mount| mount.mount_path.len());
        for mount in mounts {
            let (from, to) = (self.folder.join(&mount.name), paths.place(&mount.mount_path));
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            match &mount.sub_path {
                // A copy: what is mounted so never changes.
                Some(path) => drop(fs::copy(from.join(path), &to)?),
                None if to.exists() => {}
                None => symlink(from, &to)?,
            }
        }
        Ok(())
    }

    async fn content(&mut self, client: &Client, pod: &Pod, volume: &Volume) -> Result<Files, String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        if let Some(source) = &volume.config_map {
            let found = config_map(client, namespace, &source.name).await?;
            return chosen(found, source.items.as_ref(), source.optional, &source.name);
        }
        if let Some(source) = &volume.secret {
            let name = source.secret_name.clone().unwrap_or_default();
            let found = secret(client, namespace, &name).await?;
            return chosen(found, source.items.as_ref(), source.optional, &name);
        }
        let mut files = Files::new();
        if let Some(source) = &volume.downward_api {
            for item in source.items.iter().flatten() {
                let told = item.field_ref.as_ref().map(|its| field(pod, &self.ip, &its.field_path)).transpose()?;
                files.insert(item.path.clone(), told.unwrap_or_default().into_bytes());
            }
        }
        if let Some(source) = &volume.projected {
            for source in source.sources.iter().flatten() {
                files.extend(self.projected(client, pod, namespace, source).await?);
            }
        }
        Ok(files)
    }

    async fn projected(
        &mut self,
        client: &Client,
        pod: &Pod,
        namespace: &str,
        source: &VolumeProjection,
    ) -> Result<Files, String> {
        let mut files = Files::new();
        if let Some(wanted) = &source.service_account_token {
            if !self.tokens.contains_key(&wanted.path) {
                let token = token(client, pod, namespace, wanted).await?;
                self.tokens.insert(wanted.path.clone(), token.into_bytes());
            }
            files.insert(wanted.path.clone(), self.tokens[&wanted.path].clone());
        }
        if let Some(wanted) = &source.config_map {
            let found = config_map(client, namespace, &wanted.name).await?;
            files.extend(chosen(found, wanted.items.as_ref(), wanted.optional, &wanted.name)?);
        }
        if let Some(wanted) = &source.secret {
            let found = secret(client, namespace, &wanted.name).await?;
            files.extend(chosen(found, wanted.items.as_ref(), wanted.optional, &wanted.name)?);
        }
        for item in source.downward_api.iter().flat_map(|api| api.items.iter().flatten()) {
            let told = item.field_ref.as_ref().map(|its| field(pod, &self.ip, &its.field_path)).transpose()?;
            files.insert(item.path.clone(), told.unwrap_or_default().into_bytes());
        }
        Ok(files)
    }
}

/// What a ConfigMap holds; none: it is not there.
pub(super) async fn config_map(client: &Client, namespace: &str, name: &str) -> Result<Option<Files>, String> {
    let found = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(name).await;
    Ok(found.map_err(|error| error.to_string())?.map(|found| {
        let texts = found.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
        let bytes = found.binary_data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0));
        texts.chain(bytes).collect()
    }))
}

/// What a Secret holds; none: it is not there.
pub(super) async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<Files>, String> {
    let found = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await;
    let found = found.map_err(|error| error.to_string())?;
    Ok(found.map(|found| found.data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0)).collect()))
}

/// Those of the files that are wanted, under the paths that they are wanted at.
fn chosen(
    found: Option<Files>,
    items: Option<&Vec<KeyToPath>>,
    optional: Option<bool>,
    name: &str,
) -> Result<Files, String> {
    let optional = optional == Some(true);
    let Some(mut files) = found else {
        return if optional { Ok(Files::new()) } else { Err(format!("{name} is not there")) };
    };
    let Some(items) = items else { return Ok(files) };
    let mut wanted = Files::new();
    for item in items {
        match files.remove(&item.key) {
            Some(bytes) => drop(wanted.insert(item.path.clone(), bytes)),
            None if optional => {}
            None => return Err(format!("{name} has no {}", item.key)),
        }
    }
    Ok(wanted)
}

/// Bound to the Pod: it ends with it.
async fn token(
    client: &Client,
    pod: &Pod,
    namespace: &str,
    wanted: &ServiceAccountTokenProjection,
) -> Result<String, String> {
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
    let bound = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
    };
    let spec = TokenRequestSpec {
        audiences: wanted.audience.clone().map(|audience| vec![audience]),
        expiration_seconds: Some(wanted.expiration_seconds.unwrap_or(TOKEN_SECONDS)),
        bound_object_ref: Some(bound),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let issued = accounts.create_token_request(account, &PostParams::default(), &request).await;
    let status = issued.map_err(|error| error.to_string())?.status;
    status.and_then(|status| status.token).ok_or_else(|| "no token was issued".to_owned())
}

/// `..data` names the folder that counts, and each file is a link through it.
fn replace(volume: &Path, files: &Files, generation: u32) -> std::io::Result<()> {
    let name = format!("..{generation}");
    fs::create_dir_all(volume.join(&name))?;
    for (path, bytes) in files {
        let file = volume.join(&name).join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(file, bytes)?;
    }
    let before = fs::read_link(volume.join("..data")).ok();
    symlink(&name, volume.join("..data_tmp"))?;
    fs::rename(volume.join("..data_tmp"), volume.join("..data"))?;
    let first = |path: &String| path.split('/').next().unwrap_or_default().to_owned();
    let shown: Vec<String> = files.keys().map(first).collect();
    for name in &shown {
        if fs::symlink_metadata(volume.join(name)).is_err() {
            symlink(Path::new("..data").join(name), volume.join(name))?;
        }
    }
    for entry in fs::read_dir(volume)? {
        let name = entry?.file_name().display().to_string();
        if !name.starts_with("..") && !shown.contains(&name) {
            fs::remove_file(volume.join(name))?;
        }
    }
    before.map_or(Ok(()), |before| fs::remove_dir_all(volume.join(before)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Directory;

    fn files(all: &[(&str, &str)]) -> Files {
        all.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_volume_is_replaced_as_a_whole() {
        let folder = Directory::new();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
        replace(folder.path(), &files(&[("tls.crt", "old"), ("inner/gone", "old")]), 1).unwrap();
        assert_eq!((read("tls.crt").as_deref(), read("inner/gone").as_deref()), (Some("old"), Some("old")));
        replace(folder.path(), &files(&[("tls.crt", "new")]), 2).unwrap();
        assert_eq!((read("tls.crt").as_deref(), read("inner/gone").as_deref()), (Some("new"), None));
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["..2", "..data", "tls.crt"]);
    }

    #[test]
    fn what_is_not_optional_and_not_there_is_waited_for() {
        let wanted = Some(vec![KeyToPath { key: "a".to_owned(), path: "b".to_owned(), ..KeyToPath::default() }]);
        assert_eq!(
            chosen(Some(files(&[("a", "1"), ("c", "2")])), wanted.as_ref(), None, "x"),
            Ok(files(&[("b", "1")]))
        );
        assert_eq!(chosen(Some(files(&[])), wanted.as_ref(), None, "x"), Err("x has no a".to_owned()));
        assert_eq!(chosen(None, None, None, "x"), Err("x is not there".to_owned()));
        assert_eq!(chosen(None, None, Some(true), "x"), Ok(files(&[])));
    }
}
