//! Every value is documented in values.yaml, known to the schema, and changes what is rendered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::{Rendering, chart_file};

/// For every value another one than the default, and what must be set for it to matter.
const OTHERS: &[(&str, &str, &str)] = &[
    ("image.repository", "registry.example/pratique", ""),
    ("image.tag", "9.9.9", ""),
    ("image.digest", "sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097", ""),
    ("image.pullPolicy", "Always", ""),
    ("imagePullSecrets", "[{name: regcred}]", ""),
    ("replicas", "5", ""),
    ("enforcement", "enforce", ""),
    ("settings.listen", "0.0.0.0:9443", ""),
    ("settings.admin", "0.0.0.0:9091", ""),
    ("settings.tls.clientCA", "/a", ""),
    ("settings.tls.clientNames", "[api]", ""),
    ("settings.defaults.enforce", "restricted", "enforcement: enforce"),
    ("settings.defaults.warn", "restricted", ""),
    ("settings.defaults.audit", "baseline", ""),
    ("settings.floor", "restricted", "enforcement: enforce"),
    ("settings.platforms", "[linux/amd64]", ""),
    ("settings.controllers", "enforce", ""),
    (
        "settings.workloads",
        "[{group: argoproj.io, kind: Rollout, podSpec: spec.template.spec}, {group: argoproj.io, kind: B, podSpec: spec}]",
        ROLLOUTS,
    ),
    ("settings.dryRun", "true", ""),
    ("settings.registries.hosts", "/a", ""),
    ("settings.registries.dockerConfig", "/a", ""),
    ("settings.registries.credentialProviders.config", "/a", PROVIDERS),
    ("settings.registries.credentialProviders.binaries", "/a", PROVIDERS),
    ("settings.registries.pullSecrets", "none", ""),
    ("settings.registries.realms", "{registry.example: auth.example}", ""),
    ("settings.registries.concurrency", "3", ""),
    ("settings.cluster.pods", "false", ""),
    ("settings.trust", "[{name: private, trustedRoot: /a}]", ""),
    ("settings.trustRefresh", "false", ""),
    ("settings.scans.directories", "[/a]", ""),
    ("settings.scans.namespaces", "[a]", "vulnerabilityReports: {enabled: true}"),
    ("settings.cache.memory", "128Mi", ""),
    ("settings.cache.lastKnownGood", "1d", ""),
    ("settings.log.level", "debug", ""),
    ("settings.log.format", "text", ""),
    ("certificates.source", "secret", ""),
    ("certificates.secretName", "own", "certificates: {source: secret}"),
    (
        "certificates.caBundle",
        "\"-----BEGIN CERTIFICATE-----\\nMA==\\n-----END CERTIFICATE-----\\n\"",
        "certificates: {source: secret}",
    ),
    ("certificates.issuerRef.name", "own", "certificates: {source: cert-manager}"),
    ("certificates.issuerRef.kind", "ClusterIssuer", ISSUER),
    ("certificates.issuerRef.group", "issuers.example", ISSUER),
    ("certificates.certManager.namespace", "own", "certificates: {source: cert-manager}"),
    ("certificates.certManager.serviceAccount", "own", "certificates: {source: cert-manager}"),
    ("certificates.certManager.injectorServiceAccount", "own", "certificates: {source: cert-manager}"),
    ("webhook.timeoutSeconds", "7", ""),
    ("webhook.extraExemptNamespaces", "[calico-system]", ""),
    (
        "webhook.extraRules",
        "[{apiGroups: [argoproj.io], apiVersions: [v1], resources: [rollouts], operations: [CREATE], scope: Namespaced}]",
        ROLLOUTS,
    ),
    ("guard.enabled", "false", ""),
    ("latestFloor.enabled", "true", ""),
    ("pullSecretsAll", "true", ""),
    ("vulnerabilityReports.enabled", "true", ""),
    ("policies", "[{name: own, spec: {rules: []}}]", ""),
    ("networkPolicy.enabled", "true", ""),
    ("networkPolicy.apiServerCIDRs", "[10.0.0.0/28, 'fd00::/8']", "networkPolicy: {enabled: true}"),
    ("networkPolicy.metricsNamespace", "own", "networkPolicy: {enabled: true}"),
    ("networkPolicy.extraEgress", "[{ports: [{port: 5000, protocol: TCP}]}]", "networkPolicy: {enabled: true}"),
    ("monitoring.service.enabled", "true", ""),
    ("monitoring.serviceMonitor.enabled", "true", ""),
    ("monitoring.serviceMonitor.labels", "{release: own}", "monitoring: {serviceMonitor: {enabled: true}}"),
    ("monitoring.serviceMonitor.interval", "60s", "monitoring: {serviceMonitor: {enabled: true}}"),
    ("monitoring.prometheusRule.enabled", "true", ""),
    ("monitoring.prometheusRule.labels", "{release: own}", "monitoring: {prometheusRule: {enabled: true}}"),
    ("monitoring.prometheusRule.disabled", "[PratiqueAbsent]", "monitoring: {prometheusRule: {enabled: true}}"),
    ("monitoring.dashboard.enabled", "true", ""),
    ("monitoring.dashboard.labels", "{own: label}", "monitoring: {dashboard: {enabled: true}}"),
    ("monitoring.dashboard.annotations", "{own: annotation}", "monitoring: {dashboard: {enabled: true}}"),
    ("priorityClass.create", "false", ""),
    ("priorityClass.name", "own", "priorityClass: {create: false}"),
    ("podDisruptionBudget.enabled", "false", ""),
    ("podDisruptionBudget.maxUnavailable", "50%", ""),
    ("topologySpread", "hard", ""),
    ("resources", "{limits: {memory: 1Gi}}", ""),
    ("nodeSelector", "{own: label}", ""),
    ("tolerations", "[{key: own, operator: Exists}]", ""),
    ("affinity", "{nodeAffinity: {}}", ""),
    ("hostNetwork", "true", ""),
    ("podAnnotations", "{own: annotation}", ""),
    ("podLabels", "{own: label}", ""),
    ("serviceAccount.annotations", "{own: annotation}", ""),
    ("env", "[{name: HTTPS_PROXY, value: 'http://proxy.example:3128'}]", ""),
    ("extraVolumes", "[{name: own, emptyDir: {}}]", ""),
    ("extraVolumeMounts", "[{name: own, mountPath: /own}]", ""),
];
/// Both or neither.
const ROLLOUTS: &str = "
settings: {workloads: [{group: argoproj.io, kind: Rollout, podSpec: spec.template.spec}]}
webhook: {extraRules: [{apiGroups: [argoproj.io], apiVersions: [v1alpha1], resources: [rollouts], operations: [CREATE], scope: Namespaced}]}
";
const PROVIDERS: &str = "settings: {registries: {credentialProviders: {config: /b, binaries: /b}}}";
const ISSUER: &str = "certificates: {source: cert-manager, issuerRef: {name: own}}";

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn every_value_changes_what_is_rendered() {
    let rendered = Mutex::new(BTreeMap::<String, String>::new());
    let render = |values: String| {
        if let Some(text) = rendered.lock().expect("nobody panics with it").get(&values) {
            return text.clone();
        }
        let known = Rendering { kinds: &["pratique.dev/v1alpha1/ImagePolicy"], ..Rendering::of(&values) };
        let text = known.text().unwrap_or_else(|error| panic!("{values}: {error}"));
        rendered.lock().expect("nobody panics with it").insert(values, text.clone());
        text
    };
    let without_effect = OTHERS.iter().filter_map(|(path, value, needs)| {
        let before: Value = if needs.is_empty() { json!({}) } else { serde_saphyr::from_str(needs).expect("YAML") };
        let mut after = before.clone();
        let pointer = path.split('.').collect::<Vec<_>>();
        let place = pointer.iter().fold(&mut after, |place, part| &mut place[*part]);
        *place = serde_saphyr::from_str(value).expect("YAML");
        let (before, after) = (render(before.to_string()), render(after.to_string()));
        (before == after).then_some(path)
    });
    assert_eq!(without_effect.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn every_value_is_tried_is_in_the_schema_and_stands_in_values_yaml_with_its_default() {
    let schema = chart_file("values.schema.json");
    let mut known = leaves(&schema, "");
    // For charts that have this one as a part, and read by nothing.
    assert!(known.remove("global"));
    let tried: BTreeSet<String> = OTHERS.iter().map(|(path, ..)| (*path).to_owned()).collect();
    assert_eq!((tried.len(), &tried), (OTHERS.len(), &known), "what is tried, and the schema");

    let values = chart_file("values.yaml");
    let shown = |path: &str| {
        let parts: Vec<&str> = path.split('.').collect();
        (0..parts.len()).any(|length| {
            let found = values.pointer(&format!("/{}", parts[..=length].join("/")));
            found.is_some_and(|found| length + 1 == parts.len() || found.as_object().is_some_and(|map| map.is_empty()))
        })
    };
    // The others of settings stand there as comments: another test reads those.
    let missing: Vec<&String> = known.iter().filter(|path| !path.starts_with("settings.") && !shown(path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn leaves(schema: &Value, above: &str) -> BTreeSet<String> {
    // Kubernetes' own objects are one value, whatever is asked of them.
    let ours = schema["additionalProperties"] == Value::Bool(false);
    let properties = schema["properties"].as_object().filter(|_| ours).into_iter().flatten();
    let paths = properties.flat_map(|(name, schema)| {
        let path = format!("{above}{name}");
        let inner = leaves(schema, &format!("{path}."));
        if inner.is_empty() { BTreeSet::from([path]) } else { inner }
    });
    paths.collect()
}
