//! `pratique scans`: what scan reports say, and which cannot be used.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use pratique_testkit::{Directory, Outcome, run, run_with_input};
use serde_json::{Value, json};

use crate::PRATIQUE;

/// A real report, as Trivy or Grype wrote it.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scans/captured").join(name)
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).expect("the fixture is there")
}

fn scans(arguments: &[&str]) -> Outcome {
    let mut all = vec!["scans"];
    all.extend(arguments);
    run(PRATIQUE, &all)
}

/// With the entries of the JSON.
fn listed(arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let mut all = vec!["-o", "json"];
    all.extend(arguments);
    let outcome = scans(&all);
    (outcome.code, serde_json::from_value(outcome.json()).expect("a list"))
}

/// File names without their folder, with the error.
fn told<'e>(entries: &'e [Value]) -> Vec<(&'e str, Option<&'e str>)> {
    let source = |entry: &'e Value| entry["source"].as_str().and_then(|source| source.rsplit('/').next());
    entries.iter().map(|entry| (source(entry).expect("a source"), entry["error"].as_str())).collect()
}

#[test]
fn the_json_of_a_real_report_has_the_shape_of_the_contract() {
    let path = fixture("trivy/web-tag.json").display().to_string();
    let (code, entries) = listed(&[&path]);
    let count = |total: u32, fixable: u32| json!({"total": total, "fixable": fixable});
    let expected = json!([{
        "source": path, "format": "trivy", "scanner": {"name": "trivy", "version": "0.76.0"},
        "scannedAt": "2026-11-21T03:50:05.393046651Z",
        "digests": ["sha256:100ecbc98c94a92825e62c0cfdc02ecfd4b28fe227c565d3606150807ec3e54e",
                    "sha256:0f97d4d02c1dc56e0c6f3d1e22b400bf875e15019d166a7c25873d7a368eb396"],
        "names": ["127.0.0.1:5077/acme/web:1.4.2"],
        "findings": {"total": 17, "critical": count(4, 4), "high": count(6, 6), "medium": count(4, 4), "low": count(2, 2),
                     "negligible": count(0, 0), "unknown": count(1, 1)},
        "error": null, "message": null, "platform": "linux/amd64", "database": {"version": null, "built": null},
        "suppressed": 0, "notes": [],
    }]);
    assert_eq!((code, json!(entries)), (Some(0), expected));
}

#[test]
fn files_are_listed_in_the_order_of_the_arguments_and_below_a_folder_of_their_paths() {
    let folder = Directory::new();
    let report = text_of("trivy/clean-layout.json");
    for name in ["b.json", "a.json", "notes.txt", ".hidden.json"] {
        folder.write(name, &report);
    }
    folder.write_in("aa", "z.json", &report);
    folder.write("named.txt", &report);
    let path = folder.path().display().to_string();
    let (code, entries) = listed(&[&folder.file("named.txt"), &path, &folder.file("a.json")]);
    let names: Vec<&str> = told(&entries).into_iter().map(|(name, _)| name).collect();
    assert_eq!((code, names), (Some(0), vec!["named.txt", "a.json", "z.json", "b.json", "a.json"]));
    assert_eq!(entries[1]["source"], format!("{path}/a.json"));
    let trailing = listed(&[&format!("{path}/")]).1;
    assert_eq!(trailing[0]["source"], format!("{path}/a.json"));
}

