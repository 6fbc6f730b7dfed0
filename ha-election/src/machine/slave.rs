use core::time::Duration;

use ha_core::{Deadline, Instant, Term};

use super::{Election, State};
use crate::{Event, Message, Probe};

/// A slave's view of its master.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Following {
    /// The master's term, as it was last claimed.
    pub(super) term: Term,
    /// The last claim that echoed us.
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

    /// Follows a term that [`Acknowledged::allows`](super::Acknowledged::allows).
    pub(super) fn follow(&mut self, now: Instant, term: Term, reason: &'static str) {
        let known = self.master() == Some((term.host, term));
        if self.master().is_none_or(|(master, _)| master != term.host) {
            self.close_election();
        }
        self.acknowledge(term);
        self.enter(State::Slave(Following { term, heard: now }), reason);
        if !known {
            self.tell(Event::Following { master: term.host, term });
        }
    }

    /// "I am here", with the name of the master if there is one. A master that is isolated says no more.
    pub(super) fn probe(&self) -> Message {
        Message::Probe(match &self.state {
            State::Slave(following) => Probe::Follows(following.term),
            State::Uninitialized | State::Candidate(_) | State::Master(_) => Probe::Here,
        })
    }
}
