use super::*;

/// The settings as the design shows them, every field written.
const COMPLETE: &str = r"listen: 0.0.0.0:8443
admin: 0.0.0.0:9090
tls: {certificate: /certs/tls.crt, key: /certs/tls.key, clientCA: null, clientNames: []}
defaults: {enforce: null, warn: baseline, audit: restricted}
floor: null
exemptNamespaces: [kube-system, pratique-system]
platforms: [linux/amd64]
dryRun: false
controllers: warn
workloads: [{group: argoproj.io, kind: Rollout, podSpec: spec.template.spec}]
registries:
  hosts: /etc/containerd/certs.d
  dockerConfig: /etc/pratique/docker.json
  credentialProviders: {config: /etc/pratique/providers.yaml, binaries: /opt/providers}
  pullSecrets: named
  realms: {}
  concurrency: 16
trust:
- {name: private, trustedRoot: /etc/pratique/trusted_root.json}
- {name: followed, trustedRoot: /roots/trusted_root.json, tuf: {url: 'https://tuf.example/a', root: /roots/root.json}}
trustRefresh: true
scans: {directories: [/scans], namespaces: []}
cache: {memory: 64Mi, lastKnownGood: 7d, state: /var/lib/pratique, sealKey: /etc/pratique/seal}
cluster: {pods: true, service: pratique, webhookConfiguration: pratique}
log: {level: info, format: json}
";

const NO_EFFECT: &str = "has no effect in this build";

fn told(mistakes: &[Mistake]) -> Vec<String> {
    mistakes.iter().map(ToString::to_string).collect()
}

fn mistakes(text: &str) -> Vec<String> {
    told(&Config::parse(text, "").unwrap_err())
}

fn config(text: &str) -> Config {
    Config::parse(text, "").unwrap_or_else(|mistakes| panic!("{:#?}", told(&mistakes))).0
}

#[test]
fn an_empty_file_is_the_defaults() {
    for text in ["", "# nothing\n", "---\n", "{}"] {
        let (config, warnings) = Config::parse(text, "").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(warnings, []);
    }
}

#[test]
fn the_complete_file_is_read_and_warns_of_what_has_no_effect() {
    let (config, warnings) = Config::parse(COMPLETE, "settings.yaml").unwrap();
    let default = Config::default();
    let expected = Config {
        tls: Tls {
            certificate: Some("/certs/tls.crt".into()),
            key: Some("/certs/tls.key".into()),
            client_ca: None,
            client_names: Vec::new(),
        },
        workloads: vec![Workload {
            group: "argoproj.io".to_owned(),
            kind: "Rollout".to_owned(),
            pod_spec: "spec.template.spec".to_owned(),
        }],
        registries: Registries {
            hosts: Some("/etc/containerd/certs.d".into()),
            docker_config: Some("/etc/pratique/docker.json".into()),
            credential_providers: Some(CredentialProviders {
                config: "/etc/pratique/providers.yaml".into(),
                binaries: "/opt/providers".into(),
            }),
            ..default.registries
        },
        trust: vec![
            TrustedRoot {
                name: "private".to_owned(),
                trusted_root: "/etc/pratique/trusted_root.json".into(),
                tuf: None,
            },
            TrustedRoot {
                name: "followed".to_owned(),
                trusted_root: "/roots/trusted_root.json".into(),
                tuf: Some(TufRepository { url: "https://tuf.example/a".to_owned(), root: "/roots/root.json".into() }),
            },
        ],
        platforms: vec![Platform::default()],
        scans: Scans { directories: vec!["/scans".into()], namespaces: Vec::new() },
        cache: Cache {
            state: Some("/var/lib/pratique".into()),
            seal_key: Some("/etc/pratique/seal".into()),
            ..default.cache
        },
        ..default
    };
    assert_eq!(config, expected);
    let places = ["23: cache.state", "23: cache.sealKey"];
    assert_eq!(told(&warnings), places.map(|place| format!("settings.yaml:{place}: {NO_EFFECT}")));
}

