//! Which of several reports count.

use proptest::prelude::*;

use super::*;

fn grype(of: u64, at: &str) -> String {
    json!({"matches": [], "source": {"type": "image", "target": {"userInput": "app", "imageID": digest(of + 1_000).as_str(),
           "manifestDigest": digest(of + 2_000).as_str(), "repoDigests": [format!("registry.example/app@{}", digest(of))],
           "os": "linux", "architecture": "amd64"}},
           "distro": {"name": "debian", "version": "12", "idLike": []},
           "descriptor": {"name": "grype", "version": "0.100.0", "timestamp": at}})
    .to_string()
}

fn moments(reports: &Reports) -> Vec<String> {
    let mut moments: Vec<_> = reports
        .found
        .iter()
        .map(|its| {
            let outline = &its.report.outline;
            format!("{} {}", outline.scanner.name, outline.scanned_at.map_or("undated".to_owned(), |at| at.to_string()))
        })
        .collect();
    moments.sort();
    moments
}

async fn chosen(folder: &Directory) -> Vec<String> {
    match filled(folder).await.about(&manifest(1)).await {
        Fact::Known(seen) => moments(&seen.value),
        other @ (Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn of_each_scanner_the_newest_is_found() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, "2026-01-01T00:00:00Z"));
    folder.write("b.json", &trivy(1, "2026-01-03T00:00:00Z"));
    folder.write("c.json", &trivy(1, "2026-01-02T00:00:00Z"));
    folder.write("d.json", &grype(1, "2025-01-01T00:00:00Z"));
    assert_eq!(chosen(&folder).await, ["grype 2025-01-01T00:00:00Z", "trivy 2026-01-03T00:00:00Z"]);
}

#[tokio::test]
async fn all_of_the_same_newest_moment_are_found() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    folder.write("b.json", &trivy(1, NOON));
    folder.write("c.json", &trivy(1, "2026-01-01T11:59:59.999999999Z"));
    assert_eq!(chosen(&folder).await, ["trivy 2026-01-01T12:00:00Z", "trivy 2026-01-01T12:00:00Z"]);
}

#[tokio::test]
async fn more_of_one_moment_than_are_weighed_are_doubt() {
    let folder = Directory::new();
    for number in 0..=64 {
        folder.write(&format!("{number}.json"), &trivy(1, NOON));
    }
    let Fact::Unavailable(trouble) = filled(&folder).await.about(&manifest(1)).await else { panic!() };
    let words = "there are more scan reports of one moment about it than are weighed: remove the copies";
    assert_eq!(trouble, Trouble::new(Fault::Broken, words));
    folder.remove("0.json");
    assert_eq!(chosen(&folder).await.len(), 64);
}

#[tokio::test]
async fn a_report_from_the_future_hides_no_real_one() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    folder.write("b.json", &trivy(1, "2999-01-01T00:00:00Z"));
    assert_eq!(chosen(&folder).await, ["trivy 2026-01-01T12:00:00Z", "trivy 2999-01-01T00:00:00Z"]);
}

fn of_index() -> ScannedManifest {
    let index = InIndex { digest: digest(1), sole_of_architecture: true, sole: false };
    let platform = Platform::default();
    ScannedManifest { digest: digest(5), platform: Some(platform), index: Some(index), ..manifest(1) }
}

#[tokio::test]
async fn a_report_of_an_index_counts_for_the_platform_that_it_states() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let directories = filled(&folder).await;
    let Fact::Known(seen) = directories.about(&of_index()).await else { panic!() };
    assert_eq!(told(&seen.value), (1, vec![]));
    let mut other = of_index();
    other.config = manifest(7).config;
    other.platform = Some(Platform { architecture: "arm64".to_owned(), ..Platform::default() });
    assert!(matches!(directories.about(&other).await, Fact::Absent(_)));
}

#[tokio::test]
async fn a_report_of_an_index_without_a_platform_is_unusable() {
    let folder = Directory::new();
    let mut report: serde_json::Value = serde_json::from_str(&trivy(1, NOON)).unwrap();
    report["Metadata"].as_object_mut().unwrap().retain(|key, _| key == "RepoDigests");
    folder.write("a.json", &report.to_string());
    let Fact::Known(seen) = filled(&folder).await.about(&of_index()).await else { panic!() };
    assert_eq!(told(&seen.value), (0, vec![Defect::PlatformUnknown]));
}

