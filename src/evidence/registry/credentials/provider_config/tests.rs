use super::super::programs::Programs;
use super::*;

const CONFIG: &str = r#"apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages:
  - "*.dkr.ecr.*.amazonaws.com"
  - ghcr.io/acme
  defaultCacheDuration: 12h
  args: [get-credentials, ""]
  env:
  - {name: AWS_PROFILE, value: hunter2}
"#;

fn read_config(name: &str, text: &str) -> Result<Vec<Arc<Provider>>, Vec<String>> {
    let programs = Programs::new(&format!("config-{name}"));
    programs.script("ecr-credential-provider", "exit 0");
    let paths = ProviderPaths { config: programs.write("config.yaml", text), binaries: programs.folder().to_owned() };
    load(&paths).map_err(|mistakes| {
        let folder = format!("{}/", programs.folder().display());
        mistakes.iter().map(|mistake| mistake.to_string().replace(&folder, "")).collect()
    })
}

#[test]
fn a_config_of_the_kubelet_is_read() {
    for (index, version) in ["v1", "v1beta1", "v1alpha1"].into_iter().enumerate() {
        let providers =
            read_config(&format!("good-{index}"), &CONFIG.replace("k8s.io/v1\n", &format!("k8s.io/{version}\n")));
        let [provider] = &*providers.unwrap() else { panic!("there is one") };
        assert!(
            provider.is_for("123.dkr.ecr.eu-west-1.amazonaws.com", "web") && provider.is_for("ghcr.io", "acme/web")
        );
        assert!(!provider.is_for("ghcr.io", "acme-evil/web") && !provider.is_for("docker.io", "library/nginx"));
        assert!(!format!("{provider:?}").contains("hunter2"));
    }
}

#[test]
#[expect(clippy::mutable_key_type, reason = "equal by the entry alone, which never changes")]
fn two_providers_are_equal_where_their_entries_are() {
    use std::collections::HashSet;
    let programs = Programs::new("config-equal");
    programs.script("ecr-credential-provider", "exit 0");
    let read = |text: &str| {
        let config = programs.write("config.yaml", text);
        load(&ProviderPaths { config, binaries: programs.folder().to_owned() }).unwrap().remove(0)
    };
    let others = [
        CONFIG.to_owned(),
        CONFIG.replace("12h", "1h"),
        CONFIG.replace("hunter2", "other"),
        CONFIG.replace("/acme", ""),
    ];
    let all: HashSet<Arc<Provider>> = others.iter().chain([&others[0]]).map(|text| read(text)).collect();
    assert_eq!(all.len(), 4);
}

#[test]
fn json_is_read_too() {
    let node = parse_documents(CONFIG).unwrap().remove(0).to_json();
    assert!(read_config("json", &serde_json::to_string_pretty(&node).unwrap()).is_ok());
}

#[test]
fn each_mistake_has_its_place_and_quotes_no_argument_and_no_variable() {
    for (index, (from, to, told)) in [
        ("kubelet.config.k8s.io/v1\n", "kubelet.config.k8s.io/v2\n", "1: apiVersion: expected one of"),
        (
            "kind: CredentialProviderConfig",
            "kind: KubeletConfiguration",
            "2: kind: expected one of CredentialProviderConfig",
        ),
        (
            "credentialprovider.kubelet.k8s.io/v1",
            "credentialprovider.kubelet.k8s.io/v2",
            "5: providers[0].apiVersion: expected one of",
        ),
        (
            "name: ecr-credential-provider",
            "name: other",
            "4: providers[0].name: there is no file other that can be executed",
        ),
        (
            "name: ecr-credential-provider",
            "name: ../x",
            "4: providers[0].name: must be the name of a file: letters, digits, `.`, `_` and `-`",
        ),
        (
            "name: ecr-credential-provider",
            "name: ecr-credential-provider.text",
            "4: providers[0].name: there is no file ecr-credential-provider.text that can be executed",
        ),
        ("  defaultCacheDuration: 12h\n", "", "4: providers[0].defaultCacheDuration: is missing"),
        ("12h", "12", "9: providers[0].defaultCacheDuration: must be a duration such as"),
        ("12h", "-1h", "9: providers[0].defaultCacheDuration: must be a duration such as"),
        ("ghcr.io/acme", "\"user:word@ghcr.io\"", "8: providers[0].matchImages[1]: `user:word@ghcr.io` is no host"),
        ("value: hunter2", "value: [hunter2]", "12: providers[0].env[0].value: must be text: quote it"),
        ("value: hunter2", "value: 2", "12: providers[0].env[0].value: must be text: quote it"),
        ("name: AWS_PROFILE", "name: A=B", "12: providers[0].env[0].name: is no name of a variable"),
        ("get-credentials", "5", "10: providers[0].args[0]: must be text: quote it"),
        ("  args:", "  argz:", "10: providers[0].argz: unknown field; did you mean `args`?"),
        (
            "  args:",
            "  tokenAttributes: {requireServiceAccount: true}\n  args:",
            "10: providers[0].tokenAttributes: asks for the token of the pod's service account",
        ),
        ("providers:", "---\nproviders:", " must be one document"),
    ]
    .into_iter()
    .enumerate()
    {
        let mistakes = read_config(&format!("bad-{index}"), &CONFIG.replacen(from, to, 1)).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{to}: {mistakes:?}");
        assert!(mistakes[0].starts_with(&format!("config.yaml:{told}")), "{to}: {mistakes:?}");
        assert!(!mistakes[0].contains("hunter2"), "{mistakes:?}");
    }
}

#[test]
fn lists_that_mean_nothing_and_names_that_stand_twice_are_mistakes() {
    let entry = CONFIG.split_once("providers:\n").unwrap().1;
    let told = read_config("twice", &format!("{CONFIG}{entry}")).unwrap_err();
    assert_eq!(told, ["config.yaml:13: providers[1].name: `ecr-credential-provider` stands here twice"]);
    let told = read_config("none", &CONFIG.replace(entry, "").replace("providers:", "providers: []")).unwrap_err();
    assert_eq!(told, ["config.yaml:3: providers: is an empty list: name something, or remove the field"]);
    let images = "  - \"*.dkr.ecr.*.amazonaws.com\"\n  - ghcr.io/acme\n";
    let told =
        read_config("no-images", &CONFIG.replace(images, "").replace("matchImages:", "matchImages: []")).unwrap_err();
    assert_eq!(
        told,
        ["config.yaml:6: providers[0].matchImages: is an empty list: name something, or remove the field"]
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = CONFIG
        .replace("12h", "x")
        .replace("kind: C", "kind: D")
        .replace("ghcr.io/acme", "\"\"")
        .replace("name: ecr", "name: no");
    assert_eq!(read_config("all", &text).unwrap_err().len(), 4);
}
