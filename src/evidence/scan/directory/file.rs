//! One file -> a report: opened so that nothing can hang, read and unpacked within bounds.
//!
//! What the name and the metadata say is a hint at most: the opened descriptor is asked what it is, bytes are counted as
//! they come, and packed ones (gzip, RFC 1952; zstd, RFC 8878) are known by their first bytes.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use flate2::bufread::GzDecoder;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::super::format;
use super::walk::Stamp;
use crate::fact::report::{Defect, Report, Unusable};

/// What a file may have, packed or not, before it has to wait until no other large one is being read: with two readers
/// 40 MB of bytes are held at most.
const SMALL: usize = 4 << 20;
/// Members of a gzip file, or frames of a zstd one: `bgzip` makes one of each 64 KB. Empty ones cost time and have no bytes.
const PARTS: usize = 4_096;

/// What became of reading a file.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All of it, as it was at that moment.
    Read {
        stamp: Stamp,
        report: Box<Result<Report, Unusable>>,
    },
    /// It was written to meanwhile.
    Changed {
        stamp: Stamp,
    },
    Gone,
    /// The system could not read it, which may pass.
    Trouble(ErrorKind),
}

/// Why there are no bytes.
enum Failure {
    Unusable(Unusable),
    /// It has more than this reader may hold.
    Over,
    Gone,
    Trouble(ErrorKind),
}

/// One large file at a time, in the whole process.
static LARGE: Mutex<()> = Mutex::new(());

/// Reads a file of a root. One below it must not lead out of it, and where the root cannot be looked at nothing is read.
/// Blocks.
pub(super) fn read_of(root: &Path, below: bool, path: &Path) -> Outcome {
    match below.then(|| fs::canonicalize(root)).transpose() {
        Ok(canonical) => read(canonical.as_deref(), path),
        Err(error) if error.kind() == ErrorKind::NotFound => Outcome::Gone,
        Err(error) => Outcome::Trouble(error.kind()),
    }
}

/// Reads a file that must be below `root` (already canonical; none: wherever it is). Blocks.
pub(super) fn read(root: Option<&Path>, path: &Path) -> Outcome {
    let (stamp, read) = match read_within(root, path, SMALL) {
        (stamp, Err(Failure::Over)) if stamp.is_some() => {
            let _alone = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
            read_within(root, path, format::BYTES)
        }
        other => other,
    };
    let report = match read {
        Ok(report) => report,
        Err(Failure::Unusable(unusable)) => Err(unusable),
        Err(Failure::Over) => Err(beyond_bounds()),
        Err(Failure::Gone) => return Outcome::Gone,
        Err(Failure::Trouble(kind)) => return Outcome::Trouble(kind),
    };
    // Nothing is known of what could not even be opened: what the folder says of it stands for it.
    let (before, after) = stamp.unwrap_or_else(|| {
        let found = Stamp::at(path);
        (found, found)
    });
    if before != after {
        return Outcome::Changed { stamp: after };
    }
    Outcome::Read { stamp: after, report: Box::new(report) }
}

/// Reads all that a descriptor brings, be it a pipe. Blocks until that ends.
pub(super) fn read_all(source: &File) -> Result<Report, Unusable> {
    match bytes(source, format::BYTES) {
        Ok(bytes) => guarded(|| format::read(&bytes)),
        Err(Failure::Unusable(unusable)) => Err(unusable),
        Err(Failure::Over) => Err(beyond_bounds()),
        Err(Failure::Gone) => Err(Unusable::new(Defect::Unreadable, "it is gone")),
        Err(Failure::Trouble(kind)) => Err(Unusable::new(Defect::Unreadable, format!("it cannot be read: {kind}"))),
    }
}

/// The stamps before and after, and the report.
fn read_within(
    root: Option<&Path>,
    path: &Path,
    limit: usize,
) -> (Option<(Stamp, Stamp)>, Result<Result<Report, Unusable>, Failure>) {
    let file = match open(root, path) {
        Ok(file) => file,
        Err(failure) => return (None, Err(failure)),
    };
    let before = Stamp::of(&file);
    let bytes = bytes(&file, limit);
    let after = Stamp::of(&file);
    // The bytes are gone before another reader may have as many.
    (Some((before, after)), bytes.map(|bytes| guarded(|| format::read(&bytes))))
}

/// A fault in what reads one report must not end the reading of all others.
fn guarded(read: impl FnOnce() -> Result<Report, Unusable>) -> Result<Report, Unusable> {
    let fault = |_| Err(Unusable::new(Defect::Malformed, "a fault inside Pratique while reading it, see its log"));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(fault)
}

fn beyond_bounds() -> Unusable {
    let words = format!("it has more than {} MiB, which is more than is read", format::BYTES >> 20);
    Unusable::new(Defect::BeyondBounds, words)
}

fn unreadable(words: &str) -> Failure {
    Failure::Unusable(Unusable::new(Defect::Unreadable, words))
}

