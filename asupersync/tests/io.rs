//! The I/O operations over scripted streams: dropped and cancelled at every
//! poll, with every byte accounted for by the operation's cancel class.

use asupersync::io::{
    AsyncRead, AsyncWrite, BufReadExt, BufReader, BufWriter, ReadExt, WriteExt, copy, split,
};
use asupersync::{CancelKind, Cx, Runtime, Scope, types::cancel::reason_in};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

mod worlds;
use worlds::{everywhere, whoever_is_lost};

#[derive(Clone, Debug)]
enum Step {
    /// Not ready; wakes at once.
    Wait,
    /// Not ready, for ever.
    Never,
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
            Some(Step::Never) => Poll::Pending,
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
            Some(Step::Never) => return Poll::Pending,
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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

/// What a lossy operation was dropped in has lost nothing else: what it took, it
/// took from the front, and what it wrote is a prefix.
#[test]
fn lossy_operations_take_from_the_front_and_copy_writes_a_prefix() {
    everywhere(async |cx: Scope| {
        for polls in 0..16 {
            let mut script = Script::text(PIECES);
            let mut buf = [0; 5];
            let done = at_most(polls, script.read_exact(&cx, &mut buf)).await;
            let left = rest(&cx, &mut script).await;
            assert!(all().ends_with(&left), "after {polls} polls");
            let taken = all().len() - left.len();
            assert!(taken <= 5, "no more than was asked for");
            assert_eq!(done.is_some(), taken == 5, "after {polls} polls");
            assert_eq!(buf[..taken], all().as_bytes()[..taken]);

            let mut from = Script::text(PIECES);
            let mut to = Script::room(2, 5);
            let done = at_most(polls, copy(&cx, &mut from, &mut to)).await;
            assert!(all().as_bytes().starts_with(&to.written[..]));
            let written = to.written.len();
            let left = rest(&cx, &mut from).await;
            assert!(all().ends_with(&left), "after {polls} polls");
            assert!(written + left.len() <= all().len(), "nothing twice");
            let copied = done.map(Result::unwrap);
            assert_eq!(copied.is_some(), copied == Some(all().len() as u64));
            assert_eq!(
                copied.is_some(),
                written == all().len() && to.flushed == PIECES.len()
            );
        }
    });
}

/// Asked to cancel at any await, and dropped there, by class: what is safe or
/// resumable goes on through the cleanup view where it was stopped, and what is
/// lossy has read and written from the front.
#[test]
fn every_byte_is_accounted_for_wherever_the_task_is_cancelled_or_dropped() {
    let points = whoever_is_lost(async |cx: Scope| {
        let task = cx.spawn(async |cx: Cx| {
            // Safe.
            let (mut script, mut seen, mut buf) = (Script::text(PIECES), String::new(), [0; 2]);
            loop {
                let n = match script.read(&cx, &mut buf).await {
                    Ok(n) => n,
                    Err(e) => {
                        assert!(reason_in(&e).is_some(), "{e}");
                        script.read(cx.cleanup(), &mut buf).await.unwrap()
                    }
                };
                if n == 0 {
                    break;
                }
                seen.push_str(std::str::from_utf8(&buf[..n]).unwrap());
            }
            assert_eq!(seen, all());
            // Resumable.
            let (mut script, mut buf) = (Script::text(PIECES), Vec::new());
            if script.read_to_end(&cx, &mut buf).await.is_err() {
                script.read_to_end(cx.cleanup(), &mut buf).await.unwrap();
            }
            assert_eq!(buf, all().as_bytes());
            let mut script = Script::room(2, 4);
            let mut write = script.resumable_all(b"abcdef");
            if write.resume(&cx).await.is_err() {
                write.resume(cx.cleanup()).await.unwrap();
            }
            assert_eq!(script.written, b"abcdef");
            let mut lines = BufReader::with_capacity(2, Script::text(PIECES)).lines();
            let mut seen = Vec::new();
            loop {
                let next = match lines.next_line(&cx).await {
                    Ok(next) => next,
                    Err(_) => lines.next_line(cx.cleanup()).await.unwrap(),
                };
                let Some(line) = next else { break };
                seen.push(line);
            }
            assert_eq!(seen, ["abc", "defg", "hij"]);
            // Lossy.
            let mut script = Script::room(2, 4);
            let written = script.write_all(&cx, b"abcdef").await;
            assert!(b"abcdef".starts_with(&script.written[..]));
            assert_eq!(written.is_ok(), script.written.len() == 6);
            let mut script = Script::text(PIECES);
            let _ = script.read_exact(&cx, &mut [0; 5]).await;
            assert!(all().ends_with(&rest(cx.cleanup(), &mut script).await));
        });
        assert!(!task.await.is_panicked());
    });
    assert!(points > 30, "{points}");
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
    let runtime = Runtime::builder().current_thread().build().unwrap();
    let reported = runtime.block_on_report(async |cx: Scope| {
        let task = cx.spawn(async |cx: Cx| {
            let mut never = Script::new([Step::Never]);
            let e = never.read(&cx, &mut [0]).await.unwrap_err();
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
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
    everywhere(async |cx: Scope| {
        let mut to = Script::room(3, 2);
        let n = copy(&cx, &mut Script::text(PIECES), &mut to).await.unwrap();
        assert_eq!((n, &*to.written), (all().len() as u64, all().as_bytes()));
        // Whenever the reader has nothing after something was written, and at the end.
        assert_eq!(to.flushed, PIECES.len());
    });
}

#[test]
fn halves_work_apart_and_reunite() {
    everywhere(async |cx: Scope| {
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
fn a_waiting_operation_is_cancelled_in_the_lab_as_well() {
    worlds::in_lab(async |cx: Scope| {
        let task = cx.spawn(async |cx: Cx| {
            let mut never = Script::new([Step::Never]);
            let e = never.read(&cx, &mut [0]).await.unwrap_err();
            reason_in(&e).map(|r| r.kind)
        });
        // Virtual time passes only when the task waits.
        cx.sleep(std::time::Duration::from_secs(1)).await.unwrap();
        task.cancel(CancelKind::Timeout);
        let seen = task.await.into_result().unwrap();
        assert_eq!(seen, Some(CancelKind::Timeout));
    });
}
