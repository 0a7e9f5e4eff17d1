//! The settings file as it is written. Every field is optional: what is not written has its default.

use std::time::Duration;

use crate::policy::Controllers;
use crate::policy::document::reader::{NonEmpty, Placed, Table, Text, schema, words};
use crate::policy::document::scalar::Size;

use super::{LogFormat, LogLevel, PullSecrets};

schema! {
    /// The whole file.
    Settings {
        /// Where admission reviews are answered, over HTTPS.
        optional listen "listen": Text,
        /// Where health and metrics are told, over HTTP.
        optional admin "admin": Text,
        optional tls "tls": Placed<Tls>,
        optional defaults "defaults": Defaults,
        /// The policy that is enforced everywhere, on top. `null`: none.
        optional floor "floor": Option<Text>,
        /// Namespaces where nothing is judged.
        optional exempt_namespaces "exemptNamespaces": Vec<Text>,
        /// What the nodes are when there are none to ask. `null`: whatever an image has.
        optional platforms "platforms": Placed<Option<NonEmpty<Vec<Text>>>>,
        /// Every refusal of the program becomes an audit record.
        optional dry_run "dryRun": bool,
        /// What is done with objects that make Pods.
        optional controllers "controllers": Controllers,
        /// Further kinds that make Pods.
        optional workloads "workloads": Vec<Placed<Workload>>,
        optional registries "registries": Registries,
        /// Trusted roots by name, beside the built-in `public`.
        optional trust "trust": Vec<Root>,
        /// Whether roots are looked for anew in the background, in TUF repositories.
        optional trust_refresh "trustRefresh": bool,
        optional scans "scans": Scans,
        optional cache "cache": Cache,
        optional cluster "cluster": Cluster,
        optional log "log": Log,
    }
}

schema! {
    /// `tls`; files are watched.
    Tls {
        /// PEM. `null`, as `key`: a certificate is made at the start.
        optional certificate "certificate": Option<Text>,
        optional key "key": Option<Text>,
        /// Only callers with a certificate of this authority may ask for reviews. `null`: everybody may.
        optional client_ca "clientCA": Option<Text>,
        /// And only those of these names.
        optional client_names "clientNames": Placed<Vec<Text>>,
    }
}

schema! {
    /// `cluster`: of the cluster that we run in.
    Cluster {
        /// Whether Pods are watched, as the record of what runs.
        optional pods "pods": bool,
        /// The Service by which the API server calls us.
        optional service "service": Text,
        /// Our `ValidatingWebhookConfiguration`.
        optional webhook_configuration "webhookConfiguration": Text,
    }
}

schema! {
    /// `defaults`: the policy of namespaces without a label, per mode. `null`: none.
    Defaults {
        optional enforce "enforce": Option<Text>,
        optional warn "warn": Option<Text>,
        optional audit "audit": Option<Text>,
    }
}

schema! {
    /// `workloads[]`.
    Workload {
        required group "group": Text,
        required kind "kind": Text,
        /// The path of the pod spec: `spec.template.spec`.
        required pod_spec "podSpec": Text,
    }
}

schema! {
    /// `registries`.
    Registries {
        /// The folder of containerd's `hosts.toml` files.
        optional hosts "hosts": Placed<Option<Text>>,
        /// A Docker configuration with credentials.
        optional docker_config "dockerConfig": Placed<Option<Text>>,
        /// The kubelet's plugins.
        optional credential_providers "credentialProviders": Placed<Option<CredentialProviders>>,
        /// Whose pull secrets are used.
        optional pull_secrets "pullSecrets": Placed<PullSecrets>,
        /// Hosts of token services beyond the registry's own domain, by registry.
        optional realms "realms": Placed<Table<Text>>,
        /// Requests at once to one registry.
        optional concurrency "concurrency": Placed<u32>,
    }
}

schema! {
    /// `registries.credentialProviders`.
    CredentialProviders {
        /// A `CredentialProviderConfig`.
        required config "config": Text,
        /// The folder of the plugins.
        required binaries "binaries": Text,
    }
}

schema! {
    /// `trust[]`.
    Root {
        required name "name": Text,
        /// A `trusted_root.json`.
        required trusted_root "trustedRoot": Text,
        /// Where later ones come from.
        optional tuf "tuf": Tuf,
    }
}

schema! {
    /// `trust[].tuf`.
    Tuf {
        /// The repository.
        required url "url": Text,
        /// A `root.json` of TUF: whose word counts there.
        required root "root": Text,
    }
}

schema! {
    /// `scans`.
    Scans {
        /// Folders of scan reports, watched.
        optional directories "directories": Placed<Vec<Text>>,
        /// Namespaces whose `VulnerabilityReport`s count.
        optional namespaces "namespaces": Placed<Vec<Text>>,
    }
}

schema! {
    /// `cache`.
    Cache {
        /// What facts may take up, in bytes.
        optional memory "memory": Placed<Size>,
        /// How long an answer is used while its source is out.
        optional last_known_good "lastKnownGood": Placed<Duration>,
        /// A folder where what is known survives a restart. `null`: nowhere.
        optional state "state": Placed<Option<Text>>,
        /// The key that seals it: without one nothing that admits is read back.
        optional seal_key "sealKey": Placed<Option<Text>>,
    }
}

schema! {
    /// `log`.
    Log {
        optional level "level": LogLevel,
        optional format "format": LogFormat,
    }
}

words! {
    Controllers {
        "warn" => Controllers::Warn,
        "enforce" => Controllers::Enforce,
        "ignore" => Controllers::Ignore,
    }
}
words! { PullSecrets { "none" => PullSecrets::None, "named" => PullSecrets::Named, "all" => PullSecrets::All, } }
words! {
    LogLevel {
        "trace" => LogLevel::Trace,
        "debug" => LogLevel::Debug,
        "info" => LogLevel::Info,
        "warn" => LogLevel::Warn,
        "error" => LogLevel::Error,
    }
}
words! { LogFormat { "json" => LogFormat::Json, "text" => LogFormat::Text, } }
