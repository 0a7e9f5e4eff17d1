//! Bytes to [`Request`]: whatever has a uid becomes one, readable or not.
//!
//! Follows `admission.k8s.io/v1`. The body is borrowed, not copied; fields that we do not read are skipped.

use std::fmt;
use std::sync::Arc;

use crate::request::{Container, Flaw, NoImages, Operation, Placement, PullSecrets, Request, Role, Subject};

use super::Malformed;
use super::field::{Fields, Text};
use super::object::{Object, group_of};
use super::wire::{Addressed, Envelope, Sent, Wire, envelope, read};
use super::workload::{Workload, Workloads};

/// Real reviews nest about 15 levels (managedFields); API servers take much deeper ones, which nobody means.
const DEPTH: usize = 96;
/// uids are UUIDs; what is much longer is no uid, and would only be echoed.
const UID_BYTES: usize = 128;
/// How much of what a caller sent is repeated in what is said about it: serde's sentences quote whole strings.
const TOLD_CHARACTERS: usize = 300;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// Decodes one body. [`Malformed`] only where there is no uid to answer to.
pub fn decode(body: &[u8], workloads: &Workloads) -> Result<Request, Malformed> {
    let text = str::from_utf8(body).map_err(|error| Malformed(format!("the body is not UTF-8: {error}")))?;
    // In one pass if it can be; whatever is wrong with it is looked at again, slowly.
    let read = envelope(text, workloads, true).or_else(|_flawed| envelope(text, workloads, false));
    match read {
        Ok(Envelope { api_version, kind, request: Some(wire) }) => {
            let uid = acceptable_uid(&wire.uid)?;
            Ok(match version_flaw(api_version.as_ref(), kind.as_ref()) {
                Some(flaw) => unreadable(uid, flaw),
                None => wire.into_request(uid, depth_flaw(text), workloads),
            })
        }
        Ok(Envelope { request: None, .. }) => Err(no_uid("it has no `request`")),
        Err(error) => match serde_json::from_str::<Fields<Addressed<'_>>>(text) {
            Ok(Fields(Addressed { request: Fields(addressee) })) => {
                let uid = acceptable_uid(&addressee.uid)?;
                Ok(unreadable(uid, depth_flaw(text).unwrap_or_else(|| Flaw::Syntax(told(&error)))))
            }
            Err(_) => Err(no_uid(&error.to_string())),
        },
    }
}

/// The uid alone, for the answer to a review whose decoding or judging failed.
#[must_use]
pub fn uid(body: &[u8]) -> Option<String> {
    let Fields(Addressed { request: Fields(addressee) }) = serde_json::from_slice(body).ok()?;
    acceptable_uid(&addressee.uid).ok()
}

fn acceptable_uid(uid: &Text<'_>) -> Result<String, Malformed> {
    match uid.0.len() {
        0 => Err(no_uid("`request.uid` is empty")),
        1..=UID_BYTES => Ok(uid.0.clone().into_owned()),
        length => Err(no_uid(&format!("`request.uid` is {length} bytes long, at most {UID_BYTES} are a uid"))),
    }
}

fn no_uid(what: &str) -> Malformed {
    Malformed(told(&format_args!("the body is no AdmissionReview that could be answered: {what}")))
}

fn told(sentence: &impl fmt::Display) -> String {
    let mut text = sentence.to_string();
    if let Some((end, _)) = text.char_indices().nth(TOLD_CHARACTERS) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

fn version_flaw(api_version: Option<&Text<'_>>, kind: Option<&Text<'_>>) -> Option<Flaw> {
    let (api_version, kind) = (api_version.map_or("", |text| &text.0), kind.map_or("", |text| &text.0));
    (api_version != API_VERSION || kind != KIND).then(|| {
        let shown: String = format!("{api_version} {kind}").chars().take(100).collect();
        Flaw::Version(shown)
    })
}

/// Counts brackets outside of strings; the text is known to be JSON. Byte by byte: the strings of a review are too
/// short for a vectorised search to pay (2.6 us against 7.4 us on 8 kB).
fn depth_flaw(text: &str) -> Option<Flaw> {
    let (mut bytes, mut depth) = (text.bytes(), 0_usize);
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return Some(Flaw::Depth { limit: DEPTH });
        }
    }
    None
}

