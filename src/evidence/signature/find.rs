//! What is attached to a digest, fetched: tags, referrers and the referrers' fallback tag, all side by side.
//!
//! Layouts as Cosign writes them ([`.sig` and `.att`](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md),
//! [bundles](https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md)) and as the
//! [distribution specification 1.1](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers)
//! lists them. What something is, the layers of a manifest say that was hashed, never a list: some registries type every
//! entry as empty, and anybody can type one as anything. Nothing here is verified. A hostile registry can hide what is
//! attached, and cannot invent it; it decides neither how much is fetched nor how long that takes.
//!
//! Rounds of waiting: two for Cosign's tags (manifest, blobs), three for referrers (list and fallback tag, manifests,
//! blobs). Neither waits for the rounds of the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::fact::attached::{Flaw, Layout};
use crate::fact::{Fact, Fault, Trouble};
use crate::image::{Digest, Reference};

use super::super::registry::Registries;
use super::super::registry::credentials::Asker;
use super::super::registry::{Blob, Descriptor, Document, Manifest};
use gathered::{Arrived, Gathered};
use layer::{Content, Layers, Place};

mod gathered;
mod layer;
#[cfg(test)]
mod tests;

/// For everything of one digest: what a webhook can wait for at most. Each look-up has 20 s of its own, and they are
/// three in a row.
const DEADLINE: Duration = Duration::from_secs(30);
/// Manifests of referrers for each signature that is tried: reports and lists of parts are referrers as well, and what
/// a manifest is, only the manifest says.
const MANIFESTS: usize = 2;
/// Of blobs and of manifests that refer, being fetched: half of what one registry may have in flight. The other half is
/// for both tags together, or for the list: no image alone fills what its registry has, and passes for an outage.
const BYTES_AT_ONCE: usize = 4 << 20;
/// Of the manifest behind a tag: fifty signatures with their certificates and log entries take half a megabyte.
const TAG_BYTES: usize = 2 << 20;
/// Of a manifest that refers, whatever its list says: few have more than some kilobytes, and lists may be wrong.
const REFERRER_BYTES: usize = 64 << 10;
/// Of the bytes above: fine enough for payloads, and few enough for a semaphore.
const UNIT: usize = 1 << 10;
/// Characters of a tag in the distribution specification. Those of a SHA-512 digest would have more: there are none.
const TAG: usize = 128;

/// How much of what is attached to one digest is tried.
#[derive(Debug, Clone)]
pub(super) struct Ceilings {
    /// Signatures and attestations in all.
    pub signatures: usize,
    /// Bytes of one payload, envelope or bundle, with what its layer is annotated with.
    pub bytes: usize,
    /// Bytes of all of one digest together.
    pub all_bytes: usize,
    /// In units of bytes: of all digests that are being looked at, from when they came until they are verified. Shared
    /// by whoever has a copy.
    pub together: Arc<Semaphore>,
}

/// Of everything that came and is not verified yet: what the memory of the process has room for beside the answers of
/// registries (`Limits::all_bytes`) and what is remembered; three of the largest digests, or thousands of usual ones.
const BYTES_TOGETHER: usize = 48 << 20;

impl Default for Ceilings {
    fn default() -> Self {
        Self {
            // Ten signers of an image and of four attestations; each costs up to a millisecond with each key.
            signatures: 50,
            // An SBOM of ten thousand packages in an envelope.
            bytes: 4 << 20,
            // Four of the largest; a quarter of what all registries together may take.
            all_bytes: 16 << 20,
            together: Arc::new(Semaphore::new(BYTES_TOGETHER / UNIT)),
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub items: Vec<Item>,
    /// Something that could not be read, the gravest.
    pub unread: Option<Trouble>,
    /// Found beyond the ceilings, and not fetched.
    pub untried: usize,
    /// The memory that the items take; given back when it is dropped.
    pub room: Vec<OwnedSemaphorePermit>,
}

/// One thing that may be a signature.
#[derive(Debug)]
pub(super) struct Item {
    pub layout: Layout,
    pub material: Material,
}

/// Its bytes, hashed by their descriptor.
#[derive(Debug)]
pub(super) enum Material {
    /// A simple-signing payload; what signs it stands in the layer's annotations.
    Simple { payload: Arc<[u8]>, annotations: Annotations },
    /// A DSSE envelope; certificate and log stand in the layer's annotations.
    Envelope { envelope: Arc<[u8]>, annotations: Annotations },
    /// A Sigstore bundle, JSON.
    Bundle(Arc<[u8]>),
    /// It is there and of no use.
    Flawed(Flaw),
}

/// Annotations of a layer as Cosign writes them; each as written, bounded by the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Annotations {
    /// `dev.cosignproject.cosign/signature`: base64.
    pub signature: Option<String>,
    /// `dev.sigstore.cosign/certificate`: PEM.
    pub certificate: Option<String>,
    /// `dev.sigstore.cosign/chain`: PEM, several.
    pub chain: Option<String>,
    /// `dev.sigstore.cosign/bundle`: JSON with `SignedEntryTimestamp` and `Payload`.
    pub log: Option<String>,
    /// `dev.sigstore.cosign/rfc3161timestamp`: JSON with `SignedRFC3161Timestamp`.
    pub timestamp: Option<String>,
}

/// What is asked for: the layouts of image signatures, of attestations, or both. Referrers are looked at for either.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kinds {
    pub signatures: bool,
    pub attestations: bool,
}

