//! A chat room. The first line that a guest sends is its name, each further one goes to everybody,
//! itself included: a guest that sees its line knows that all others will. On SIGTERM the room takes
//! no more lines, sends out those that it has taken, and ends.
//!
//! One task owns the room, so that all see the same lines in the same order. Each guest has a
//! bounded queue: one that does not read for long holds the room up, until its patience ends.

mod cli;

use asupersync::channel::mpsc::{self, Receiver, Sender};
use asupersync::io::WriteExt;
use asupersync::io::framing::{Framed, Lines};
use asupersync::net::{OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream};
use asupersync::{Cx, Region, TimeoutError};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::pin;
use std::time::Duration;

/// Bytes of the longest line.
const LINE: usize = 1024;
/// Lines that wait for one guest, and events that wait for the room.
const QUEUE: usize = 64;
/// How long a guest may take to receive a line.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The same when the room ends: a part of the time that cleanup has.
pub(crate) const MOMENT: Duration = Duration::from_millis(300);

/// What the room is told.
enum Event {
    /// Somebody has come: with this number and name, and reads its lines from there.
    Came(u64, String, Sender<String>),
    Said(u64, String),
    Left(u64),
}

#[asupersync::main]
async fn main(cx: &Cx) -> io::Result<()> {
    let [addr] = cli::args("chat [ADDRESS]", ["127.0.0.1:7009"])?;
    serve(cx, cli::listen(cx, &addr).await?).await
}

/// Lets guests in until it is asked to stop.
pub(crate) async fn serve(cx: &Cx, listener: TcpListener) -> io::Result<()> {
    let body = async |scope: asupersync::Scope| {
        let (events, told) = mpsc::channel(QUEUE);
        scope.spawn(async move |cx: Cx| room(&cx, told).await);
        scope.spawn(async move |cx: Cx| {
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept(&cx).await {
                let events = events.clone();
                number += 1;
                cx.spawn(async move |cx: Cx| guest(&cx, number, stream, events).await);
            }
        });
        scope.shutdown_signal().await;
        scope.close();
    };
    Ok(Region::open(cx, "chat", body).await?)
}

/// Tells everybody what it is told, until nobody is left who could tell it anything.
async fn room(cx: &Cx, mut told: Receiver<Event>) {
    let mut guests = BTreeMap::new();
    loop {
        let event = match told.recv(cx).await {
            Ok(event) => event,
            Err(_) => {
                // Asked to stop, or alone: what was accepted before goes out still.
                told.close();
                match told.recv(cx.cleanup()).await {
                    Ok(event) => event,
                    Err(_) => return,
                }
            }
        };
        let line = match event {
            Event::Came(number, name, inbox) => {
                let line = format!("* {name} has come");
                guests.insert(number, (name, inbox));
                line
            }
            Event::Said(number, line) => match guests.get(&number) {
                Some((name, _)) => format!("{name}: {line}"),
                None => continue,
            },
            Event::Left(number) => match guests.remove(&number) {
                Some((name, _)) => format!("* {name} has gone"),
                None => continue,
            },
        };
        let mut lines = VecDeque::from([line]);
        while let Some(line) = lines.pop_front() {
            let mut gone = Vec::new();
            for (number, (_, inbox)) in &guests {
                if inbox.send(cx.cleanup(), line.clone()).await.is_err() {
                    gone.push(*number);
                }
            }
            let gone = gone.iter().filter_map(|number| guests.remove(number));
            lines.extend(gone.map(|(name, _)| format!("* {name} has gone")));
        }
    }
}

/// One connection, until either side ends it.
async fn guest(cx: &Cx, number: u64, stream: TcpStream, events: Sender<Event>) -> io::Result<()> {
    let (read, write) = stream.into_split();
    let mut said = Framed::new(read, Lines::new(LINE));
    let Some(name) = said.next(cx).await.transpose()? else {
        return Ok(());
    };
    let (lines, inbox) = mpsc::channel(QUEUE);
    let came = Event::Came(number, name, lines);
    events.send(cx, came).await.map_err(io::Error::other)?;
    asupersync::try_join!(
        cx,
        |cx| async move {
            let heard = listen(cx, number, said, &events).await;
            // The room lets go of the inbox, which ends the other arm.
            let _ = events.send(cx.cleanup(), Event::Left(number)).await;
            heard
        },
        |cx| tell(cx, inbox, write),
    )
    .await?;
    Ok(())
}

/// From the guest to the room.
async fn listen(
    cx: &Cx,
    number: u64,
    mut said: Framed<OwnedReadHalf, Lines>,
    events: &Sender<Event>,
) -> io::Result<()> {
    while let Some(line) = said.next(cx).await.transpose()? {
        // What was taken from the guest goes to the room, whoever asks us to stop now. No place is
        // reserved before: guests that say nothing would hold all of them.
        let said = Event::Said(number, line);
        events
            .send(cx.cleanup(), said)
            .await
            .map_err(io::Error::other)?;
    }
    Ok(())
}

/// From the room to the guest.
async fn tell(cx: &Cx, mut inbox: Receiver<String>, mut write: OwnedWriteHalf) -> io::Result<()> {
    // The room ends this, whoever was asked to stop: until then it has lines for us.
    while let Ok(line) = inbox.recv(cx.cleanup()).await {
        let line = line + "\n";
        let mut written = pin!(write.write_all(cx.cleanup(), line.as_bytes()));
        let in_time = match cx.timeout_drop(PATIENCE, written.as_mut()).await {
            Err(TimeoutError::Cancelled(_)) => {
                // The room is about to end: one that does not read may not keep it from that.
                cx.cleanup().timeout_drop(MOMENT, written).await
            }
            in_time => in_time,
        };
        in_time.map_err(|_| io::ErrorKind::TimedOut)??;
    }
    write.shutdown(cx.cleanup()).await
}
