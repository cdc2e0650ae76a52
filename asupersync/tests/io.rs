//! The I/O operations over scripted streams: dropped and cancelled at every
//! poll, with every byte accounted for by the operation's cancel class.

use asupersync::io::{
    AsyncRead, AsyncWrite, BufReadExt, BufReader, BufWriter, CANCEL_CLASS, CancelClass, ReadExt,
    WriteExt, copy, split,
};
use asupersync::{CancelKind, Cx, Runtime, Scope, types::cancel::reason_in};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

fn run<T, Fut: Future<Output = T>>(body: impl FnOnce(Scope) -> Fut) -> T {
    Runtime::builder()
        .current_thread()
        .build()
        .unwrap()
        .block_on(body)
        .unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    /// Not ready; wakes at once.
    Wait,
    /// These bytes, or room for as many.
    Bytes(Vec<u8>),
    Fail(io::ErrorKind),
}

/// A stream that does what it was told, then ends (or takes everything).
#[derive(Clone, Debug, Default)]
struct Script {
    steps: VecDeque<Step>,
    written: Vec<u8>,
    flushed: usize,
    closed: bool,
}

impl Script {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Script {
            steps: steps.into_iter().collect(),
            ..Script::default()
        }
    }

    /// The text one piece at a time, with a wait before each.
    fn text(pieces: &[&str]) -> Self {
        Script::new(
            pieces
                .iter()
                .flat_map(|p| [Step::Wait, Step::Bytes(p.as_bytes().to_vec())]),
        )
    }

    /// Room for `n` bytes at a time, with a wait before each.
    fn room(n: usize, times: usize) -> Self {
        Script::new((0..times).flat_map(|_| [Step::Wait, Step::Bytes(vec![0; n])]))
    }
}

fn wait<T>(cx: &mut Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.steps.pop_front() {
            None => Poll::Ready(Ok(0)),
            Some(Step::Wait) => wait(cx),
            Some(Step::Fail(kind)) => Poll::Ready(Err(kind.into())),
            Some(Step::Bytes(mut bytes)) => {
                let n = bytes.len().min(buf.len());
                buf[..n].copy_from_slice(&bytes[..n]);
                if n < bytes.len() {
                    self.steps.push_front(Step::Bytes(bytes.split_off(n)));
                }
                Poll::Ready(Ok(n))
            }
        }
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = match self.steps.pop_front() {
            None => buf.len(),
            Some(Step::Wait) => return wait(cx),
            Some(Step::Fail(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Step::Bytes(room)) => room.len().min(buf.len()),
        };
        self.written.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        Poll::Ready(Ok(()))
    }
}

/// Polls `fut` at most `polls` times.
async fn at_most<F: Future>(polls: usize, fut: F) -> Option<F::Output> {
    let mut fut = pin!(fut);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        fut.as_mut().poll(cx).map(Some)
    })
    .await
}

const PIECES: &[&str] = &["a", "bc\nd", "ef", "g\r\n", "h", "ij"];

fn all() -> String {
    PIECES.concat()
}

/// The rest of a stream.
async fn rest(cx: &Cx, script: &mut Script) -> String {
    let mut text = String::new();
    script.read_to_string(cx, &mut text).await.unwrap();
    text
}

#[test]
fn a_dropped_read_takes_nothing() {
    run(async |cx: Scope| {
        for polls in 0..4 {
            let mut script = Script::text(PIECES);
            let mut buf = [0; 3];
            let got = at_most(polls, script.read(&cx, &mut buf)).await;
            let n = got.map_or(0, Result::unwrap);
            let seen = String::from_utf8(buf[..n].to_vec()).unwrap();
            assert_eq!(
                seen + &rest(&cx, &mut script).await,
                all(),
                "after {polls} polls"
            );

            let mut script = Script::text(PIECES);
            let mut buf = Vec::new();
            at_most(polls, script.read_buf(&cx, &mut buf)).await;
            let seen = String::from_utf8(buf).unwrap();
            assert_eq!(
                seen + &rest(&cx, &mut script).await,
                all(),
                "after {polls} polls"
            );
        }
    });
}