/// Never waits: what is no regular file is not opened, and one that was put there since is opened without blocking and
/// then not read.
fn open(root: Option<&Path>, path: &Path) -> Result<File, Failure> {
    let canonical = fs::canonicalize(path).map_err(|error| failed(&error))?;
    if root.is_some_and(|root| !canonical.starts_with(root)) {
        return Err(unreadable("it is a link that leads out of the folder: put the file itself there"));
    }
    let no_file = || unreadable("it is no regular file");
    if !fs::symlink_metadata(&canonical).map_err(|error| failed(&error))?.is_file() {
        return Err(no_file());
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&canonical, flags, Mode::empty()).map_err(|error| failed(&error.into()))?;
    let file = File::from(opened);
    if !file.metadata().map_err(|error| failed(&error))?.is_file() {
        return Err(no_file());
    }
    Ok(file)
}

fn failed(error: &io::Error) -> Failure {
    let kind = error.kind();
    // Links in a circle, and a folder that became a file, are how it is; all else may pass.
    let astray = kind == ErrorKind::NotADirectory || Errno::from_io_error(error) == Some(Errno::LOOP);
    if kind == ErrorKind::NotFound {
        Failure::Gone
    } else if kind == ErrorKind::PermissionDenied {
        unreadable("the permission to read it is lacking")
    } else if astray {
        unreadable("it is a link that leads nowhere")
    } else {
        Failure::Trouble(kind)
    }
}

/// All bytes, unpacked.
fn bytes(file: &File, limit: usize) -> Result<Vec<u8>, Failure> {
    let stored = limited(file, limit, Vec::new()).map_err(|error| match error {
        Unpacked::Over => Failure::Over,
        Unpacked::Broken(error) => failed(&error),
        Unpacked::TooManyParts => Failure::Unusable(beyond_bounds()),
    })?;
    let unpacked = match stored.as_slice() {
        [0x1f, 0x8b, ..] => guarded_unpacking(|| gzip(&stored, limit)),
        // Frames, and those that are to be skipped.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            guarded_unpacking(|| zstd(&stored, limit))
        }
        _ => return Ok(stored),
    };
    unpacked.map_err(|error| match error {
        Unpacked::Over => Failure::Over,
        Unpacked::TooManyParts => {
            let words = "it is packed in more parts than are unpacked: pack it as one";
            Failure::Unusable(Unusable::new(Defect::BeyondBounds, words))
        }
        Unpacked::Broken(error) if error.kind() == ErrorKind::UnexpectedEof => {
            let words = "it is packed, and ends in the middle: still being written, or cut off";
            Failure::Unusable(Unusable::new(Defect::Truncated, words))
        }
        Unpacked::Broken(_) => {
            Failure::Unusable(Unusable::new(Defect::Malformed, "it is packed, and cannot be unpacked: write it anew"))
        }
    })
}

/// Why something could not be unpacked.
enum Unpacked {
    Over,
    TooManyParts,
    Broken(io::Error),
}

fn guarded_unpacking(unpack: impl FnOnce() -> Result<Vec<u8>, Unpacked>) -> Result<Vec<u8>, Unpacked> {
    catch_unwind(AssertUnwindSafe(unpack)).unwrap_or_else(|_| Err(Unpacked::Broken(io::Error::other("a fault"))))
}

/// Adds what `from` still has, unless there is more than `limit` in all.
fn limited(from: impl Read, limit: usize, mut bytes: Vec<u8>) -> Result<Vec<u8>, Unpacked> {
    let left = limit.saturating_sub(bytes.len()).saturating_add(1);
    let left = u64::try_from(left).unwrap_or(u64::MAX);
    from.take(left).read_to_end(&mut bytes).map_err(Unpacked::Broken)?;
    if bytes.len() > limit { Err(Unpacked::Over) } else { Ok(bytes) }
}

fn gzip(mut packed: &[u8], limit: usize) -> Result<Vec<u8>, Unpacked> {
    let mut bytes = Vec::new();
    for _ in 0..PARTS {
        if packed.is_empty() {
            return Ok(bytes);
        }
        let mut member = GzDecoder::new(packed);
        bytes = limited(&mut member, limit, bytes)?;
        packed = member.into_inner();
    }
    Err(Unpacked::TooManyParts)
}

fn zstd(mut packed: &[u8], limit: usize) -> Result<Vec<u8>, Unpacked> {
    let mut bytes = Vec::new();
    let mut decoder = FrameDecoder::new();
    // It is allocated at once. No report that is read needs a larger one.
    decoder.set_max_window_size(u64::try_from(limit).unwrap_or(u64::MAX));
    for _ in 0..PARTS {
        if packed.is_empty() {
            return Ok(bytes);
        }
        match StreamingDecoder::new_with_decoder(&mut packed, &mut decoder) {
            Ok(frame) => {
                bytes = limited(frame, limit, bytes).map_err(|error| match error {
                    // The decoder words it otherwise; it wanted more than there was.
                    Unpacked::Broken(_) if packed.is_empty() => Unpacked::Broken(ErrorKind::UnexpectedEof.into()),
                    error @ (Unpacked::Over | Unpacked::TooManyParts | Unpacked::Broken(_)) => error,
                })?;
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let skipped = usize::try_from(length).unwrap_or(usize::MAX);
                packed = packed.get(skipped..).ok_or_else(|| Unpacked::Broken(ErrorKind::UnexpectedEof.into()))?;
            }
            Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(Unpacked::Over),
            Err(_) => {
                let kind = if packed.is_empty() { ErrorKind::UnexpectedEof } else { ErrorKind::InvalidData };
                return Err(Unpacked::Broken(kind.into()));
            }
        }
    }
    Err(Unpacked::TooManyParts)
}
