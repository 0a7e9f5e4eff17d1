use std::fs;

use super::pull_secrets::Usage;
use super::*;
use crate::evidence::registry::credentials::{Candidate, Credential, Password};
use crate::fact::Fact;

mod keys;

/// A folder of its own for one test, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pratique-cluster-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(self, file: &str, text: &str) -> Self {
        fs::write(self.0.join(file), text).unwrap();
        self
    }

    fn read(&self) -> Result<Manifests, Vec<String>> {
        read(std::slice::from_ref(&self.0)).map_err(|mistakes| {
            let folder = format!("{}/", self.0.display());
            mistakes.iter().map(|mistake| mistake.to_string().replace(&folder, "")).collect()
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn policy(name: &str) -> String {
    format!(
        "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: {name}}}\nspec:\n  rules:\n  - name: all\n    images: [\"**\"]\n    tags: {{deny: [latest]}}\n"
    )
}

const SHOP: &str =
    "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels: {pratique.dev/enforce: acme, team: shop}\n";

#[test]
fn policies_and_namespaces_come_from_every_file_and_list() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: bank}}\n";
    let folder = Folder::new("good").with("acme.yaml", &policy("acme")).with("shop.yml", SHOP).with("list.json", list);
    let manifests = folder.read().unwrap();
    let names: Vec<&str> = manifests.policies.keys().map(PolicyName::as_str).collect();
    assert_eq!(names, ["acme", "baseline", "restricted"]);
    let now = Timestamp::now();
    let Fact::Known(shop) = manifests.namespaces.known("shop", now) else { panic!("shop is known") };
    assert_eq!(shop.value, Labels { enforce: Some("acme".to_owned()), ..Labels::default() });
    let Fact::Known(bank) = manifests.namespaces.known("bank", now) else { panic!("bank is known") };
    assert_eq!(bank.value, Labels::default());
    assert!(matches!(manifests.namespaces.known("else", now), Fact::Absent(_)));
    assert_eq!((manifests.objects, manifests.warnings.len()), (3, 0));
}

#[test]
fn a_policy_of_the_same_name_replaces_a_built_in_one() {
    let manifests = Folder::new("replaces").with("baseline.yaml", &policy("baseline")).read().unwrap();
    assert_eq!(manifests.policies.len(), 2);
    assert_eq!(manifests.policies["baseline"].rules[0].name.as_str(), "all");
}

#[test]
fn a_waiver_that_has_ended_is_told_among_the_warnings_where_its_end_is_written() {
    let waiver =
        |id: &str, until: &str| format!("{{id: {id}, until: {until}, reason: r, owner: platform@acme.example}}");
    let ignore = [waiver("CVE-1", "2026-01-31"), waiver("CVE-2", "9998-01-31")].join(", ");
    let demand = format!("vulnerabilities: {{threshold: high, ignore: [{ignore}]}}");
    let text = policy("acme").replace("tags: {deny: [latest]}", &demand);
    let manifests = Folder::new("waivers").with("acme.yaml", &text).read().unwrap();
    let [warning] = manifests.warnings.as_slice() else { panic!("{:#?}", manifests.warnings) };
    let (file, told) = warning.source.rsplit_once('/').unwrap();
    assert!(!file.is_empty() && told == "acme.yaml");
    let place = (warning.line, warning.path.as_str());
    assert_eq!(place, (Some(8), "spec.rules[0].vulnerabilities.ignore[0].until"));
    let message = "the waiver of CVE-1 ended on 2026-01-31 and has no effect (owner platform@acme.example)";
    assert_eq!(warning.message, message);
}

