//! Files: what calls do, what they say when they fail, and what a cancellation leaves.

use asupersync::channel::oneshot;
use asupersync::fs::{self, File, OpenOptions};
use asupersync::io::{self as aio, WriteExt};
use asupersync::lab::{Inject, Injector};
use asupersync::types::cancel::reason_in;
use asupersync::{CancelKind, CapSet, Cx, LabConfig, LabRuntime, RegionOptions, Runtime, Scope};
use std::io::{ErrorKind, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

mod worlds;

/// Runs `body` on both flavours and in the lab, each in a directory of its own.
fn everywhere(body: impl AsyncFn(Scope, &Path)) {
    let fresh = || TempDir::new().unwrap();
    worlds::everywhere(async |scope| body(scope, fresh().path()).await);
}

#[test]
fn whole_files() {
    everywhere(async |cx: Scope, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        fs::write(&cx, &a, "one").await.unwrap();
        assert_eq!(fs::read(&cx, &a).await.unwrap(), b"one");
        assert_eq!(fs::copy(&cx, &a, &b).await.unwrap(), 3);
        fs::rename(&cx, &b, dir.join("c")).await.unwrap();
        assert!(!fs::try_exists(&cx, &b).await.unwrap());
        assert_eq!(fs::metadata(&cx, dir.join("c")).await.unwrap().len(), 3);
        fs::hard_link(&cx, &a, &b).await.unwrap();
        assert_eq!(fs::read_to_string(&cx, &b).await.unwrap(), "one");
        fs::create_dir_all(&cx, dir.join("x/y/z")).await.unwrap();
        let refused = fs::remove_dir(&cx, dir.join("x")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::DirectoryNotEmpty);
        fs::remove_dir_all(&cx, dir.join("x")).await.unwrap();
        fs::remove_file(&cx, &a).await.unwrap();
        let gone = fs::read(&cx, &a).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        let said = gone.to_string();
        assert!(
            said.starts_with(&format!("cannot read `{}`: ", a.display())),
            "{said}"
        );
    });
}

#[test]
fn all_entries_of_a_directory() {
    everywhere(async |cx: Scope, dir| {
        for n in 0..100 {
            std::fs::write(dir.join(format!("{n:03}")), "x").unwrap();
        }
        let mut entries = fs::read_dir(&cx, dir).await.unwrap();
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry(&cx).await.unwrap() {
            assert!(entry.file_type(&cx).await.unwrap().is_file());
            names.push(entry.file_name().into_string().unwrap());
        }
        assert!(entries.next_entry(&cx).await.unwrap().is_none());
        names.sort();
        let expected: Vec<_> = (0..100).map(|n| format!("{n:03}")).collect();
        assert_eq!(names, expected);
    });
}

