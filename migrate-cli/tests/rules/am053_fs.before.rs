//! Files: functions, a file read and written by its own methods and as a stream, options, directories, and what stays.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

async fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path).await?;
    file.write_all(b"one\ntwo\n").await?;
    file.flush().await?;
    file.sync_all().await
}

async fn look(path: &Path) -> io::Result<(String, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).await?;
    let mut text = String::new();
    file.read_to_string(&mut text).await?;
    let at = file.seek(SeekFrom::Start(1)).await?;
    let mut two = [0; 2];
    file.read_exact(&mut two).await?;
    Ok((text, at + u64::from(two[0])))
}

async fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(path).await?;
    let mut paths = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        if entry.file_type().await?.is_file() {
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

#[tokio::main]
async fn main() -> io::Result<()> {
    let folder = std::env::temp_dir().join(format!("am053-{}", std::process::id()));
    fs::create_dir_all(&folder).await?;
    let path = folder.join("a");
    fill(&path).await?;
    println!("{:?} {}", look(&path).await?, count(&path).await?);
    tokio::fs::copy(&path, folder.join("b")).await?;
    println!("{} {}", list(&folder).await?.len(), decoy(&path)?.len());
    println!("{}", fs::metadata(&path).await?.len());
    println!("{:?} {}", fs::read(&path).await?.first(), fs::try_exists(folder.join("c")).await?);
    fs::remove_dir_all(&folder).await
}
