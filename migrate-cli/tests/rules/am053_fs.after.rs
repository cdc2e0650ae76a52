//! Files: functions, a file read and written by its own methods and as a stream, options, directories, and what stays.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use asupersync::Cx;
use asupersync::fs::{File, OpenOptions};
use tokio::fs;
use asupersync::io::{ReadExt, WriteExt};

async fn fill(cx: &Cx, path: &Path) -> io::Result<()> {
    let mut file = File::create(cx, path).await?;
    file.write_all(cx, b"one\ntwo\n").await?;
    file.io(cx).flush(cx).await?;
    file.sync_all(cx).await
}

async fn look(cx: &Cx, path: &Path) -> io::Result<(String, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).open(cx, path).await?;
    let mut text = String::new();
    file.io(cx).read_to_string(cx, &mut text).await?;
    let at = file.seek(cx, SeekFrom::Start(1)).await?;
    let mut two = [0; 2];
    file.io(cx).read_exact(cx, &mut two).await?;
    Ok((text, at + u64::from(two[0])))
}

async fn list(cx: &Cx, path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = asupersync::fs::read_dir(cx, path).await?;
    let mut paths = Vec::new();
    while let Some(entry) = entries.next_entry(cx).await? {
        if entry.file_type(cx).await?.is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

async fn count(path: &Path) -> io::Result<usize> {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let file = fs::File::open(path).await?;
    let mut lines = BufReader::new(file).lines();
    let mut count = 0;
    while lines.next_line().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

// Decoy: the standard library's.
fn decoy(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

fn main() -> std::process::ExitCode {
    asupersync_compat::run_main(async |cx| -> io::Result<()> {
        let cx = &cx;
        let folder = std::env::temp_dir().join(format!("am053-{}", std::process::id()));
        asupersync::fs::create_dir_all(cx, &folder).await?;
        let path = folder.join("a");
        fill(cx, &path).await?;
        println!("{:?} {}", look(cx, &path).await?, count(&path).await?);
        asupersync::fs::copy(cx, &path, folder.join("b")).await?;
        println!("{} {}", list(cx, &folder).await?.len(), decoy(&path)?.len());
        println!("{}", asupersync::fs::metadata(cx, &path).await?.len());
        println!("{:?} {}", asupersync::fs::read(cx, &path).await?.first(), asupersync::fs::try_exists(cx, folder.join("c")).await?);
        asupersync::fs::remove_dir_all(cx, &folder).await
    })
}
