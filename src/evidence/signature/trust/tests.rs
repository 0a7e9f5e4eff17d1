use pratique_testkit::Directory;
use pratique_testkit::signer::PrivateSigstore;
use serde_json::{Value, json};

use super::*;

use repository::TufRepository;

mod repository;

const PRIVATE: &str = "private";

/// A folder with a trusted root, and settings that name it `private`.
struct Setup {
    folder: Directory,
    settings: Settings,
    metrics: prometheus::Registry,
}

impl Setup {
    fn new(trusted_root: &str) -> Self {
        let folder = Directory::new();
        folder.write("trusted_root.json", trusted_root);
        let source =
            Source { name: PRIVATE.into(), trusted_root: folder.path().join("trusted_root.json"), repository: None };
        let settings = Settings { roots: vec![source], refresh: true, surroundings: Surroundings::Cluster };
        Self { folder, settings, metrics: prometheus::Registry::new() }
    }

    fn follows(mut self, repository: &TufRepository) -> Self {
        self.folder.write("root.json", &repository.root());
        let root = self.folder.path().join("root.json");
        self.settings.roots[0].repository = Some(Repository { url: repository.url.clone(), root });
        self
    }

    fn load(&self) -> Trust {
        let (trust, warnings) = Trust::load(self.settings.clone(), &self.metrics).unwrap();
        assert_eq!(warnings, []);
        trust
    }

    fn mistakes(&self) -> Vec<String> {
        let mistakes = Trust::load(self.settings.clone(), &prometheus::Registry::new()).unwrap_err();
        let folder = self.folder.path().display().to_string();
        mistakes.iter().map(|mistake| mistake.to_string().replace(&folder, "")).collect()
    }

    /// Lines of this metric, as `/metrics` writes them.
    fn metric(&self, name: &str) -> Vec<String> {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.metrics.gather()).unwrap();
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    fn refreshes(&self, outcome: &str) -> String {
        let label = format!("outcome=\"{outcome}\",root=\"private\"");
        let all = self.metric("pratique_trusted_root_refreshes_total");
        let line = all.iter().find(|line| line.contains(&label)).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    }
}

fn json_of(sigstore: &PrivateSigstore) -> String {
    sigstore.trusted_root_json()
}

/// What is in force under the name is what this JSON holds.
fn is_in_force(trust: &Trust, json: &str) -> bool {
    trust.in_force().by_name[PRIVATE].content == Root::from_json(json).unwrap().content
}

#[test]
fn the_built_in_root_is_there_without_any_file() {
    let trust = Trust::built_in().unwrap();
    assert_eq!(trust.names(), [RootName::from(PUBLIC)]);
    assert!(trust.in_force().by_name[PUBLIC].has_certificate_logs);
    assert_eq!(trust.files(), Vec::<PathBuf>::new());
}

#[test]
fn the_built_in_root_is_looked_for_anew_where_that_is_not_switched_off() {
    let setup = Setup::new(&json_of(&PrivateSigstore::new()));
    let trust = setup.load();
    assert!(trust.kept()[PUBLIC].follow.is_some() && trust.kept()[PRIVATE].follow.is_none());
    let bootstrap = trust.kept()[PUBLIC].read.bootstrap.clone().unwrap();
    assert_eq!((bootstrap.url.as_str(), bootstrap.named), ("https://tuf-repo-cdn.sigstore.dev/", false));
    sigstore_tuf::TrustedMetadataSet::from_root(&bootstrap.root).unwrap();
}

#[test]
fn roots_of_files_stand_beside_the_built_in_one() {
    let setup = Setup::new(&json_of(&PrivateSigstore::new()));
    let trust = setup.load();
    assert_eq!(trust.names(), [PRIVATE.into(), RootName::from(PUBLIC)]);
    assert_eq!(trust.files(), [setup.folder.path().join("trusted_root.json")]);
}

