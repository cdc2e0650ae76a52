//! What a link between two hosts is like.

use std::time::Duration;

/// A link, the same in both directions; chainable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkModel {
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    /// Bytes per second and direction; `None` for no limit.
    pub(super) bandwidth: Option<u64>,
    /// Datagrams of a thousand that are lost.
    pub(super) loss_per_mille: u32,
}

impl Default for LinkModel {
    /// 100 µs, up to 1 ms of jitter, no limit, no loss.
    fn default() -> Self {
        LinkModel {
            latency: Duration::from_micros(100),
            jitter: Duration::from_millis(1),
            bandwidth: None,
            loss_per_mille: 0,
        }
    }
}

impl LinkModel {
    /// One-way delay of every segment and datagram, from `latency` to `latency +
    /// jitter`. Jitter reorders datagrams; segments stay in order.
    #[must_use]
    pub fn latency(mut self, latency: Duration, jitter: Duration) -> Self {
        self.latency = latency;
        self.jitter = jitter;
        self
    }

    /// Payload bytes per second in each direction, at least one; what is sent
    /// faster leaves one after the other. Headers are not counted.
    #[must_use]
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.bandwidth = Some(bytes_per_second.max(1));
        self
    }

    /// Datagrams of a thousand that are lost, at most 1000. Streams lose nothing.
    #[must_use]
    pub fn loss(mut self, per_mille: u32) -> Self {
        self.loss_per_mille = per_mille.min(1000);
        self
    }
}