#[test]
fn a_file_that_cannot_be_used_has_its_error_and_the_others_are_still_listed() {
    let folder = Directory::new();
    let report = text_of("grype/clean.json");
    folder.write("a.json", &report);
    folder.write("b.json", "");
    folder.write("c.json", &report[..report.len() / 2]);
    folder.write("d.json", "[]");
    folder.write("e.json", "{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\"}");
    folder.write("f.json", &text_of("trivy/static-no-packages.json"));
    folder.write("g.json.gz", "\u{1f}no gzip at all");
    folder.write("h.json", &text_of("trivy/web-tag.json").replace("2026-11-21T", "2926-11-21T"));
    std::os::unix::fs::symlink(fixture("trivy/web-tag.json"), folder.path().join("i.json")).unwrap();
    folder.write("j.json", &report);
    let (code, entries) = listed(&[&folder.path().display().to_string()]);
    let expected = [
        ("a.json", None),
        ("b.json", Some("empty")),
        ("c.json", Some("truncated")),
        ("d.json", Some("not-a-report")),
        ("e.json", Some("not-a-report")),
        ("f.json", Some("nothing-scanned")),
        ("g.json.gz", Some("malformed")),
        ("h.json", Some("future")),
        ("i.json", Some("unreadable")),
        ("j.json", None),
    ];
    assert_eq!((code, told(&entries)), (Some(1), expected.to_vec()), "{entries:#?}");
    for entry in &entries {
        let failed = entry["error"].is_string();
        assert_eq!((entry["message"].is_string(), entry["findings"].is_null()), (failed, failed), "{entry:#}");
        assert_eq!(entry["suppressed"].is_null(), failed, "{entry:#}");
    }
    let nothing_scanned = &entries[5];
    assert_eq!(
        (&nothing_scanned["format"], &nothing_scanned["scanner"]["version"]),
        (&json!("trivy"), &json!("0.76.0"))
    );
    assert!(!nothing_scanned["digests"].as_array().unwrap().is_empty() && nothing_scanned["scannedAt"].is_string());
    let empty = &entries[1];
    assert_eq!((&empty["format"], &empty["scanner"]), (&Value::Null, &json!({"name": null, "version": null})));
}

#[test]
fn packed_reports_are_read_by_their_first_bytes_and_a_bomb_is_not_unpacked() {
    let folder = Directory::new();
    let report = text_of("grype/clean.json");
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap()
    };
    let zstandard =
        |bytes: &[u8]| ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest);
    let bomb = vec![b' '; 64 << 20];
    let packed = gzip(report.as_bytes());
    for (name, bytes) in [
        ("a.json.gz", packed.clone()),
        ("b.json.zst", zstandard(report.as_bytes())),
        ("c.json", packed.clone()),
        ("d.json.gz", packed[..packed.len() / 2].to_vec()),
        ("e.json.gz", gzip(&bomb)),
        ("f.json.zst", zstandard(&bomb)),
    ] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let (code, entries) = listed(&[&folder.path().display().to_string()]);
    let expected = [
        ("a.json.gz", None),
        ("b.json.zst", None),
        ("c.json", None),
        ("d.json.gz", Some("truncated")),
        ("e.json.gz", Some("beyond-bounds")),
        ("f.json.zst", Some("beyond-bounds")),
    ];
    assert_eq!((code, told(&entries)), (Some(1), expected.to_vec()), "{entries:#?}");
}

#[test]
fn a_pipe_in_a_folder_is_not_waited_for() {
    let folder = Directory::new();
    folder.write("a.json", &text_of("grype/clean.json"));
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("b.json")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo is there");
    let (code, entries) = listed(&[&folder.path().display().to_string()]);
    assert!(matches!(
        told(&entries).as_slice(),
        [("a.json", None)] | [("a.json", None), ("b.json", Some("unreadable"))]
    ));
    assert!(code == Some(0) || code == Some(1));
}

#[test]
fn a_file_of_more_than_is_read_is_refused_by_its_size() {
    let folder = Directory::new();
    let file = std::fs::File::create(folder.path().join("large.json")).unwrap();
    file.set_len(2 << 30).unwrap();
    let (code, entries) = listed(&[&folder.file("large.json")]);
    assert_eq!((code, told(&entries)), (Some(1), vec![("large.json", Some("beyond-bounds"))]));
}

#[test]
fn standard_input_is_a_report_too() {
    let outcome = run_with_input(PRATIQUE, &["scans", "-o", "json", "-"], &text_of("grype/api-layout.json"));
    let answer = outcome.json();
    assert_eq!((outcome.code, &answer[0]["source"], &answer[0]["format"]), (Some(0), &json!("-"), &json!("grype")));
    assert_eq!(answer[0]["findings"]["total"], 19);
    let outcome = run_with_input(PRATIQUE, &["scans", "-"], "");
    assert!(outcome.code == Some(1) && outcome.stdout.contains("-: empty: "), "{outcome:?}");
}

