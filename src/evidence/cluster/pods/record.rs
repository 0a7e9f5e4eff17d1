//! What one Pod is a record of.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use crate::image::{Digest, Reference};

use super::object::{Container, ContainerStatus, Pod, Status};
use super::pool::Pool;

/// Longer than the name of an image or of anything else can be: 1,024 bytes of name beside the longest digest and the
/// scheme of a runtime.
const LONGEST: usize = 1280;
/// Of a Pod object of 1.5 MB, as many containers as no Pod that starts has.
const MOST_IMAGES: usize = 1024;

/// A `metadata.uid`, as short as it is still one of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Uid([u8; 16]);

/// An image that a Pod was given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Image {
    /// Repository and tag by which it was named; none where it was named by its digest, or nobody knows.
    pub(super) address: Option<Arc<Reference>>,
    pub(super) digest: Arc<Digest>,
}

#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) uid: Uid,
    /// Seconds, as the API server has it.
    pub(super) created: i64,
    pub(super) namespace: Arc<str>,
    /// Empty where it is on none yet.
    pub(super) node: Arc<str>,
    /// In the order of the Pod, each once.
    pub(super) images: Vec<Image>,
}

pub(super) fn uid_of(pod: &Pod) -> Option<Uid> {
    let text = pod.metadata.uid.as_deref()?;
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().first_chunk().map(|first| Uid(*first))
}

impl Record {
    /// None: it has not what every object of an API server has, and can be a record of nothing.
    pub(super) fn of(pod: &Pod, pool: &mut Pool) -> Option<Self> {
        let uid = uid_of(pod)?;
        let namespace = pod.metadata.namespace.as_deref().filter(|name| name.len() <= LONGEST)?;
        let created = pod.metadata.creation_timestamp.as_ref()?.0.as_second();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        let node = node.filter(|name| name.len() <= LONGEST).unwrap_or_default();
        let (namespace, node) = (pool.name(namespace), pool.name(node));
        Some(Self { uid, created, namespace, node, images: images(pod, pool) })
    }
}

fn images(pod: &Pod, pool: &mut Pool) -> Vec<Image> {
    let (Some(spec), Some(status)) = (&pod.spec, &pod.status) else { return Vec::new() };
    let unchanged = pod.metadata.generation == Some(1);
    let lists = [
        (&spec.init_containers, &status.init_container_statuses),
        (&spec.containers, &status.container_statuses),
        (&spec.ephemeral_containers, &status.ephemeral_container_statuses),
    ];
    let mut found = Vec::new();
    let mut add = |address: Option<Reference>, digest: Digest| {
        let image = Image { address: address.map(|address| pool.address(&address)), digest: pool.digest(&digest) };
        if found.len() < MOST_IMAGES && !found.contains(&image) {
            found.push(image);
        }
    };
    for (containers, statuses) in lists {
        for status in statuses.iter().flatten() {
            let Some((repository, digest)) = status.image_id.as_deref().and_then(manifest) else { continue };
            let container = containers.iter().flatten().find(|container| container.name == status.name);
            let address = container.and_then(|container| address(container, status, unchanged));
            add(address.filter(|address| is_of(address, repository)), digest);
        }
    }
    for volume in spec.volumes.iter().flatten() {
        let Some(image) = &volume.image else { continue };
        if let Some((repository, digest)) = mounted(status, &volume.name) {
            // A volume is mounted before anything of the Pod runs, and its reference may be changed later.
            let reference = image.reference.as_deref().filter(|_| unchanged);
            add(reference.and_then(tagged).filter(|address| is_of(address, repository)), digest);
        }
    }
    found
}

/// The repository and the digest of a manifest that stand in an `imageID`: `registry/repository@sha256:...`, with the scheme
/// of a runtime before that.
fn manifest(image_id: &str) -> Option<(&str, Digest)> {
    if image_id.len() > LONGEST {
        return None;
    }
    let (repository, digest) = image_id.rsplit_once('@')?;
    let repository = repository.split_once("://").map_or(repository, |(_, repository)| repository);
    Some((repository, Digest::parse(digest).ok()?))
}

/// Whether the runtime speaks of the repository that was named. Of an image that it has by several names it may report
/// another, whose manifest may be another: that is not what the tag named.
fn is_of(address: &Reference, repository: &str) -> bool {
    let reported = Reference::parse(repository);
    reported.is_ok_and(|its| its.registry() == address.registry() && its.repository() == address.repository())
}

/// By which name the container was given its image.
fn address(container: &Container, status: &ContainerStatus, unchanged: bool) -> Option<Reference> {
    let written = tagged(container.image.as_deref()?)?;
    let names_it_so = || status.image.as_deref().and_then(tagged).is_some_and(|named| named == written);
    (unchanged || names_it_so()).then_some(written)
}

/// Repository and tag; none where a digest is written.
fn tagged(image: &str) -> Option<Reference> {
    let reference = Reference::parse(image).ok()?;
    reference.digest().is_none().then(|| reference.address())
}

/// What the kubelet says of an image volume, where it does.
fn mounted<'s>(status: &'s Status, volume: &str) -> Option<(&'s str, Digest)> {
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let mounts = lists.into_iter().flatten().flatten().flat_map(|status| status.volume_mounts.iter().flatten());
    let images = mounts.filter(|mount| mount.name == volume).filter_map(|mount| {
        let image = mount.volume_status.as_ref()?.image.as_ref()?;
        manifest(image.image_ref.as_deref()?)
    });
    images.into_iter().next()
}