#[test]
fn one_bad_file_and_nothing_is_read_with_all_mistakes_told() {
    let folder = Folder::new("bad")
        .with("a.yaml", &policy("acme").replace("deny", "denny"))
        .with("b.yaml", &policy("good"))
        .with("c.yaml", "kind: [")
        .with("d.yaml", "metadata: {}");
    let mistakes = folder.read().unwrap_err();
    assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
    assert!(mistakes.iter().any(|told| told.starts_with("a.yaml:8: spec.rules[0].tags.denny")), "{mistakes:#?}");
    assert!(mistakes.iter().any(|told| told.starts_with("c.yaml")), "{mistakes:#?}");
    assert!(mistakes.iter().any(|told| told.contains("d.yaml:1: is no Kubernetes object")), "{mistakes:#?}");
}

#[test]
fn the_same_name_twice_is_a_mistake_that_names_the_first() {
    let folder = Folder::new("twice").with("a.yaml", &policy("acme")).with("b.yaml", &policy("acme"));
    let mistakes = folder.read().unwrap_err();
    assert!(mistakes[0].ends_with("policy acme is there already, in a.yaml: keep one"), "{mistakes:?}");
    let folder = Folder::new("namespaces").with("a.yaml", SHOP).with("b.yaml", SHOP);
    let mistakes = folder.read().unwrap_err();
    assert!(mistakes[0].ends_with("namespace shop is there already, in a.yaml: keep one"), "{mistakes:?}");
}

#[test]
fn what_claims_to_be_ours_is_never_passed_over() {
    for (from, to) in
        [("v1alpha1", "v1beta7"), ("kind: ImagePolicy", "kind: ImagePolcy"), ("pratique.dev", "pratique.de")]
    {
        let folder = Folder::new("ours").with("a.yaml", &policy("acme").replace(from, to));
        assert!(folder.read().is_err(), "{to}");
    }
}

#[test]
fn other_kinds_have_no_effect_and_are_said() {
    let report = "apiVersion: aquasecurity.github.io/v1alpha1\nkind: ConfigAuditReport\nmetadata: {name: web}\n";
    let manifests = Folder::new("kinds").with("a.yaml", report).read().unwrap();
    assert_eq!(manifests.warnings.len(), 1);
    let words = "ConfigAuditReport has no effect in this build: it reads ImagePolicy, Namespace, Secret, ServiceAccount and \
                 VulnerabilityReport";
    assert_eq!(manifests.warnings[0].message, words);
}

/// `{"auths": {"ghcr.io": {"auth": "<robot:hunter2>"}}}`, in base64.
const PULL: &str = "apiVersion: v1
kind: Secret
metadata: {name: pull, namespace: shop}
type: kubernetes.io/dockerconfigjson
data:
  .dockerconfigjson: eyJhdXRocyI6IHsiZ2hjci5pbyI6IHsiYXV0aCI6ICJjbTlpYjNRNmFIVnVkR1Z5TWc9PSJ9fX0=
";
const ACCOUNT: &str = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: shop}\nimagePullSecrets:\n- name: pull\n";

fn robot() -> Vec<Candidate> {
    let password = Password::new("hunter2");
    vec![Candidate::Credential(Credential::Basic { username: "robot".into(), password })]
}

/// What there is for ghcr.io in a namespace, for a pod that names nothing.
fn pull_of(manifests: &Manifests, namespace: &str) -> Vec<Candidate> {
    let keyrings = manifests.pull_secrets.of(Usage::Named, namespace, &crate::request::PullSecrets::default());
    keyrings.iter().flat_map(|keyring| keyring.matching("ghcr.io", "acme/web")).collect()
}

#[test]
fn pull_secrets_and_service_accounts_are_read_and_counted() {
    let manifests = Folder::new("pull").with("a.yaml", PULL).with("b.yaml", ACCOUNT).read().unwrap();
    assert_eq!((manifests.objects, manifests.warnings.as_slice()), (2, &[][..]));
    assert_eq!(pull_of(&manifests, "shop"), robot());
    assert_eq!(pull_of(&manifests, "default"), []);
    assert!(!format!("{:?}", manifests.pull_secrets).contains("hunter2"));
}

