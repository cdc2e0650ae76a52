//! Options of sockets: kept for whoever asks, refused if the network would have to behave otherwise.

use crate::world::net::{Choice, Setting};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// What was set, by option.
#[derive(Clone, Default)]
pub(in crate::lab::net) struct Settings(BTreeMap<Choice, Setting>);

impl Settings {
    pub(super) fn of(settings: &[Setting]) -> io::Result<Self> {
        let mut all = Settings::default();
        for setting in settings {
            all.set(*setting)?;
        }
        Ok(all)
    }

    pub(in crate::lab::net) fn set(&mut self, setting: Setting) -> io::Result<()> {
        match setting {
            Setting::ReusePort(true) => unsupported("has one listener per address"),
            Setting::OnlyV6(false) => unsupported("keeps IPv4 and IPv6 apart"),
            Setting::Device(Some(_)) => unsupported("has hosts and links, and no interfaces"),
            Setting::Join(_) | Setting::Leave(_) => unsupported("has no groups"),
            _ => {
                self.0.insert(setting.choice(), setting);
                Ok(())
            }
        }
    }

    pub(in crate::lab::net) fn ask(&self, choice: Choice) -> io::Result<Setting> {
        if let Some(setting) = self.0.get(&choice) {
            return Ok(*setting);
        }
        Ok(match choice {
            Choice::NoDelay => Setting::NoDelay(false),
            Choice::Keepalive => Setting::Keepalive(None),
            Choice::Linger => Setting::Linger(None),
            Choice::Ttl => Setting::Ttl(64),
            Choice::TrafficClass => Setting::TrafficClass(0),
            Choice::QuickAck => Setting::QuickAck(true),
            Choice::Device => Setting::Device(None),
            Choice::SendBuffer => Setting::SendBuffer(64 * 1024),
            Choice::RecvBuffer => Setting::RecvBuffer(64 * 1024),
            Choice::ReuseAddress => Setting::ReuseAddress(true),
            Choice::ReusePort => Setting::ReusePort(false),
            Choice::OnlyV6 => Setting::OnlyV6(true),
            Choice::Broadcast => Setting::Broadcast(false),
            Choice::MulticastLoop => Setting::MulticastLoop(true),
            Choice::MulticastTtl => Setting::MulticastTtl(1),
            Choice::Join | Choice::Leave => return unsupported("has no groups"),
        })
    }

    /// Whether closing resets the connection.
    pub(super) fn resets(&self) -> bool {
        let linger = self.0.get(&Choice::Linger);
        linger == Some(&Setting::Linger(Some(Duration::ZERO)))
    }
}

fn unsupported<T>(why: &str) -> io::Result<T> {
    let message = format!("the lab's network {why}");
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}
