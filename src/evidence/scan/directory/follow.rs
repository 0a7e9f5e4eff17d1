//! Following: inotify says which files to look at, and now and then everything is looked at for what it does not say (other
//! machines that write to a network file system, queues that overflow, folders that cannot be watched).

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::Directories;
use super::walk::{is_hidden, is_named_as_report};

/// Everything is looked at so often, also where inotify works.
const AROUND: Duration = Duration::from_secs(60);
/// And so often where it does not, or a folder is not there.
const POLL: Duration = Duration::from_secs(5);
/// What is written in many pieces is looked at once.
const PAUSE: Duration = Duration::from_millis(100);
/// Files that changed and were not looked at yet; beyond it everything is looked at.
const QUEUE: usize = 8_192;
/// Looking at everything takes at most one part in so many of the time, however much changes.
const SHARE: u32 = 10;

/// What inotify said since it was last asked.
#[derive(Debug, Default)]
struct Pending {
    files: HashSet<PathBuf>,
    everything: bool,
}

#[derive(Debug, Default)]
struct Heard {
    pending: Mutex<Pending>,
    wake: Notify,
}

/// The watch of one root.
struct Watched {
    /// Where it was, without links; of a file its folder without links, and its name.
    place: PathBuf,
    /// Which folder that was.
    identity: (u64, u64),
    /// It is a file, and its folder is watched.
    file: bool,
    /// Watches while it lives.
    _watcher: RecommendedWatcher,
}

pub(super) async fn follow(directories: Arc<Directories>) {
    let heard = Arc::new(Heard::default());
    let mut watches: Vec<Option<Watched>> = directories.roots.iter().map(|_| None).collect();
    loop {
        // Before looking: what changes while it is looked at is heard.
        watches = watch_all(&directories, watches, &heard).await;
        let started = Instant::now();
        directories.look_around(false).await;
        let took = started.elapsed();
        let heard_of = watches.iter().all(Option::is_some) && directories.is_undoubted();
        let next = Instant::now() + if heard_of { AROUND } else { POLL }.max(took * SHARE);
        listen(&directories, &heard, &watches, next, Instant::now() + took * SHARE).await;
    }
}

/// Looks at what is heard of, until everything is to be looked at: at `next`, or when that is asked for, not before
/// `earliest`.
async fn listen(
    directories: &Arc<Directories>,
    heard: &Heard,
    watches: &[Option<Watched>],
    next: Instant,
    earliest: Instant,
) {
    let mut settles = directories.settle().await;
    loop {
        let settled = settles.map(|at| Instant::now() + at.duration_since(SystemTime::now()).unwrap_or_default());
        let until = settled.map_or(next, |settled| settled.min(next));
        let woken = tokio::time::timeout_at(until.into(), heard.wake.notified()).await.is_ok();
        if Instant::now() >= next {
            return;
        }
        if woken {
            tokio::time::sleep(PAUSE).await;
            let Pending { files, everything } =
                std::mem::take(&mut *heard.pending.lock().unwrap_or_else(PoisonError::into_inner));
            let files = files.iter().flat_map(|path| below(watches, path)).collect::<Vec<_>>();
            let links = directories.index().has_links();
            let all = everything || links || !files.is_empty() && directories.look_at(files, None).await;
            if all {
                tokio::time::sleep_until(earliest.into()).await;
                return;
            }
        }
        settles = directories.settle().await;
    }
}

/// The roots that a path is of, and what it is called below each.
fn below(watches: &[Option<Watched>], path: &Path) -> Vec<(u16, PathBuf)> {
    let own = |watched: &Watched| {
        if watched.file {
            return (path == watched.place).then(PathBuf::new);
        }
        path.strip_prefix(&watched.place).ok().filter(|path| !is_hidden(path)).map(Path::to_owned)
    };
    let found =
        |(root, watched): (usize, &Option<Watched>)| Some((u16::try_from(root).ok()?, watched.as_ref().and_then(own)?));
    watches.iter().enumerate().filter_map(found).collect()
}

/// Watches every root that is not watched yet, or is another one now.
async fn watch_all(
    directories: &Arc<Directories>,
    before: Vec<Option<Watched>>,
    heard: &Arc<Heard>,
) -> Vec<Option<Watched>> {
    let (roots, heard) = (directories.roots.clone(), Arc::clone(heard));
    let watch = move || {
        let one = |(root, watched): (&PathBuf, Option<Watched>)| match watched.filter(|its| its.is_still(root)) {
            Some(watched) => Ok(watched),
            None => Watched::new(root, &heard),
        };
        roots.iter().zip(before).map(one).collect::<Vec<_>>()
    };
    let Ok(watched) = tokio::task::spawn_blocking(watch).await else {
        directories
            .tell(|told| told.watch = Some("a fault inside Pratique, see its log: folders are polled".to_owned()));
        return directories.roots.iter().map(|_| None).collect();
    };
    let failed =
        watched.iter().zip(&directories.roots).find_map(|(watched, root)| Some((watched.as_ref().err()?, root)));
    let words = failed.map(|(words, root)| {
        format!("{} is looked at every {} seconds, since {words}", super::shown(root), POLL.as_secs())
    });
    directories.tell(|told| told.watch = words);
    watched.into_iter().map(Result::ok).collect()
}

