use super::*;

fn one(text: &str) -> Node {
    let mut documents = parse(text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
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
    // Words that the crate's own deserializer takes for what they are not.
    assert_eq!(one("[tRUE, nULL, 1_000, 0b1]").to_json(), serde_json::json!(["tRUE", "nULL", "1_000", "0b1"]));
    assert_eq!(one("{a: 18446744073709551615}").to_json(), serde_json::json!({"a": u64::MAX}));
}

#[test]
fn documents_are_separated_and_empty_ones_left_out() {
    let documents = parse("---\n# nothing\n---\na: 1\n---\n---\nb: 2\n...\n").unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].entries().unwrap()[0].line, Some(7));
    assert!(parse("").unwrap().is_empty());
    assert!(parse("# only a comment\n").unwrap().is_empty());
}

#[test]
fn merge_keys_are_expanded_as_kubectl_does_and_the_own_key_wins() {
    let root = one("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  x: 3\n");
    assert_eq!(root.field("use").unwrap().to_json(), serde_json::json!({"x": 3, "y": 2}));
}

#[test]
fn what_is_no_yaml_is_one_mistake_with_its_line() {
    let cases = [
        ("a: 1\na:\n  b: 2\n", 2, "the key `a` stands here twice"),
        ("x:\n  1: a\n  \"1\": b\n", 3, "the key `1` stands here twice"),
        ("{a: 1, <<: {b: 1}, <<: {c: 1}}", 1, "the key `<<` stands here twice"),
        ("x:\n  <<: 5\n", 2, "`<<` merges maps, or a list of maps"),
        ("? [a]\n: b\n", 1, "a key that is no text"),
        ("&a [b]: c\n", 1, "a key that is no text"),
        ("x: &a [b]\n*a : c\n", 2, "a key that is no text"),
        ("a: !Ref b\n", 1, "the tag `!Ref` means nothing here"),
        ("a: !!binary aGk=\n", 1, "the tag `!!binary` means nothing here"),
        ("a: !!seq {b: c}\n", 1, "the tag `!!seq` means nothing here"),
        ("a: !!int x\n", 1, "`x` is no !!int"),
        ("a: .nan\n", 1, "`.nan` is a number that is none: quote it, or write another"),
        ("a: 1e999\n", 1, "`1e999` is a number that is none: quote it, or write another"),
        ("a: &a [*a]\n", 1, "an alias inside of what it stands for"),
    ];
    for (text, line, why) in cases {
        let mistake = parse(text).unwrap_err();
        assert_eq!((mistake.line, mistake.message), (Some(line), format!("is no valid YAML: {why}")), "{text:?}");
    }
    // In the parser's own words.
    for (text, line) in [("a: [1\nb: 2\n", 2), ("a: *nowhere\n", 1), ("a: \"b\n", 2), ("\ta: b: c\n", 1)] {
        let mistake = parse(text).unwrap_err();
        assert_eq!(mistake.line, Some(line), "{mistake}");
        assert!(mistake.message.starts_with("is no valid YAML: "), "{mistake}");
    }
}

/// The same text through the crate's own deserializer, which has a budget and a schema of its own.
#[test]
fn trees_agree_with_those_of_the_crate() {
    let mut texts: Vec<String> = [
        "a: &x {b: [1, 2]}\nc: *x\nd: {<<: *x, e: f}\n",
        "a: {<<: [{b: 1}, {b: 2, c: 3}], c: 4}\n",
        "[0, -0, +5, 1.0, .5, 5., 1e3, -1.5e-3, 0o17, 0xFf, 1.2.3, 1e, e5, ., 12a, 2027-01-31, 10:30, 0x, 0xg]",
        "a: |\n  two\n  lines\nb: >-\n  one\n  line\nc: 'it''s'\nd: \"\\u00e9\\n\"\n",
        "[True, TRUE, Null, '', \"~\", ~, yes, No, on, Off, y]",
        "&k key: v\nother: *k\n",
        "---\na\n---\nb\n...\n---\n- c\n",
        "{a: , b: null, c}",
        "- !!str 1\n- !!int \"2\"\n- !!null ''\n- !!map {}\n- !!seq []\n",
    ]
    .map(str::to_owned)
    .into();
    for folder in ["manifests/policies", "tests/fixtures/policies/valid", "tests/fixtures/policies/invalid"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        texts.extend(
            files
                .filter(|file| file.extension().is_some_and(|e| e == "yaml"))
                .map(|file| std::fs::read_to_string(file).unwrap()),
        );
    }
    for text in texts {
        let ours: Vec<serde_json::Value> = parse(&text).unwrap().iter().map(Node::to_json).collect();
        let options = serde_saphyr::options! { strict_booleans: true, reject_unsupported_tags: true };
        let theirs: Vec<serde_json::Value> = serde_saphyr::from_multiple_with_options(&text, options).unwrap();
        assert_eq!(ours, theirs, "{text}");
    }
}

#[test]
fn a_copy_stands_on_the_line_where_it_is_used() {
    let root = one("a: &x\n  b: 1\nc:\n- *x\n");
    let copy = &root.field("c").unwrap().items().unwrap()[0];
    assert_eq!((copy.line, copy.entries().unwrap()[0].line), (Some(4), Some(2)));
}

#[test]
fn hostile_yaml_is_refused_within_its_budget() {
    let laughs = (1..10).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let aliases = format!("*a{}, ", n - 1).repeat(9);
        format!("{text}a{n}: &a{n} [{aliases}]\n")
    });
    let huge = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100));
    let nested =
        (0..90).fold(String::new(), |text, n| format!("{text}&a{n} [")) + &"x,".repeat(10_000) + &"]".repeat(90);
    let deep = format!("a: &a {}{}\nb: {}*a{}\n", "[".repeat(60), "]".repeat(60), "[".repeat(60), "]".repeat(60));
    let merges = format!("a: &a {{x: {}}}\nb:\n{}", "y".repeat(1 << 20), "- {<<: *a}\n".repeat(100));
    let block = (0..400).fold(String::new(), |text, n| format!("{text}{}a:\n", " ".repeat(n)));
    for text in [
        &laughs,
        &huge,
        &nested,
        &deep,
        &merges,
        &"[".repeat(100_000),
        &"{a: ".repeat(5_000),
        &block,
        &"- - ".repeat(50_000),
    ] {
        let mistake = parse(text).unwrap_err();
        assert!(mistake.message.starts_with("is no valid YAML"), "{mistake}");
    }
    let mistake = parse(&"- a\n".repeat(MOST_NODES)).unwrap_err();
    assert_eq!(mistake.message, "is no valid YAML: has more than 1000000 values");
    let mistake = parse(&"#".repeat(MOST_BYTES + 1)).unwrap_err();
    assert_eq!(mistake.message, "has 16777217 bytes, and at most 16777216 are read: split it");
}

#[test]
fn as_deep_as_allowed_is_read_whatever_the_stack_of_the_caller() {
    let depth = MOST_DEPTH - 1;
    let text = format!("{}x{}", "{a: ".repeat(depth), "}".repeat(depth));
    let small = std::thread::Builder::new().stack_size(128 << 10);
    let read = small.spawn(move || parse(&text).map(|documents| documents[0].to_json())).unwrap();
    assert!(read.join().unwrap().is_ok());
}
