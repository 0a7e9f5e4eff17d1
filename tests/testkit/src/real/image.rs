//! Small images as OCI layouts, with the digest that whoever pushes them as they are must arrive at.

use std::fs;
use std::path::Path;

use crate::Directory;
use serde_json::{Value, json};

/// An empty tar, compressed: the layer of every image here.
const LAYER: [u8; 32] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x09, 0x6e, 0x88, 0x00, 0xff, 0x62, 0x18, 0x05, 0xa3, 0x60, 0x14, 0x8c, 0x58, 0x00,
    0x08, 0x00, 0x00, 0xff, 0xff, 0x2e, 0xaf, 0xb5, 0xef, 0x00, 0x04, 0x00, 0x00,
];
/// The same, not compressed.
const LAYER_CONTENT: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// Whose media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Oci,
    Docker,
}

impl Format {
    pub const ALL: [Self; 2] = [Self::Oci, Self::Docker];

    fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    fn layer(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }
    }

    fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }
}

/// An image or an index in a folder, called `image` there.
pub struct Layout {
    folder: Directory,
    /// Of what is pushed.
    pub digest: String,
}

impl Layout {
    /// An image for linux/amd64; another note makes it another image.
    pub fn image(format: Format, note: &str) -> Self {
        Self::new(|blobs| image(blobs, format, "amd64", note))
    }

    /// Images for linux/amd64 and linux/arm64 under one name.
    pub fn index(format: Format, note: &str) -> Self {
        Self::new(|blobs| {
            let manifests = ["amd64", "arm64"].map(|architecture| {
                let mut entry = image(blobs, format, architecture, note);
                entry["platform"] = json!({"os": "linux", "architecture": architecture});
                entry
            });
            let index = json!({"schemaVersion": 2, "mediaType": format.index(), "manifests": manifests});
            blob(blobs, format.index(), index.to_string().as_bytes())
        })
    }

    fn new(write: impl FnOnce(&Path) -> Value) -> Self {
        let folder = Directory::new();
        let blobs = folder.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("a folder in our own folder can be made");
        let mut entry = write(&blobs);
        let digest = entry["digest"].as_str().expect("an entry has a digest").to_owned();
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "image"});
        folder.write("oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#);
        folder.write("index.json", &json!({"schemaVersion": 2, "manifests": [entry]}).to_string());
        Self { folder, digest }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path as an argument.
    pub fn argument(&self) -> String {
        self.path().display().to_string()
    }
}

fn image(blobs: &Path, format: Format, architecture: &str, note: &str) -> Value {
    let config = json!({"os": "linux", "architecture": architecture, "config": {"Labels": {"note": note}},
        "rootfs": {"type": "layers", "diff_ids": [LAYER_CONTENT]}, "history": [{"created_by": "by hand"}]});
    let manifest = json!({"schemaVersion": 2, "mediaType": format.manifest(),
        "config": blob(blobs, format.config(), config.to_string().as_bytes()),
        "layers": [blob(blobs, format.layer(), &LAYER)]});
    blob(blobs, format.manifest(), manifest.to_string().as_bytes())
}

/// Writes a blob; returns its descriptor.
fn blob(blobs: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = crate::digest(bytes);
    let file = digest.trim_start_matches("sha256:");
    fs::write(blobs.join(file), bytes).expect("a file in our own folder can be written");
    json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
}
