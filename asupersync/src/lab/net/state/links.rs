//! When what is sent arrives.

use super::{Draw, JITTER_STEPS, NetState, link};
use crate::lab::net::LinkModel;
use crate::types::time::Time;
use std::net::IpAddr;
use std::time::Duration;

impl NetState {
    pub(in crate::lab::net) fn set_link(&mut self, a: IpAddr, b: IpAddr, model: LinkModel) {
        self.links.insert(link(a, b), model);
    }

    pub(super) fn link_between(&self, a: IpAddr, b: IpAddr) -> LinkModel {
        let own = self.links.get(&link(a, b));
        own.copied().unwrap_or(self.model.link)
    }

    /// As `due`; at once between sockets of one host.
    pub(super) fn due_between(
        &mut self,
        from: Option<IpAddr>,
        to: Option<IpAddr>,
        bytes: usize,
        draw: &mut Draw<'_>,
    ) -> Time {
        match (from, to) {
            (Some(from), Some(to)) => self.due(from, to, bytes, draw),
            _ => draw.now,
        }
    }

    /// When `bytes` that are sent now arrive: after what was sent before them has
    /// left, after they have left themselves, and after the latency.
    pub(super) fn due(
        &mut self,
        from: IpAddr,
        to: IpAddr,
        bytes: usize,
        draw: &mut Draw<'_>,
    ) -> Time {
        let model = self.link_between(from, to);
        let mut left = draw.now;
        if let Some(bandwidth) = model.bandwidth.filter(|_| bytes > 0) {
            let busy = self.busy.entry((from, to)).or_insert(draw.now);
            let nanos = bytes as u128 * 1_000_000_000 / u128::from(bandwidth);
            let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            *busy = (*busy).max(draw.now) + takes;
            left = *busy;
        }
        left + match model.jitter {
            Duration::ZERO => model.latency,
            jitter => model.latency + jitter * draw.number(JITTER_STEPS) / (JITTER_STEPS - 1),
        }
    }
}
