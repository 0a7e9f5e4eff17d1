//! What is asked: plain data, so that every room can read a review without knowing the wire.
//!
//! [`Request`] is made by `admission::decode` alone. Whatever has a uid becomes one, readable or not: what could not
//! be read is [`Subject::Unreadable`], and it is the decision that says what follows.

use std::fmt;
use std::sync::Arc;

use crate::image::{InvalidReference, Platform, Reference};

/// A decoded `AdmissionReview` that we have to answer.
#[derive(Debug)]
pub struct Request {
    /// `request.uid`, echoed in the answer; the API server rejects any other.
    pub uid: String,
    pub operation: Operation,
    /// `request.kind.kind`, for the log and for people.
    pub kind: String,
    /// Of a controller, `request.kind` as objects write it: `apps/v1`. Empty for a Pod.
    pub api_version: String,
    /// Of a controller, `metadata.uid`; empty where there is none, and for a Pod.
    pub object_uid: String,
    /// `request.namespace`; empty for what has none.
    pub namespace: String,
    /// `request.name`, or the object's `generateName` where there is no name yet; may be empty.
    pub name: String,
    /// `request.dryRun`: judged as always, but nothing is remembered of it.
    pub dry_run: bool,
    pub role: Role,
    /// Whose credentials the kubelet would use.
    pub pull: PullSecrets,
    /// Which nodes the pod may run on, as far as its own spec says so.
    pub placement: Placement,
    pub subject: Subject,
}

/// The Secrets that a pod spec refers to for pulling, all in the namespace of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullSecrets {
    /// `imagePullSecrets[].name`, in order.
    pub named: Vec<String>,
    /// `serviceAccountName`; empty where it is not written, which means `default`.
    pub service_account: String,
}

/// What a pod's `nodeSelector` and required node affinity say about the platform of its node. The kubelet refuses a pod
/// whose node does not meet them, so they hold however it was scheduled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Any one of these must allow a platform; none: every platform is allowed.
    pub terms: Vec<PlacementTerm>,
}

/// One way in which a pod can be placed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlacementTerm {
    /// `kubernetes.io/os` is one of these; none: any.
    pub os: Option<Vec<String>>,
    /// `kubernetes.io/arch` is one of these; none: any.
    pub architecture: Option<Vec<String>>,
}

impl Placement {
    #[must_use]
    pub fn allows(&self, node: &Platform) -> bool {
        let among = |list: &Option<Vec<String>>, value: &String| list.as_ref().is_none_or(|list| list.contains(value));
        let term = |term: &PlacementTerm| among(&term.os, &node.os) && among(&term.architecture, &node.architecture);
        self.terms.is_empty() || self.terms.iter().any(term)
    }
}

/// `request.operation`; a word that is none of these is a [`Flaw`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
    /// The review is unreadable and the operation with it.
    Unknown,
}

impl Operation {
    pub const ALL: [Self; 5] = [Self::Create, Self::Update, Self::Delete, Self::Connect, Self::Unknown];

    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Connect => "connect",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether an answer about the object is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A Pod: the authoritative place.
    Pod,
    /// Something that makes Pods: early feedback.
    Controller,
}

/// What the review is about.
#[derive(Debug)]
pub enum Subject {
    /// The images that the object would run.
    Images {
        /// Those of `object`, in the order of the pod spec: init, regular, ephemeral, image volumes. Never empty.
        containers: Vec<Container>,
        /// Those of `oldObject`; empty where there is none or it has no pod spec.
        old: Vec<Container>,
    },
    /// Nothing in it can bring a new image to a node.
    Nothing(NoImages),
    /// It could bring images, and we cannot tell which.
    Unreadable(Flaw),
}

/// Why a review has no image to judge. Each is a statement about Kubernetes, not a failure of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoImages {
    /// DELETE and CONNECT start no container.
    Operation,
    /// `pods/resize` and subresources whose objects carry no pod spec.
    Subresource,
    /// A kind that is neither a Pod, nor a built-in controller, nor named by `workloads`.
    Kind,
}