impl Watched {
    fn new(root: &Path, heard: &Arc<Heard>) -> Result<Self, &'static str> {
        let (place, identity, file) = Self::found(root).ok_or("it is not there")?;
        let own = if file { place.clone() } else { PathBuf::new() };
        let heard = Arc::clone(heard);
        let hear = move |event: notify::Result<Event>| heard.hear(event, &own);
        // A link in a folder may lead anywhere, and what is there is not ours to watch.
        let config = Config::default().with_follow_symlinks(false);
        let mut watcher =
            RecommendedWatcher::new(hear, config).map_err(|_| "the system has no more inotify instances for us")?;
        let (path, mode) = if file {
            (place.parent().unwrap_or(&place), RecursiveMode::NonRecursive)
        } else {
            (place.as_path(), RecursiveMode::Recursive)
        };
        watcher.watch(path, mode).map_err(|error| match error.kind {
            notify::ErrorKind::MaxFilesWatch => {
                "it has more folders than may be watched: raise fs.inotify.max_user_watches"
            }
            notify::ErrorKind::PathNotFound
            | notify::ErrorKind::Generic(_)
            | notify::ErrorKind::Io(_)
            | notify::ErrorKind::WatchNotFound
            | notify::ErrorKind::InvalidConfig(_) => "a folder of it cannot be watched",
        })?;
        Ok(Self { place, identity, file, _watcher: watcher })
    }

    /// Whether the path still leads to what is watched.
    fn is_still(&self, root: &Path) -> bool {
        let Self { place, identity, file, _watcher: _ } = self;
        Self::found(root).is_some_and(|found| found == (place.clone(), *identity, *file))
    }

    /// Where a root is, which folder is to be watched for it, and whether it is a file: a file is replaced as a matter of
    /// course, its folder stays.
    fn found(root: &Path) -> Option<(PathBuf, (u64, u64), bool)> {
        let file = !fs::metadata(root).ok()?.is_dir();
        let place = match (file, root.parent(), root.file_name()) {
            (true, Some(folder), Some(name)) => {
                let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                fs::canonicalize(here).ok()?.join(name)
            }
            (true | false, _, _) => fs::canonicalize(root).ok()?,
        };
        let folder = fs::metadata(if file { place.parent()? } else { &place }).ok()?;
        Some((place, (folder.dev(), folder.ino()), file))
    }
}

impl Heard {
    /// `own`: the one file that matters; empty: all below the folder.
    fn hear(&self, event: notify::Result<Event>, own: &Path) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(event) if event.need_rescan() => pending.everything = true,
            Ok(Event { kind, paths, .. }) => {
                for path in paths {
                    if !own.as_os_str().is_empty() {
                        // The kubelet replaces what a mounted file is a link to.
                        pending.everything |=
                            may_change(kind) && path.file_name().is_some_and(|it| is_hidden(Path::new(it)));
                        if may_change(kind) && path == own {
                            pending.files.insert(path);
                        }
                        continue;
                    }
                    match matters(kind, &path) {
                        Matters::Not => {}
                        Matters::File => drop(pending.files.insert(path)),
                        Matters::Everything => pending.everything = true,
                    }
                }
            }
            Err(_) => pending.everything = true,
        }
        if pending.files.len() > QUEUE {
            pending.everything = true;
        }
        if pending.everything {
            pending.files.clear();
        }
        let wake = pending.everything || !pending.files.is_empty();
        drop(pending);
        if wake {
            self.wake.notify_one();
        }
    }
}

/// What an event asks for.
#[derive(Debug, PartialEq, Eq)]
enum Matters {
    Not,
    File,
    Everything,
}

/// Our own reading is heard too.
fn may_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}

fn matters(kind: EventKind, path: &Path) -> Matters {
    if !may_change(kind) {
        return Matters::Not;
    }
    let folder = match kind {
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => true,
        // What has another name than a report may be a folder, or a link to one; most are drafts of one file.
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)) => {
            fs::symlink_metadata(path).map_or(!has_ending(path), |metadata| metadata.is_dir() || metadata.is_symlink())
        }
        EventKind::Any | EventKind::Access(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => false,
    };
    match (folder, is_named_as_report(path)) {
        (true, _) => Matters::Everything,
        (false, true) => Matters::File,
        (false, false) => Matters::Not,
    }
}

/// A name that is gone and has an ending, or a dot before it, was a file.
fn has_ending(path: &Path) -> bool {
    path.extension().is_some() || path.file_name().is_some_and(|name| is_hidden(Path::new(name)))
}
