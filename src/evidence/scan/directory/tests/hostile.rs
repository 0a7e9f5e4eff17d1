//! Files that are made to do harm: each is told as what it is, and the others are read.

use std::os::unix::net::UnixListener;

use super::*;

/// What is counted of a folder in which there is one good report beside `hostile`.
async fn beside(folder: &Directory, hostile: &str) {
    folder.write("good.json", &trivy(1, NOON));
    let (directories, registry) = over(vec![folder.path().to_owned()]);
    Arc::clone(&directories).fill().await;
    assert_eq!(asked(&directories, 1).await.0, 1);
    assert_eq!((metric(&registry, "usable"), metric(&registry, hostile)), (1.0, 1.0), "{hostile}");
}

#[tokio::test]
async fn a_file_of_two_gigabytes_is_beyond_bounds() {
    let folder = Directory::new();
    fs::File::create(folder.path().join("large.json")).unwrap().set_len(2 << 30).unwrap();
    beside(&folder, "beyond-bounds").await;
}

#[tokio::test]
async fn deep_json_is_malformed_where_it_is_read_and_truncated_where_it_does_not_end() {
    let deep = "[".repeat(1 << 20);
    let folder = Directory::new();
    folder.write("deep.json", &format!("{{\"SchemaVersion\": 2, \"Results\": {deep}{}}}", "]".repeat(1 << 20)));
    beside(&folder, "malformed").await;
    folder.write("deep.json", &format!("{{\"SchemaVersion\": 2, \"Results\": {deep}"));
    beside(&folder, "truncated").await;
}

#[tokio::test]
async fn a_report_in_which_a_field_stands_twice_is_malformed() {
    let folder = Directory::new();
    let text = trivy(2, NOON);
    folder.write("outer.json", &text.replacen('{', "{\"Results\":[],", 1));
    beside(&folder, "malformed").await;
    folder.remove("outer.json");
    folder.write("inner.json", &text.replace("\"Severity\":", "\"Severity\":\"LOW\",\"Severity\":"));
    beside(&folder, "malformed").await;
    let directories = filled(&folder).await;
    assert_eq!(asked(&directories, 2).await.0, 0);
}

#[tokio::test]
async fn nul_bytes_are_malformed() {
    let folder = Directory::new();
    folder.write("nul.json", &"\0".repeat(4_096));
    beside(&folder, "malformed").await;
}

#[tokio::test]
async fn a_pipe_is_not_opened() {
    let folder = Directory::new();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe.json")).status().unwrap();
    assert!(made.success());
    beside(&folder, "unreadable").await;
}

#[tokio::test]
async fn a_socket_is_not_opened() {
    let folder = Directory::new();
    let _listener = UnixListener::bind(folder.path().join("socket.json")).unwrap();
    beside(&folder, "unreadable").await;
}

#[tokio::test]
async fn a_device_is_not_opened_through_a_link() {
    let folder = Directory::new();
    symlink("/dev/zero", folder.path().join("zero.json")).unwrap();
    beside(&folder, "unreadable").await;
}

#[tokio::test]
async fn a_link_out_of_the_folder_is_not_followed() {
    let (folder, outside) = (Directory::new(), Directory::new());
    outside.write("secret.json", &trivy(2, NOON));
    symlink(outside.path().join("secret.json"), folder.path().join("link.json")).unwrap();
    beside(&folder, "unreadable").await;
    let directories = filled(&folder).await;
    assert_eq!(asked(&directories, 2).await, (0, vec![]));
}

#[tokio::test]
async fn a_link_to_a_folder_outside_is_not_followed_and_said() {
    let (folder, outside) = (Directory::new(), Directory::new());
    outside.write("a.json", &trivy(2, NOON));
    symlink(outside.path(), folder.path().join("link")).unwrap();
    let directories = filled(&folder).await;
    assert_eq!(asked(&directories, 2).await, (0, vec![]));
    assert!(
        directories
            .progress()
            .trouble
            .unwrap()
            .ends_with("a link to a folder outside of it is not followed: name that folder itself")
    );
}

#[tokio::test]
async fn links_in_a_circle_are_walked_once() {
    let folder = Directory::new();
    folder.write_in("team", "a.json", "");
    symlink("..", folder.path().join("team/up")).unwrap();
    symlink("loop.json", folder.path().join("loop.json")).unwrap();
    beside(&folder, "unreadable").await;
    assert_eq!(filled(&folder).await.progress().seen, 3);
}

#[tokio::test]
async fn a_linked_folder_below_the_root_is_followed() {
    let folder = Directory::new();
    folder.write_in(".worktree", "a.json", &trivy(1, NOON));
    symlink(".worktree", folder.path().join("current")).unwrap();
    assert_eq!(asked(&*filled(&folder).await, 1).await, (1, vec![]));
}

#[tokio::test]
async fn folders_that_are_too_deep_are_doubt() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    folder.write_in(&vec!["d"; 33].join("/"), "deep.json", &trivy(2, NOON));
    let directories = filled(&folder).await;
    assert_eq!(asked(&directories, 1).await, (1, vec![]));
    let Fact::Unavailable(trouble) = directories.about(&manifest(2)).await else { panic!() };
    assert!(trouble.words.ends_with("folders below it are more than 32 deep, and are not looked at)"), "{trouble:?}");
    fs::rename(folder.path().join("d/d"), folder.path().join("e")).unwrap();
    directories.look_around(false).await;
    assert_eq!(asked(&directories, 2).await, (1, vec![]));
}

#[test]
fn more_files_than_are_looked_at_are_doubt() {
    let folder = Directory::new();
    (0..3).for_each(|number| folder.write(&format!("{number}.json"), ""));
    let walked = |left| {
        let mut met = 0;
        let doubts = walk::walk(&fs::canonicalize(folder.path()).unwrap(), left, |_| met += 1);
        (met, doubts.incomplete, doubts.words)
    };
    assert_eq!(walked(3), (3, false, None));
    let words = "there are more than 200000 files, and the others are not looked at";
    assert_eq!(walked(2), (2, true, Some(words.to_owned())));
}

#[tokio::test]
async fn a_file_that_grows_while_it_is_read_is_read_again() {
    use std::io::Write;
    let folder = Directory::new();
    let path = folder.path().join("grows.json");
    fs::write(&path, "").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (stop, path) = (Arc::clone(&stop), path.clone());
        move || {
            let mut file = fs::File::options().append(true).open(path).unwrap();
            while !stop.load(Ordering::Relaxed) && file.metadata().unwrap().len() < 64 << 20 {
                file.write_all(&[b' '; 4_096]).unwrap();
            }
        }
    });
    folder.write("good.json", &trivy(1, NOON));
    let (directories, _) = over(vec![folder.path().to_owned()]);
    for _ in 0..5 {
        directories.look_around(false).await;
        assert_eq!(asked(&directories, 1).await, (1, vec![]));
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    fs::write(&path, trivy(2, NOON)).unwrap();
    directories.look_around(false).await;
    assert_eq!(asked(&directories, 2).await, (1, vec![]));
}
