//! What a container is told: arguments and environment, with the paths that it mounts rewritten to those of its folder.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};
use kube::Client;
use serde_json::Value;

use super::volumes;

/// Where clients of the API server look for their token.
pub(super) const TOKEN_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Paths that a container mounts stand for those below a folder of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Rewriting {
    root: PathBuf,
    mounted: Vec<String>,
}

impl Rewriting {
    pub(super) fn new(root: &Path, containers: &[Container]) -> Self {
        let mounts = containers.iter().flat_map(|container| container.volume_mounts.iter().flatten());
        let mut mounted: Vec<String> = mounts.map(|mount| mount.mount_path.clone()).collect();
        // The longest that fits is meant.
        mounted.sort_by_key(|path| std::cmp::Reverse(path.len()));
        Self { root: root.to_owned(), mounted }
    }

    /// Where a path of the container is.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A text with every path of the container that is mounted, or below one that is, in place.
    pub(super) fn apply(&self, text: &str) -> String {
        let in_name = |character: char| character.is_alphanumeric() || matches!(character, '.' | '_' | '-');
        let (mut written, mut rest, mut before) = (String::new(), text, None::<char>);
        while let Some(character) = rest.chars().next() {
            let fits = |path: &&String| {
                rest.strip_prefix(path.as_str()).is_some_and(|after| !after.chars().next().is_some_and(in_name))
            };
            let starts = character == '/' && !before.is_some_and(|before| in_name(before) || before == '/');
            if let Some(path) = self.mounted.iter().filter(|_| starts).find(fits) {
                written += &self.place(path).display().to_string();
                rest = &rest[path.len()..];
                before = path.chars().last();
            } else {
                written.push(character);
                rest = &rest[character.len_utf8()..];
                before = Some(character);
            }
        }
        written
    }
}

/// The arguments of the program: those of `command` but its first, which names it, and `args`.
pub(super) fn arguments(container: &Container, environment: &[(String, String)], paths: &Rewriting) -> Vec<String> {
    let command = container.command.iter().flatten().skip(1);
    let all = command.chain(container.args.iter().flatten());
    all.map(|argument| paths.apply(&expanded(argument, environment))).collect()
}

/// `$(NAME)` is the value of a variable, where there is one.
fn expanded(text: &str, environment: &[(String, String)]) -> String {
    environment.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

/// The variables that a Pod gives, or why they cannot be had.
pub(super) async fn environment(
    client: &Client,
    pod: &Pod,
    ip: &str,
    container: &Container,
    paths: &Rewriting,
) -> Result<Vec<(String, String)>, String> {
    let mut all = vec![("HOSTNAME".to_owned(), pod.metadata.name.clone().unwrap_or_default())];
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(client, pod, ip, variable).await? {
            let value = paths.apply(&expanded(&value, &all));
            all.push((variable.name.clone(), value));
        }
    }
    Ok(all)
}

/// None: it is optional and not there.
async fn value(client: &Client, pod: &Pod, ip: &str, variable: &EnvVar) -> Result<Option<String>, String> {
    let Some(source) = &variable.value_from else { return Ok(Some(variable.value.clone().unwrap_or_default())) };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(field) = &source.field_ref {
        return self::field(pod, ip, &field.field_path).map(Some);
    }
    let (found, key, optional) = if let Some(wanted) = &source.config_map_key_ref {
        (volumes::config_map(client, namespace, &wanted.name).await?, &wanted.key, wanted.optional)
    } else if let Some(wanted) = &source.secret_key_ref {
        (volumes::secret(client, namespace, &wanted.name).await?, &wanted.key, wanted.optional)
    } else {
        return Err(format!("the variable {} has a source that is not known here", variable.name));
    };
    match found.and_then(|mut data| data.remove(key)) {
        Some(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        None if optional == Some(true) => Ok(None),
        None => Err(format!("there is no {key} for the variable {}", variable.name)),
    }
}

/// What the downward API says of a field of the Pod.
pub(super) fn field(pod: &Pod, ip: &str, path: &str) -> Result<String, String> {
    match path {
        "status.podIP" | "status.podIPs" => return Ok(ip.to_owned()),
        "status.hostIP" | "status.hostIPs" => return Ok("127.0.0.1".to_owned()),
        _ => {}
    }
    let object = serde_json::to_value(pod).map_err(|error| error.to_string())?;
    let found = match path.split_once("['").and_then(|(map, key)| Some((map, key.strip_suffix("']")?))) {
        Some((map, key)) => object.pointer(&format!("/{}", map.replace('.', "/"))).and_then(|map| map.get(key)),
        None => object.pointer(&format!("/{}", path.replace('.', "/"))),
    };
    Ok(found.and_then(Value::as_str).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths() -> Rewriting {
        let container = json!({"name": "c", "volumeMounts": [{"name": "a", "mountPath": "/etc/web"},
            {"name": "b", "mountPath": "/etc/web/inner"}, {"name": "c", "mountPath": "/certs"}]});
        Rewriting::new(Path::new("/certs/of/etc/web"), &[serde_json::from_value(container).unwrap()])
    }

    #[test]
    fn mounted_paths_are_rewritten_wherever_they_begin_and_nothing_else_is() {
        let root = "/certs/of/etc/web";
        assert_eq!(paths().apply("--config=/etc/web/a.yaml"), format!("--config={root}/etc/web/a.yaml"));
        assert_eq!(paths().apply("/etc/web/inner"), format!("{root}/etc/web/inner"));
        assert_eq!(paths().apply("/certs:/etc/web"), format!("{root}/certs:{root}/etc/web"));
        for other in ["/etc/website", "https://host/certs/a", "/var/etc/web", "certs", "/etc"] {
            assert_eq!(paths().apply(other), other);
        }
    }

    #[test]
    fn fields_of_a_pod_are_told_as_the_downward_api_does() {
        let pod = json!({"metadata": {"name": "web-1", "labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"nodeName": "node-1", "containers": []}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let told = |path| field(&pod, "10.244.0.1", path).unwrap();
        assert_eq!(told("metadata.name"), "web-1");
        assert_eq!(told("metadata.labels['app.kubernetes.io/name']"), "web");
        assert_eq!(told("spec.nodeName"), "node-1");
        assert_eq!(told("status.podIP"), "10.244.0.1");
    }
}