#[test]
fn the_generation_is_another_one_exactly_when_the_content_is() {
    let (one, other) = (json_of(&PrivateSigstore::new()), json_of(&PrivateSigstore::new()));
    let setup = Setup::new(&one);
    let trust = setup.load();
    let first = trust.in_force().generation;
    let value: Value = serde_json::from_str(&one).unwrap();
    setup.folder.write("trusted_root.json", &serde_json::to_string_pretty(&value).unwrap());
    trust.reload().unwrap();
    assert_eq!(trust.in_force().generation, first, "the same, written in another way");
    setup.folder.write("trusted_root.json", &other);
    trust.reload().unwrap();
    assert_ne!(trust.in_force().generation, first);
    setup.folder.write("trusted_root.json", &one);
    trust.reload().unwrap();
    assert_eq!(trust.in_force().generation, first);
    assert_eq!(Setup::new(&one).load().in_force().generation, first, "facts survive a restart");
}

#[test]
fn the_generation_tells_names_apart() {
    let mut setup = Setup::new(&json_of(&PrivateSigstore::new()));
    let before = setup.load().in_force().generation;
    setup.settings.roots[0].name = "other".into();
    setup.metrics = prometheus::Registry::new();
    assert_ne!(setup.load().in_force().generation, before);
}

#[test]
fn mistakes_are_told_all_at_once_and_name_the_file() {
    let mut setup = Setup::new("{}");
    setup.folder.write("root.json", "{}");
    setup.folder.write("signing.json", r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}"#);
    setup.folder.write("large.json", &" ".repeat((1 << 20) + 1));
    std::fs::write(setup.folder.path().join("binary.json"), [0xff]).unwrap();
    let path = setup.folder.path().to_owned();
    let source = |file: &str| Source { name: file.into(), trusted_root: path.join(file), repository: None };
    setup.settings.roots[0].repository = Some(Repository { url: "tuf".to_owned(), root: path.join("root.json") });
    let mut unusable = source("signing.json");
    unusable.repository = Some(Repository { url: "https://tuf.example".to_owned(), root: path.join("root.json") });
    setup.settings.roots.extend([unusable, source("missing.json"), source("large.json"), source("binary.json")]);
    let told = setup.mistakes();
    let expected = [
        "/trusted_root.json: is no trusted root: ",
        "trust: a TUF repository has no URL such as https://tuf.example",
        "/signing.json: is no trusted root but JSON of another media type",
        "/root.json: is no root of TUF: ",
        "/missing.json: cannot be read: ",
        "/large.json: has more than 1048576 bytes, which no file of this kind needs",
        "/binary.json: is no text in UTF-8: ",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn a_root_that_vouches_for_nothing_earns_a_warning() {
    let mut root = PrivateSigstore::new().trusted_root();
    root["certificateAuthorities"] = json!([]);
    root["tlogs"] = json!([]);
    let setup = Setup::new(&root.to_string());
    let (_, warnings) = Trust::load(setup.settings.clone(), &setup.metrics).unwrap();
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.message.starts_with("has neither certificate authorities nor transparency logs"), "{warning}");
}

#[test]
fn a_reload_is_all_or_nothing() {
    let one = json_of(&PrivateSigstore::new());
    let setup = Setup::new(&one);
    let trust = setup.load();
    setup.folder.write("trusted_root.json", "{}");
    let mistakes = trust.reload().unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert!(is_in_force(&trust, &one));
}

#[test]
fn debug_output_holds_no_keys() {
    let text = format!("{:?}", Setup::new(&json_of(&PrivateSigstore::new())).load());
    assert!(text.contains("has_certificate_logs: true") && text.len() < 20_000, "{}", text.len());
    assert!(!text.contains("BEGIN") && !text.contains("raw_bytes"), "{text}");
}

#[test]
fn the_expiry_is_that_of_the_first_kind_of_which_the_last_ends() {
    let end_of = |root: &Value| Root::from_json(&root.to_string()).unwrap().end.map(|end| end.to_string());
    let mut root = PrivateSigstore::new().trusted_root();
    let forever = Some("4096-01-01T00:00:00Z".to_owned());
    assert_eq!(end_of(&root), forever, "the authority's certificates");
    root["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2031-01-01T00:00:00Z");
    root["ctlogs"][0]["publicKey"]["validFor"]["end"] = json!("2032-01-01T00:00:00Z");
    assert_eq!(end_of(&root).as_deref(), Some("2031-01-01T00:00:00Z"));
    root["tlogs"].as_array_mut().unwrap().push(PrivateSigstore::new().trusted_root()["tlogs"][0].clone());
    assert_eq!(end_of(&root).as_deref(), Some("2032-01-01T00:00:00Z"), "another log goes on");
    root["certificateAuthorities"][0]["validFor"]["end"] = json!("2030-06-01T00:00:00Z");
    assert_eq!(end_of(&root).as_deref(), Some("2030-06-01T00:00:00Z"));
    let setup = Setup::new(&root.to_string());
    let _trust = setup.load();
    let lines = setup.metric("pratique_trusted_root_expiry_timestamp_seconds{root=\"private\"}");
    assert_eq!(lines, ["pratique_trusted_root_expiry_timestamp_seconds{root=\"private\"} 1906502400"]);
}

#[tokio::test]
async fn a_newer_root_of_the_repository_comes_into_force_and_is_another_generation() {
    let (old, new) = (json_of(&PrivateSigstore::new()), json_of(&PrivateSigstore::new()));
    let repository = TufRepository::start().await;
    let setup = Setup::new(&old).follows(&repository);
    let trust = setup.load();
    assert_eq!(repository.asked(), Vec::<String>::new(), "nothing is fetched at the start");
    assert_eq!(setup.refreshes("replaced"), "0", "counted from zero");
    let before = trust.in_force().generation;

    repository.publish(1, &old);
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Unchanged);
    assert_eq!(trust.in_force().generation, before, "the same again keeps all facts");
    repository.publish(2, &new);
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Replaced);
    assert!(is_in_force(&trust, &new));
    assert_ne!(trust.in_force().generation, before);
    assert_eq!((setup.refreshes("replaced"), setup.refreshes("unchanged")), ("1".to_owned(), "1".to_owned()));

    trust.reload().unwrap();
    assert!(is_in_force(&trust, &new), "files that did not change do not bring the old one back");
}