#[test]
fn an_object_without_a_namespace_is_of_the_default_one() {
    let all = format!("{PULL}---\n{ACCOUNT}").replace(", namespace: shop", "");
    let manifests = Folder::new("homeless").with("a.yaml", &all).read().unwrap();
    assert_eq!((pull_of(&manifests, "default"), pull_of(&manifests, "shop")), (robot(), Vec::new()));
}

#[test]
fn both_types_of_pull_secret_are_read_from_data_and_from_string_data() {
    let plain = r#"'{"auths": {"ghcr.io": {"auth": "cm9ib3Q6aHVudGVyMg=="}}}'"#;
    let legacy = r#"'{"ghcr.io": {"auth": "cm9ib3Q6aHVudGVyMg=="}}'"#;
    let data = PULL.rsplit_once("data:").unwrap().0;
    for text in [
        format!("{data}stringData:\n  .dockerconfigjson: {plain}\n"),
        format!("{PULL}stringData:\n  .dockerconfigjson: {plain}\n").replace("eyJhd", "x!!!!"),
        format!("{data}stringData:\n  .dockercfg: {legacy}\n").replace("dockerconfigjson", "dockercfg"),
        PULL.replace(": eyJhdXRocyI6", ": |\n    eyJhdXRocyI6\n    "),
    ] {
        let manifests = Folder::new("types").with("a.yaml", &text).with("b.yaml", ACCOUNT).read().unwrap();
        assert_eq!(pull_of(&manifests, "shop"), robot(), "{text}");
    }
}

#[test]
fn secrets_of_other_types_are_passed_over_unread() {
    for other in ["type: Opaque", "type: kubernetes.io/tls", "type: null"] {
        let text = PULL.replace("type: kubernetes.io/dockerconfigjson", other).replace("eyJhd", "x!!!!");
        let manifests = Folder::new("opaque").with("a.yaml", &text).read().unwrap();
        assert_eq!((manifests.objects, manifests.warnings.len()), (0, 0), "{other}");
    }
}

#[test]
fn a_broken_pull_secret_is_a_mistake_that_quotes_nothing_of_it() {
    for (from, to, told) in [
        ("eyJhd", "hunter2!", "6: data[\".dockerconfigjson\"]: must be base64"),
        (
            "eyJhdXRocyI6IHsiZ2hjci5pbyI6IHsiYXV0aCI6ICJjbTlpYjNRNmFIVnVkR1Z5TWc9PSJ9fX0=",
            "eyJhdXRocyI6CiBbImh1bnRlcjIiXX0=",
            "6: data[\".dockerconfigjson\"]: in its JSON, line 2: auths: must be an object",
        ),
        (".dockerconfigjson:", "other:", "1: data: a Secret of this type needs .dockerconfigjson in its data"),
        (".dockerconfigjson: ey", ".dockerconfigjson: [ey]\n  o: ", "6: data[\".dockerconfigjson\"]: must be text"),
        ("name: pull, ", "", "1: a Secret needs metadata.name"),
        ("namespace: shop", "namespace: 5", "3: metadata.namespace: must be text: quote it"),
        ("type: kubernetes.io/dockerconfigjson", "type: 5", "4: type: must be text"),
    ] {
        let mistakes = Folder::new("broken").with("a.yaml", &PULL.replace(from, to)).read().unwrap_err();
        assert_eq!(mistakes, [format!("a.yaml:{told}")]);
    }
}

#[test]
fn a_service_account_that_cannot_be_read_is_a_mistake() {
    for (from, to, told) in [
        ("name: default, ", "", "1: a ServiceAccount needs metadata.name"),
        ("\n- name: pull", " pull", "4: imagePullSecrets: must be a list of names"),
        ("- name: pull", "- pull", "5: imagePullSecrets[0].name: must be the name of a Secret"),
    ] {
        let folder = Folder::new("account").with("a.yaml", &ACCOUNT.replace(from, to)).with("b.yaml", PULL);
        assert_eq!(folder.read().unwrap_err(), [format!("a.yaml:{told}")]);
    }
}

