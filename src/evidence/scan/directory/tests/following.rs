//! What changes while somebody follows it.

use super::*;

struct Followed {
    directories: Arc<Directories>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(paths: Vec<PathBuf>) -> Followed {
    let (directories, _) = over(paths);
    let task = tokio::spawn(Arc::clone(&directories).follow());
    eventually("the index is complete", async || directories.progress().complete).await;
    Followed { directories, task }
}

impl Followed {
    async fn finds(&self, of: u64, expected: usize) {
        eventually("that many reports are found", async || asked(&self.directories, of).await.0 == expected).await;
    }
}

#[tokio::test]
async fn new_renamed_replaced_and_deleted_files_are_seen() {
    let folder = Directory::new();
    let followed = follow(vec![folder.path().to_owned()]).await;
    folder.write("a.json", &trivy(1, NOON));
    followed.finds(1, 1).await;
    fs::rename(folder.path().join("a.json"), folder.path().join("b.json")).unwrap();
    folder.write("b.json", &trivy(2, NOON));
    followed.finds(2, 1).await;
    followed.finds(1, 0).await;
    folder.remove("b.json");
    followed.finds(2, 0).await;
}

#[tokio::test]
async fn new_folders_and_those_moved_in_and_out_are_seen() {
    let (folder, outside) = (Directory::new(), Directory::new());
    let followed = follow(vec![folder.path().to_owned()]).await;
    outside.write_in("team", "a.json", &trivy(1, NOON));
    fs::rename(outside.path().join("team"), folder.path().join("team")).unwrap();
    followed.finds(1, 1).await;
    folder.write_in("team/sub", "b.json", &trivy(2, NOON));
    followed.finds(2, 1).await;
    fs::rename(folder.path().join("team"), outside.path().join("team")).unwrap();
    followed.finds(1, 0).await;
    followed.finds(2, 0).await;
}

#[tokio::test]
async fn a_config_map_that_is_updated_is_seen_as_a_folder_and_as_a_file() {
    let folder = Directory::new();
    folder.write_in("..1", "report.json", &trivy(1, NOON));
    symlink("..1", folder.path().join("..data")).unwrap();
    symlink("..data/report.json", folder.path().join("report.json")).unwrap();
    let followed = follow(vec![folder.path().to_owned()]).await;
    let of_file = follow(vec![folder.path().join("report.json")]).await;
    followed.finds(1, 1).await;
    of_file.finds(1, 1).await;
    folder.write_in("..2", "report.json", &trivy(2, NOON));
    symlink("..2", folder.path().join("..data_tmp")).unwrap();
    fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    fs::remove_dir_all(folder.path().join("..1")).unwrap();
    for followed in [&followed, &of_file] {
        followed.finds(2, 1).await;
        followed.finds(1, 0).await;
    }
}

#[tokio::test]
async fn a_folder_that_comes_later_is_found() {
    let folder = Directory::new();
    let scans = folder.path().join("scans");
    let followed = follow(vec![scans.clone()]).await;
    assert!(followed.directories.progress().trouble.unwrap().contains("it is not there"));
    folder.write_in("scans", "a.json", &trivy(1, NOON));
    eventually("the folder is looked at", async || followed.directories.progress().trouble.is_none()).await;
    followed.finds(1, 1).await;
}

#[tokio::test]
async fn asking_while_a_file_is_rewritten_in_small_pieces_always_finds_a_report() {
    use std::io::Write;
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let followed = follow(vec![folder.path().to_owned()]).await;
    followed.finds(1, 1).await;
    for round in 0..5 {
        let text = trivy(1, &format!("2026-01-02T12:00:0{round}Z"));
        let mut file = fs::File::create(folder.path().join("a.json")).unwrap();
        for piece in text.as_bytes().chunks(16) {
            file.write_all(piece).unwrap();
            assert_eq!(asked(&followed.directories, 1).await, (1, vec![]));
        }
    }
    let last = "2026-01-02T12:00:04Z".parse().ok();
    eventually("the last one is read", async || dated(&followed.directories, 1).await == last).await;
}
