//! What is asked of cosign and of Pratique about one image, and what each of them says.

use pratique_testkit::Directory;
use pratique_testkit::real::run_in;
use serde_json::{Value, json};

use crate::PRATIQUE;
use crate::scene::{How, Scene, Who};

/// One question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) what: What,
    pub(crate) who: Who,
    pub(crate) how: How,
    /// The trusted root.
    pub(crate) root: &'static str,
    /// Required in the payload.
    pub(crate) annotation: Option<(&'static str, &'static str)>,
    /// Signatures are kept in a repository of their own.
    pub(crate) apart: bool,
    /// What cosign is told that the signature was hashed with.
    pub(crate) hash: Option<&'static str>,
    /// The repository of the workflow that the certificate must name.
    pub(crate) workflow: Option<&'static str>,
    /// What of an index must be signed.
    pub(crate) signed: &'static str,
    /// The docker-reference in the payload must name the repository, of which cosign knows nothing.
    pub(crate) identity: bool,
    /// Who must have built it, as SLSA's provenance v1 says it.
    pub(crate) builder: Option<&'static str>,
    /// Whether a log must prove it; none: where it was written with one.
    pub(crate) logged: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Signature,
    /// Of cosign's name for a type of predicate.
    Attestation(&'static str),
}

/// What Pratique says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// With the layout of what counted.
    Admitted(&'static str),
    /// With the only reason.
    Refused(&'static str),
    Undetermined(&'static str),
}

impl Ask {
    pub(crate) fn signature(who: Who, how: How) -> Self {
        Self {
            what: What::Signature,
            who,
            how,
            root: "root.json",
            annotation: None,
            apart: false,
            hash: None,
            workflow: None,
            signed: "either",
            identity: false,
            builder: None,
            logged: None,
        }
    }

    pub(crate) fn attestation(kind: &'static str, who: Who, how: How) -> Self {
        Self { what: What::Attestation(kind), ..Self::signature(who, how) }
    }

    fn is_logged(self) -> bool {
        self.logged.unwrap_or(self.how.is_logged())
    }

    /// Whether cosign says that it is so, and its last line.
    pub(crate) fn cosign(self, scene: &Scene<'_>) -> (bool, String) {
        let world = scene.world;
        let mut flags = self.how.verifying(world, self.root);
        if self.logged == Some(true) {
            flags.retain(|flag| flag != "--insecure-ignore-tlog");
        }
        match self.who {
            Who::Key(key) => flags.push(format!("--key={}", world.key_file(key, "pub"))),
            Who::Mail(_) | Who::Namesake(_) | Who::Workflow(_) => {
                let (issuer, subject) = identity(scene, self.who);
                flags.push(format!("--certificate-oidc-issuer={issuer}"));
                flags.push(format!("--certificate-identity={subject}"));
            }
        }
        flags.extend(self.hash.map(|hash| format!("--signature-digest-algorithm={hash}")));
        flags.extend(self.workflow.map(|name| format!("--certificate-github-workflow-repository={name}")));
        flags.extend(self.annotation.map(|(key, value)| format!("--annotations={key}={value}")));
        let command = match self.what {
            What::Signature => "verify",
            What::Attestation(kind) => {
                flags.push(format!("--type={kind}"));
                flags.extend(self.builder.map(|builder| format!("--policy={}", policy_file(scene, builder))));
                "verify-attestation"
            }
        };
        flags.push(scene.image());
        let apart = format!("COSIGN_REPOSITORY={}", scene.signatures());
        let mut settings = self.how.settings().to_vec();
        if self.apart {
            settings.push(&apart);
        }
        let outcome = world.cosign.run(&settings, &[command], &flags);
        let last = outcome.stderr.lines().last().unwrap_or_default().to_owned();
        (outcome.code == Some(0), last)
    }

    /// What Pratique says of the image, by digest and by tag.
    pub(crate) fn pratique(self, scene: &Scene<'_>) -> (Said, Value) {
        let (files, manifests) = (Directory::new(), Directory::new());
        let roots = json!([{"name": "private", "trustedRoot": scene.world.sigstore.file(self.root)}]);
        let platforms = json!(["linux/amd64", "linux/arm64"]);
        files.write("settings.yaml", &json!({"trust": roots, "platforms": platforms}).to_string());
        manifests.policy("real", &self.policy(scene).to_string());
        let (settings, folder) = (files.file("settings.yaml"), manifests.path().display().to_string());
        let mut command = vec![PRATIQUE, "check", "-o", "json", "--config", &settings, "--manifests", &folder];
        let names = [scene.image(), format!("{}:v1", scene.repository)];
        command.extend(["--policy", "real", &names[0], &names[1]]);
        let outcome = run_in(&[], &command);
        assert!(outcome.stdout.starts_with('{'), "{outcome:?}");
        let json = outcome.json();
        let [by_digest, by_tag] = [0, 1].map(|number| json["objects"][number]["images"][0].clone());
        let said = said(&by_digest);
        assert_eq!(said, self::said(&by_tag), "{by_digest:#}\n{by_tag:#}");
        (said, by_digest)
    }

    fn policy(self, scene: &Scene<'_>) -> Value {
        let mut authority = json!({"name": "it", "log": if self.is_logged() { "required" } else { "optional" }});
        match self.who {
            Who::Key(key) => authority["keys"] = json!([{"pem": scene.world.public_key(key)}]),
            Who::Mail(_) | Who::Namesake(_) | Who::Workflow(_) => {
                let (issuer, subject) = identity(scene, self.who);
                authority["keyless"] = json!({"issuer": issuer, "subject": subject});
                if let Some(repository) = self.workflow {
                    authority["keyless"]["extensions"] = json!({"githubWorkflowRepository": repository});
                }
            }
        }
        if self.is_logged() || !matches!(self.who, Who::Key(_)) {
            authority["trust"] = json!("private");
        }
        let mut rule = json!({"name": "all", "images": ["**"]});
        match self.what {
            What::Signature => {
                rule["signatures"] = json!({"authorities": ["it"], "signed": self.signed});
                if let Some((key, value)) = self.annotation {
                    rule["signatures"]["annotations"] = json!({key: value});
                }
                if self.identity {
                    rule["signatures"]["identity"] = json!("required");
                }
                if self.apart {
                    rule["signatures"]["repository"] = json!(scene.signatures());
                }
            }
            What::Attestation(kind) => {
                rule["attestations"] = json!([{"predicateType": predicate_type(kind), "authorities": ["it"]}]);
                if let Some(builder) = self.builder {
                    rule["attestations"][0]["where"] = json!([{"path": "runDetails.builder.id", "equals": builder}]);
                }
            }
        }
        json!({"rules": [rule], "authorities": [authority]})
    }
}

/// The same condition for cosign, in CUE.
fn policy_file(scene: &Scene<'_>, builder: &str) -> String {
    let name = format!("{}.cue", scene.row());
    scene.world.cosign.write(&name, &format!("predicate: runDetails: builder: id: {builder:?}\n"));
    scene.world.cosign.file(&name)
}

/// Issuer and subject.
fn identity(scene: &Scene<'_>, who: Who) -> (String, String) {
    let issuers = &scene.world.sigstore.issuers;
    match who {
        Who::Mail(address) => (issuers.mail(), address.to_owned()),
        Who::Namesake(address) => (issuers.workflows(), address.to_owned()),
        Who::Workflow(repository) => {
            let workflow = format!("https://github.com/{repository}/.github/workflows/release.yaml@refs/tags/v1");
            (issuers.workflows(), workflow)
        }
        Who::Key(key) => panic!("{key} is a key and nobody's identity"),
    }
}

fn predicate_type(kind: &str) -> &str {
    match kind {
        "slsaprovenance1" => "https://slsa.dev/provenance/v1",
        "slsaprovenance02" => "https://slsa.dev/provenance/v0.2",
        "spdxjson" => "https://spdx.dev/Document",
        "cyclonedx" => "https://cyclonedx.org/bom",
        "vuln" => "https://cosign.sigstore.dev/attestation/vuln/v1",
        "openvex" => "https://openvex.dev/ns",
        "custom" => "https://cosign.sigstore.dev/attestation/v1",
        uri => uri,
    }
}

/// As the table has it: the layout that counted, or the reasons.
fn said(image: &Value) -> Said {
    let reasons: Vec<&str> =
        image["denials"].as_array().into_iter().flatten().filter_map(|d| d["reason"].as_str()).collect();
    // The table's words live as long as the tests do.
    let reasons: &'static str = reasons.join("+").leak();
    match image["verdict"].as_str() {
        Some("admitted") => {
            let signatures = image["signatures"].as_array().into_iter().flatten();
            let mut accepted = signatures.filter(|signature| signature["accepted"] == true);
            let layout = accepted.next().and_then(|signature| signature["layout"].as_str()).unwrap_or("none");
            Said::Admitted(layout.to_owned().leak())
        }
        Some("refused") => Said::Refused(reasons),
        Some("undetermined") => Said::Undetermined(reasons),
        other => panic!("no verdict but {other:?}: {image:#}"),
    }
}