/// Everything that is attached to the digest in this repository.
pub(super) async fn find(
    registries: &Registries,
    repository: &Reference,
    digest: &Digest,
    kinds: Kinds,
    ceilings: &Ceilings,
    asker: &Asker,
) -> Found {
    let place = Where { registries, repository, digest, asker };
    Search::new(place, ceilings).run(kinds, DEADLINE).await
}

/// What is searched, and on whose behalf.
#[derive(Clone, Copy)]
struct Where<'a> {
    registries: &'a Registries,
    repository: &'a Reference,
    digest: &'a Digest,
    asker: &'a Asker,
}

/// A search, and what it has gathered so far: what is late does not take the rest away.
struct Search<'a> {
    place: Where<'a>,
    gathered: Mutex<Gathered<'a>>,
    /// In units of bytes in flight.
    room: Semaphore,
    ceilings: &'a Ceilings,
}

impl<'a> Search<'a> {
    fn new(place: Where<'a>, ceilings: &'a Ceilings) -> Self {
        let gathered = Mutex::new(Gathered::new(ceilings));
        Self { place, gathered, room: Semaphore::new(BYTES_AT_ONCE / UNIT), ceilings }
    }

    async fn run(self, kinds: Kinds, deadline: Duration) -> Found {
        // What the tags hold is counted before what refers, whichever comes first: the same is tried every time.
        let (counted, tags_are_counted) = oneshot::channel();
        let tags = async {
            let parts = self.tags(kinds).await;
            // Nobody waits for it where the list has long been empty.
            let _sent = counted.send(());
            self.fetch(parts).await;
        };
        let referrers = async {
            let manifests = self.referrers().await;
            if tags_are_counted.await.is_ok() {
                let parts = manifests.into_iter().flat_map(|layers| self.gathered().admit(layers)).collect();
                self.fetch(parts).await;
            }
        };
        let late = timeout(deadline, join(tags, referrers)).await.is_err();
        let mut gathered = self.gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
        if late {
            let words =
                format!("{} did not send everything that is attached in time", self.place.repository.registry());
            gathered.trouble(Trouble::new(Fault::Deadline, words));
        }
        gathered.found()
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered<'a>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both tags; the blobs that they lead to.
    async fn tags(&self, kinds: Kinds) -> Vec<Content> {
        let tag = async |wanted: bool, place: Place, suffix: &str| {
            let tag = format!("{}-{}.{suffix}", self.place.digest.algorithm(), self.place.digest.hex());
            if !wanted || tag.len() > TAG {
                return None;
            }
            let Where { registries, repository, asker, .. } = self.place;
            let manifest = self.known(registries.tagged(repository, &tag, TAG_BYTES, asker).await)?;
            Some(self.read_tag(place, manifest))
        };
        let signatures = tag(kinds.signatures, Place::SignatureTag, "sig");
        let attestations = tag(kinds.attestations, Place::AttestationTag, "att");
        let (signatures, attestations) = join(signatures, attestations).await;
        let mut gathered = self.gathered();
        [signatures, attestations].into_iter().flatten().flat_map(|layers| gathered.admit(layers)).collect()
    }

    fn read_tag(&self, place: Place, manifest: Manifest) -> Layers {
        let Manifest { digest, document } = manifest;
        let layers = match document {
            Document::Image(image) => Layers::of(digest.clone(), image, place),
            Document::Index(_) => Layers::none(digest.clone()),
        };
        if layers.is_empty() { Layers::malformed(digest, place) } else { self.gathered().hold(layers) }
    }

    /// What refers to the digest, as it is listed.
    async fn referrers(&self) -> Vec<Layers> {
        let Where { registries, repository, digest, asker } = self.place;
        let Some(listed) = self.known(registries.referrers(repository, digest, asker).await) else {
            return Vec::new();
        };
        let mut listed = distinct(listed);
        let most = self.ceilings.signatures.saturating_mul(MANIFESTS);
        self.gathered().leave(listed.len().saturating_sub(most));
        listed.truncate(most);
        let manifests = join_all(listed.iter().map(|(digest, size)| self.referrer(digest, *size))).await;
        manifests.into_iter().flatten().collect()
    }

    /// One manifest that is said to refer to the digest and to have so many bytes; none where it does not refer to it,
    /// or is nothing that is signed.
    async fn referrer(&self, listed: &Digest, size: usize) -> Option<Layers> {
        let Where { registries, repository, digest, asker } = self.place;
        let most = size.clamp(REFERRER_BYTES, BYTES_AT_ONCE);
        let room = self.room.acquire_many(units(most)).await;
        let fact = registries.manifest(repository, listed, most, asker).await;
        drop(room);
        if let Fact::Absent(_) = fact {
            return Some(Layers::missing(listed.clone()));
        }
        match self.known(fact)?.document {
            Document::Image(image) if image.subject.as_ref().is_none_or(|subject| subject.digest == *digest) => {
                Some(self.gathered().hold(Layers::of(listed.clone(), image, Place::Referrer)))
            }
            Document::Image(_) | Document::Index(_) => None,
        }
    }

    /// All blobs at once, as far as there is room for them.
    async fn fetch(&self, blobs: Vec<Content>) {
        join_all(blobs.into_iter().map(|blob| self.fetch_one(blob))).await;
    }

    async fn fetch_one(&self, content: Content) {
        let Where { registries, repository, asker, .. } = self.place;
        let Ok(_room) = self.room.acquire_many(units(content.size)).await else { return };
        let arrived = match registries.blob_up_to(repository, &content.digest, content.size, asker).await {
            Fact::Absent(_) => Some(Arrived::Missing),
            other @ (Fact::Known(_) | Fact::Unavailable(_) | Fact::Pending) => {
                self.known(other).map(|blob| match blob {
                    Blob::Whole(bytes) => Arrived::Whole(bytes),
                    Blob::Larger => Arrived::Larger,
                })
            }
        };
        if let Some(arrived) = arrived {
            self.gathered().arrived(content, arrived);
        }
    }

    /// Nothing where there is none; trouble is kept.
    fn known<T>(&self, fact: Fact<T>) -> Option<T> {
        match fact {
            Fact::Known(seen) => Some(seen.value),
            Fact::Absent(_) => None,
            Fact::Unavailable(trouble) => {
                self.gathered().trouble(trouble);
                None
            }
            Fact::Pending => {
                let words = format!("{} has not answered yet", self.place.repository.registry());
                self.gathered().trouble(Trouble::new(Fault::Deadline, words));
                None
            }
        }
    }
}

/// Of the room for what is being fetched; never more than there is.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).clamp(1, BYTES_AT_ONCE / UNIT)).unwrap_or(u32::MAX)
}

/// Each digest once, with the most bytes that it is said to have. Those that are said to be signatures come first, which matters where not all are tried: what a
/// list says decides nothing else.
fn distinct(listed: Vec<Descriptor>) -> Vec<(Digest, usize)> {
    let mut listed = listed;
    listed.sort_by_key(|descriptor| !layer::is_hinted(descriptor));
    let mut sizes: HashMap<Digest, usize> = HashMap::new();
    let mut order = Vec::new();
    for Descriptor { digest, size, .. } in listed {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        match sizes.get_mut(&digest) {
            Some(said) => *said = size.max(*said),
            None => {
                sizes.insert(digest.clone(), size);
                order.push(digest);
            }
        }
    }
    order.into_iter().filter_map(|digest| sizes.remove_entry(&digest)).collect()
}
