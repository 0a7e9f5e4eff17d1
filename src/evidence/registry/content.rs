//! What is asked for by name or digest: manifests and blobs, hashed before anything is believed of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};

use crate::fact::{Fact, Fault, Resolved, Seen, Source, Trouble};
use crate::image::{Algorithm, Digest, Reference};

use super::client::{Ask, Body, Kind, Reply, Session, Size};
use super::hosts::Endpoint;
use super::lookup::{Question, Said};
use super::manifest::{self, Document, Manifest};

/// What registries say of a body, and what we hold against it.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// The manifest behind a tag or a digest.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name<'a> {
    Tag(&'a str),
    Digest(&'a Digest),
}

impl<'a> Name<'a> {
    /// A digest makes the tag irrelevant, and no tag is `latest`, as for the node.
    pub(super) fn of(image: &'a Reference) -> Self {
        image.digest().map_or_else(|| Self::Tag(image.tag().unwrap_or("latest")), Self::Digest)
    }

    fn text(self) -> &'a str {
        match self {
            Self::Tag(tag) => tag,
            Self::Digest(digest) => digest.as_str(),
        }
    }

    fn may_ask(self, endpoint: &Endpoint) -> bool {
        match self {
            Self::Tag(_) => endpoint.resolve,
            Self::Digest(_) => endpoint.pull,
        }
    }
}

/// What a name stands for now.
pub(super) struct Resolution<'a> {
    pub(super) name: Name<'a>,
    pub(super) known: Option<&'a Resolved>,
}

impl Question for Resolution<'_> {
    type Answer = Resolved;

    fn may_ask(&self, endpoint: &Endpoint) -> bool {
        self.name.may_ask(endpoint)
    }

    async fn ask(&self, session: &Session<'_>) -> Result<Said<Resolved>, Trouble> {
        if let Some(known) = self.known
            && still_named(session, self.name, &known.digest).await?
        {
            return Ok(Said::Found(known.clone()));
        }
        Ok(match manifest(session, self.name, usize::MAX).await? {
            Said::Found(Manifest { digest, document }) => Said::Found(Resolved { digest, content: document.content() }),
            Said::Absent => Said::Absent,
        })
    }
}

/// A manifest by its tag or digest, of so many bytes at most.
pub(super) struct ManifestOf<'a> {
    pub(super) name: Name<'a>,
    pub(super) most: usize,
}

impl Question for ManifestOf<'_> {
    type Answer = Manifest;

    fn may_ask(&self, endpoint: &Endpoint) -> bool {
        self.name.may_ask(endpoint)
    }

    async fn ask(&self, session: &Session<'_>) -> Result<Said<Manifest>, Trouble> {
        manifest(session, self.name, self.most).await
    }
}

/// A blob, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// All of it: its hash is right.
    Whole(Arc<[u8]>),
    /// It has more bytes than were asked for, or no host has the right ones.
    Larger,
}

/// A blob by its digest.
pub(super) struct BlobOf<'a> {
    digest: &'a Digest,
    most: usize,
    /// Whether a host sent more.
    larger: AtomicBool,
}

impl<'a> BlobOf<'a> {
    pub(super) fn new(digest: &'a Digest, most: usize) -> Self {
        Self { digest, most, larger: AtomicBool::new(false) }
    }

    /// One host with too many bytes may be out of order, so the others are asked; where none of them knows better, it is
    /// the blob that is too large.
    pub(super) fn judged(&self, fact: Fact<Arc<[u8]>>) -> Fact<Blob> {
        let current = |value, at| Fact::Known(Seen { value, at, source: Source::Current });
        match fact {
            Fact::Known(Seen { value, at, .. }) => current(Blob::Whole(value), at),
            Fact::Unavailable(trouble) if trouble.fault == Fault::Broken && self.larger.load(Ordering::Acquire) => {
                current(Blob::Larger, Timestamp::now())
            }
            Fact::Unavailable(trouble) => Fact::Unavailable(trouble),
            Fact::Absent(at) => Fact::Absent(at),
            Fact::Pending => Fact::Pending,
        }
    }
}

