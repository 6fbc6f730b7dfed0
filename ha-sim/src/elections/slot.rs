use alloc::collections::VecDeque;

use ha_core::{Acknowledged, HostId, Instant};

use super::node::{News, Node};

/// What fits into the socket of a stopped agent; the rest is lost.
const SOCKET: usize = 1_024;

/// One host: what survives its lives, what troubles it, and the life that it lives.
#[derive(Debug)]
pub(super) struct Slot<N: Node> {
    pub(super) host: HostId,
    pub(super) node: Option<N>,
    pub(super) incarnation: u64,
    pub(super) stored: Acknowledged,
    pub(super) lists: u32,
    /// How many faults of each kind trouble it now.
    pub(super) down: u32,
    pub(super) stopped: u32,
    pub(super) suspended: u32,
    pub(super) address_lost: u32,
    pub(super) unfit: u32,
    /// What has arrived while the agent was stopped.
    pub(super) waiting: VecDeque<News<N::Frame>>,
    /// The wake-up that is planned.
    pub(super) armed: Option<Instant>,
}

impl<N: Node> Slot<N> {
    pub(super) const fn new(host: HostId) -> Self {
        Self {
            host,
            node: None,
            incarnation: 0,
            stored: Acknowledged::NONE,
            lists: 0,
            down: 0,
            stopped: 0,
            suspended: 0,
            address_lost: 0,
            unfit: 0,
            waiting: VecDeque::new(),
            armed: None,
        }
    }

    /// Whether nothing runs here for now.
    pub(super) const fn is_held(&self) -> bool {
        self.stopped > 0 || self.suspended > 0
    }

    /// What may be handed to the node at once; the rest waits, or is lost.
    pub(super) fn admit(&mut self, news: News<N::Frame>) -> Option<News<N::Frame>> {
        if !self.is_held() {
            return Some(news);
        }
        let is_local = match news {
            News::Frame(_) | News::AddressAnswered(_) => false,
            News::Pinged(_)
            | News::Looked(_)
            | News::Stored(_)
            | News::Fit(_)
            | News::OwnsLists(_)
            | News::Resumed => true,
        };
        let room = self.suspended == 0 && self.waiting.len() < SOCKET;
        if self.node.is_some() && (is_local || room) {
            self.waiting.push_back(news);
        }
        None
    }
}
