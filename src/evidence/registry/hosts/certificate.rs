//! Certificates beside `hosts.toml`: authorities and client pairs in PEM, each checked when it is read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The system's own bundle of authorities has 0.2 MB.
const MOST_BYTES: u64 = 1 << 20;
/// Files in a folder of docker's layout: nobody has more than a few.
const MOST_FILES: usize = 256;

/// A chain, and the key of its first certificate.
pub(super) type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// All of a file, if it is no larger than that.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let open = || {
        let mut contents = Vec::new();
        File::open(path)?.take(most + 1).read_to_end(&mut contents)?;
        Ok(contents)
    };
    let contents = open().map_err(|error: io::Error| format!("{} cannot be read: {error}", path.display()))?;
    if u64::try_from(contents.len()).is_ok_and(|length| length <= most) {
        Ok(contents)
    } else {
        Err(format!("{} has more than {most} bytes, which no file of this kind needs", path.display()))
    }
}

/// The certificates of authorities: one at least.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = chain(path, &read(path, MOST_BYTES)?)?;
    for certificate in &found {
        let usable = RootCertStore::empty().add(certificate.clone());
        usable.map_err(|_| format!("{} holds a certificate that cannot be read", path.display()))?;
    }
    Ok(found)
}

/// A certificate with its key, which may be in the same file.
pub(super) fn pair(certificate: &Path, key: Option<&Path>) -> Result<Pair, String> {
    let first = read(certificate, MOST_BYTES)?;
    let chain = chain(certificate, &first)?;
    let (path, contents) = match key {
        Some(key) => (key, read(key, MOST_BYTES)?),
        None => (certificate, first),
    };
    let key = PrivateKeyDer::from_pem_slice(&contents).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            format!("{} holds no private key in PEM that is not encrypted", path.display())
        } else {
            format!("the private key in {} cannot be read", path.display())
        }
    })?;
    let checked = CertifiedKey::from_der(chain.clone(), key.clone_key(), &aws_lc_rs::default_provider());
    checked.map_err(|error| {
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            format!("the private key in {} is not that of the certificate in {}", path.display(), certificate.display())
        } else {
            format!("the private key in {} cannot be used", path.display())
        }
    })?;
    Ok((chain, key))
}

fn chain(path: &Path, contents: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(contents).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|_| format!("{} is damaged: it is no PEM", path.display()))?;
    if found.is_empty() {
        return Err(format!("{} holds no certificate in PEM", path.display()));
    }
    Ok(found)
}

/// The files of a folder as docker lays it out: `*.crt` are authorities, `*.cert` and `*.key` client pairs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DockerFiles {
    pub(super) authorities: Vec<PathBuf>,
    pub(super) pairs: Vec<(PathBuf, Option<PathBuf>)>,
}

impl DockerFiles {
    /// In the order of their names, as Go lists a folder.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, String> {
        let unreadable = |error: io::Error| format!("{} cannot be read: {error}", folder.display());
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
            if paths.len() > MOST_FILES {
                return Err(format!("{} holds more than {MOST_FILES} files", folder.display()));
            }
        }
        paths.sort();
        let mut files = Self::default();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => files.authorities.push(path),
                Some("cert") => {
                    let key = path.with_extension("key");
                    files.pairs.push((path, key.exists().then_some(key)));
                }
                _ => {}
            }
        }
        Ok(files)
    }
}
