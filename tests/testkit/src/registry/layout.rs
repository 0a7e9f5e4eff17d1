//! A folder in the OCI image layout, pushed as it is.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use super::image::OCI_INDEX;
use super::{Registry, digest};

impl Registry {
    /// Puts the image of a layout there, byte for byte, so that every digest stays what it is: the one manifest (or index)
    /// that its `index.json` lists, else that file itself as the index, as `crane push --index` does. Returns the digest, which
    /// is where the tag points.
    pub fn push_layout(&self, repository: &str, tag: &str, folder: &Path) -> String {
        let bytes = fs::read(folder.join("index.json")).expect("a layout has an index.json");
        let index = parse(&bytes);
        let digest = match list(&index, "manifests") {
            [] => panic!("{} holds no image", folder.display()),
            [top] => self.push_described(repository, top, folder),
            children => {
                for child in children {
                    self.push_described(repository, child, folder);
                }
                self.put_manifest(repository, None, OCI_INDEX, bytes)
            }
        };
        self.point(repository, tag, &digest);
        digest
    }

    fn push_described(&self, repository: &str, descriptor: &Value, folder: &Path) -> String {
        let bytes = blob(folder, descriptor);
        let content = parse(&bytes);
        for child in list(&content, "manifests") {
            self.push_described(repository, child, folder);
        }
        for part in content.get("config").into_iter().chain(list(&content, "layers")) {
            self.put_blob(repository, blob(folder, part));
        }
        let media_type = descriptor["mediaType"].as_str().unwrap_or(OCI_INDEX);
        self.put_manifest(repository, None, media_type, bytes)
    }
}

fn blob(folder: &Path, descriptor: &Value) -> Bytes {
    let named = descriptor["digest"].as_str().expect("a descriptor names a digest");
    let (algorithm, hex) = named.split_once(':').expect("a digest has an algorithm");
    let path = folder.join("blobs").join(algorithm).join(hex);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(digest(&bytes), named, "{} is what its name says", path.display());
    bytes.into()
}

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("what a layout describes is JSON")
}

fn list<'v>(content: &'v Value, name: &str) -> &'v [Value] {
    content[name].as_array().map_or(&[], Vec::as_slice)
}
