//! What lies below a folder: names and metadata, no file is opened.
//!
//! Names that begin with a dot are passed over, as the kubelet's `..data` in a mounted ConfigMap is, and so are files of
//! other endings. A link is followed while it stays below the folder; a folder that is reached twice, by links or by
//! mounts, is walked once. What could not be looked at is told, and is not taken for what is not there.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files of one process. Each costs some 350 bytes, as `benches/scans.rs` measures; 100,000 are promised.
pub(super) const FILES: usize = 200_000;
/// Folders in folders; sorted by registry, repository and digest they are six deep.
const DEPTH: usize = 32;
/// Folders below one path: a walk of them keeps one open, and remembers each.
const FOLDERS: usize = 50_000;

/// What tells two states of a file apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(file: &File) -> Self {
        file.metadata().as_ref().map(Self::from).unwrap_or_default()
    }

    /// Of what a name leads to, else of the name.
    pub(super) fn at(path: &Path) -> Self {
        let metadata = fs::metadata(path).or_else(|_| fs::symlink_metadata(path));
        metadata.as_ref().map(Self::from).unwrap_or_default()
    }

    /// When it was written last, as the file system says.
    pub(super) fn modified(&self) -> SystemTime {
        moment(self.modified)
    }

    /// The same where that can be true: anybody may date a file ahead, and what is half-written would stay young for ever.
    pub(super) fn written(&self) -> SystemTime {
        moment(self.modified).min(moment(self.changed))
    }
}

fn moment((seconds, nanoseconds): (i64, i64)) -> SystemTime {
    let (seconds, nanoseconds) =
        (u64::try_from(seconds).unwrap_or_default(), u32::try_from(nanoseconds).unwrap_or_default());
    let since = std::time::Duration::new(seconds, nanoseconds);
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A file of a report, or what has the name of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Below the root; empty for a root that is a file.
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    /// Whether it is a link: then what it leads to changes without it.
    pub(super) link: bool,
}

/// What one name is.
#[derive(Debug)]
pub(super) enum Named {
    Report(Seen),
    Folder,
    Other,
}

/// What a walk could not look at.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Below the root; what was known below one of them stays known.
    pub(super) folders: Vec<PathBuf>,
    /// What is wrong, for an operator: the first that was met.
    pub(super) words: Option<String>,
    /// Something that may be a report was not looked at.
    pub(super) incomplete: bool,
}

impl Doubts {
    fn add(&mut self, folder: &Path, words: String) {
        self.folders.push(folder.to_owned());
        self.incomplete = true;
        self.words.get_or_insert(words);
    }
}

/// Whether files of this name are reports.
pub(super) fn is_named_as_report(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let ends = |ending: &&[u8]| name.ends_with(ending);
    !name.starts_with(b".") && [b".json".as_slice(), b".json.gz", b".json.zst"].iter().any(ends)
}

/// Whether any part of a path begins with a dot.
pub(super) fn is_hidden(path: &Path) -> bool {
    path.iter().any(|part| part.as_bytes().starts_with(b"."))
}

/// What `path` below `root` is by its name and metadata.
pub(super) fn look(root: &Path, path: PathBuf, metadata: &Metadata) -> Named {
    let kind = metadata.file_type();
    let (link, report) = (kind.is_symlink(), is_named_as_report(&path));
    if kind.is_dir() || link && fs::metadata(root.join(&path)).is_ok_and(|target| target.is_dir()) {
        Named::Folder
    } else if report {
        // That it is no file, or leads out of the root, is found again when it is to be read.
        let stamp = if link { Stamp::at(&root.join(&path)) } else { Stamp::from(metadata) };
        Named::Report(Seen { path, stamp, link })
    } else {
        Named::Other
    }
}

/// Calls `found` with everything below a canonical folder, `left` files at most.
pub(super) fn walk(root: &Path, left: usize, mut found: impl FnMut(Seen)) -> Doubts {
    let mut walk = Walk { root, left, doubts: Doubts::default(), visited: HashSet::new(), linked: VecDeque::new() };
    let mut open = vec![(PathBuf::new(), 0)];
    // Folders themselves before links to them: which of two ways is taken does not hang on their order.
    while let Some((folder, depth)) = open.pop().or_else(|| walk.linked.pop_front()) {
        if walk.left == 0 && walk.doubts.incomplete {
            break;
        }
        walk.folder(&folder, depth, &mut open, &mut found);
    }
    walk.doubts
}

struct Walk<'a> {
    root: &'a Path,
    left: usize,
    doubts: Doubts,
    /// By device and inode.
    visited: HashSet<(u64, u64)>,
    linked: VecDeque<(PathBuf, usize)>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, depth: usize, open: &mut Vec<(PathBuf, usize)>, found: &mut impl FnMut(Seen)) {
        if depth > DEPTH {
            self.doubts.add(folder, format!("folders below it are more than {DEPTH} deep, and are not looked at"));
            return;
        }
        let listed = match self.enter(folder) {
            Ok(true) => fs::read_dir(self.root.join(folder)),
            Ok(false) => return,
            Err(error) => Err(error),
        };
        let entries = match listed {
            Ok(entries) => entries,
            // It was there a moment ago, and is deleted.
            Err(error) if error.kind() == ErrorKind::NotFound && depth > 0 => return,
            Err(error) => return self.doubts.add(folder, unreadable(&error)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.doubts.add(folder, unreadable(&error)),
            };
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            // Most other files need not be asked about.
            let Ok(kind) = entry.file_type() else { continue };
            let path = folder.join(&name);
            if !kind.is_dir() && !kind.is_symlink() && !is_named_as_report(&path) {
                continue;
            }
            match entry.metadata().map(|metadata| look(self.root, path.clone(), &metadata)) {
                Ok(Named::Report(seen)) if self.left > 0 => {
                    self.left -= 1;
                    found(seen);
                }
                Ok(Named::Report(_)) => {
                    let words = format!("there are more than {FILES} files, and the others are not looked at");
                    return self.doubts.add(Path::new(""), words);
                }
                Ok(Named::Folder) if kind.is_symlink() => self.linked.push_back((path, depth + 1)),
                Ok(Named::Folder) => open.push((path, depth + 1)),
                Ok(Named::Other) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => self.doubts.add(&path, unreadable(&error)),
            }
        }
    }

    /// Whether a folder is to be walked: not one that was, and not one outside of the root.
    fn enter(&mut self, folder: &Path) -> io::Result<bool> {
        let path = self.root.join(folder);
        let canonical = fs::canonicalize(&path)?;
        if !canonical.starts_with(self.root) {
            let words = "a link to a folder outside of it is not followed: name that folder itself";
            self.doubts.words.get_or_insert_with(|| words.to_owned());
            return Ok(false);
        }
        let metadata = fs::metadata(&canonical)?;
        if self.visited.len() >= FOLDERS {
            self.doubts.add(folder, format!("it has more than {FOLDERS} folders, and the others are not looked at"));
            return Ok(false);
        }
        Ok(self.visited.insert((metadata.dev(), metadata.ino())))
    }
}

/// In our own words: a path stands before it.
pub(super) fn unreadable(error: &io::Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        "it is not there: create it, or correct the path".to_owned()
    } else if kind == ErrorKind::PermissionDenied {
        "the permission to read a folder of it is lacking".to_owned()
    } else {
        format!("a folder of it cannot be read: {kind}")
    }
}