#[tokio::test]
async fn what_does_not_verify_leaves_the_last_good_root() {
    let (old, new) = (json_of(&PrivateSigstore::new()), json_of(&PrivateSigstore::new()));
    let repository = TufRepository::start().await;
    let setup = Setup::new(&old).follows(&repository);
    let trust = setup.load();
    repository.publish(5, &old);
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Unchanged);
    let impostor = TufRepository::start().await;
    impostor.publish(6, &new);
    let name = PRIVATE.into();
    let mut count = 0;
    let mut refuses = async |what: &str, expected: &str| {
        let follow = trust.kept()[PRIVATE].follow.clone().unwrap();
        let failure = follow.newest(Surroundings::Cluster).await.unwrap_err();
        assert!(failure.words.contains(expected), "{what}: {}", failure.words);
        assert_eq!(trust.refresh_once(&name).await, Outcome::Refused, "{what}");
        assert!(is_in_force(&trust, &old), "{what}");
        count += 1;
        assert_eq!(setup.refreshes("refused"), count.to_string(), "{what}");
    };

    repository.publish(6, &new);
    repository.put("timestamp.json", impostor.file("timestamp.json"));
    refuses("signed by another key", "signature threshold not met for role timestamp").await;
    repository.publish(4, &new);
    refuses("older than what was seen", "rollback detected").await;
    repository.publish_until(7, &new, "2020-01-01T00:00:00Z");
    refuses("expired", "expired at").await;
    repository.publish(8, &new);
    let mut tampered = new.clone().into_bytes();
    let at = new.find("rekor").unwrap();
    tampered[at] = b'R';
    repository.put("targets/trusted_root.json", tampered);
    refuses("another byte", "integrity check failed").await;
    repository.publish(9, "{}");
    refuses("no trusted root", "its trusted root is no trusted root").await;
    let mut empty = PrivateSigstore::new().trusted_root();
    empty["certificateAuthorities"] = json!([]);
    empty["tlogs"] = json!([]);
    repository.publish(10, &empty.to_string());
    refuses("an empty root", "neither certificate authorities nor transparency logs").await;
    repository.publish(11, &new);
    repository.put("timestamp.json", vec![b' '; (512 << 10) + 1]);
    refuses("endless", "a file has more than 524288 bytes").await;

    repository.publish(12, &new);
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Replaced, "it recovers by itself");
    assert!(is_in_force(&trust, &new));
}

