//! One client: a reader (this task) and a writer (a task of its own, fed by the mailbox).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::hub::{Event, JoinRefused, Notice};

/// How long a client may take to send its nick.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How many lines may wait for a client before the hub has to wait for it.
const MAILBOX: usize = 64;

/// Talks to one client until it leaves.
pub async fn run(stream: TcpStream, hub: mpsc::Sender<Event>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read_half, write_half) = stream.into_split();
    let mut reader = BufReader::new(read_half);

    let (mailbox, lines) = mpsc::channel(MAILBOX);
    tokio::spawn(write_lines(lines, write_half));

    let mut line = String::new();
    match timeout(LOGIN_TIMEOUT, reader.read_line(&mut line)).await {
        Ok(Ok(0)) => return Ok(()),
        Ok(Ok(_)) => {}
        Ok(Err(err)) => return Err(err),
        Err(_) => {
            let _ = mailbox
                .send("* no nick in time, goodbye\n".to_string())
                .await;
            return Ok(());
        }
    }
    let nick = line.trim().to_string();

    let (notices_tx, notices) = mpsc::channel(4);
    let (welcome, verdict) = oneshot::channel();
    let join = Event::Join {
        nick: nick.clone(),
        mailbox: mailbox.clone(),
        notices: notices_tx,
        welcome,
    };
    if hub.send(join).await.is_err() {
        return Ok(());
    }
    let greeting = match verdict.await {
        Ok(Ok(count)) => format!("* welcome {nick}, {count} here\n"),
        Ok(Err(JoinRefused::Empty)) => "* the first line has to be a nick\n".to_string(),
        Ok(Err(JoinRefused::Taken)) => format!("* {nick} is taken\n"),
        Err(_) => return Ok(()),
    };
    let admitted = greeting.starts_with("* welcome");
    let _ = mailbox.send(greeting).await;
    if !admitted {
        return Ok(());
    }

    let result = talk(&nick, reader, notices, &mailbox, &hub).await;
    let _ = hub.send(Event::Leave { nick }).await;
    result
}

async fn talk(
    nick: &str,
    mut reader: BufReader<OwnedReadHalf>,
    mut notices: mpsc::Receiver<Notice>,
    mailbox: &mpsc::Sender<String>,
    hub: &mpsc::Sender<Event>,
) -> io::Result<()> {
    let mut line = String::new();
    let mut accepted: u64 = 0;

    loop {
        line.clear();
        tokio::select! {
            read = reader.read_line(&mut line) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            Some(notice) = notices.recv() => {
                match notice {
                    Notice::Warn(text) => {
                        let _ = mailbox.send(format!("* {text}\n")).await;
                        continue;
                    }
                    Notice::Kick(reason) => {
                        let _ = mailbox.send(format!("* kicked: {reason}\n")).await;
                        return Ok(());
                    }
                }
            }
        }

        let event = match line.trim() {
            "" => continue,
            "/quit" => return Ok(()),
            "/who" => Event::Who {
                nick: nick.to_string(),
            },
            text => Event::Say {
                nick: nick.to_string(),
                text: text.to_string(),
            },
        };
        let is_message = matches!(event, Event::Say { .. });
        if hub.send(event).await.is_err() {
            return Ok(());
        }
        if is_message {
            accepted += 1;
            if mailbox.send(format!("ok {accepted}\n")).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Writes what arrives in the mailbox until nobody holds its sending side any more.
async fn write_lines(mut lines: mpsc::Receiver<String>, mut writer: OwnedWriteHalf) {
    while let Some(line) = lines.recv().await {
        if writer.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let _ = writer.shutdown().await;
}
