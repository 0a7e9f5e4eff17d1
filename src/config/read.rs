//! From the settings as written to [`Config`].

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::policy::PolicyName;
use crate::policy::document::reader::{Field, Mistakes, Place, Placed, Read, Text, refuse_repeated};
use crate::policy::document::scalar::{DNS_LABEL, is_dns_label, is_dns_name};
use crate::policy::document::wording::quoted;
use crate::policy::document::{Mistake, Node, parse_documents};

use super::file::{self, Settings};
use super::{Config, Defaults, Log, Platform, Tls, Workload};

/// Kinds that are known without `workloads`; whatever their group is called, they keep their own path.
const BUILT_IN: [(&str, &[&str]); 4] = [
    ("", &["Pod", "PodTemplate", "ReplicationController"]),
    ("apps", &["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"]),
    ("extensions", &["Deployment", "ReplicaSet", "DaemonSet", "Job"]),
    ("batch", &["Job", "CronJob"]),
];

mod sources;

pub(super) fn parse(text: &str, source: &str) -> Result<(Config, Vec<Mistake>), Vec<Mistake>> {
    let mut documents = parse_documents(text).map_err(|mistake| vec![mistake.in_source(source)])?;
    let mut mistakes = Mistakes::of(source);
    if let Some(second) = documents.get(1) {
        mistakes.add(&Place::root(second), "only one document is read from a settings file: remove the others");
        return Err(mistakes.in_order());
    }
    let Some(node) = documents.pop() else {
        return Ok((Config::default(), Vec::new()));
    };
    let config = read(&node, &mut mistakes);
    match config {
        Some((config, unused)) if mistakes.is_empty() => {
            let mut warnings = Mistakes::of(source);
            for place in unused {
                warnings.add(&place, "has no effect in this build");
            }
            Ok((config, warnings.in_order()))
        }
        Some(_) | None => Err(mistakes.in_order()),
    }
}

fn read(node: &Node, mistakes: &mut Mistakes) -> Option<(Config, Vec<Place>)> {
    let settings = Settings::read(node, &Place::root(node), mistakes)?;
    let unused = sources::without_effect(&settings);
    let Settings {
        listen,
        admin,
        tls,
        defaults,
        floor,
        exempt_namespaces,
        platforms,
        dry_run,
        controllers,
        workloads,
        registries,
        trust,
        trust_refresh,
        scans,
        cache,
        cluster,
        log,
    } = settings;
    let default = Config::default();
    let config = Config {
        listen: address(&listen, mistakes).unwrap_or(default.listen),
        admin: address(&admin, mistakes).unwrap_or(default.admin),
        tls: tls.given().map_or(default.tls, |tls| read_tls(tls, mistakes)),
        defaults: defaults.given().map_or(default.defaults, |defaults| read_defaults(defaults, mistakes)),
        floor: policy_name(&floor, default.floor, mistakes),
        exempt_namespaces: exempt_namespaces
            .given()
            .map_or(default.exempt_namespaces, |names| namespaces(names, mistakes).into_iter().collect()),
        platforms: platforms
            .given()
            .and_then(|platforms| platforms.value.as_ref())
            .map_or(default.platforms, |platforms| read_platforms(&platforms.0, mistakes)),
        dry_run: dry_run.or(default.dry_run),
        controllers: controllers.or(default.controllers),
        workloads: workloads.given().map_or(default.workloads, |workloads| read_workloads(workloads, mistakes)),
        registries: registries
            .given()
            .map_or(default.registries, |registries| sources::read_registries(registries, mistakes)),
        trust: trust.given().map_or(default.trust, |roots| sources::read_trust(roots, mistakes)),
        trust_refresh: trust_refresh.or(default.trust_refresh),
        scans: scans.given().map_or(default.scans, |scans| sources::read_scans(scans, mistakes)),
        cache: cache.given().map_or(default.cache, |cache| sources::read_cache(cache, mistakes)),
        cluster: cluster.given().map_or(default.cluster, |cluster| sources::read_cluster(cluster, mistakes)),
        log: log.given().map_or(default.log, |written| Log {
            level: written.level.given().copied().unwrap_or(default.log.level),
            format: written.format.given().copied().unwrap_or(default.log.format),
        }),
    };
    check_listeners(&listen, &admin, &config, mistakes);
    Some((config, unused))
}

fn address(field: &Field<Text>, mistakes: &mut Mistakes) -> Option<SocketAddr> {
    let text = field.given()?;
    let address = text.value.parse().ok();
    if address.is_none() {
        let message = format!("expected an IP address and a port such as 0.0.0.0:8443, found {}", quoted(&text.value));
        mistakes.add(&text.place, message);
    }
    address
}

/// Port 0 is a free one, and never the same twice.
fn check_listeners(listen: &Field<Text>, admin: &Field<Text>, config: &Config, mistakes: &mut Mistakes) {
    if config.listen == config.admin
        && config.listen.port() != 0
        && let Some(text) = admin.given().or_else(|| listen.given())
    {
        mistakes.add(&text.place, "listen and admin are the same address: give each its own");
    }
}