/// To behind the quote that ends the string.
fn skip_string(bytes: &mut impl Iterator<Item = u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

fn unreadable(uid: String, flaw: Flaw) -> Request {
    Request {
        uid,
        operation: Operation::Unknown,
        kind: String::new(),
        api_version: String::new(),
        object_uid: String::new(),
        namespace: String::new(),
        name: String::new(),
        dry_run: false,
        role: Role::Pod,
        pull: PullSecrets::default(),
        placement: Placement::default(),
        subject: Subject::Unreadable(flaw),
    }
}

/// What is read of the new object.
struct Asked {
    subject: Subject,
    /// With whose credentials its images are pulled.
    pull: PullSecrets,
    placement: Placement,
}

impl Asked {
    /// Without an object there is nothing to pull with, and nowhere to run.
    fn only(subject: Subject) -> Self {
        Self { subject, pull: PullSecrets::default(), placement: Placement::default() }
    }
}

impl Wire<'_> {
    /// A flaw of the whole body leaves it readable who and where it is about: an exempt namespace stays exempt.
    fn into_request(self, uid: String, flaw: Option<Flaw>, workloads: &Workloads) -> Request {
        let workload = self.kind.as_ref().and_then(|Fields(its)| workloads.find(its.group(), &its.kind.0));
        let sent = self.operation.as_ref().map_or("", |text| &text.0);
        let operation = match sent {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "CONNECT" => Operation::Connect,
            _ => Operation::Unknown,
        };
        let nothing = |why: NoImages| Ok(Asked::only(Subject::Nothing(why)));
        let read = match (flaw, operation) {
            (Some(flaw), _) => Err(flaw),
            (None, Operation::Create) => self.subject(workload, false),
            (None, Operation::Update) => self.subject(workload, true),
            (None, Operation::Delete | Operation::Connect) => nothing(NoImages::Operation),
            (None, Operation::Unknown) => Err(Flaw::Operation(sent.chars().take(40).collect())),
        };
        let Asked { subject, pull, placement } = read.unwrap_or_else(|flaw| Asked::only(Subject::Unreadable(flaw)));
        let role = workload.map_or(Role::Controller, |known| known.role);
        // Told of controllers alone, and not worth an allocation for every Pod.
        let (api_version, object_uid) = match role {
            Role::Pod => (String::new(), String::new()),
            Role::Controller => (self.api_version(), self.of_object(|object| object.uid())),
        };
        Request {
            uid,
            operation,
            name: self.name(),
            api_version,
            object_uid,
            kind: self.kind.map_or_else(String::new, |Fields(its)| its.kind.0.into_owned()),
            namespace: self.namespace.map_or_else(String::new, |text| text.0.into_owned()),
            dry_run: self.dry_run == Some(true),
            role,
            pull,
            placement,
            subject,
        }
    }

    /// `request.name`, or where there is none yet what the object says of it. For people: an object that cannot be
    /// read has none.
    fn name(&self) -> String {
        if let Some(Text(name)) = self.name.as_ref().filter(|name| !name.0.is_empty()) {
            return name.clone().into_owned();
        }
        self.of_object(|object| object.name())
    }

    fn of_object(&self, told: impl Fn(&Object<'_>) -> String) -> String {
        match &self.object {
            Some(Sent::Read(object)) => told(object),
            Some(Sent::Raw(raw)) => read(raw, None).map_or_else(|_unreadable| String::new(), |object| told(&object)),
            None => String::new(),
        }
    }

    /// As objects write it: `v1`, `apps/v1`.
    fn api_version(&self) -> String {
        let Some(Fields(its)) = &self.kind else { return String::new() };
        let version = its.version.as_ref().map_or("", |text| &text.0);
        if its.group().is_empty() { version.to_owned() } else { format!("{}/{version}", its.group()) }
    }

    fn subject(&self, workload: Option<&Workload>, update: bool) -> Result<Asked, Flaw> {
        self.consistent(workload)?;
        let Some(workload) = workload else {
            return Ok(Asked::only(Subject::Nothing(NoImages::Kind)));
        };
        // A resize changes resources alone; the API server lets nothing else through that door (KEP-1287).
        if update && workload.role == Role::Pod && self.sub_resource.as_ref().is_some_and(|its| its.0 == "resize") {
            return Ok(Asked::only(Subject::Nothing(NoImages::Subresource)));
        }
        let (containers, pull, placement) = self.read(self.object.as_ref(), workload, |object| {
            Ok((object.containers(&workload.pod_spec)?, object.pull(), object.placement()))
        })?;
        let old = if update && self.old_object.is_some() { self.old_containers(workload)? } else { Vec::new() };
        Ok(Asked { subject: Subject::Images { containers, old }, pull, placement })
    }

    /// What is to be known of an object that is what it was sent as.
    fn read<T>(
        &self,
        sent: Option<&Sent<'_>>,
        workload: &Workload,
        take: impl FnOnce(&Object<'_>) -> Result<T, Flaw>,
    ) -> Result<T, Flaw> {
        let late;
        let object = match sent {
            Some(Sent::Read(object)) => object,
            Some(Sent::Raw(raw)) => {
                late =
                    read(raw, Some(workload)).map_err(|error| Flaw::Syntax(told(&format_args!("object: {error}"))))?;
                &late
            }
            None => return Err(Flaw::NoPodSpec { path: Arc::clone(workload.pod_spec.text()) }),
        };
        self.same_kind(object)?;
        take(object)
    }

    /// Nothing is made of an object that says to be something else than it was sent as.
    fn same_kind(&self, object: &Object<'_>) -> Result<(), Flaw> {
        let (group, kind) = self.kind.as_ref().map_or(("", ""), |Fields(its)| (its.group(), &*its.kind.0));
        let other_kind = object.kind.as_ref().filter(|its| its.0 != kind);
        let other_version = object.api_version.as_ref().filter(|its| group_of(&its.0) != group);
        let what = match (other_kind, other_version) {
            (None, None) => return Ok(()),
            (Some(Text(other)), _) => format!("request.kind is {kind}, the object is a {other}"),
            (None, Some(Text(other))) => format!("request.kind is of group {group:?}, the object of {other}"),
        };
        Err(Flaw::Contradiction(told(&what)))
    }

    /// An old object without a pod spec has nothing that could be unchanged, so all of the new one is judged.
    fn old_containers(&self, workload: &Workload) -> Result<Vec<Container>, Flaw> {
        match self.read(self.old_object.as_ref(), workload, |object| object.containers(&workload.pod_spec)) {
            Err(Flaw::NoPodSpec { .. }) => Ok(Vec::new()),
            other => other,
        }
    }

    /// `kind` says how the object is read and `resource` what it is stored as: they must not point apart.
    fn consistent(&self, workload: Option<&Workload>) -> Result<(), Flaw> {
        let (Some(Fields(kind)), Some(Fields(resource))) = (&self.kind, &self.resource) else {
            return Err(Flaw::Syntax("request.kind and request.resource must be there".to_owned()));
        };
        // Under these names a resource is itself; others, such as `scale` and `eviction`, are of kinds of their own.
        let itself = ["", "ephemeralcontainers", "resize", "status"];
        let main = self.sub_resource.as_ref().is_none_or(|its| itself.contains(&&*its.0));
        let expected = Workloads::of_resource(resource.group(), &resource.resource.0);
        let is = |expected: &Workload| workload.is_some_and(|known| std::ptr::eq(known, expected));
        let of_resource = !main || expected.is_none_or(is);
        let of_kind = workload.is_none_or(|known| known.is_served_by(&resource.resource.0));
        if of_resource && of_kind {
            return Ok(());
        }
        let what = format_args!("kind {} as resource {}", kind.kind.0, resource.resource.0);
        Err(Flaw::Contradiction(told(&what)))
    }
}

#[cfg(test)]
mod tests;
