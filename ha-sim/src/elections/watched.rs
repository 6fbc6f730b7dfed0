//! What the world answers to a monitor: pings, and looks at locks.

use core::time::Duration;

use ha_core::operation::{LookAtLock, LookOutcome, Ping, PingOutcome};
use ha_core::{HostId, Token};

use super::node::Node;
use super::{Elections, Happening};
use crate::draw::Stream;

const PING: Stream = Stream::named("ping");
const LOOK_TAKES: Duration = Duration::from_micros(200);

impl<N: Node> Elections<N> {
    /// A ping is answered by a host that has power, whatever its agent does, if neither way is cut and the network
    /// loses neither the question nor the answer.
    pub(super) fn ping(&mut self, from: HostId, to: HostId, token: Token<Ping>, timeout: Duration) {
        let ids = u64::from(from.number()) << 32 | u64::from(to.number());
        let noise = if self.is_calm(from, to) { &self.scenario.calm } else { &self.scenario.noise };
        let mut random = self.draws.draw(PING, ids, self.now.as_nanos());
        let travels = [noise.arrivals(&mut random).first, noise.arrivals(&mut random).first];
        let travel = travels.into_iter().try_fold(Duration::ZERO, |sum, travel| Some(sum + travel?));
        let awake = self.slot(to).is_some_and(|slot| slot.down == 0 && slot.suspended == 0);
        let through = !self.links.is_cut(from, to) && !self.links.is_cut(to, from);
        let (after, outcome) = match travel.filter(|travel| awake && through && *travel < timeout) {
            Some(travel) => (travel, PingOutcome::Answered),
            None => (timeout, PingOutcome::Unanswered),
        };
        let life = self.slot(from).map_or(0, |slot| slot.incarnation);
        self.plan(after, ids, Happening::Pinged(from, life, token.complete(outcome)));
    }

    /// The lock of a heartbeat file is held for as long as its agent lives.
    pub(super) fn look(&mut self, from: HostId, to: HostId, token: Token<LookAtLock>) {
        let held = self.slot(to).is_some_and(|slot| slot.node.is_some());
        let outcome = if held { LookOutcome::Held } else { LookOutcome::Free { started: self.now } };
        let ids = u64::from(from.number()) << 32 | u64::from(to.number());
        let life = self.slot(from).map_or(0, |slot| slot.incarnation);
        self.plan(LOOK_TAKES, ids, Happening::Looked(from, life, token.complete(outcome)));
    }
}
