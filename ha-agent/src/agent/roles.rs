//! What changes with the role: whom to watch, which streams to have, which datastores to claim.

use alloc::vec::Vec;

use ha_core::{DatastoreId, HostId, Instant, Term};
use ha_election::Role;

use super::Agent;
use crate::{ConnectionId, Output};

impl Agent {
    /// Arranges the agent for the role that the election has given it.
    pub(super) fn follow_role(&mut self, now: Instant) -> bool {
        let role = self.election.role();
        let rights = self.election.may_act(now);
        if role == self.role && rights == self.rights {
            return false;
        }
        let before = core::mem::replace(&mut self.role, role);
        self.rights = rights;
        match (before, role) {
            (Role::Master { .. }, Role::Master { term }) => self.reign(now, term, rights),
            (_, Role::Master { term }) => self.become_master(now, term, rights),
            (Role::Master { .. }, _) => {
                self.abdicate(now);
                self.become_slave_or_candidate(now, role);
            }
            (_, Role::Slave { .. } | Role::Candidate | Role::Uninitialized) => {
                self.become_slave_or_candidate(now, role);
            }
        }
        true
    }

    fn become_master(&mut self, now: Instant, term: Term, rights: bool) {
        self.hang_up();
        let others: Vec<HostId> = self.others().collect();
        self.watch_only(now, &others);
        self.reign(now, term, rights);
    }

    fn reign(&mut self, now: Instant, term: Term, rights: bool) {
        let fences: Vec<(DatastoreId, bool)> = self
            .units
            .iter()
            .map(|(datastore, unit)| (*datastore, self.effective(unit.entry().capability).rating.fences()))
            .collect();
        for (datastore, fences) in fences {
            if let Some(unit) = self.units.get_mut(&datastore) {
                unit.claim(now, term, rights, fences);
            }
        }
        self.dirty = true;
    }

    fn abdicate(&mut self, now: Instant) {
        for unit in self.units.values_mut() {
            unit.release(now);
        }
        self.restarts.clear();
        let unanswered: Vec<u64> = self.protections.keys().copied().collect();
        for id in unanswered {
            self.refuse_change(id);
        }
        self.peers.clear();
        let accepted: Vec<ConnectionId> = self.streams.accepted().collect();
        for connection in accepted {
            self.streams.remove(connection);
            self.outbox.push(Output::Close(connection));
        }
    }

    fn become_slave_or_candidate(&mut self, now: Instant, role: Role) {
        match role {
            Role::Slave { master, .. } => {
                self.watch_only(now, &[master]);
                self.next_beat = now;
                if self.streams.dialled.is_none_or(|(host, _)| host != master) {
                    self.hang_up();
                    self.dial(master);
                }
                self.beat(now);
            }
            // The monitor keeps its timers through the election: a new master judges by them.
            Role::Candidate | Role::Uninitialized | Role::Master { .. } => self.hang_up(),
        }
    }

    /// Closes the stream to the master that was followed.
    fn hang_up(&mut self) {
        self.streams.redial = None;
        if let Some((_, connection)) = self.streams.dialled {
            self.streams.remove(connection);
            self.outbox.push(Output::Close(connection));
        }
    }

    pub(super) fn dial(&mut self, master: HostId) {
        let connection = self.streams.dial(master);
        self.outbox.push(Output::Connect { to: master, connection });
    }

    pub(super) fn redial(&mut self, now: Instant) {
        let Role::Slave { master, .. } = self.role else { return };
        if self.streams.redial.is_some_and(|at| at <= now) {
            self.dial(master);
        }
    }

    /// After a suspend every right is void: the datastores have to be won again.
    pub(super) fn on_resumed(&mut self, now: Instant) {
        let result = ha_core::Machine::handle_input(&mut self.election, now, ha_election::Input::Resumed);
        self.refuse_inside(result);
        for unit in self.units.values_mut() {
            unit.resumed(now);
        }
    }
}