#[test]
fn the_same_pull_secret_or_account_twice_is_a_mistake_and_a_name_without_a_secret_a_warning() {
    for (text, what) in [(PULL, "Secret shop/pull"), (ACCOUNT, "ServiceAccount shop/default")] {
        let mistakes = Folder::new("again").with("a.yaml", text).with("b.yaml", text).read().unwrap_err();
        assert_eq!(mistakes, [format!("b.yaml:1: metadata.name: {what} is there already, in a.yaml: keep one")]);
    }
    let elsewhere = PULL.replace("namespace: shop", "namespace: bank");
    let manifests = Folder::new("dangling").with("a.yaml", ACCOUNT).with("b.yaml", &elsewhere).read().unwrap();
    let [warning] = manifests.warnings.as_slice() else { panic!("{:?}", manifests.warnings) };
    let told = warning.to_string();
    assert!(
        told.ends_with("a.yaml:5: imagePullSecrets[0].name: there is no pull secret `pull` in namespace `shop`"),
        "{told}"
    );
    assert_eq!(pull_of(&manifests, "shop"), []);
}

#[test]
fn a_program_that_a_secret_names_is_warned_about() {
    let text = r#"'{"auths": {}, "credsStore": "hunter2", "credHelpers": {"ghcr.io": "hunter2"}}'"#;
    let text = format!("{}stringData:\n  .dockerconfigjson: {text}\n", PULL.rsplit_once("data:").unwrap().0);
    let manifests = Folder::new("programs").with("a.yaml", &text).with("b.yaml", ACCOUNT).read().unwrap();
    let words: Vec<&str> = manifests.warnings.iter().map(|warning| warning.message.as_str()).collect();
    let why = "has no effect: a Secret runs no program here, and only `auths` of it counts";
    let told = ["credsStore", "credHelpers"].map(|field| format!("in its JSON, line 1: {field}: {why}"));
    assert_eq!(words, told);
    assert_eq!(pull_of(&manifests, "shop"), []);
}

#[test]
fn a_label_that_is_no_text_is_a_mistake() {
    let mistakes = Folder::new("label").with("a.yaml", &SHOP.replace("acme", "true")).read().unwrap_err();
    assert_eq!(mistakes, ["a.yaml:5: metadata.labels.pratique.dev/enforce: must be text: quote it"]);
}

#[test]
fn a_label_of_ours_that_does_nothing_or_names_nothing_is_told() {
    let folder = Folder::new("slips").with("a.yaml", &SHOP.replace("pratique.dev/enforce", "pratique.dev/enforced"));
    let told = folder.read().unwrap().warnings[0].to_string();
    assert!(told.ends_with("metadata.labels.pratique.dev/enforced: has no effect; there are pratique.dev/enforce, pratique.dev/warn, pratique.dev/audit"), "{told}");
    let folder = Folder::new("names").with("a.yaml", SHOP);
    let told = folder.read().unwrap().warnings[0].to_string();
    assert!(told.contains("a.yaml:5: metadata.labels.pratique.dev/enforce: there is no policy `acme`"), "{told}");
    let warnings = Folder::new("right").with("a.yaml", SHOP).with("b.yaml", &policy("acme")).read().unwrap().warnings;
    assert_eq!(warnings, []);
}

#[test]
fn a_file_that_is_still_to_be_written_is_a_mistake() {
    for nothing in ["", "\n \n"] {
        let mistakes = Folder::new("begun").with("a.yaml", nothing).with("b.yaml", SHOP).read().unwrap_err();
        assert_eq!(mistakes, ["a.yaml: is empty: write the objects, or remove the file"]);
    }
    assert_eq!(Folder::new("comment").with("a.yaml", "# later\n").read().unwrap().objects, 0);
}