impl Question for BlobOf<'_> {
    type Answer = Arc<[u8]>;

    fn may_ask(&self, endpoint: &Endpoint) -> bool {
        endpoint.pull
    }

    async fn ask(&self, session: &Session<'_>) -> Result<Said<Arc<[u8]>>, Trouble> {
        let url = session.url(&["blobs", self.digest.as_str()]);
        let ask = Ask { method: Method::GET, url: &url, accept: "*/*", kind: Kind::Blob, most: self.most };
        let reply = session.send(&ask).await?;
        let Said::Found(reply) = found(session, reply, Kind::Blob)? else { return Ok(Said::Absent) };
        if reply.body.is_cut() {
            self.larger.store(true, Ordering::Release);
            return Err(session.broken(&format!("sent more than {} for a blob", Size(self.most))));
        }
        check_digest(session, &reply.body, self.digest)?;
        Ok(Said::Found(reply.body.into_bytes().into()))
    }
}

/// Whether a tag still names what we hashed once. Its word is enough for "still": what is used was hashed.
async fn still_named(session: &Session<'_>, name: Name<'_>, known: &Digest) -> Result<bool, Trouble> {
    let limit = session.client.limits().manifest_bytes;
    let url = session.url(&["manifests", name.text()]);
    let ask = Ask { method: Method::HEAD, url: &url, accept: manifest::ACCEPT, kind: Kind::Manifest, most: limit };
    let reply = session.send(&ask).await?;
    let mut said = reply.headers.get_all(CONTENT_DIGEST).iter();
    let same = said.next().is_some_and(|value| value.as_bytes() == known.as_str().as_bytes()) && said.next().is_none();
    Ok(reply.status == StatusCode::OK && same)
}

/// Fetched, hashed, compared with everything that is said of it, and read. `most`: bytes, where fewer than usual.
pub(super) async fn manifest(session: &Session<'_>, name: Name<'_>, most: usize) -> Result<Said<Manifest>, Trouble> {
    let most = session.client.limits().manifest_bytes.min(most);
    let url = session.url(&["manifests", name.text()]);
    let ask = Ask { method: Method::GET, url: &url, accept: manifest::ACCEPT, kind: Kind::Manifest, most };
    let reply = session.send(&ask).await?;
    let Said::Found(reply) = found(session, reply, Kind::Manifest)? else { return Ok(Said::Absent) };
    let content_type = reply.content_type();
    if content_type == "text/html" {
        return Err(session.broken("answered with text/html instead of a manifest; is this a registry?"));
    }
    let digest = match name {
        Name::Digest(asked) => {
            check_digest(session, &reply.body, asked)?;
            asked.clone()
        }
        Name::Tag(_) => manifest::hashed(&reply.body, Algorithm::Sha256),
    };
    check_header(session, &reply)?;
    let document = read(session, &reply.body, &content_type)?;
    Ok(Said::Found(Manifest { digest, document }))
}

pub(super) fn read(session: &Session<'_>, body: &Body, content_type: &str) -> Result<Document, Trouble> {
    manifest::read(body, content_type).map_err(|what| session.broken(&what))
}

fn check_digest(session: &Session<'_>, body: &Body, asked: &Digest) -> Result<(), Trouble> {
    if manifest::hashed(body, asked.algorithm()) == *asked {
        return Ok(());
    }
    Err(session.mismatch("sent other bytes than those of the digest that was asked for"))
}

/// Nothing said is fine; something else than what was sent is not.
fn check_header(session: &Session<'_>, reply: &Reply) -> Result<(), Trouble> {
    for said in reply.headers.get_all(CONTENT_DIGEST) {
        let Some(said) = said.to_str().ok().and_then(|said| Digest::parse(said).ok()) else {
            return Err(session.broken("sent a Docker-Content-Digest that is no digest"));
        };
        if manifest::hashed(&reply.body, said.algorithm()) != said {
            return Err(session.mismatch("sent a manifest with the Docker-Content-Digest of another"));
        }
    }
    Ok(())
}

/// 200 and 404 are answers; no other status is.
fn found(session: &Session<'_>, reply: Reply, kind: Kind) -> Result<Said<Reply>, Trouble> {
    match reply.status {
        StatusCode::OK => Ok(Said::Found(reply)),
        StatusCode::NOT_FOUND => Ok(Said::Absent),
        _ => Err(session.broken(&format!("answered {} instead of {kind}", reply.answered()))),
    }
}