#[test]
fn a_file_is_read_written_and_sought_in() {
    everywhere(async |cx: Scope, dir| {
        let path = dir.join("f");
        let options = OpenOptions::new().read(true).write(true).create_new(true);
        let mut file = options.clone().open(&cx, &path).await.unwrap();
        let taken = options.open(&cx, &path).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        file.write_all(&cx, b"hello world").await.unwrap();
        assert_eq!(file.seek(&cx, SeekFrom::Start(6)).await.unwrap(), 6);
        let mut buf = [0; 3];
        assert_eq!(file.read(&cx, &mut buf).await.unwrap(), 3);
        assert_eq!(&buf, b"wor");
        assert_eq!(file.write(&cx, b"!").await.unwrap(), 1);
        assert_eq!(file.seek(&cx, SeekFrom::Current(-1)).await.unwrap(), 9);
        let mut rest = Vec::new();
        assert_eq!(file.read_to_end(&cx, &mut rest).await.unwrap(), 2);
        assert_eq!(rest, b"!d");
        file.set_len(&cx, 5).await.unwrap();
        file.sync_all(&cx).await.unwrap();
        assert_eq!(file.metadata(&cx).await.unwrap().len(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        let mut refused = File::open(&cx, &path).await.unwrap();
        let said = refused.write(&cx, b"x").await.unwrap_err().to_string();
        assert!(said.starts_with("cannot write `"), "{said}");
    });
}

#[test]
fn a_file_goes_through_code_for_any_stream() {
    everywhere(async |cx: Scope, dir| {
        let data: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        std::fs::write(dir.join("from"), &data).unwrap();
        let mut from = File::open(&cx, dir.join("from")).await.unwrap();
        let mut to = File::create(&cx, dir.join("to")).await.unwrap();
        let copied = {
            let mut to = to.io(&cx);
            let copied = aio::copy(&cx, &mut from.io(&cx), &mut to).await.unwrap();
            to.shutdown(&cx).await.unwrap();
            copied
        };
        assert_eq!(copied, 100_000);
        assert_eq!(std::fs::read(dir.join("to")).unwrap(), data);
    });
}

#[test]
fn without_the_capability_nothing_is_touched() {
    everywhere(async |cx: Scope, dir| {
        let path = dir.join("f");
        let narrow = cx.restrict(CapSet::ALL.without(CapSet::FS));
        let denied = fs::write(&narrow, &path, "x").await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
        assert!(!path.exists());
        fs::write(&cx, &path, "x").await.unwrap();
        let mut file = File::open(&cx, &path).await.unwrap();
        let denied = file.read(&narrow, &mut [0]).await.unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
        // Files work although tasks may not be started: that is how they work, not what was asked.
        let alone = cx.restrict(CapSet::FS);
        assert_eq!(fs::read(&alone, &path).await.unwrap(), b"x");
    });
}

#[test]
fn cleanup_of_a_closing_region_reaches_the_disk() {
    everywhere(async |cx: Scope, dir| {
        let path = dir.join("last words");
        let inner = path.clone();
        cx.region_report(RegionOptions::named("closing"), async |scope| {
            let (up, mut is_up) = oneshot::channel();
            let task = scope.spawn(async move |cx: Cx| {
                up.send(()).unwrap();
                cx.cancelled().await;
                assert!(fs::write(&cx, &inner, "no").await.is_err());
                let mut file = File::create(cx.cleanup(), &inner).await.unwrap();
                file.write_all(cx.cleanup(), b"good").await.unwrap();
                fs::write_atomic(cx.cleanup(), &inner, "goodbye")
                    .await
                    .unwrap();
            });
            is_up.recv(&scope).await.unwrap();
            scope.close();
            task.await.into_result().unwrap();
        })
        .await
        .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"goodbye");
    });
}

#[test]
fn a_cancelled_call_returns_at_once_and_its_region_waits_for_the_closure() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    let config = LabConfig::default().blocking_duration(Duration::from_secs(3));
    LabRuntime::new(config).run(async |cx: Scope| {
        let (start, inner) = (cx.now(), path.clone());
        let closed = cx.region_report(RegionOptions::default(), async |scope| {
            let call = scope.spawn(async move |cx: Cx| fs::write(&cx, &inner, "x").await);
            scope.sleep(Duration::from_secs(1)).await.unwrap();
            call.cancel(CancelKind::User);
            let refused = call.await.into_result().unwrap().unwrap_err();
            assert!(reason_in(&refused).is_some(), "{refused}");
            assert_eq!(scope.now() - start, Duration::from_secs(1));
            assert!(!path.exists(), "it has not been run yet");
        });
        assert!(closed.await.unwrap().report.abandoned.is_empty());
        assert_eq!(cx.now() - start, Duration::from_secs(3));
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
    });
}