#[tokio::test]
async fn while_the_configuration_is_not_known_its_trouble_is_the_answer_unless_something_speaks() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let directories = filled(&folder).await;
    let trouble = outage("registry.example does not answer");
    let untold = |of| ScannedManifest { config: Fact::Unavailable(trouble.clone()), ..manifest(of) };
    assert_eq!(directories.about(&untold(2)).await, Fact::Unavailable(trouble.clone()));
    assert_eq!(directories.about(&ScannedManifest { config: Fact::Pending, ..manifest(2) }).await, Fact::Pending);
    assert!(matches!(directories.about(&untold(1)).await, Fact::Known(_)));
    let index = ScannedManifest { config: Fact::Unavailable(trouble.clone()), ..of_index() };
    assert_eq!(directories.about(&index).await, Fact::Unavailable(trouble));
}

#[tokio::test]
async fn an_unusable_report_that_names_the_image_is_told() {
    let folder = Directory::new();
    let mut report: serde_json::Value = serde_json::from_str(&trivy(1, NOON)).unwrap();
    report.as_object_mut().unwrap().remove("Results");
    folder.write("a.json", &report.to_string());
    let directories = filled(&folder).await;
    assert_eq!(asked(&directories, 1).await, (0, vec![Defect::NothingScanned]));
    assert_eq!(asked(&directories, 2).await, (0, vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_files_changes_nothing(
        order in Just((0_usize..9).collect::<Vec<_>>()).prop_shuffle(),
        removed in proptest::collection::vec(0_usize..9, 0..4),
    ) {
        let reports = [
            trivy(1, "2026-01-01T00:00:00Z"), trivy(1, NOON), trivy(1, NOON), trivy(2, NOON), trivy(1, "2999-01-01T00:00:00Z"),
            grype(1, NOON), grype(1, "2026-01-02T00:00:00Z"), "{}".to_owned(), String::new(),
        ];
        let chosen = |order: &[usize]| {
            let mut index = Index::new();
            for number in order {
                let entry = index::Entry {
                    root: 0, path: format!("{number}.json").into(), stamp: walk::Stamp::default(), recent: false, link: false,
                };
                index.put(entry, &super::super::super::format::read(reports[*number].as_bytes()));
            }
            for number in &removed {
                if let Some(file) = index.find(0, Path::new(&format!("{number}.json"))) {
                    index.remove(file);
                }
            }
            let choice = index.choose(&manifest(1), Timestamp::now());
            let found = choice.found.iter().map(|its| Index::path(index.get(its.file).unwrap()).to_owned());
            (found.collect::<Vec<_>>(), choice.unusable.into_iter().map(|its| its.1).collect::<Vec<_>>())
        };
        prop_assert_eq!(chosen(&order), chosen(&[0, 1, 2, 3, 4, 5, 6, 7, 8]));
    }
}

proptest! {
    #[test]
    fn the_index_is_what_was_put_into_it(steps in proptest::collection::vec((0_u64..6, 0_u64..6, any::<bool>()), 0..80)) {
        let (mut index, mut expected) = (Index::new(), std::collections::BTreeMap::new());
        for (name, of, removed) in steps {
            let path = PathBuf::from(format!("{name}.json"));
            if removed {
                if let Some(file) = index.find(0, &path) {
                    index.remove(file);
                }
                expected.remove(&name);
            } else {
                let stamp = walk::Stamp::default();
                let entry = index::Entry { root: 0, path, stamp, recent: false, link: of == 3 };
                index.put(entry, &super::super::super::format::read(trivy(of, NOON).as_bytes()));
                expected.insert(name, of);
            }
        }
        prop_assert_eq!(index.files(), expected.len());
        prop_assert_eq!(index.count(index::State::Usable), expected.len());
        prop_assert_eq!(index.has_links(), expected.values().any(|of| *of == 3));
        for of in 0..6 {
            let found = index.choose(&manifest(of), Timestamp::now()).found;
            let names: Vec<_> = found.iter().map(|its| Index::path(index.get(its.file).unwrap()).to_owned()).collect();
            let expected: Vec<_> = expected.iter().filter(|its| *its.1 == of).map(|its| PathBuf::from(format!("{}.json", its.0))).collect();
            prop_assert_eq!(names, expected);
        }
    }
}

#[test]
fn files_that_name_one_digest_leave_it_in_any_order() {
    for removed in [[0_u64, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
        let mut index = Index::new();
        let path = |number: u64| PathBuf::from(format!("{number}.json"));
        for number in 0..4 {
            let stamp = walk::Stamp::default();
            let entry = index::Entry { root: 0, path: path(number), stamp, recent: false, link: false };
            index.put(entry, &super::super::super::format::read(trivy(1, NOON).as_bytes()));
        }
        let mut left: Vec<_> = (0..4).map(path).collect();
        for number in removed {
            index.remove(index.find(0, &path(number)).unwrap());
            left.retain(|its| *its != path(number));
            let found = index.choose(&manifest(1), Timestamp::now()).found;
            let found: Vec<_> = found.iter().map(|its| Index::path(index.get(its.file).unwrap()).to_owned()).collect();
            assert_eq!(found, left);
        }
    }
}
