//! What is typed on the command line. Every flag of `serve` can also be set as `PRATIQUE_...`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::BoolishValueParser;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

/// `0.1.0 (1a72a1d)`: the revision is what whoever built the program said it is, in `PRATIQUE_REVISION`. Nothing asks git,
/// because in an unpacked archive git answers for the folder around it, or not at all.
static VERSION: LazyLock<String> = LazyLock::new(|| version_of(option_env!("PRATIQUE_REVISION").unwrap_or_default()));

fn version_of(revision: &str) -> String {
    match revision {
        "" => env!("CARGO_PKG_VERSION").to_owned(),
        revision => format!("{} ({revision})", env!("CARGO_PKG_VERSION")),
    }
}

/// Decides which container images may run in a Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(name = "pratique", version = VERSION.as_str(), arg_required_else_help = true, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Serve(Serve),
    Check(Check),
    Lint(Lint),
    Scans(Scans),
    Status(Status),
}

/// What everything that judges reads.
#[derive(Debug, Args)]
pub struct Sources {
    /// The settings file (YAML).
    #[arg(long, value_name = "FILE", env = "PRATIQUE_CONFIG")]
    pub config: Option<PathBuf>,
    /// A file or folder of Kubernetes objects that stand for what the cluster holds: ImagePolicy, Namespace, pull secrets
    /// with the service accounts that name them, and the vulnerability reports of trivy-operator.
    /// Can be given several times; in the variable, separate with ":".
    #[arg(long, value_name = "PATH", env = "PRATIQUE_MANIFESTS", value_delimiter = ':')]
    pub manifests: Vec<PathBuf>,
    /// A file or folder of scan reports (Trivy, Grype, and what wraps theirs), for policies that demand them; beside
    /// those of the settings file. "pratique scans" shows what they say.
    /// Can be given several times; in the variable, separate with ":".
    #[arg(long, value_name = "PATH", env = "PRATIQUE_SCANS", value_delimiter = ':')]
    pub scans: Vec<PathBuf>,
}

/// Answer AdmissionReviews over HTTPS.
///
/// Examples: pratique serve --manifests policies/ --tls-cert tls.crt --tls-key tls.key
///           pratique serve --config pratique.yaml --kubeconfig ~/.kube/config
///
/// In a cluster, or with --kubeconfig, it watches the API server for what --manifests would hold, and keeps its own
/// certificate in a Secret. With --manifests it is alone, wherever it runs: without a certificate it makes its own and
/// prints the caBundle to use.
/// Files that it was given are read again when they change: policies and pull secrets among the manifests, scan reports,
/// certificates and what registries need. What is invalid then is reported and not put in force.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Serve {
    #[command(flatten)]
    pub sources: Sources,
    /// A kubeconfig: how to reach the API server of the cluster, where that is not the one this runs in. Not together with
    /// --manifests.
    #[arg(long, value_name = "FILE", env = "PRATIQUE_KUBECONFIG", conflicts_with = "manifests")]
    pub kubeconfig: Option<PathBuf>,
    /// Where to answer the API server, HTTPS [default: 0.0.0.0:8443]
    #[arg(long, value_name = "ADDRESS", env = "PRATIQUE_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Where to answer /healthz, /readyz and /metrics, HTTP [default: 0.0.0.0:9090]
    #[arg(long, value_name = "ADDRESS", env = "PRATIQUE_ADMIN")]
    pub admin: Option<SocketAddr>,
    /// The certificate chain, PEM, with --tls-key.
    #[arg(long, value_name = "FILE", env = "PRATIQUE_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    #[arg(long, value_name = "FILE", env = "PRATIQUE_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Refuse nothing: every refusal becomes an audit record. "=false" refuses, whatever the settings file says.
    #[arg(long, env = "PRATIQUE_DRY_RUN", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub dry_run: Option<bool>,
}

/// Judge images before they reach a cluster, with the engine that judges them there.
///
/// Examples: pratique check --policy restricted --scans reports/ -f deploy/
///           pratique check --manifests cluster/ -n shop nginx:1.29 ghcr.io/acme/shop:v2
///
/// Registries are asked what tags stand for; a policy may depend on the answer, and on scan reports.
///
/// For a code-scanning page: pratique check --policy restricted -o sarif -f deploy/ > pratique.sarif
/// It shows what is written in files (-f) alone, and wants their paths relative to the repository: run it there.
///
/// Exit status: 0 admitted, 1 refused, 2 no answer (undetermined, unreadable input, wrong usage).
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, group = ArgGroup::new("what").required(true).args(["filename", "images"]))]
pub struct Check {
    #[command(flatten)]
    pub sources: Sources,
    /// Judge by this policy alone, whatever labels and defaults say.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// The namespace of objects that name none, and of bare images [default: default, and none for bare images]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t = CheckOutput::Text)]
    pub output: CheckOutput,
    /// Files or folders of Kubernetes objects, YAML or JSON; "-" is standard input.
    #[arg(short, long, value_name = "PATH", num_args = 1..)]
    pub filename: Vec<PathBuf>,
    /// Images as a pod would name them.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
}