fn read_tls(tls: &Placed<file::Tls>, mistakes: &mut Mistakes) -> Tls {
    let Placed { value: tls, place } = tls;
    let file::Tls { certificate, key, client_ca, client_names } = tls;
    if usable(certificate) && usable(key) && path(certificate).is_some() != path(key).is_some() {
        mistakes.add(place, "needs certificate and key together, or neither");
    }
    let names = client_names.given().map_or(&[][..], |names| &names.value);
    refuse_repeated(names, mistakes);
    if usable(client_ca) && usable(client_names) && path(client_ca).is_some() == names.is_empty() {
        mistakes.add(place, "needs clientCA and clientNames together, or neither");
    }
    Tls {
        certificate: path(certificate),
        key: path(key),
        client_ca: path(client_ca),
        client_names: names.iter().map(|name| name.value.clone()).collect(),
    }
}

fn usable<T>(field: &Field<T>) -> bool {
    match field {
        Field::Absent | Field::Given(_) => true,
        Field::Unusable => false,
    }
}

fn path(field: &Field<Option<Text>>) -> Option<PathBuf> {
    field.given()?.as_ref().map(|text| PathBuf::from(&text.value))
}

fn read_defaults(written: &file::Defaults, mistakes: &mut Mistakes) -> Defaults {
    let default = Defaults::default();
    Defaults {
        enforce: policy_name(&written.enforce, default.enforce, mistakes),
        warn: policy_name(&written.warn, default.warn, mistakes),
        audit: policy_name(&written.audit, default.audit, mistakes),
    }
}

/// `null` is none; what is not written is the default.
fn policy_name(
    field: &Field<Option<Text>>,
    default: Option<PolicyName>,
    mistakes: &mut Mistakes,
) -> Option<PolicyName> {
    match field {
        Field::Absent | Field::Unusable => default,
        Field::Given(None) => None,
        Field::Given(Some(text)) => {
            check_label(text, "a policy's name", mistakes);
            Some(PolicyName::from(text.value.as_str()))
        }
    }
}

fn check_label(text: &Text, what: &str, mistakes: &mut Mistakes) {
    if !is_dns_label(&text.value) {
        mistakes.add(&text.place, format!("{what} has {DNS_LABEL}; found {}", quoted(&text.value)));
    }
}

fn namespaces(names: &[Text], mistakes: &mut Mistakes) -> Vec<String> {
    refuse_repeated(names, mistakes);
    for name in names {
        check_label(name, "a namespace's name", mistakes);
    }
    names.iter().map(|name| name.value.clone()).collect()
}

fn read_platforms(platforms: &[Text], mistakes: &mut Mistakes) -> Vec<Platform> {
    refuse_repeated(platforms, mistakes);
    let read = platforms.iter().map(|text| {
        let read = platform(&text.value);
        if read.is_none() {
            let message =
                format!("expected os/architecture[/variant] such as linux/arm64, found {}", quoted(&text.value));
            mistakes.add(&text.place, message);
        }
        read
    });
    read.collect::<Vec<_>>().into_iter().flatten().collect()
}

/// `linux/arm/v7`
fn platform(text: &str) -> Option<Platform> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let parts: Vec<&str> = text.split('/').collect();
    if parts.iter().any(|part| part.is_empty() || !part.chars().all(word)) {
        return None;
    }
    let (os, architecture, variant) = match parts.as_slice() {
        [os, architecture] => (os, architecture, None),
        [os, architecture, variant] => (os, architecture, Some((*variant).to_owned())),
        _ => return None,
    };
    Some(Platform { os: (*os).to_owned(), architecture: (*architecture).to_owned(), variant })
}

fn read_workloads(workloads: &[Placed<file::Workload>], mistakes: &mut Mistakes) -> Vec<Workload> {
    let mut seen = BTreeSet::new();
    let mut read = Vec::new();
    for workload in workloads {
        let Placed { value: file::Workload { group, kind, pod_spec }, place } = workload;
        let (Field::Given(group), Field::Given(kind), Field::Given(pod_spec)) = (group, kind, pod_spec) else {
            continue;
        };
        if !is_dns_name(&group.value) {
            mistakes.add(&group.place, format!("{} is no API group such as argoproj.io", quoted(&group.value)));
        }
        let upper = kind.value.starts_with(|c: char| c.is_ascii_uppercase());
        if !upper || !kind.value.chars().all(|c| c.is_ascii_alphanumeric()) {
            mistakes.add(&kind.place, format!("{} is no kind such as Rollout", quoted(&kind.value)));
        }
        let field = |field: &str| !field.is_empty() && field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !pod_spec.value.split('.').all(field) {
            let message = format!("{} is no path such as spec.template.spec", quoted(&pod_spec.value));
            mistakes.add(&pod_spec.place, message);
        }
        if is_built_in(&group.value, &kind.value) {
            mistakes.add(place, format!("{} is judged without being named here: remove it", quoted(&kind.value)));
        }
        if !seen.insert((&group.value, &kind.value)) {
            mistakes.add(place, format!("{} of {} stands here twice", quoted(&kind.value), quoted(&group.value)));
        }
        let text = |text: &Text| text.value.clone();
        read.push(Workload { group: text(group), kind: text(kind), pod_spec: text(pod_spec) });
    }
    read
}

fn is_built_in(group: &str, kind: &str) -> bool {
    BUILT_IN.iter().any(|(name, kinds)| *name == group && kinds.contains(&kind))
}