/// Opening a pipe that nobody writes to blocks: the call is on the pool for good.
#[cfg(target_os = "linux")]
#[test]
fn a_call_that_the_system_keeps_is_given_up_by_its_caller() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    for builder in [
        Runtime::builder().current_thread(),
        Runtime::builder().worker_threads(2),
    ] {
        let runtime = builder.build().unwrap();
        let ran = runtime.block_on(async |cx: Scope| {
            let inner = path.clone();
            let closed = cx.region_report(RegionOptions::default(), async |scope| {
                let call = scope.spawn(async move |cx: Cx| fs::read(&cx, &inner).await);
                // Long enough for the call to be made, mostly; it is right either way.
                scope.sleep(Duration::from_millis(5)).await.unwrap();
                call.cancel(CancelKind::User);
                // Nobody writes yet: were the closure waited for, this would not return.
                let _ = call.await;
                let path = path.clone();
                std::thread::spawn(move || std::fs::write(path, "late"))
            });
            // The region waits for the closure, which needed the writer for its end.
            closed.await.unwrap().value.unwrap()
        });
        let writer = ran.unwrap();
        // One that was cancelled before the closure began has left the writer without a reader.
        while !writer.is_finished() {
            let open = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path);
            drop(open.unwrap());
        }
        writer.join().unwrap().unwrap();
    }
}

/// What a cancelled read had taken from the file is what the next one delivers.
#[test]
fn no_byte_is_lost_at_any_await() {
    let dir = TempDir::new().unwrap();
    let data: Vec<u8> = (0..60u8).collect();
    let path = dir.path().join("f");
    std::fs::write(&path, &data).unwrap();
    for mode in [Inject::Protocol, Inject::Root] {
        let report = Injector::new(LabConfig::default())
            .mode(mode)
            .check(async |cx: Scope| {
                let (path, data) = (path.clone(), data.clone());
                let task = cx.spawn(async move |cx: Cx| {
                    let Ok(mut file) = File::open(&cx, &path).await else {
                        return;
                    };
                    let mut seen = Vec::new();
                    loop {
                        let mut buf = [0; 7];
                        let read = file.read(&cx, &mut buf).await;
                        let n = match read {
                            Ok(n) => n,
                            Err(e) => {
                                assert!(reason_in(&e).is_some(), "{e}");
                                // Smaller than before: what was read ahead comes first, in order.
                                file.read(cx.cleanup(), &mut buf[..3]).await.unwrap()
                            }
                        };
                        if n == 0 {
                            break;
                        }
                        seen.extend_from_slice(&buf[..n]);
                    }
                    assert_eq!(seen, data);
                });
                task.await.into_result().ok();
            });
        assert!(report.is_ok(), "{mode:?}: {report}");
        assert!(report.points >= 9, "{report}");
    }
}

/// A write that was cancelled takes place before one that comes after it.
#[test]
fn writes_keep_their_order_at_any_await() {
    let report = Injector::new(LabConfig::default()).check(async |cx: Scope| {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("f");
        let inner = path.clone();
        let task = cx.spawn(async move |cx: Cx| {
            let mut file = File::create(cx.cleanup(), &inner).await.unwrap();
            for word in ["a", "b", "c", "d"] {
                let _ = file.write_all(&cx, word.as_bytes()).await;
            }
            file.write_all(cx.cleanup(), b"!").await.unwrap();
        });
        task.await.into_result().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut letters: Vec<_> = text.chars().collect();
        assert_eq!(letters.pop(), Some('!'));
        assert!(letters.is_sorted(), "{text}");
    });
    assert!(report.is_ok(), "{report}");
}

#[test]
fn an_atomic_write_leaves_the_old_file_or_the_new_at_any_await() {
    for mode in [Inject::Protocol, Inject::Root, Inject::Drop] {
        let report = Injector::new(LabConfig::default())
            .mode(mode)
            .check(async |cx: Scope| {
                let dir = TempDir::new().unwrap();
                let path = dir.path().join("f");
                std::fs::write(&path, "old").unwrap();
                let inner = path.clone();
                cx.region_report(RegionOptions::default(), async |scope| {
                    scope.spawn(async move |cx: Cx| {
                        fs::write_atomic(&cx, &inner, "new").await.is_ok()
                    });
                })
                .await
                .ok();
                let found = std::fs::read_to_string(&path).unwrap();
                assert!(found == "old" || found == "new", "{found}");
                let names: Vec<_> = dir.path().read_dir().unwrap().collect();
                assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
            });
        assert!(report.is_ok(), "{mode:?}: {report}");
    }
}

