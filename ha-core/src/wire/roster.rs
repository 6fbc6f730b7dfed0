use alloc::vec::Vec;

use super::WireConfigError;
use super::peer::Peer;
use crate::HostId;

/// All peers, found by host.
///
/// The ids stand apart from the peers' state, so that a search in the largest cluster stays within 16 KiB.
#[derive(Debug)]
pub(super) struct Roster {
    ourselves: HostId,
    /// Ascending, without ourselves; `peers[n]` belongs to `hosts[n]`.
    hosts: Vec<HostId>,
    peers: Vec<Peer>,
    /// No peer that joins later gets a sequence number as low as this: it may have been used to it before.
    floor: u64,
}

impl Roster {
    /// The most hosts of a cluster (architecture 4).
    const MOST: usize = 4_096;

    pub(super) const fn empty(ourselves: HostId) -> Self {
        Self { ourselves, hosts: Vec::new(), peers: Vec::new(), floor: 0 }
    }

    pub(super) fn peer_mut(&mut self, host: HostId) -> Option<&mut Peer> {
        let at = self.hosts.binary_search(&host).ok()?;
        self.peers.get_mut(at)
    }

    pub(super) fn peer(&self, host: HostId) -> Option<&Peer> {
        let at = self.hosts.binary_search(&host).ok()?;
        self.peers.get(at)
    }

    /// Replaces the host list. Hosts in both lists keep their state.
    pub(super) fn replace(&mut self, mut hosts: Vec<HostId>) -> Result<(), WireConfigError> {
        if hosts.len() > Self::MOST {
            return Err(WireConfigError::TooManyHosts { hosts: hosts.len(), most: Self::MOST });
        }
        hosts.sort_unstable();
        if let Some(twice) = hosts.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(WireConfigError::DuplicateHost { host: twice[0] });
        }
        hosts.retain(|host| *host != self.ourselves);

        let floor = self.peers.iter().map(Peer::highest_sent).fold(self.floor, u64::max);
        let mut known = self.hosts.drain(..).zip(self.peers.drain(..)).peekable();
        let peers = hosts
            .iter()
            .map(|host| {
                while known.next_if(|(old, _)| old < host).is_some() {}
                known.next_if(|(old, _)| old == host).map_or_else(|| Peer::new(floor), |(_, peer)| peer)
            })
            .collect();
        drop(known);
        *self = Self { hosts, peers, floor, ..*self };
        Ok(())
    }
}