#[test]
fn every_setting_can_be_other_than_its_default() {
    let (config, warnings) = Config::parse(
        "listen: '[::1]:443'
admin: 127.0.0.1:0
tls: {clientCA: /ca.crt, clientNames: [kube-apiserver]}
defaults: {enforce: acme, warn: null}
floor: least
exemptNamespaces: []
platforms: [linux/arm64, linux/arm/v7]
dryRun: true
trustRefresh: false
controllers: enforce
registries: {pullSecrets: all, realms: {registry.example: 'auth.example:5000'}, concurrency: 4}
scans: {namespaces: [trivy-system]}
cache: {memory: 134217728, lastKnownGood: 1d12h}
cluster: {pods: false, service: gate, webhookConfiguration: gate.example}
log: {level: debug, format: text}
",
        "",
    )
    .unwrap();
    let cluster = Cluster { pods: false, service: "gate".to_owned(), webhook_configuration: "gate.example".to_owned() };
    assert_eq!(config.cluster, cluster);
    assert_eq!(config.listen.to_string(), "[::1]:443");
    assert_eq!(config.admin.to_string(), "127.0.0.1:0");
    assert_eq!(config.tls.client_ca, Some("/ca.crt".into()));
    assert_eq!(config.tls.client_names, ["kube-apiserver"]);
    let Defaults { enforce, warn, audit } = config.defaults;
    assert_eq!((enforce, warn, audit), (Some("acme".into()), None, Some("restricted".into())));
    assert_eq!(config.floor, Some("least".into()));
    assert!(config.exempt_namespaces.is_empty() && config.dry_run && !config.trust_refresh);
    let arm = |architecture: &str, variant: Option<&str>| Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.map(str::to_owned),
    };
    assert_eq!(config.platforms, [arm("arm64", None), arm("arm", Some("v7"))]);
    assert_eq!(config.controllers, Controllers::Enforce);
    assert_eq!(config.registries.pull_secrets, PullSecrets::All);
    assert_eq!(config.registries.realms["registry.example"], "auth.example:5000");
    assert_eq!(config.registries.concurrency, 4);
    assert_eq!(config.cache.memory, 128 << 20);
    assert_eq!(config.cache.last_known_good, Duration::from_hours(36));
    assert_eq!(config.log, Log { level: LogLevel::Debug, format: LogFormat::Text });
    assert_eq!(told(&warnings), [""; 0]);
}

