//! One file of a report, or all below a folder: found, opened, unpacked and read within bounds.
//!
//! Promises: never more than [`BYTES`] unpacked in memory, whatever a file or a pipe brings; never the beginning of a report
//! for all of it; nothing outside of the folder that was named; no waiting for a pipe that merely lies in a folder. What is
//! packed is told by its first bytes, as a report is by its fields.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use crate::fact::report::{Defect, Report, Unusable};

use super::format::{self, BYTES};

/// Folders in folders beyond this are a mistake, or a trap.
const DEPTH: usize = 32;
/// Files below one folder: ten times what a large cluster has.
const FILES: usize = 1_000_000;
/// How the files of reports end, below a folder.
const ENDINGS: [&str; 3] = [".json", ".json.gz", ".json.zst"];
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTANDARD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The files that a path stands for, in the order of their paths: itself, or what ends like a report below a folder. Names
/// that begin with a dot are passed over, as the kubelet's own in a mounted ConfigMap are. The error is a clause.
pub fn below(path: &Path) -> Result<Vec<PathBuf>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    collect(path, DEPTH, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let deeper = depth.checked_sub(1).ok_or_else(|| format!("has folders in folders more than {DEPTH} levels deep"))?;
    let entries = std::fs::read_dir(folder).map_err(|error| format!("a folder of it cannot be listed: {error}"))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("a folder of it cannot be listed: {error}"))?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        // A link is not followed to a folder: within the folder that one is seen anyway.
        if name.starts_with(b".") {
            continue;
        }
        if entry.file_type().is_ok_and(|its| its.is_dir()) {
            collect(&entry.path(), deeper, found)?;
        } else if ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes())) {
            if found.len() == FILES {
                return Err(format!("has more than {FILES} files: name a folder of reports"));
            }
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Reads a file that was named; a pipe (`<(trivy image ...)`) is one too.
pub fn read(path: &Path) -> Result<Report, Unusable> {
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    read_from(file)
}

/// Reads a file below the folder that was named: a file, and not one elsewhere.
pub fn read_below(folder: &Path, path: &Path) -> Result<Report, Unusable> {
    let (folder, target) = (std::fs::canonicalize(folder), std::fs::canonicalize(path));
    let (folder, target) = (folder.map_err(|error| unreadable(&error))?, target.map_err(|error| unreadable(&error))?);
    if !target.starts_with(&folder) {
        let words = "it is a link to a file outside of the folder: put the file itself there";
        return Err(Unusable::new(Defect::Unreadable, words));
    }
    // Before it is opened: to open a pipe is to wait for it.
    if !std::fs::metadata(&target).is_ok_and(|its| its.is_file()) {
        return Err(Unusable::new(Defect::Unreadable, "it is no file, but a folder, a pipe or a device"));
    }
    read(&target)
}

/// Reads all that there is.
pub fn read_from(source: impl Read) -> Result<Report, Unusable> {
    let packed = bounded(source)?;
    if packed.starts_with(&GZIP) {
        return format::read(&bounded(MultiGzDecoder::new(&*packed))?);
    }
    if packed.starts_with(&ZSTANDARD) {
        return format::read(&frames(&packed)?);
    }
    format::read(&packed)
}

/// Every frame, one after the other.
fn frames(packed: &[u8]) -> Result<Vec<u8>, Unusable> {
    let mut unpacked = Vec::new();
    let mut rest = packed;
    while !rest.is_empty() {
        let decoder = StreamingDecoder::new(&mut rest);
        let decoder = decoder.map_err(|_error| damaged())?;
        let left = BYTES.saturating_sub(unpacked.len());
        unpacked.extend(within(decoder, left)?);
    }
    Ok(unpacked)
}

fn bounded(source: impl Read) -> Result<Vec<u8>, Unusable> {
    within(source, BYTES)
}

fn within(source: impl Read, limit: usize) -> Result<Vec<u8>, Unusable> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source.take(most).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() > limit {
        let words = format!("it has more than {BYTES} bytes unpacked, and no more are read: scan fewer things at once");
        return Err(Unusable::new(Defect::BeyondBounds, words));
    }
    Ok(bytes)
}

fn damaged() -> Unusable {
    Unusable::new(Defect::Malformed, "it is packed, and cannot be unpacked: pack it again")
}

fn unreadable(error: &io::Error) -> Unusable {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    let kind = error.kind();
    if kind == UnexpectedEof {
        return Unusable::new(Defect::Truncated, "it is packed, and ends in the middle: pack it again");
    }
    if [InvalidData, InvalidInput, Other].contains(&kind) {
        return damaged();
    }
    Unusable::new(Defect::Unreadable, format!("it cannot be read: {error}"))
}