#[test]
fn wrong_usage_a_path_that_does_not_exist_and_a_folder_without_reports_have_no_answer() {
    let folder = Directory::new();
    folder.write("notes.txt", "nothing");
    let (empty, missing) = (folder.path().display().to_string(), folder.file("no-such"));
    for (arguments, told) in [
        (vec![], "Usage"),
        (vec!["--no-such-flag"], "no-such-flag"),
        (vec!["-o", "sarif", "a"], "sarif"),
        (vec![&*missing], "no-such"),
        (vec![&*empty], "name the reports"),
    ] {
        let outcome = scans(&arguments);
        assert_eq!((outcome.code, &*outcome.stdout), (Some(2), ""), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(told) && !outcome.stderr.contains("panicked"), "{told}: {outcome:?}");
    }
    let good = fixture("grype/clean.json").display().to_string();
    let outcome = scans(&[&missing, &good]);
    assert!(outcome.code == Some(2) && outcome.stdout.contains("clean.json"), "the others are listed: {outcome:?}");
}

#[test]
fn the_table_has_the_worst_first_and_at_the_end_what_cannot_be_used() {
    let folder = Directory::new();
    for (name, of) in [
        ("a.json", "trivy/clean-layout.json"),
        ("b.json", "trivy/static-no-packages.json"),
        ("c.json", "grype/api-layout.json"),
        ("d.json", "trivy/web-tag.json"),
    ] {
        folder.write(name, &text_of(of));
    }
    let outcome = scans(&[&folder.path().display().to_string()]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let place = |what: &str| outcome.stdout.find(what).unwrap_or_else(|| panic!("{what}: {}", outcome.stdout));
    let order = ["d.json", "c.json", "a.json", "cannot be used", "b.json: nothing-scanned: ", "4 files: 3 reports"];
    assert!(order.map(place).is_sorted(), "{}", outcome.stdout);
    let row = outcome.stdout.lines().find(|line| line.starts_with("127.0.0.1:5077/acme/web")).unwrap();
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells[1..3], ["linux/amd64", "trivy 0.76.0"]);
    assert_eq!(cells[4..], ["4 (4)", "6 (6)", "4 (4)", "2 (2)", "0", "1 (1)"]);
    assert!(!outcome.stdout.contains('\u{1b}') && outcome.stderr.is_empty(), "{outcome:?}");
}

#[test]
fn the_table_stands_straight_whatever_names_are_made_of_and_says_what_judges_nothing() {
    let folder = Directory::new();
    let report = text_of("trivy/shop-fs.json");
    let named = |name: &str| {
        let mut report: Value = serde_json::from_str(&report).unwrap();
        report["ArtifactName"] = json!(name);
        report.to_string()
    };
    folder.write("a.json", &named("\u{6f22}\u{5b57}/e\u{301}"));
    folder.write("b.json", &named(&"x".repeat(5_000)));
    folder.write("c.json", &named("one\ntwo\u{1b}[31m\u{202e}"));
    let outcome = scans(&[&folder.path().display().to_string()]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.iter().filter(|line| line.contains("names no digest, so it judges nothing")).count(), 3);
    assert!(outcome.stdout.contains("; 3 without a digest\n"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains(['\u{1b}', '\u{202e}']), "{}", outcome.stdout);
    // Each of these characters takes two columns, but for the mark upon the letter.
    let width = |text: &str| {
        let column = |character: char| match character {
            '\u{301}' => 0,
            character if character.is_ascii() => 1,
            _ => 2,
        };
        text.chars().map(column).sum::<usize>()
    };
    let scanner = |line: &&&str| line.find("trivy 0.76.0").map(|at| width(&line[..at]));
    let places: Vec<usize> = lines.iter().filter_map(|line| scanner(&line)).collect();
    assert_eq!(places.len(), 3, "{}", outcome.stdout);
    assert!(places.iter().all(|place| *place == places[0]), "{}", outcome.stdout);
    assert!(places[0] < 100, "{}", outcome.stdout);
}