#[test]
fn a_default_that_is_written_out_earns_no_warning() {
    let text = "platforms: null\nregistries: {hosts: null, pullSecrets: named, realms: {}, concurrency: 16}\n\
                trust: []\nscans: {directories: [], namespaces: []}\ncache: {lastKnownGood: 168h, state: null}\n";
    assert_eq!(Config::parse(text, "").unwrap(), (Config::default(), Vec::new()));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = r"listen: 8443
admin: localhost:9090
tls: {cert: /a, key: /b}
defaults: {enforce: Acme, warn: '', block: x}
floor: [a]
exemptNamespaces: [kube_system, a, a]
platforms: [linux, linux/amd64/v1/x, Linux/amd64, linux/amd64, linux/amd64]
dryRun: 'no'
controllers: deny
workloads:
- {group: apps, kind: Deployment, podSpec: spec.template.spec}
- {group: a..b, kind: rollout, podSpec: spec..x}
- {group: a.b, kind: X, podSpec: spec}
- {group: a.b, kind: X, podSpec: spec.x}
- {kind: Y}
registries: {credentialProviders: {config: /x}, pullSecrets: some, realms: {a.b: 'https://x'}, concurrency: 0}
trust: [{name: public, trustedRoot: /x}, {name: b, trustedRoot: ''}, {name: c, trustedRoot: /c, tuf: {url: 'https://me:secret@x'}}, {name: d, trustedRoot: /d, tuf: {url: 'https://me:secret@x', root: /r}}]
scans: {directories: /scans, namespaces: [A]}
cache: {memory: 1Ki, lastKnownGood: 7 days, state: 5}
cluster: {pods: some, service: a.b, webhookConfiguration: A}
log: {level: verbose, format: yaml}
colours: true
";
    let label = "has at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends";
    let expected = [
        "line 1: listen: expected text, found the number 8443: quote it".to_owned(),
        "line 2: admin: expected an IP address and a port such as 0.0.0.0:8443, found `localhost:9090`".to_owned(),
        "line 3: tls.cert: unknown field; did you mean `certificate`?".to_owned(),
        "line 3: tls: needs certificate and key together, or neither".to_owned(),
        "line 4: defaults.warn: is empty".to_owned(),
        "line 4: defaults.block: unknown field; known here: enforce, warn, audit".to_owned(),
        format!("line 4: defaults.enforce: a policy's name {label}; found `Acme`"),
        "line 5: floor: expected text, found a list".to_owned(),
        "line 6: exemptNamespaces[2]: `a` stands here twice".to_owned(),
        format!("line 6: exemptNamespaces[0]: a namespace's name {label}; found `kube_system`"),
        "line 7: platforms[4]: `linux/amd64` stands here twice".to_owned(),
        "line 7: platforms[0]: expected os/architecture[/variant] such as linux/arm64, found `linux`".to_owned(),
        "line 7: platforms[1]: expected os/architecture[/variant] such as linux/arm64, found `linux/amd64/v1/x`".to_owned(),
        "line 7: platforms[2]: expected os/architecture[/variant] such as linux/arm64, found `Linux/amd64`".to_owned(),
        "line 8: dryRun: expected true or false, found the text `no`".to_owned(),
        "line 9: controllers: expected one of warn, enforce, ignore, found the text `deny`".to_owned(),
        "line 11: workloads[0]: `Deployment` is judged without being named here: remove it".to_owned(),
        "line 12: workloads[1].group: `a..b` is no API group such as argoproj.io".to_owned(),
        "line 12: workloads[1].kind: `rollout` is no kind such as Rollout".to_owned(),
        "line 12: workloads[1].podSpec: `spec..x` is no path such as spec.template.spec".to_owned(),
        "line 14: workloads[3]: `X` of `a.b` stands here twice".to_owned(),
        "line 15: workloads[4].group: is missing".to_owned(),
        "line 15: workloads[4].podSpec: is missing".to_owned(),
        "line 16: registries.credentialProviders.binaries: is missing".to_owned(),
        "line 16: registries.pullSecrets: expected one of none, named, all, found the text `some`".to_owned(),
        "line 16: registries.concurrency: must be at least 1: with 0 no registry could be asked".to_owned(),
        "line 16: registries.realms[\"a.b\"]: `https://x` is no host such as auth.example or auth.example:5000".to_owned(),
        "line 17: trust[1].trustedRoot: is empty".to_owned(),
        "line 17: trust[2].tuf.root: is missing".to_owned(),
        "line 17: trust[0].name: `public` is the built-in root: choose another name".to_owned(),
        "line 17: trust[3].tuf.url: is no URL such as https://tuf.example, without user, query and fragment".to_owned(),
        "line 18: scans.directories: expected a list, found the text `/scans`".to_owned(),
        format!("line 18: scans.namespaces[0]: a namespace's name {label}; found `A`"),
        "line 19: cache.lastKnownGood: expected a duration above 0 such as 90s, 10m, 72h or 7d, found the text `7 days`".to_owned(),
        "line 19: cache.state: expected text, found the number 5: quote it".to_owned(),
        "line 19: cache.memory: must be at least 1Mi".to_owned(),
        "line 20: cluster.pods: expected true or false, found the text `some`".to_owned(),
        format!("line 20: cluster.service: a Service's name {label}; found `a.b`"),
        "line 20: cluster.webhookConfiguration: `A` is no name of a ValidatingWebhookConfiguration".to_owned(),
        "line 21: log.level: expected one of trace, debug, info, warn, error, found the text `verbose`".to_owned(),
        "line 21: log.format: expected one of json, text, found the text `yaml`".to_owned(),
        "line 22: colours: unknown field; known here: listen, admin, tls, defaults, floor, exemptNamespaces, platforms, dryRun, \
         controllers, workloads, registries, trust, trustRefresh, scans, cache, cluster, log".to_owned(),
    ];
    assert_eq!(mistakes(text), expected);
}