#[test]
fn resumable_operations_keep_what_they_read() {
    run(async |cx: Scope| {
        for polls in 0..16 {
            let mut script = Script::text(PIECES);
            let mut buf = Vec::new();
            at_most(polls, script.read_to_end(&cx, &mut buf)).await;
            let seen = String::from_utf8(buf).unwrap();
            assert_eq!(
                seen + &rest(&cx, &mut script).await,
                all(),
                "after {polls} polls"
            );

            let mut reader = BufReader::with_capacity(2, Script::text(PIECES));
            let mut buf = Vec::new();
            at_most(polls, reader.read_until(&cx, b'g', &mut buf)).await;
            reader.read_to_end(&cx, &mut buf).await.unwrap();
            assert_eq!(
                String::from_utf8(buf).unwrap(),
                all(),
                "after {polls} polls"
            );
        }
    });
}

#[test]
fn resumable_objects_go_on_where_they_were_stopped() {
    run(async |cx: Scope| {
        for polls in 1..16 {
            let mut script = Script::text(PIECES);
            let mut buf = vec![0; all().len()];
            let mut read = script.resumable_exact(&mut buf);
            let mut seen = 0;
            while at_most(polls, read.resume(&cx)).await.is_none() {
                assert!(read.filled().len() >= seen && all().as_bytes().starts_with(read.filled()));
                seen = read.filled().len();
            }
            assert_eq!(read.filled(), all().as_bytes(), "{polls} polls at a time");
            let early = script
                .resumable_exact(&mut [0])
                .resume(&cx)
                .await
                .unwrap_err();
            assert_eq!(early.kind(), io::ErrorKind::UnexpectedEof);

            let mut script = Script::room(2, 4);
            let mut write = script.resumable_all(b"abcdef");
            while at_most(polls, write.resume(&cx)).await.is_none() {
                assert!(b"abcdef".ends_with(write.left()));
            }
            assert_eq!(write.left(), b"");
            assert_eq!(script.written, b"abcdef", "{polls} polls at a time");
        }
    });
}

#[test]
fn a_line_in_progress_survives_drops() {
    run(async |cx: Scope| {
        for polls in 1..8 {
            for capacity in [1, 2, 5, 64] {
                let reader = BufReader::with_capacity(capacity, Script::text(PIECES));
                let mut lines = reader.lines();
                let mut seen = Vec::new();
                loop {
                    match at_most(polls, lines.next_line(&cx)).await {
                        None => {}
                        Some(Ok(Some(line))) => seen.push(line),
                        Some(end) => {
                            assert!(end.unwrap().is_none());
                            break;
                        }
                    }
                }
                assert_eq!(seen, ["abc", "defg", "hij"], "{polls} polls at a time");
            }
        }
    });
}

#[test]
fn a_dropped_write_has_written_nothing() {
    run(async |cx: Scope| {
        for polls in 0..3 {
            let mut script = Script::room(2, 4);
            let n = at_most(polls, script.write(&cx, b"abcdef"))
                .await
                .map_or(0, Result::unwrap);
            assert_eq!(script.written, b"abcdef"[..n], "after {polls} polls");
        }
    });
}

#[test]
fn lossy_operations_write_a_prefix() {
    run(async |cx: Scope| {
        for polls in 0..8 {
            let mut script = Script::room(2, 4);
            let done = at_most(polls, script.write_all(&cx, b"abcdef")).await;
            assert!(b"abcdef".starts_with(&script.written[..]));
            assert_eq!(
                done.is_some(),
                script.written.len() == 6,
                "after {polls} polls"
            );
        }
    });
}

