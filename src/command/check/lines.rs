//! On which lines of a text its images stand, for whoever is shown them there.
//!
//! Read a second time, by the reader that knows lines. What that one refuses, or reads otherwise, has no lines: a line that
//! is shown is right.

use serde::de::IgnoredAny;

use crate::admission::manifest::ManifestObject;
use crate::policy::document::{Node, parse_documents};
use crate::request::{Container, ContainerKind, Subject};

use super::Lines;

/// The lines of each object.
pub(super) fn find(text: &str, objects: &[ManifestObject]) -> Vec<Lines> {
    let documents = documents(text);
    objects.iter().map(|object| lines(object, &documents)).collect()
}

/// A document, and how many lines stand before its text.
struct Document {
    node: Node,
    before: u64,
}

/// Every document that says something; none where the text cannot be read.
fn documents(text: &str) -> Vec<Document> {
    let Some(parts) = json(text) else {
        let nodes = parse_documents(text).unwrap_or_default();
        return nodes.into_iter().map(|node| Document { node, before: 0 }).collect();
    };
    let (mut documents, mut before) = (Vec::new(), 0);
    for part in parts {
        // A tab in JSON is a space: within its texts it is written `\t`. Readers of YAML stumble over it.
        let Ok(nodes) = parse_documents(&part.replace('\t', " ")) else { return Vec::new() };
        documents.extend(nodes.into_iter().map(|node| Document { node, before }));
        before += newlines(part);
    }
    documents
}

/// The text cut into its documents, where all of it is JSON.
fn json(text: &str) -> Option<Vec<&str>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut parts, mut begin) = (Vec::new(), 0);
    while let Some(document) = stream.next() {
        document.ok()?;
        let end = stream.byte_offset();
        parts.push(text.get(begin..end)?);
        begin = end;
    }
    Some(parts)
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').map(|_| 1).sum()
}

fn lines(object: &ManifestObject, documents: &[Document]) -> Lines {
    let containers: &[Container] = match &object.request.subject {
        Subject::Images { containers, .. } => containers,
        Subject::Nothing(_) | Subject::Unreadable(_) => &[],
    };
    let Some((node, before)) = node(object, documents) else {
        return Lines { object: None, images: vec![None; containers.len()] };
    };
    let line = |line: Option<u64>| line.map(|line| line + before);
    let images = containers.iter().map(|container| line(image(node, container))).collect();
    Lines { object: line(node.line), images }
}

/// The object itself, and how many lines stand before the text of its document.
fn node<'d>(object: &ManifestObject, documents: &'d [Document]) -> Option<(&'d Node, u64)> {
    let (document, items) = object.place.split_first()?;
    let Document { node, before } = documents.get(*document)?;
    let found = items.iter().try_fold(node, |list, item| list.field("items")?.items()?.get(*item))?;
    let named = |key| found.field("metadata")?.field(key)?.text().filter(|name| !name.is_empty());
    let name = named("name").or_else(|| named("generateName")).unwrap_or_default();
    (name == object.name).then_some((found, *before))
}

/// The line of a container's image; of the container, where it has none.
fn image(object: &Node, container: &Container) -> Option<u64> {
    let path = &container.path;
    let pod_spec = path.pod_spec.split('.').try_fold(object, |node, field| node.field(field))?;
    let entry = pod_spec.field(path.kind.field())?.items()?.get(path.index)?;
    let image = match path.kind {
        ContainerKind::Init | ContainerKind::Regular | ContainerKind::Ephemeral => entry.field("image"),
        ContainerKind::ImageVolume => entry.field("image").and_then(|image| image.field("reference")),
    };
    match image {
        Some(image) if image.text().unwrap_or_default() == container.written => image.line,
        Some(_) => None,
        None => entry.line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::manifest;
    use crate::admission::workload::Workloads;

    /// The line of every object with those of its images.
    fn found(text: &str) -> Vec<(Option<u64>, Vec<Option<u64>>)> {
        let objects = manifest::read(text, &Workloads::default()).unwrap();
        find(text, &objects).into_iter().map(|lines| (lines.object, lines.images)).collect()
    }

    #[test]
    fn every_image_has_the_line_on_which_it_is_written() {
        let text = "# first
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers:
      - name: a
        image: one
      containers:
      - image:
          two
      - {name: c}
      - name: d
        image: *img
      volumes:
      - name: m
        image:
          reference: four
---
---
kind: List
apiVersion: v1
items:
- {apiVersion: v1, kind: Service, metadata: {name: s}}
- apiVersion: v1
  kind: Pod
  metadata: {generateName: p-}
  spec: {containers: [{image: five}]}
";
        let text = text.replace("image: one", "image: &img one");
        let some = |lines: &[u64]| lines.iter().copied().map(Some).collect::<Vec<_>>();
        let expected = [(Some(3), some(&[11, 14, 15, 17, 21])), (Some(28), some(&[31]))];
        assert_eq!(found(&text), expected);
        let windows = text.replace('\n', "\r\n");
        assert_eq!(found(&windows), expected);
    }

    #[test]
    fn json_with_tabs_and_one_object_after_the_other_has_lines_too() {
        let pod = "{\n\t\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n\t\"spec\": {\"containers\": [\n\t\t{\"image\":\n\t\"a\\u002fb\"}]}\n}";
        let expected = |before: u64| (Some(before + 1), vec![Some(before + 5)]);
        assert_eq!(found(&format!("{pod}\n{pod}\n\n{pod}")), [expected(0), expected(6), expected(13)]);
    }

    #[test]
    fn what_the_reader_of_lines_refuses_has_none() {
        let text = "kind: Pod\napiVersion: v1\nspec: {containers: [{image: a}], hostname: !ours b}\n";
        assert_eq!(found(text), [(None, vec![None])]);
    }
}
