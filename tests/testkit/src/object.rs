//! Kubernetes objects that bring images, as an API server has defaulted them.

use serde_json::{Map, Value, json};

/// An object being made; every method adds one thing.
#[derive(Debug, Clone)]
pub struct Object {
    group: String,
    version: String,
    kind: String,
    resource: String,
    /// Where the pod spec stands, outermost field first; none: the object has none.
    pod_spec: Option<Vec<String>>,
    metadata: Map<String, Value>,
    init: Vec<Value>,
    containers: Vec<Value>,
    ephemeral: Vec<Value>,
    volumes: Vec<Value>,
}

/// A Pod.
pub fn pod(name: &str) -> Object {
    custom("", "v1", "Pod", "pods", "spec").named(name)
}

/// A Deployment.
pub fn deployment(name: &str) -> Object {
    custom("apps", "v1", "Deployment", "deployments", "spec.template.spec").named(name)
}

/// A ReplicaSet.
pub fn replica_set(name: &str) -> Object {
    custom("apps", "v1", "ReplicaSet", "replicasets", "spec.template.spec").named(name)
}

/// A StatefulSet.
pub fn stateful_set(name: &str) -> Object {
    custom("apps", "v1", "StatefulSet", "statefulsets", "spec.template.spec").named(name)
}

/// A DaemonSet.
pub fn daemon_set(name: &str) -> Object {
    custom("apps", "v1", "DaemonSet", "daemonsets", "spec.template.spec").named(name)
}

/// A `ReplicationController`.
pub fn replication_controller(name: &str) -> Object {
    custom("", "v1", "ReplicationController", "replicationcontrollers", "spec.template.spec").named(name)
}

/// A Job.
pub fn job(name: &str) -> Object {
    custom("batch", "v1", "Job", "jobs", "spec.template.spec").named(name)
}

/// A CronJob.
pub fn cron_job(name: &str) -> Object {
    custom("batch", "v1", "CronJob", "cronjobs", "spec.jobTemplate.spec.template.spec").named(name)
}

/// A `PodTemplate`.
pub fn pod_template(name: &str) -> Object {
    custom("", "v1", "PodTemplate", "podtemplates", "template.spec").named(name)
}

/// Any other kind, with its pod spec at a dotted path. It is called `web` in `shop` until it is told otherwise.
pub fn custom(group: &str, version: &str, kind: &str, resource: &str, pod_spec: &str) -> Object {
    let mut metadata = Map::new();
    metadata.insert("namespace".to_owned(), json!("shop"));
    metadata.insert("uid".to_owned(), json!("917c4dc3-4af8-4cc7-b201-7c652f5855eb"));
    metadata.insert("creationTimestamp".to_owned(), json!("2026-11-21T03:10:57Z"));
    let object = Object {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        resource: resource.to_owned(),
        pod_spec: Some(pod_spec.split('.').map(str::to_owned).collect()),
        metadata,
        init: Vec::new(),
        containers: Vec::new(),
        ephemeral: Vec::new(),
        volumes: Vec::new(),
    };
    object.named("web")
}