/// The same on real threads, stopped a little later each time.
#[test]
fn an_atomic_write_that_is_cancelled_in_production_leaves_the_old_file_or_the_new() {
    let runtime = Runtime::builder().worker_threads(2).build().unwrap();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    let new = vec![b'n'; 1 << 20];
    let mut replaced = 0;
    for turns in 0..40 {
        std::fs::write(&path, "old").unwrap();
        let ran = runtime.block_on(async |cx: Scope| {
            let region = cx.region(async |scope: Scope| {
                let (path, new) = (path.clone(), new.clone());
                let write = scope
                    .spawn(async move |cx: Cx| fs::write_atomic(&cx, &path, new).await.is_ok());
                for _ in 0..turns * turns {
                    scope.yield_now().await.unwrap();
                }
                write.cancel(CancelKind::User);
                let _ = write.await;
            });
            // One that was asked before it began has not run at all.
            drop(region.await);
        });
        ran.unwrap();
        let found = std::fs::read(&path).unwrap();
        assert!(found == b"old" || found == new, "{} bytes", found.len());
        replaced += usize::from(found == new);
        let names: Vec<_> = dir.path().read_dir().unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
    }
    println!("replaced {replaced} of 40");
}

#[cfg(unix)]
#[test]
fn an_atomic_write_keeps_permissions_and_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    everywhere(async |cx: Scope, dir| {
        let (path, link) = (dir.join("f"), dir.join("link"));
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        fs::write_atomic(&cx, &link, "new").await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_link(&cx, &link).await.unwrap(), path);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let nameless = fs::write_atomic(&cx, "/", "x").await.unwrap_err();
        assert_eq!(nameless.kind(), ErrorKind::InvalidInput);
    });
}

/// The variable that makes a test the child of itself, and tells it where to write.
const CHILD: &str = "ASUPERSYNC_TEST_FS_CHILD";

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_takes_no_more_leaves_the_old_file() {
    if let Ok(path) = std::env::var(CHILD) {
        let runtime = Runtime::builder().current_thread().build().unwrap();
        let failed = runtime
            .block_on(async |cx: Scope| fs::write_atomic(&cx, &path, vec![7; 1 << 20]).await)
            .unwrap()
            .unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::FileTooLarge);
        assert!(failed.to_string().contains("cannot replace"), "{failed}");
        return;
    }
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "old").unwrap();
    // A limit of the child's own stands for the disk's: 64 blocks of a kilobyte or less. What the
    // child prints goes through a pipe: a log file that is longer already would meet the limit.
    let name = "a_disk_that_takes_no_more_leaves_the_old_file";
    let child = Command::new("sh")
        .args([
            "-c",
            "ulimit -f 64; trap '' XFSZ; exec \"$0\" --exact \"$1\"",
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(CHILD, &path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    // And a plain write says so.
    let runtime = Runtime::builder().current_thread().build().unwrap();
    runtime
        .block_on(async |cx: Scope| {
            let full = fs::write(&cx, "/dev/full", "x").await.unwrap_err();
            assert_eq!(full.kind(), ErrorKind::StorageFull);
        })
        .unwrap();
}

#[test]
fn a_file_goes_back_to_the_standard_library() {
    everywhere(async |cx: Scope, dir| {
        let path = dir.join("f");
        std::fs::write(&path, "hello").unwrap();
        let mut file = File::open(&cx, &path).await.unwrap();
        assert_eq!(file.path(), path);
        let mut two = [0; 2];
        file.read(&cx, &mut two).await.unwrap();
        let mut file = file.try_into_std().expect("no call is left").unwrap();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut file, &mut rest).unwrap();
        assert_eq!(rest, "llo");
    });
}