/// Why a review with a uid could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// The JSON after the uid, or the type of a field that we read.
    Syntax(String),
    /// `apiVersion` or `kind` of the review itself; the value as sent.
    Version(String),
    /// An operation that admission.k8s.io/v1 does not have.
    Operation(String),
    /// Nested more deeply than the bound.
    Depth { limit: usize },
    /// More containers than the bound.
    Count { found: usize, limit: usize },
    /// The kind must have a pod spec with containers at this path, and has not.
    NoPodSpec { path: Arc<str> },
    /// `kind`, `resource` and the object do not name the same thing.
    Contradiction(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(what) => write!(f, "the review is malformed: {what}"),
            Self::Version(found) => {
                write!(f, "the review is {found:?}, and only admission.k8s.io/v1 AdmissionReview is understood")
            }
            Self::Operation(found) => write!(f, "operation {found:?} is unknown"),
            Self::Depth { limit } => write!(f, "the review is nested more than {limit} levels deep"),
            Self::Count { found, limit } => write!(f, "{found} containers, and at most {limit} are judged"),
            Self::NoPodSpec { path } => {
                write!(f, "no pod spec with containers at {path}, where this kind must have one")
            }
            Self::Contradiction(what) => write!(f, "the review contradicts itself: {what}"),
        }
    }
}

/// One use of an image in an object.
#[derive(Debug, Clone)]
pub struct Container {
    pub path: ContainerPath,
    /// The container's name; for an image volume the volume's.
    pub name: String,
    /// The image as written, byte for byte; empty where the field is missing.
    pub written: String,
    pub reference: Result<Reference, InvalidReference>,
}

impl Container {
    /// As kubectl users name it: `containers[web]`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}[{}]", self.path.kind.field(), self.name)
    }
}

/// The four places of a pod spec that name images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContainerKind {
    Init,
    Regular,
    Ephemeral,
    /// `volumes[].image` (KEP-4639).
    ImageVolume,
}

impl ContainerKind {
    /// The field of the pod spec.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
            Self::Ephemeral => "ephemeralContainers",
            Self::ImageVolume => "volumes",
        }
    }
}

/// Where in the object the image stands; printed as `spec.template.spec.initContainers[2].image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPath {
    /// Path of the pod spec in its object, such as `spec.template.spec`.
    pub pod_spec: Arc<str>,
    pub kind: ContainerKind,
    /// Index in the list that `kind` names.
    pub index: usize,
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaf = match self.kind {
            ContainerKind::Init | ContainerKind::Regular | ContainerKind::Ephemeral => "image",
            ContainerKind::ImageVolume => "image.reference",
        };
        write!(f, "{}.{}[{}].{leaf}", self.pod_spec, self.kind.field(), self.index)
    }
}

/// Foreign text fit for a terminal and a log: `limit` bytes at most, before it is said that there is more, and without
/// characters that forge lines, colour a terminal, hide, or show text in another order than it is read.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if shown.len() >= limit {
            shown.push_str("...");
            break;
        }
        if character.is_control() || deceives(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn deceives(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
impl Request {
    /// The creation of `shop/web`, for the tests of every room.
    pub(crate) fn about(subject: Subject) -> Self {
        Self {
            uid: "1".to_owned(),
            operation: Operation::Create,
            kind: "Pod".to_owned(),
            api_version: String::new(),
            object_uid: String::new(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            dry_run: false,
            role: Role::Pod,
            pull: PullSecrets::default(),
            placement: Placement::default(),
            subject,
        }
    }
}

#[cfg(test)]
impl Container {
    /// The first of its kind in a Pod, for the tests of every room.
    pub(crate) fn first(kind: ContainerKind, name: &str, written: &str) -> Self {
        Self {
            path: ContainerPath { pod_spec: "spec".into(), kind, index: 0 },
            name: name.to_owned(),
            written: written.to_owned(),
            reference: Reference::parse(written),
        }
    }
}
