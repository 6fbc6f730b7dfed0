//! The election: its messages go out as frames, its events rearrange the agent.

use ha_core::wire::FrameKind;
use ha_core::{Acknowledged, Instant, Machine, UnknownRequest};
use ha_election::{
    Event as ElectionEvent, Input as ElectionInput, MessageKind, Output as ElectionOutput, Role,
};
use ha_isolation::Input as IsolationInput;

use super::{Agent, Rejected};
use crate::{Event, Output};

impl Agent {
    pub(super) fn drain_election(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(output) = self.election.poll_output() {
            moved = true;
            match output {
                ElectionOutput::Transmit { to, message } => {
                    let mut payload = alloc::vec::Vec::new();
                    message.encode(&mut payload);
                    let kind = match message.kind() {
                        MessageKind::Probe => FrameKind::Probe,
                        MessageKind::Candidacy => FrameKind::Candidacy,
                        MessageKind::Claim => FrameKind::Claim,
                    };
                    self.transmit(now, to, kind, &payload);
                }
                ElectionOutput::StoreTerm { acknowledged } => {
                    self.outbox.push(Output::StoreTerm { acknowledged });
                }
                ElectionOutput::Event(event) => self.on_election_event(now, event),
            }
        }
        moved
    }

    pub(super) fn on_term_stored(
        &mut self,
        now: Instant,
        acknowledged: Acknowledged,
    ) -> Result<(), Rejected> {
        let answer = ElectionInput::TermStored { acknowledged };
        self.election.handle_input(now, answer).map_err(|_| Rejected::UnknownRequest(UnknownRequest))
    }

    fn on_election_event(&mut self, now: Instant, event: ElectionEvent) {
        match event {
            ElectionEvent::RoleChanged { to, reason, .. } => self.event(role_event(to, reason, self.host())),
            ElectionEvent::AddressCheckWanted => {
                let result = self.isolation.handle_input(now, IsolationInput::Check);
                self.refuse_inside(result);
            }
            ElectionEvent::InvalidMaster { host } => {
                let reason = "it claims a reign that it cannot have";
                self.event(Event::InvalidMaster { claimed: Some(host), reason });
            }
            // The agent reads role, term and rights from the machine itself once its outputs are drained.
            ElectionEvent::Following { .. }
            | ElectionEvent::Reigning { .. }
            | ElectionEvent::RightsChanged { .. }
            | ElectionEvent::Yielded { .. }
            | ElectionEvent::ElectionGoesOn { .. }
            | _ => {}
        }
    }

    /// Tells the election what makes this host fit for a role: its datastores and its hypervisor's driver.
    pub(super) fn follow_standing(&mut self, now: Instant) -> bool {
        let connected = self.units.values().filter(|unit| unit.was_connected()).count();
        let standing =
            (u32::try_from(connected).unwrap_or(u32::MAX), self.inventory.complete() && !self.halted);
        if standing == self.standing {
            return false;
        }
        self.standing = standing;
        let (connected_datastores, eligible) = standing;
        let input = ElectionInput::Standing { connected_datastores, eligible };
        let result = self.election.handle_input(now, input);
        self.refuse_inside(result);
        true
    }
}

fn role_event(to: Role, reason: &'static str, me: ha_core::HostId) -> Event {
    let (role, master, term) = match to {
        Role::Uninitialized => ("uninitialized", None, None),
        Role::Candidate => ("candidate", None, None),
        Role::Slave { master, term } => ("slave", Some(master), Some(term)),
        Role::Master { term } => ("master", Some(me), Some(term)),
    };
    Event::RoleChanged { role, reason, master, term }
}
