use super::*;

fn one(text: &str) -> Node {
    let mut documents = parse_documents(text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

#[test]
fn a_node_knows_its_line_and_a_field_the_line_of_its_key() {
    let root = one("# comment\na: 1\nb:\n  - x\n  -\n    c: {d: e,\n      f: g}\n");
    let lines = |node: &Node| node.entries().unwrap().iter().map(|e| (e.key.clone(), e.line)).collect::<Vec<_>>();
    assert_eq!(lines(&root), [("a".into(), Some(2)), ("b".into(), Some(3))]);
    let items = root.field("b").unwrap().items().unwrap();
    assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [Some(4), Some(6)]);
    assert_eq!(lines(items[1].field("c").unwrap()), [("d".into(), Some(6)), ("f".into(), Some(7))]);
}

#[test]
fn json_and_back_is_the_same_tree() {
    let json = serde_json::json!({"a": [1, -2, 2.5, "x", null, true, {"b": {}}], "c": []});
    assert_eq!(Node::from_json(&json).to_json(), json);
    assert_eq!(one(&json.to_string()).to_json(), json);
}

#[test]
fn a_tree_does_not_print_its_texts() {
    let root = one("data: {password: hunter2, n: 12345, b: true}");
    assert_eq!(format!("{root:?}"), r#"{"data": {"password": text of 7 bytes, "n": number, "b": bool}}"#);
}

#[test]
fn a_mistake_says_file_line_path_and_message() {
    let mistake =
        Mistake { source: String::new(), line: Some(3), path: "spec.rules".into(), message: "is missing".into() };
    assert_eq!(mistake.to_string(), "line 3: spec.rules: is missing");
    assert_eq!(mistake.clone().in_source("a.yaml").to_string(), "a.yaml:3: spec.rules: is missing");
    let whole = Mistake { line: None, path: String::new(), ..mistake };
    assert_eq!(whole.in_source("a.yaml").to_string(), "a.yaml: is missing");
}
