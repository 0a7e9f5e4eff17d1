//! Which kinds bring images, and where in the object their pod spec stands. Table-driven by path.

use std::sync::{Arc, LazyLock};

use crate::request::Role;

/// Path of a pod spec in its object, such as `spec.template.spec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSpecPath {
    text: Arc<str>,
    fields: Vec<Box<str>>,
}

impl PodSpecPath {
    /// From field names joined by dots; an empty field is a caller's mistake that never matches anything.
    #[must_use]
    pub fn new(dotted: &str) -> Self {
        Self { text: dotted.into(), fields: dotted.split('.').map(Into::into).collect() }
    }

    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    pub(super) fn fields(&self) -> &[Box<str>] {
        &self.fields
    }
}

/// One kind that brings images.
#[derive(Debug)]
pub struct Workload {
    /// API groups under which the kind is known, today's first; old ones still occur in manifests.
    groups: Vec<Box<str>>,
    kind: Box<str>,
    /// The plural in `request.resource`; unknown for kinds that the configuration adds.
    resource: Option<Box<str>>,
    pub role: Role,
    pub pod_spec: PodSpecPath,
}

impl Workload {
    fn built_in(groups: &[&str], kind: &str, resource: &str, role: Role, pod_spec: &str) -> Self {
        Self {
            groups: groups.iter().map(|&group| group.into()).collect(),
            kind: kind.into(),
            resource: Some(resource.into()),
            role,
            pod_spec: PodSpecPath::new(pod_spec),
        }
    }

    /// Whether `request.resource` can be what serves this kind.
    pub(super) fn is_served_by(&self, resource: &str) -> bool {
        self.resource.as_deref().is_none_or(|known| known == resource)
    }
}

static BUILT_IN: LazyLock<Vec<Workload>> = LazyLock::new(|| {
    let template = "spec.template.spec";
    vec![
        Workload::built_in(&[""], "Pod", "pods", Role::Pod, "spec"),
        Workload::built_in(&[""], "PodTemplate", "podtemplates", Role::Controller, "template.spec"),
        Workload::built_in(&[""], "ReplicationController", "replicationcontrollers", Role::Controller, template),
        Workload::built_in(&["apps", "extensions"], "Deployment", "deployments", Role::Controller, template),
        Workload::built_in(&["apps", "extensions"], "ReplicaSet", "replicasets", Role::Controller, template),
        Workload::built_in(&["apps"], "StatefulSet", "statefulsets", Role::Controller, template),
        Workload::built_in(&["apps", "extensions"], "DaemonSet", "daemonsets", Role::Controller, template),
        Workload::built_in(&["batch", "extensions"], "Job", "jobs", Role::Controller, template),
        Workload::built_in(&["batch"], "CronJob", "cronjobs", Role::Controller, "spec.jobTemplate.spec.template.spec"),
    ]
});

/// The kinds that are looked at: the built-in ones and those that the configuration adds.
#[derive(Debug, Default)]
pub struct Workloads {
    added: Vec<Workload>,
}

impl Workloads {
    /// Adds kinds by (group, kind, dotted path of the pod spec), all of them controllers.
    #[must_use]
    pub fn new<'a>(added: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let added = added
            .into_iter()
            .map(|(group, kind, pod_spec)| Workload {
                groups: vec![group.into()],
                kind: kind.into(),
                resource: None,
                role: Role::Controller,
                pod_spec: PodSpecPath::new(pod_spec),
            })
            .collect();
        Self { added }
    }

    /// Kubernetes' own first: no setting may read a Pod elsewhere than the kubelet does.
    pub(super) fn find(&self, group: &str, kind: &str) -> Option<&Workload> {
        BUILT_IN
            .iter()
            .chain(&self.added)
            .find(|workload| *workload.kind == *kind && workload.groups.iter().any(|known| **known == *group))
    }

    /// A built-in kind under a group that is not its own: a template with `$APIVERSION`, or somebody's namesake.
    pub(super) fn find_namesake(kind: &str) -> Option<&'static Workload> {
        BUILT_IN.iter().find(|workload| *workload.kind == *kind)
    }

    /// The built-in kind that a resource of a built-in group must carry.
    pub(super) fn of_resource(group: &str, resource: &str) -> Option<&'static Workload> {
        BUILT_IN
            .iter()
            .find(|known| known.resource.as_deref() == Some(resource) && known.groups.iter().any(|its| **its == *group))
    }
}

/// Group and kind of each built-in workload, for the test that the settings know them too.
#[cfg(test)]
pub(crate) fn built_in() -> Vec<(&'static str, &'static str)> {
    BUILT_IN.iter().flat_map(|known| known.groups.iter().map(|group| (&**group, &*known.kind))).collect()
}
