use core::time::Duration;

use ha_core::{Deadline, Instant, Term};

use super::{Election, State};
use crate::{Event, Message, Probe};

/// A claim shows that the master is alive and hears this host; the second only as of the frame that it echoes. In the
/// usual rhythm that frame is one heartbeat period old. One more is granted to a lost heartbeat: a master that has
/// become deaf is thus lost two periods later than one that has died, however long its echoes count for fresh.
const ECHO_PERIODS: u32 = 2;

/// A slave's view of its master.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Following {
    /// The master's term, as it was last claimed.
    pub(super) term: Term,
    /// Until when the master is known to have heard and been heard: the last claim that echoed us, but not more than
    /// [`ECHO_PERIODS`] later than the frame that it echoed.
    pub(super) heard: Instant,
}

impl Following {
    pub(super) fn deadline(&self, master_lost: Duration) -> Deadline {
        Deadline::new(self.heard.after(master_lost), "master lost")
    }
}

impl Election {
    pub(super) fn tick_slave(&mut self, now: Instant) {
        let State::Slave(following) = &self.state else { return };
        if now >= following.deadline(self.config.timing.master_lost).at {
            self.begin_election(now, "lost master");
        }
    }

    /// Follows a term that [`Acknowledged::allows`](super::Acknowledged::allows). Its claim echoes a frame of `sent`.
    pub(super) fn follow(&mut self, now: Instant, term: Term, sent: Instant, reason: &'static str) {
        let known = self.master() == Some((term.host, term));
        let echoed = sent.after(self.config.timing.heartbeat_period.saturating_mul(ECHO_PERIODS));
        let mut heard = now.min(echoed);
        match &self.state {
            State::Slave(following) if following.term.host == term.host => heard = heard.max(following.heard),
            State::Uninitialized | State::Candidate(_) | State::Slave(_) | State::Master(_) => {
                self.close_election();
            }
        }
        self.acknowledge(term);
        self.want_stored(term.round);
        self.enter(State::Slave(Following { term, heard }), reason);
        if !known {
            self.tell(Event::Following { master: term.host, term });
        }
    }

    /// "I am here", with the name of the master if there is one. A master that is isolated says no more.
    pub(super) fn probe(&self) -> Message {
        let following = match &self.state {
            State::Slave(following) => Some(following.term),
            State::Uninitialized | State::Candidate(_) | State::Master(_) => None,
        };
        Message::Probe(Probe { following })
    }
}