/// Cancels at every step: the error wraps the reason, and `cleanup` reads the rest.
#[test]
fn a_cancelled_read_says_so_and_loses_nothing() {
    for steps in 0..10 {
        let runtime = Runtime::builder().current_thread().build().unwrap();
        let reported = runtime.block_on_report(async |cx: Scope| {
            let mut script = Script::text(PIECES);
            let mut seen = String::new();
            let mut buf = [0; 2];
            for step in 0.. {
                if step == steps {
                    cx.cancel("enough");
                }
                match script.read(&cx, &mut buf).await {
                    Ok(0) => break,
                    Ok(n) => seen.push_str(std::str::from_utf8(&buf[..n]).unwrap()),
                    Err(e) => {
                        assert_eq!(e.kind(), io::ErrorKind::Other);
                        let reason = reason_in(&e).expect("the reason is inside");
                        assert_eq!(reason.kind, CancelKind::User);
                        break;
                    }
                }
            }
            seen + &rest(cx.cleanup(), &mut script).await
        });
        assert_eq!(
            reported.value.as_deref(),
            Some(&*all()),
            "cancelled at step {steps}"
        );
        assert!(reported.report.leaks.is_empty());
    }
}

/// Cancelled while it waits: the promise of the operation is not leaked.
#[test]
fn a_waiting_operation_ends_when_its_task_is_cancelled() {
    struct Never;
    impl AsyncRead for Never {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let reported = runtime.block_on_report(async |cx: Scope| {
        let task = cx.spawn(async |cx: Cx| {
            let e = Never.read(&cx, &mut [0]).await.unwrap_err();
            reason_in(&e).map(|r| r.kind)
        });
        // In one thread the task runs, and waits, before this goes on.
        cx.yield_now().await.unwrap();
        task.cancel(CancelKind::Timeout);
        task.await
    });
    let seen = reported.value.unwrap().into_result().unwrap();
    assert_eq!(seen, Some(CancelKind::Timeout));
    assert!(reported.report.leaks.is_empty() && reported.report.abandoned.is_empty());
}

#[test]
fn exact_reads_and_numbers_see_an_early_end() {
    run(async |cx: Scope| {
        let mut buf = [0; 3];
        let mut script = Script::text(&["ab", "cd"]);
        assert_eq!(script.read_exact(&cx, &mut buf).await.unwrap(), 3);
        assert_eq!(&buf, b"abc");
        let early = script.read_exact(&cx, &mut buf).await.unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::UnexpectedEof);

        let mut pipe = Script::default();
        pipe.write_u8(&cx, 1).await.unwrap();
        pipe.write_u16(&cx, 0x0203).await.unwrap();
        pipe.write_u32_le(&cx, 0x0405_0607).await.unwrap();
        pipe.write_i64(&cx, -2).await.unwrap();
        assert_eq!(pipe.written[..7], [1, 2, 3, 7, 6, 5, 4]);
        let mut back = Script::new([Step::Bytes(pipe.written)]);
        assert_eq!(back.read_u8(&cx).await.unwrap(), 1);
        assert_eq!(back.read_u16(&cx).await.unwrap(), 0x0203);
        assert_eq!(back.read_u32_le(&cx).await.unwrap(), 0x0405_0607);
        assert_eq!(back.read_i64(&cx).await.unwrap(), -2);
        let early = back.read_u16(&cx).await.unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn errors_of_the_stream_pass_through() {
    run(async |cx: Scope| {
        let broken = || Script::new([Step::Wait, Step::Fail(io::ErrorKind::ConnectionReset)]);
        let kinds = [
            broken().read(&cx, &mut [0]).await.unwrap_err().kind(),
            broken()
                .read_to_end(&cx, &mut Vec::new())
                .await
                .unwrap_err()
                .kind(),
            broken().write_all(&cx, b"x").await.unwrap_err().kind(),
            BufReader::new(broken())
                .read_line(&cx, &mut String::new())
                .await
                .unwrap_err()
                .kind(),
        ];
        assert_eq!(kinds, [io::ErrorKind::ConnectionReset; 4]);
        let full = Script::new([Step::Bytes(vec![])])
            .write_all(&cx, b"x")
            .await
            .unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WriteZero);
    });
}

#[test]
fn lines_are_read_by_either_way() {
    run(async |cx: Scope| {
        let mut reader = BufReader::with_capacity(2, Script::text(PIECES));
        let mut line = "> ".to_owned();
        assert_eq!(reader.read_line(&cx, &mut line).await.unwrap(), 4);
        assert_eq!(line, "> abc\n");
        line.clear();
        reader.read_line(&cx, &mut line).await.unwrap();
        assert_eq!(line, "defg\r\n");
        line.clear();
        reader.read_line(&cx, &mut line).await.unwrap();
        assert_eq!(
            (
                &*line,
                reader.read_line(&cx, &mut String::new()).await.unwrap()
            ),
            ("hij", 0)
        );
    });
}

#[test]
fn bad_lines_are_refused() {
    run(async |cx: Scope| {
        let bytes = |b: &[u8]| BufReader::with_capacity(4, Script::new([Step::Bytes(b.to_vec())]));
        let mut line = "kept".to_owned();
        let refused = bytes(b"\xff\xfe\n")
            .read_line(&cx, &mut line)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.kind(), &*line),
            (io::ErrorKind::InvalidData, "kept")
        );
        let refused = bytes(b"\xff\n").lines().next_line(&cx).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        let mut lines = bytes(b"1234\n123456789\n").lines().max_len(8);
        assert_eq!(lines.next_line(&cx).await.unwrap().as_deref(), Some("1234"));
        let refused = lines.next_line(&cx).await.unwrap_err();
        assert!(
            refused.to_string().contains("longer than 8 bytes"),
            "{refused}"
        );
    });
}