#[test]
fn what_belongs_together_stands_together() {
    let tls = "line 1: tls: needs";
    let certificate_only = [format!("{tls} certificate and key together, or neither")];
    let clients_only = [format!("{tls} clientCA and clientNames together, or neither")];
    assert_eq!(mistakes("tls: {certificate: /a}"), certificate_only);
    assert_eq!(mistakes("tls: {certificate: null, key: /b}"), certificate_only);
    assert_eq!(mistakes("tls: {clientCA: /a}"), clients_only);
    assert_eq!(mistakes("tls: {clientCA: /a, clientNames: []}"), clients_only);
    assert_eq!(mistakes("tls: {clientNames: [a]}"), clients_only);
    assert_eq!(config("tls: {clientCA: /a, clientNames: [a]}").tls.client_names, ["a"]);
}

#[test]
fn both_listeners_cannot_have_one_address() {
    let message = "listen and admin are the same address: give each its own";
    assert_eq!(mistakes("admin: 0.0.0.0:8443"), [format!("line 1: admin: {message}")]);
    assert_eq!(mistakes("listen: 0.0.0.0:9090"), [format!("line 1: listen: {message}")]);
    assert_eq!(config("{listen: '127.0.0.1:0', admin: '127.0.0.1:0'}").listen.port(), 0);
}

#[test]
fn a_file_is_one_map() {
    assert_eq!(mistakes("- a"), ["line 1: expected a map of fields, found a list"]);
    assert_eq!(
        mistakes("dryRun: true\n---\ndryRun: false\n"),
        ["line 3: only one document is read from a settings file: remove the others"]
    );
    assert_eq!(told(&Config::parse("a: [", "s.yaml").unwrap_err()).len(), 1);
}

/// Style 3.9: a typing mistake in any section is seen.
#[test]
fn a_key_too_many_in_any_section_is_exactly_one_mistake_at_its_path() {
    let sections = [
        ("", "zzzz: 1\n"),
        ("tls.", "tls: {zzzz: 1}"),
        ("defaults.", "defaults: {zzzz: 1}"),
        ("workloads[0].", "workloads: [{group: a.b, kind: X, podSpec: spec, zzzz: 1}]"),
        ("registries.", "registries: {zzzz: 1}"),
        ("registries.credentialProviders.", "registries: {credentialProviders: {config: a, binaries: b, zzzz: 1}}"),
        ("trust[0].", "trust: [{name: a, trustedRoot: b, zzzz: 1}]"),
        ("trust[0].tuf.", "trust: [{name: a, trustedRoot: b, tuf: {url: 'https://c', root: d, zzzz: 1}}]"),
        ("scans.", "scans: {zzzz: 1}"),
        ("cache.", "cache: {zzzz: 1}"),
        ("log.", "log: {zzzz: 1}"),
    ];
    for (path, text) in sections {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("line 1: {path}zzzz: unknown field; known here: ")), "{found:?}");
    }
}

#[test]
fn no_workload_redefines_a_built_in_kind() {
    for (group, kind) in crate::admission::workload::built_in() {
        let text = format!("workloads: [{{group: \"{group}\", kind: {kind}, podSpec: spec.template.spec}}]");
        assert!(Config::parse(&text, "settings").is_err(), "{group} {kind}");
    }
    let rollout = "workloads: [{group: argoproj.io, kind: Rollout, podSpec: spec.template.spec}]";
    assert_eq!(Config::parse(rollout, "settings").unwrap().0.workloads.len(), 1);
}
