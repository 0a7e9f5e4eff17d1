use super::*;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn descriptor(more: &str) -> String {
    format!(r#"{{"mediaType":"application/octet-stream","digest":"sha256:{HEX}","size":7{more}}}"#)
}

fn image(more: &str) -> String {
    let (config, layer) = (descriptor(""), descriptor(""));
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{config},"layers":[{layer}]{more}}}"#)
}

fn index(entries: &[String]) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, entries.join(","))
}

/// Why it is not read.
fn flaw(text: &str, content_type: &str) -> String {
    read(text.as_bytes(), content_type).unwrap_err()
}

const FORM: &str = "sent a manifest that is not of the form that the OCI image specification has";

#[test]
fn an_image_is_read_with_everything_that_it_says() {
    let subject = descriptor("");
    let more = format!(r#","artifactType":"a/b","subject":{subject},"annotations":{{"k":"v"}},"other":[1]"#);
    let Document::Image(read) = read(image(&more).as_bytes(), OCI_MANIFEST).unwrap() else { panic!("no image") };
    assert_eq!(read.artifact_type.as_deref(), Some("a/b"));
    assert_eq!(read.config.digest.hex(), HEX);
    assert_eq!(read.layers.len(), 1);
    assert_eq!(read.subject.unwrap().size, 7);
    assert_eq!(read.annotations["k"], "v");
}

#[test]
fn an_index_keeps_platforms_as_stated_and_in_order() {
    let entries = [
        descriptor(r#","platform":{"os":"linux","architecture":"arm64","variant":"v8","os.version":"1"}"#),
        descriptor(r#","platform":{"os":"unknown","architecture":"unknown"}"#),
        descriptor(r#","platform":{"os":"linux","architecture":"amd64","variant":""}"#),
        descriptor(""),
    ];
    let Content::Index(found) = read(index(&entries).as_bytes(), "").unwrap().content() else { panic!("no index") };
    let platforms: Vec<_> = found.iter().map(|entry| entry.platform.as_ref().map(|it| it.to_string())).collect();
    let expected = [Some("linux/arm64/v8"), Some("unknown/unknown"), Some("linux/amd64"), None];
    assert_eq!(platforms, expected.map(|platform| platform.map(str::to_owned)));
}

#[test]
fn the_type_may_stand_in_either_place_or_follow_from_the_shape() {
    let without = |text: String| text.replace(&format!(r#""mediaType":"{OCI_MANIFEST}","#), "");
    for content_type in ["application/json", "", OCI_MANIFEST, DOCKER_MANIFEST] {
        assert!(matches!(read(without(image("")).as_bytes(), content_type), Ok(Document::Image(_))), "{content_type}");
    }
    let untyped = index(&[]).replace(&format!(r#""mediaType":"{OCI_INDEX}","#), "");
    assert!(matches!(read(untyped.as_bytes(), ""), Ok(Document::Index(_))));
}

#[test]
fn an_index_and_an_image_in_one_is_neither() {
    let expected = "sent a manifest that is an index and an image at once";
    assert_eq!(flaw(&image(r#","manifests":[]"#), OCI_MANIFEST), expected);
    assert_eq!(flaw(&image(r#","manifests":null"#), OCI_MANIFEST), expected);
    let both = index(&[]).replace(r#""manifests""#, r#""layers":[],"manifests""#);
    assert_eq!(flaw(&both, OCI_INDEX), expected);
}

#[test]
fn a_type_that_contradicts_the_answer_or_the_shape_is_refused() {
    let contradiction = "sent a manifest whose mediaType is not its Content-Type";
    assert_eq!(flaw(&image(""), OCI_INDEX), contradiction);
    assert_eq!(flaw(&image(""), DOCKER_MANIFEST), contradiction);
    let lying = image("").replace(OCI_MANIFEST, OCI_INDEX);
    assert_eq!(flaw(&lying, OCI_INDEX), "sent an index without manifests");
    let lying = index(&[]).replace(OCI_INDEX, OCI_MANIFEST);
    assert_eq!(flaw(&lying, ""), "sent an image manifest that lists manifests");
    let foreign = image("").replace(OCI_MANIFEST, "application/x");
    assert_eq!(flaw(&foreign, ""), "sent a manifest of a type that is neither an image nor an index");
}

#[test]
fn a_key_twice_or_in_other_capitals_is_refused_on_every_level() {
    let twice = "sent a manifest that has a key twice, of which nodes read another";
    let capitals =
        "sent a manifest that has a key in other capitals than the specification, which nodes read all the same";
    assert_eq!(flaw(&image(r#","layers":[]"#), ""), twice);
    assert_eq!(flaw(&image(r#","Layers":[]"#), ""), capitals);
    assert_eq!(flaw(&image(r#","layer\u017f":[]"#), ""), capitals);
    assert_eq!(flaw(&index(&[descriptor(r#","digest":"x""#)]), ""), twice);
    assert_eq!(flaw(&index(&[descriptor(r#","Digest":"x""#)]), ""), capitals);
    let platform = r#","platform":{"os":"a","architecture":"b","OS":"c"}"#;
    assert_eq!(flaw(&index(&[descriptor(platform)]), ""), capitals);
    assert!(flaw(&image(r#","annotations":{"k":"v","k":"w"}"#), "").starts_with(FORM));
}

#[test]
fn a_list_is_no_object_anywhere() {
    let list = r#"[2,null,null,null,null,[],null,null]"#;
    assert_eq!(flaw(list, ""), "sent a manifest that has a list where an object belongs");
    let entry = format!(r#"["application/octet-stream","sha256:{HEX}",7]"#);
    assert_eq!(flaw(&index(&[entry]), ""), "sent a manifest that has a list where an object belongs");
    let object = index(&[]).replace("[]", "{}");
    assert_eq!(flaw(&object, ""), "sent a manifest that has an object where a list belongs");
}

#[test]
fn counts_and_depth_are_bounded() {
    let many = index(&vec![descriptor(""); shape::DESCRIPTORS]);
    assert!(read(many.as_bytes(), "").is_ok());
    let many = index(&vec![descriptor(""); shape::DESCRIPTORS + 1]);
    assert_eq!(flaw(&many, ""), "sent a manifest that lists more than 1000 descriptors");
    let annotations: Vec<_> = (0..=shape::ANNOTATIONS).map(|number| format!(r#""k{number}":"v""#)).collect();
    let many = image(&format!(r#","annotations":{{{}}}"#, annotations.join(",")));
    assert_eq!(flaw(&many, ""), "sent a manifest that has more than 256 annotations");
    let annotations = format!(r#","annotations":{{{}}}"#, annotations[..shape::ANNOTATIONS].join(","));
    let many = index(&vec![descriptor(&annotations); 1 + shape::ANNOTATIONS_IN_ALL / shape::ANNOTATIONS]);
    assert_eq!(flaw(&many, ""), "sent a manifest that has more than 10000 annotations in all");
    // What is not read is skipped without a stack, and what is read has a depth of its own.
    let deep = image(&format!(r#","x":{}{}"#, "[".repeat(100_000), "]".repeat(100_000)));
    assert!(read(deep.as_bytes(), "").is_ok());
    let deep = image(&format!(r#","subject":{}{}"#, r#"{"platform":"#.repeat(100_000) + "{}", "}".repeat(100_000)));
    assert!(flaw(&deep, "").starts_with(FORM), "{}", flaw(&deep, ""));
}

#[test]
fn the_old_schema_is_refused_in_words_that_help() {
    let expected = "sent a manifest of Docker's schema 1, which containerd does not run any more: push the image again";
    assert_eq!(flaw(r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#, LEGACY[1]), expected);
    assert_eq!(flaw(r#"{"schemaVersion":1}"#, ""), expected);
    assert_eq!(flaw(r#"{"schemaVersion":3,"manifests":[]}"#, ""), "sent a manifest whose schemaVersion is not 2");
    assert_eq!(flaw(r#"{"manifests":[]}"#, ""), "sent a manifest whose schemaVersion is not 2");
}

#[test]
fn nothing_of_the_text_is_repeated() {
    for text in [
        r#"{"schemaVersion":"hunter2"}"#.to_owned(),
        image(r#","annotations":{"hunter2":7}"#),
        image("").replace(HEX, "hunter2"),
        image("").replace("application/octet-stream\",\"digest\":\"sha256", "hunter2\",\"digest\":\"hunter2"),
        index(&[descriptor(r#","platform":{"os":"hunter2 ","architecture":"x"}"#)]),
        index(&[descriptor(r#","platform":{"os":"hunter2"}"#)]),
        "hunter2".to_owned(),
        image("hunter2"),
        format!("{}hunter2", image("")),
    ] {
        let flaw = flaw(&text, "");
        assert!(!flaw.contains("hunter2") && flaw.starts_with("sent "), "{flaw}");
    }
    assert!(!flaw(&image(""), "application/hunter2").contains("hunter2"));
    assert!(flaw("<html>", "text/html").ends_with("is this a registry?"));
}

#[test]
fn bytes_are_hashed_with_the_algorithm_of_the_digest() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hashed(b"", Algorithm::Sha256).hex(), empty);
    assert!(hashed(b"", Algorithm::Sha384).hex().starts_with("38b060a751ac9638"));
    assert!(hashed(b"", Algorithm::Sha512).hex().starts_with("cf83e1357eefb8bd"));
}
