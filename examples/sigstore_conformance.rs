//! The client that the [conformance suite](https://github.com/sigstore/sigstore-conformance) of the Sigstore project asks
//! for, over our own verification. Exit 0: verified. Anything else: not, and the reason stands on stderr.
//!
//! ```text
//! sigstore_conformance verify-bundle --bundle F [--certificate-identity I --certificate-oidc-issuer O | --key K]
//!     [--trusted-root F] FILE|sha256:HEX
//! ```

#![expect(clippy::print_stderr, reason = "the suite's reader")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use pratique::evidence::signature::trust::{PUBLIC, Root, Trust};
use pratique::evidence::signature::{Artifact, Signatory, read_public_key, verify_bundle};
use pratique::image::Digest;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    VerifyBundle {
        #[arg(long)]
        bundle: PathBuf,
        #[arg(long, requires = "certificate_oidc_issuer", required_unless_present = "key", conflicts_with = "key")]
        certificate_identity: Option<String>,
        #[arg(long, requires = "certificate_identity", conflicts_with = "key")]
        certificate_oidc_issuer: Option<String>,
        #[arg(long)]
        key: Option<PathBuf>,
        #[arg(long)]
        trusted_root: Option<PathBuf>,
        /// The staging instance's root is not built in.
        #[arg(long, hide = true)]
        staging: bool,
        /// A file, or the digest of one.
        artifact: String,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("not verified: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    let Command::VerifyBundle {
        bundle,
        certificate_identity,
        certificate_oidc_issuer,
        key,
        trusted_root,
        staging,
        artifact,
    } = command;
    if staging {
        return Err("the staging instance's root is not built in: give it with --trusted-root".to_owned());
    }
    let root = match trusted_root {
        Some(path) => Arc::new(Root::from_json(&text(&path)?)?),
        None => Trust::built_in()?.in_force().by_name.get(PUBLIC).cloned().ok_or("there is no built-in root")?,
    };
    let key = key.map(|path| read_public_key(&text(&path)?)).transpose()?;
    let by = match (&key, &certificate_oidc_issuer, &certificate_identity) {
        (Some(key), None, None) => Signatory::Key(key),
        (None, Some(issuer), Some(subject)) => Signatory::Identity { issuer, subject },
        _ => return Err("give a key, or an identity and its issuer".to_owned()),
    };
    let bundle = bytes(&bundle)?;
    // A digest of an algorithm that cannot be, and no file of that name: the reader of files says so.
    match Digest::parse(&artifact) {
        Ok(digest) if !Path::new(&artifact).exists() => verify_bundle(&bundle, Artifact::Digest(&digest), by, root),
        Ok(_) | Err(_) => verify_bundle(&bundle, Artifact::Bytes(&bytes(Path::new(&artifact))?), by, root),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}
