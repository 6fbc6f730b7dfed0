//! Am I cut off? Silence of every peer starts the question; an answer from anywhere ends it.

use ha_core::{Instant, Machine};
use ha_election::Input as ElectionInput;
use ha_isolation::{Event as IsolationEvent, Input as IsolationInput, Output as IsolationOutput};

use super::Agent;
use crate::{Event, Output, PingTarget};

impl Agent {
    /// Contact with every other agent is lost once none was heard for the suspicion time.
    pub(super) fn notice_silence(&mut self, now: Instant) {
        let silent = now >= self.last_contact.after(self.config.timing.suspicion_after);
        if self.alone || !silent {
            return;
        }
        self.alone = true;
        // A slave that made itself master while alone keeps a slave's time to find out.
        let input = IsolationInput::Alone { as_master: self.contact_as_master, since: self.last_contact };
        let result = self.isolation.handle_input(now, input);
        self.refuse_inside(result);
    }

    pub(super) fn drain_isolation(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(output) = self.isolation.poll_output() {
            moved = true;
            match output {
                IsolationOutput::Ping { token, address, timeout } => {
                    let target = PingTarget::IsolationAddress(address);
                    self.outbox.push(Output::Ping { token, target, timeout });
                }
                IsolationOutput::Event(event) => self.on_isolation_event(now, event),
            }
        }
        moved
    }

    fn on_isolation_event(&mut self, now: Instant, event: IsolationEvent) {
        match event {
            IsolationEvent::AddressAnswered { asked, .. } => {
                let result = self.election.handle_input(now, ElectionInput::AddressAnswered { asked });
                self.refuse_inside(result);
            }
            IsolationEvent::DeclaredIsolated { .. } => {
                self.set_isolated(now, true);
                self.event(Event::Isolated);
            }
            IsolationEvent::Cancelled { was_isolated: true, .. } => {
                self.set_isolated(now, false);
                self.event(Event::IsolationEnded);
            }
            // The response to isolation is to leave virtual machines powered on.
            IsolationEvent::Cancelled { was_isolated: false, .. }
            | IsolationEvent::NoAddressConfigured
            | IsolationEvent::ResponseDue
            | _ => {}
        }
    }

    fn set_isolated(&mut self, now: Instant, isolated: bool) {
        let result = self.election.handle_input(now, ElectionInput::Isolated { isolated });
        self.refuse_inside(result);
        if isolated {
            // Whoever can be reached shall be able to own them (fdm-facts 9.15).
            for unit in self.units.values_mut() {
                unit.release(now);
            }
        }
        self.tell_poweron(now);
    }
}
