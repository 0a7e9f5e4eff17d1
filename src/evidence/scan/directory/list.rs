//! Reports one by one, for who wants to see them all and follows nothing: found and read by the code that does it for the
//! index, so that a file is refused here exactly as it is there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::fact::report::{Defect, Report, Unusable};

use super::{file, walk};

/// A file that is asked to be read while it is written to is looked at so often.
const TRIES: usize = 3;

/// The files that a path stands for.
#[derive(Debug)]
pub struct Listed {
    /// The folder, canonical; none for a file that was named itself.
    root: Option<PathBuf>,
    /// In the order of their paths; below a folder with the folder as it was named.
    pub files: Vec<PathBuf>,
    /// What could not be looked at: a clause.
    pub doubt: Option<String>,
}

/// What lies below a path, or the file that it is. The error is a clause. Blocks.
pub fn below(path: &Path) -> Result<Listed, String> {
    let told = |error| walk::unreadable(&error);
    if !fs::metadata(path).map_err(told)?.is_dir() {
        return Ok(Listed { root: None, files: vec![path.to_owned()], doubt: None });
    }
    let root = fs::canonicalize(path).map_err(told)?;
    let mut files = Vec::new();
    let doubts = walk::walk(&root, walk::FILES, |seen| files.push(path.join(seen.path)));
    files.sort();
    Ok(Listed { root: Some(root), files, doubt: doubts.words })
}

impl Listed {
    /// Reads one of the files. Blocks.
    pub fn read(&self, path: &Path) -> Result<Report, Unusable> {
        for _ in 0..TRIES {
            match file::read(self.root.as_deref(), path) {
                file::Outcome::Read { stamp: _, report } => return *report,
                file::Outcome::Changed { stamp: _ } => {}
                file::Outcome::Gone => {
                    return Err(Unusable::new(Defect::Unreadable, "it is gone, or a link that leads nowhere"));
                }
                file::Outcome::Trouble(kind) => {
                    return Err(Unusable::new(Defect::Unreadable, format!("it cannot be read: {kind}")));
                }
            }
        }
        Err(Unusable::new(Defect::Truncated, "it is being written to: wait until it is whole"))
    }
}

/// Reads all that a descriptor brings, be it a pipe. Blocks until that ends.
pub fn read_all(source: &File) -> Result<Report, Unusable> {
    file::read_all(source)
}