#[test]
fn a_text_without_end_is_not_read_and_never_half() {
    let why = read_bounded(std::io::repeat(b'#'), 1024).unwrap_err();
    assert_eq!(why, "has more than 1024 bytes, and no more are read: split it");
    assert_eq!(read_bounded(std::io::repeat(b'#').take(1024), 1024).map(|text| text.len()), Ok(1024));
    let mistake = read_text(Path::new("/dev/zero")).unwrap_err();
    assert!(mistake.message.starts_with("has more than"), "{mistake}");
}

#[test]
fn the_fingerprint_tells_of_permissions_and_of_times_that_are_set_back() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("times").with("a.yaml", SHOP);
    let (file, paths) = (folder.0.join("a.yaml"), [folder.0.clone()]);
    let (before, written) = (fingerprint(&paths), fs::metadata(&file).unwrap().modified().unwrap());
    // Clocks of file systems tick every few milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(50));
    fs::write(&file, SHOP.replace("acme", "ecma")).unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(written).unwrap();
    let rewritten = fingerprint(&paths);
    assert_ne!(before, rewritten);
    std::thread::sleep(std::time::Duration::from_millis(50));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_ne!(rewritten, fingerprint(&paths));
}

#[test]
fn a_path_that_is_not_there_or_empty_is_a_mistake() {
    let folder = Folder::new("empty");
    assert!(folder.read().unwrap_err()[0].ends_with("holds no .yaml, .yml or .json file"));
    let missing = folder.0.join("missing.yaml");
    let mistakes = read(&[missing]).unwrap_err();
    assert!(mistakes[0].message.starts_with("cannot be read"), "{mistakes:?}");
}

#[test]
fn the_fingerprint_changes_with_the_files_through_the_swap_of_a_link() {
    let folder = Folder::new("swap");
    for version in ["..1", "..2"] {
        fs::create_dir(folder.0.join(version)).unwrap();
        fs::write(folder.0.join(version).join("a.yaml"), policy("acme")).unwrap();
    }
    // As the kubelet mounts a ConfigMap: the file is a link through ..data, and ..data is swapped.
    std::os::unix::fs::symlink("..1", folder.0.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/a.yaml", folder.0.join("a.yaml")).unwrap();
    let paths = [folder.0.clone()];
    let before = fingerprint(&paths);
    assert_eq!(before, fingerprint(&paths));
    assert_eq!(read(&paths).unwrap().objects, 1);
    std::os::unix::fs::symlink("..2", folder.0.join("..new")).unwrap();
    fs::rename(folder.0.join("..new"), folder.0.join("..data")).unwrap();
    assert_ne!(before, fingerprint(&paths));
    fs::remove_file(folder.0.join("..data")).unwrap();
    assert!(read(&paths).is_err());
}

#[test]
fn labels_that_are_no_map_are_a_mistake_and_not_a_namespace_without_labels() {
    let listed = SHOP.replace("{pratique.dev/enforce: acme, team: shop}", "[pratique.dev/enforce]");
    let mistakes = Folder::new("listed").with("a.yaml", &listed).read().unwrap_err();
    assert_eq!(mistakes, ["a.yaml:5: metadata.labels: must be a map of text"]);
    let none = SHOP.replace("{pratique.dev/enforce: acme, team: shop}", "null");
    assert_eq!(Folder::new("unlabelled").with("a.yaml", &none).read().unwrap().objects, 1);
}

#[test]
fn a_list_without_items_is_a_mistake_and_an_empty_one_is_not() {
    for items in ["", "itmes: []\n", "items: {}\n"] {
        let text = format!("apiVersion: v1\nkind: List\n{items}");
        let mistakes = Folder::new("itemless").with("a.yaml", &text).read().unwrap_err();
        assert_eq!(mistakes, ["a.yaml:1: items: a List needs a list of items"], "{items}");
    }
    assert_eq!(
        Folder::new("no-items").with("a.yaml", "apiVersion: v1\nkind: List\nitems: []\n").read().unwrap().objects,
        0
    );
}