impl Object {
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.metadata("name", json!(name))
    }

    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.metadata("namespace", json!(namespace))
    }

    #[must_use]
    pub fn label(self, key: &str, value: &str) -> Self {
        self.entry("labels", key, value)
    }

    #[must_use]
    pub fn annotation(self, key: &str, value: &str) -> Self {
        self.entry("annotations", key, value)
    }

    /// Made by a controller of this kind.
    #[must_use]
    pub fn owner(self, kind: &str, name: &str) -> Self {
        let owner = json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": true,
            "uid": "2f0d2a52-54e5-4f0e-8e9a-0c6a8d1d1a11", "blockOwnerDeletion": true});
        self.metadata("ownerReferences", json!([owner]))
    }

    /// On its way out: only finalizers keep it.
    #[must_use]
    pub fn deleting(self) -> Self {
        self.metadata("deletionTimestamp", json!("2026-11-21T04:01:08Z"))
            .metadata("finalizers", json!(["example.com/hold"]))
    }

    #[must_use]
    pub fn init(mut self, name: &str, image: &str) -> Self {
        self.init.push(container(name, image));
        self
    }

    /// An init container that goes on running.
    #[must_use]
    pub fn sidecar(mut self, name: &str, image: &str) -> Self {
        let mut sidecar = container(name, image);
        sidecar["restartPolicy"] = json!("Always");
        self.init.push(sidecar);
        self
    }

    #[must_use]
    pub fn container(mut self, name: &str, image: &str) -> Self {
        self.containers.push(container(name, image));
        self
    }

    #[must_use]
    pub fn ephemeral(mut self, name: &str, image: &str) -> Self {
        let mut ephemeral = container(name, image);
        ephemeral["stdin"] = json!(true);
        ephemeral["tty"] = json!(true);
        self.ephemeral.push(ephemeral);
        self
    }

    #[must_use]
    pub fn image_volume(mut self, name: &str, reference: &str) -> Self {
        self.volumes.push(json!({"name": name, "image": {"reference": reference, "pullPolicy": "IfNotPresent"}}));
        self
    }

    /// The same object with nothing where its pod spec should stand.
    #[must_use]
    pub fn without_pod_spec(mut self) -> Self {
        self.pod_spec = None;
        self
    }

    fn metadata(mut self, key: &str, value: Value) -> Self {
        self.metadata.insert(key.to_owned(), value);
        self
    }

    fn entry(mut self, map: &str, key: &str, value: &str) -> Self {
        self.metadata.entry(map).or_insert_with(|| json!({}))[key] = json!(value);
        self
    }

    /// `{group, version, kind}`, as in `request.kind`.
    pub(crate) fn group_version_kind(&self) -> Value {
        json!({"group": self.group, "version": self.version, "kind": self.kind})
    }

    /// `{group, version, resource}`, as in `request.resource`.
    pub(crate) fn group_version_resource(&self) -> Value {
        json!({"group": self.group, "version": self.version, "resource": self.resource})
    }

    /// The object itself.
    #[must_use]
    pub fn value(&self) -> Value {
        let separator = if self.group.is_empty() { "" } else { "/" };
        let mut metadata = self.metadata.clone();
        metadata.insert("managedFields".to_owned(), self.managed_fields());
        let mut object = json!({
            "kind": self.kind,
            "apiVersion": format!("{}{separator}{}", self.group, self.version),
            "metadata": metadata,
        });
        match &self.pod_spec {
            None => object["spec"] = json!({}),
            Some(path) => {
                let mut place = &mut object;
                for field in path {
                    place = &mut place[field];
                }
                *place = self.pod_spec_value();
            }
        }
        object
    }

    fn pod_spec_value(&self) -> Value {
        let mut pod_spec = json!({
            "containers": self.containers,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        });
        for (field, list) in
            [("initContainers", &self.init), ("ephemeralContainers", &self.ephemeral), ("volumes", &self.volumes)]
        {
            if !list.is_empty() {
                pod_spec[field] = json!(list);
            }
        }
        pod_spec
    }

    /// Noise that names every container and field again, as in every object that an API server sends.
    fn managed_fields(&self) -> Value {
        let mut fields = json!({"f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}});
        for (field, list) in [("f:initContainers", &self.init), ("f:containers", &self.containers)] {
            for entry in list {
                let key = format!("k:{}", json!({"name": entry["name"]}));
                fields[field][key] = json!({".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}});
            }
        }
        json!([{"manager": "kubectl-create", "operation": "Update", "apiVersion": "v1",
            "time": "2026-11-21T03:10:57Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields}}])
    }
}

fn container(name: &str, image: &str) -> Value {
    json!({
        "name": name,
        "image": image,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    })
}