#[test]
fn a_buffered_writer_collects_and_passes_on() {
    run(async |cx: Scope| {
        let mut writer = BufWriter::with_capacity(4, Script::default());
        for piece in [&b"a"[..], b"bc", b"de", b"fghijk"] {
            writer.write_all(&cx, piece).await.unwrap();
        }
        assert_eq!(
            writer.get_ref().written,
            b"abcdefghijk",
            "larger than the buffer goes through"
        );
        writer.write_all(&cx, b"xyz").await.unwrap();
        assert_eq!(writer.buffer(), b"xyz");
        writer.shutdown(&cx).await.unwrap();
        let script = writer.into_inner();
        assert!(script.closed && script.written.ends_with(b"xyz"));
    });
}

#[test]
fn a_flush_that_was_dropped_is_continued() {
    run(async |cx: Scope| {
        for polls in 0..6 {
            let mut writer = BufWriter::with_capacity(8, Script::room(2, 3));
            writer.write_all(&cx, b"abcdef").await.unwrap();
            at_most(polls, writer.flush(&cx)).await;
            writer.flush(&cx).await.unwrap();
            assert_eq!(writer.get_ref().written, b"abcdef", "after {polls} polls");
        }
    });
}

#[test]
fn copy_moves_everything_and_flushes() {
    run(async |cx: Scope| {
        let mut to = Script::room(3, 2);
        let n = copy(&cx, &mut Script::text(PIECES), &mut to).await.unwrap();
        assert_eq!((n, &*to.written), (all().len() as u64, all().as_bytes()));
        assert_eq!(to.flushed, 1);
    });
}

#[test]
fn halves_work_apart_and_reunite() {
    run(async |cx: Scope| {
        let (mut read, mut write) = split(Script::text(&["abc"]));
        let mut text = String::new();
        read.read_to_string(&cx, &mut text).await.unwrap();
        write.write_all(&cx, b"def").await.unwrap();
        let (stranger, _other) = split(Script::default());
        let refused = stranger.reunite(write).unwrap_err();
        let script = read.reunite(refused.write).unwrap();
        assert_eq!((&*text, &*script.written), ("abc", &b"def"[..]));
    });
}

#[test]
fn the_table_of_classes_names_each_operation_once() {
    let mut names: Vec<_> = CANCEL_CLASS.iter().map(|(name, _)| *name).collect();
    let listed = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), listed);
    let class = |name| {
        CANCEL_CLASS
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, class)| *class)
    };
    assert_eq!(class("read"), Some(CancelClass::Safe));
    assert_eq!(class("read_exact"), Some(CancelClass::Lossy));
}
