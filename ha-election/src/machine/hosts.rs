use alloc::vec::Vec;

use ha_core::{HostId, Instant, Moid};

use super::{Election, State};
use crate::peer::Peer;

impl Election {
    /// The cluster has lost or gained hosts. What is known of those that stay is kept, and so are role, term and rights;
    /// only a slave whose master is gone looks for another one (fdm-facts 1.2).
    pub(super) fn take_host_list(&mut self, now: Instant, hosts: Vec<(HostId, Moid)>) {
        let master = match &self.state {
            State::Slave(following) => Some(following.term.host),
            State::Uninitialized | State::Candidate(_) | State::Master(_) => None,
        };
        let mut master_stays = false;
        let mut kept = core::mem::take(&mut self.peers);
        self.config.hosts.clone_from(&hosts);
        for (host, moid) in hosts {
            if host == self.config.me {
                self.moid = moid;
                continue;
            }
            let peer = kept.remove(&host).filter(|peer| peer.moid == moid);
            master_stays |= master == Some(host) && peer.is_some();
            self.peers.insert(host, peer.unwrap_or_else(|| Peer::new(moid)));
        }
        // A claim under the old id is none to those that know the new one.
        let mine = self.moid.clone();
        if let State::Master(reign) = &mut self.state {
            reign.rename(now, mine);
        }
        self.invalid_masters.retain(|host| !self.peers.contains_key(host));
        match &self.state {
            State::Slave(_) if !master_stays => {
                self.begin_election(now, "master is not on the host list any more");
            }
            // A host that was waited for may be gone.
            State::Candidate(_) => self.try_early_end(now),
            State::Uninitialized | State::Slave(_) | State::Master(_) => {}
        }
    }
}