/// Check policies, settings and the files that they name, and list every mistake with its place.
///
/// Example: pratique lint --config pratique.yaml --manifests policies/
///
/// Exit status: 0 nothing wrong (there may be warnings), 1 mistakes, 2 wrong usage.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Lint {
    /// The settings file (YAML).
    #[arg(long, value_name = "FILE", env = "PRATIQUE_CONFIG")]
    pub config: Option<PathBuf>,
    /// A file or folder of Kubernetes objects that stand for what the cluster holds: ImagePolicy, Namespace, pull secrets
    /// with the service accounts that name them, and the vulnerability reports of trivy-operator.
    /// Can be given several times; in the variable, separate with ":".
    #[arg(long, value_name = "PATH", env = "PRATIQUE_MANIFESTS", value_delimiter = ':')]
    pub manifests: Vec<PathBuf>,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// What scan reports say, one line each, the worst first; nothing is judged.
///
/// Examples: pratique scans reports/
///           trivy image --format json nginx:1.29 | pratique scans -
///
/// Reads the JSON of Trivy, Grype, trivy-operator and Harbor, and the predicates that wrap it, whatever the files are
/// called; below folders those that end in .json, .json.gz and .json.zst.
///
/// Exit status: 0 all can be used, 1 some cannot, 2 wrong usage, a path that does not exist, or no report at all.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Scans {
    /// Files or folders of scan reports; "-" is standard input.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Ask the API server and the webhook whether everything is as it should be; nothing is changed.
///
/// Examples: pratique status
///           kubectl -n pratique-system port-forward service/pratique 8443:443
///           pratique status --connect-to 127.0.0.1:8443 -o json
///
/// Looks at the webhook configuration, the replicas, the certificate and the answers of the webhook,
/// policies, the labels of namespaces, and the lease. Two reviews of Pods called pratique-status are
/// sent to the webhook: dry runs, which are counted and logged there like all others. Where the Service
/// cannot be reached from here, that part is left out, and it is said how to reach it.
///
/// Exit status: 0 nothing wrong (there may be warnings), 1 something is wrong, 2 cannot tell (no API
/// server, no right to look, wrong usage).
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Status {
    /// How to reach the API server [default: what `KUBECONFIG` names, ~/.kube/config, or the cluster that this runs in]
    #[arg(long, value_name = "FILE", env = "PRATIQUE_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// The settings file that is in use in the cluster [default: read from there, by the Deployment pratique]
    #[arg(long, value_name = "FILE", env = "PRATIQUE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where Pratique is installed [default: `POD_NAMESPACE`, or pratique-system]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The webhook configuration [default: that of the settings, or pratique]
    #[arg(long, value_name = "NAME")]
    pub webhook_configuration: Option<String>,
    /// Connect there in place of the Service, such as to a port-forward; certificates are checked all the same.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub connect_to: Option<String>,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

fn host_and_port(text: &str) -> Result<String, &'static str> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(text.to_owned()),
        Some(_) | None => Err("name a host and a port, such as 127.0.0.1:8443"),
    }
}

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

/// How `check` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckOutput {
    Text,
    Json,
    /// SARIF 2.1.0, for code-scanning pages.
    Sarif,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_tells_the_revision_where_it_is_known() {
        assert_eq!(version_of("abcdef0"), concat!(env!("CARGO_PKG_VERSION"), " (abcdef0)"));
        assert_eq!(version_of(""), env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn one_flag_takes_several_files_and_images_stand_alone() {
        let check = |words: &[&str]| match Arguments::try_parse_from(["pratique", "check"].iter().chain(words)) {
            Ok(Arguments { command: Command::Check(check) }) => Some((check.filename.len(), check.images.len())),
            Ok(_) | Err(_) => None,
        };
        assert_eq!(check(&["-f", "a.yaml", "b.yaml", "-f", "c.yaml", "-n", "shop"]), Some((3, 0)));
        assert_eq!(check(&["--policy", "baseline", "nginx", "redis:7"]), Some((0, 2)));
        assert_eq!(check(&["nginx", "-f", "a.yaml"]), None);
        assert_eq!(check(&[]), None);
    }

    #[test]
    fn scan_reports_are_for_what_judges_and_sarif_for_check_alone() {
        let scans = |words: &[&str]| match Arguments::try_parse_from(["pratique"].iter().chain(words)) {
            Ok(Arguments {
                command: Command::Check(Check { sources, .. }) | Command::Serve(Serve { sources, .. }),
            }) => Some(sources.scans.len()),
            Ok(_) | Err(_) => None,
        };
        assert_eq!(scans(&["check", "--scans", "a:b", "--scans", "c.json", "-o", "sarif", "nginx"]), Some(3));
        assert_eq!(scans(&["serve", "--scans", "a"]), Some(1));
        let parses = |words: &[&str]| Arguments::try_parse_from(["pratique"].iter().chain(words)).is_ok();
        assert!(parses(&["lint", "--manifests", "a"]) && !parses(&["lint", "--scans", "a"]));
        assert!(parses(&["lint", "-o", "json"]) && !parses(&["lint", "-o", "sarif"]));
        assert!(parses(&["scans", "a", "-", "-o", "json"]) && !parses(&["scans", "a", "-o", "sarif"]));
        assert!(!parses(&["scans"]));
    }

    #[test]
    fn a_place_to_connect_to_is_a_host_and_a_port() {
        let parses = |to: &str| Arguments::try_parse_from(["pratique", "status", "--connect-to", to]).is_ok();
        for to in ["127.0.0.1:8443", "localhost:1", "[::1]:8443"] {
            assert!(parses(to), "{to}");
        }
        for to in ["127.0.0.1", ":8443", "localhost:0", "localhost:65536", "localhost:https", ""] {
            assert!(!parses(to), "{to}");
        }
    }
}