#[tokio::test]
async fn a_repository_that_is_down_leaves_the_last_good_root() {
    let (old, new) = (json_of(&PrivateSigstore::new()), json_of(&PrivateSigstore::new()));
    let mut repository = TufRepository::start().await;
    let setup = Setup::new(&old).follows(&repository);
    let trust = setup.load();
    repository.publish(1, &new);
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Replaced);
    repository.put_status("timestamp.json", 503, Vec::new());
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Unreachable);
    repository.put_status("timestamp.json", 302, Vec::new());
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Unreachable, "redirects are not followed");
    repository.stop().await;
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Unreachable);
    assert_eq!(setup.refreshes("unreachable"), "3");
    assert!(is_in_force(&trust, &new));
}

#[tokio::test]
async fn the_operators_new_word_puts_the_repositorys_old_one_out_of_force() {
    let [old, new, newest] = [(); 3].map(|()| json_of(&PrivateSigstore::new()));
    let repository = TufRepository::start().await;
    let setup = Setup::new(&old).follows(&repository);
    let trust = setup.load();
    repository.publish(3, &new);
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Replaced);
    setup.folder.write("trusted_root.json", &newest);
    trust.reload().unwrap();
    assert!(is_in_force(&trust, &newest));

    // Another repository from the beginning: what the old one said no longer counts, its versions neither.
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Replaced);
    let asked = trust.kept()[PRIVATE].follow.clone().unwrap();
    let another = TufRepository::start().await;
    setup.folder.write("root.json", &another.root());
    trust.reload().unwrap();
    assert!(is_in_force(&trust, &newest));
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Refused, "the server's key is not the new one");
    let late = Root::from_json(&new).unwrap();
    assert_eq!(
        trust.take(&PRIVATE.into(), &asked, late),
        Outcome::Unchanged,
        "an answer of the old one comes too late"
    );
    assert!(is_in_force(&trust, &newest));
}

#[tokio::test]
async fn a_repository_that_nobody_named_is_not_looked_for_in_the_neighbourhood() {
    let repository = TufRepository::start().await;
    repository.publish(1, &json_of(&PrivateSigstore::new()));
    let url = reqwest::Url::parse(&format!("{}/", repository.url.replace("http:", "https:"))).unwrap();
    let bootstrap = files::Bootstrap { url, named: false, root: repository.root().into_bytes().into() };
    let failure = Follow::new(bootstrap).newest(Surroundings::Cluster).await.unwrap_err();
    assert_eq!(failure.outcome, Outcome::Unreachable);
    assert!(failure.words.contains("127.0.0.1 is"), "{}", failure.words);
    assert_eq!(repository.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_looked_for_where_that_is_switched_off() {
    let repository = TufRepository::start().await;
    let mut setup = Setup::new(&json_of(&PrivateSigstore::new())).follows(&repository);
    setup.settings.refresh = false;
    let trust = Arc::new(setup.load());
    let over = tokio::time::timeout(std::time::Duration::from_secs(20), Arc::clone(&trust).refresh()).await;
    over.expect("it is over at once");
    assert_eq!(trust.refresh_once(&PRIVATE.into()).await, Outcome::Unchanged);
    assert_eq!(repository.asked(), Vec::<String>::new());
    assert_eq!(setup.metric("pratique_trusted_root_refreshes_total"), Vec::<String>::new());
}
