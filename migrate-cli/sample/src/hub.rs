//! The hub: one task that owns the list of members and hands every message to all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A member that says nothing for this long is warned, and kicked after twice as long.
const IDLE_LIMIT: Duration = Duration::from_secs(300);

/// What the sessions and the idle watch tell the hub.
#[derive(Debug)]
pub enum Event {
    Join {
        nick: String,
        mailbox: mpsc::Sender<String>,
        notices: mpsc::Sender<Notice>,
        welcome: oneshot::Sender<Result<usize, JoinRefused>>,
    },
    Say {
        nick: String,
        text: String,
    },
    Who {
        nick: String,
    },
    Leave {
        nick: String,
    },
    Sweep,
}

/// Something the hub wants a session to do.
#[derive(Debug)]
pub enum Notice {
    Warn(String),
    Kick(String),
}

/// Why a nick was not let in.
#[derive(Debug)]
pub enum JoinRefused {
    Empty,
    Taken,
}

struct Member {
    mailbox: mpsc::Sender<String>,
    notices: mpsc::Sender<Notice>,
    last_heard: Instant,
    warned: bool,
}

#[derive(Default)]
struct Members {
    by_nick: BTreeMap<String, Member>,
}

/// Serves events until every session and the idle watch are gone.
pub async fn run(mut events: mpsc::Receiver<Event>) {
    let mut members = Members::default();

    while let Some(event) = events.recv().await {
        match event {
            Event::Join {
                nick,
                mailbox,
                notices,
                welcome,
            } => {
                let verdict = members.admit(&nick, mailbox, notices);
                let admitted = verdict.is_ok();
                // The session may have gone while its request was waiting here.
                let _ = welcome.send(verdict);
                if admitted {
                    members.tell_all(&format!("* {nick} joined\n")).await;
                }
            }
            Event::Say { nick, text } => {
                members.heard(&nick);
                members.tell_all(&format!("{nick}: {text}\n")).await;
            }
            Event::Who { nick } => {
                let names: Vec<&str> = members.by_nick.keys().map(String::as_str).collect();
                let list = format!("* here: {}\n", names.join(", "));
                members.tell(&nick, list).await;
            }
            Event::Leave { nick } => {
                if members.by_nick.remove(&nick).is_some() {
                    members.tell_all(&format!("* {nick} left\n")).await;
                }
            }
            Event::Sweep => members.sweep(),
        }
    }
}

impl Members {
    fn admit(
        &mut self,
        nick: &str,
        mailbox: mpsc::Sender<String>,
        notices: mpsc::Sender<Notice>,
    ) -> Result<usize, JoinRefused> {
        if nick.is_empty() {
            return Err(JoinRefused::Empty);
        }
        if self.by_nick.contains_key(nick) {
            return Err(JoinRefused::Taken);
        }
        let member = Member {
            mailbox,
            notices,
            last_heard: Instant::now(),
            warned: false,
        };
        self.by_nick.insert(nick.to_string(), member);
        Ok(self.by_nick.len())
    }

    fn heard(&mut self, nick: &str) {
        if let Some(member) = self.by_nick.get_mut(nick) {
            member.last_heard = Instant::now();
            member.warned = false;
        }
    }

    /// Hands `line` to everybody; a full mailbox makes the hub wait for its writer.
    async fn tell_all(&mut self, line: &str) {
        let mut gone = Vec::new();
        for (nick, member) in &self.by_nick {
            if member.mailbox.send(line.to_string()).await.is_err() {
                gone.push(nick.clone());
            }
        }
        for nick in gone {
            self.by_nick.remove(&nick);
        }
    }

    async fn tell(&mut self, nick: &str, line: String) {
        if let Some(member) = self.by_nick.get(nick) {
            if member.mailbox.send(line).await.is_err() {
                self.by_nick.remove(nick);
            }
        }
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        for member in self.by_nick.values_mut() {
            let silent = now.duration_since(member.last_heard);
            if silent > IDLE_LIMIT * 2 {
                let _ = member
                    .notices
                    .try_send(Notice::Kick("silent for too long".to_string()));
            } else if silent > IDLE_LIMIT && !member.warned {
                member.warned = true;
                let _ = member
                    .notices
                    .try_send(Notice::Warn("are you still there?".to_string()));
            }
        }
    }
}
