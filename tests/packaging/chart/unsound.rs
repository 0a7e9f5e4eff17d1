//! What the schema cannot see: values that are each well-formed, and together would let something in, or would not work.

use super::Rendering;

const ROLLOUTS: &str = "settings: {workloads: [{group: argoproj.io, kind: Rollout, podSpec: spec.template.spec}]}";

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn values_that_do_not_go_together_are_refused_in_words() {
    for (values, words) in [
        (
            "settings: {defaults: {enforce: baseline}}",
            "settings.defaults.enforce is baseline, and enforcement is audit-only, with which Pods are let in without being judged",
        ),
        ("settings: {floor: acme}", "settings.floor is acme, and enforcement is audit-only"),
        ("settings: {admin: '0.0.0.0:8443'}", "settings.listen and settings.admin have the same port"),
        (ROLLOUTS, "settings.workloads names Rollout of the API group argoproj.io, and no rule in webhook.extraRules"),
        (
            "webhook: {extraRules: [{apiGroups: [argoproj.io], apiVersions: [v1alpha1], resources: [rollouts], \
             operations: [CREATE], scope: Namespaced}]}",
            "webhook.extraRules has a rule for the API group argoproj.io, and settings.workloads names no kind of it",
        ),
        ("settings: {scans: {namespaces: [trivy]}}", "set vulnerabilityReports.enabled, too"),
        ("settings: {registries: {pullSecrets: all}}", "set pullSecretsAll, too"),
        (
            "certificates: {caBundle: '-----BEGIN CERTIFICATE----- MA== -----END CERTIFICATE-----'}",
            "certificates.caBundle is for certificates.source: secret; with self-made somebody else writes it",
        ),
        ("certificates: {issuerRef: {name: acme}}", "certificates.issuerRef is for certificates.source: cert-manager"),
        ("priorityClass: {name: acme}", "the PriorityClass that the chart makes is called pratique"),
        ("{hostNetwork: true, networkPolicy: {enabled: true}}", "hostNetwork and networkPolicy.enabled"),
        (
            "monitoring: {prometheusRule: {enabled: true, disabled: [PratiqueOnFire]}}",
            "monitoring.prometheusRule.disabled names PratiqueOnFire, and there is no such alert",
        ),
    ] {
        let refused = Rendering::of(values).text().expect_err(values);
        assert!(refused.contains(words), "{values}: {refused}");
    }
}

/// One word more makes of each a choice.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn what_completes_them_is_taken() {
    let rollouts = format!(
        "{ROLLOUTS}\nwebhook: {{extraRules: [{{apiGroups: [argoproj.io], apiVersions: [v1alpha1], resources: [rollouts], \
         operations: [CREATE, UPDATE], scope: Namespaced}}]}}"
    );
    for values in [
        "{enforcement: enforce, settings: {defaults: {enforce: acme}}}",
        "{enforcement: enforce, settings: {floor: acme}}",
        "settings: {admin: '0.0.0.0:8444'}",
        &rollouts,
        "{settings: {scans: {namespaces: [trivy]}}, vulnerabilityReports: {enabled: true}}",
        "{settings: {registries: {pullSecrets: all}}, pullSecretsAll: true}",
        "certificates: {source: secret, caBundle: '-----BEGIN CERTIFICATE----- MA== -----END CERTIFICATE-----'}",
        "certificates: {source: cert-manager, issuerRef: {name: acme}}",
        "priorityClass: {create: false, name: acme}",
        "hostNetwork: true",
        "monitoring: {prometheusRule: {enabled: true, disabled: [PratiqueAbsent]}}",
    ] {
        Rendering::of(values).text().unwrap_or_else(|error| panic!("{values}: {error}"));
    }
}

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn the_namespaces_of_the_cluster_itself_are_no_home() {
    for namespace in ["kube-system", "kube-public", "kube-node-lease"] {
        let refused = Rendering { namespace, ..Rendering::of("") }.text().expect_err(namespace);
        assert!(refused.contains(&format!("the namespace {namespace} is for others")), "{refused}");
    }
    for namespace in ["123", "1e3", "true"] {
        let refused = Rendering { namespace, ..Rendering::of("") }.text().expect_err(namespace);
        assert!(refused.contains(&format!("the namespace {namespace} is a number or a truth value")), "{refused}");
    }
}
