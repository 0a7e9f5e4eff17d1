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
fn scalars_are_what_yaml_1_2_says() {
    let root = one("[null, ~, true, False, yes, off, 1, -7, 0x10, 1.50, '1', \"true\", 2027-01-31, 1e3, !!str 5]");
    let json = serde_json::json!([
        null,
        null,
        true,
        false,
        "yes",
        "off",
        1,
        -7,
        16,
        1.5,
        "1",
        "true",
        "2027-01-31",
        1000.0,
        "5"
    ]);
    assert_eq!(root.to_json(), json);
    assert_eq!(one("{a: 18446744073709551615}").to_json(), serde_json::json!({"a": u64::MAX}));
}

#[test]
fn json_and_back_is_the_same_tree() {
    let json = serde_json::json!({"a": [1, -2, 2.5, "x", null, true, {"b": {}}], "c": []});
    assert_eq!(Node::from_json(&json).to_json(), json);
    assert_eq!(one(&json.to_string()).to_json(), json);
}

#[test]
fn documents_are_separated_and_empty_ones_left_out() {
    let documents = parse_documents("---\n# nothing\n---\na: 1\n---\n---\nb: 2\n...\n").unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].entries().unwrap()[0].line, Some(7));
    assert!(parse_documents("").unwrap().is_empty());
    assert!(parse_documents("# only a comment\n").unwrap().is_empty());
}

#[test]
fn merge_keys_are_expanded_as_kubectl_does_and_the_own_key_wins() {
    let root = one("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  x: 3\n");
    assert_eq!(root.field("use").unwrap().to_json(), serde_json::json!({"x": 3, "y": 2}));
}

#[test]
fn what_is_no_yaml_is_one_mistake_with_its_line() {
    let cases = [
        ("a: 1\na: 2\n", Some(2), "duplicate mapping key: a"),
        ("x:\n  1: a\n  \"1\": b\n", Some(2), "the key \"1\" stands twice"),
        ("a: [1\nb: 2\n", Some(2), "is no valid YAML"),
        ("a: !Ref b\n", Some(1), "tag"),
        ("a: .nan\n", Some(1), "is no valid YAML"),
        ("a: *nowhere\n", Some(1), "unknown value"),
        ("a: 1e999\n", Some(1), "is no valid YAML"),
    ];
    for (text, line, part) in cases {
        let mistake = parse_documents(text).unwrap_err();
        assert_eq!(mistake.line, line, "{text:?}: {mistake}");
        assert!(mistake.message.contains(part), "{text:?}: {mistake}");
    }
}

#[test]
fn hostile_yaml_is_refused_within_its_budget() {
    let laughs = (1..10).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let aliases = format!("*a{}, ", n - 1).repeat(9);
        format!("{text}a{n}: &a{n} [{aliases}]\n")
    });
    let block = (0..400).fold(String::new(), |text, n| format!("{text}{}a:\n", " ".repeat(n)));
    for text in [&laughs, &"[".repeat(100_000), &"{a: ".repeat(5_000), &block, &"- - ".repeat(50_000)] {
        let mistake = parse_documents(text).unwrap_err();
        assert!(mistake.message.starts_with("is no valid YAML"), "{mistake}");
    }
    let mistake = parse_documents(&"#".repeat(MOST_BYTES + 1)).unwrap_err();
    assert_eq!(mistake.message, "has 16777217 bytes, and at most 16777216 are read: split it");
}

#[test]
fn as_deep_as_allowed_is_read_whatever_the_stack_of_the_caller() {
    let depth = MOST_DEPTH - 1;
    let text = format!("{}x{}", "{a: ".repeat(depth), "}".repeat(depth));
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let read = small.spawn(move || parse_documents(&text).map(|documents| documents[0].to_json())).unwrap();
    assert!(read.join().unwrap().is_ok());
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
