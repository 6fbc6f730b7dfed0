use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;
use std::net::UdpSocket;

use ha_core::operation::{Ping, PingOutcome};
use ha_core::{Completion, Instant, Token};

use crate::ping;

/// Pings under way. Each ends once: answered, or unanswered at its time and not before, whatever the network says.
#[derive(Debug)]
pub(crate) struct Pings {
    socket: UdpSocket,
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    token: Token<Ping>,
    target: SocketAddr,
    until: Instant,
}

impl Pings {
    /// Asks by `socket`. Questions are numbered from `first`, which should be hard to guess.
    pub(crate) const fn new(socket: UdpSocket, first: u64) -> Self {
        Self { socket, next: first, waiting: BTreeMap::new() }
    }

    pub(crate) fn ask(
        &mut self,
        now: Instant,
        token: Token<Ping>,
        target: Option<SocketAddr>,
        timeout: Duration,
    ) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        // Nobody answers at an address that is not known; it is reported at the same time as any other silence.
        let target = target.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        // A question that could not be sent was not answered.
        self.socket.send_to(&ping::question(number), target).ok();
        self.waiting.insert(number, Waiting { token, target, until: now.after(timeout) });
    }

    /// Takes in an answer. Only the one who was asked can give it.
    pub(crate) fn answered(&mut self, number: u64, from: SocketAddr) -> Option<Completion<Ping>> {
        if self.waiting.get(&number)?.target != from {
            return None;
        }
        let waiting = self.waiting.remove(&number)?;
        Some(waiting.token.complete(PingOutcome::Answered))
    }

    /// When the next one ends unanswered.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.until).min()
    }

    /// Ends one whose time is over at `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Completion<Ping>> {
        let number = *self.waiting.iter().find(|(_, waiting)| waiting.until <= now)?.0;
        let waiting = self.waiting.remove(&number)?;
        Some(waiting.token.complete(PingOutcome::Unanswered))
    }
}

#[cfg(test)]
mod tests {
    use ha_core::{HostId, Incarnation, MachineId, TokenMint};

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn outcome(ended: Option<Completion<Ping>>) -> Option<PingOutcome> {
        ended.map(|completion| *completion.outcome())
    }

    #[test]
    fn a_ping_is_answered_by_its_target_or_unanswered_at_its_end() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let asked = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = asked.local_addr().unwrap();
        let mut pings = Pings::new(socket, u64::MAX);
        let machine = MachineId { host: HostId::new(1), incarnation: Incarnation::new(1), lane: 1 };
        let mut mint = TokenMint::new(machine);
        let timeout = Duration::from_millis(100);
        for _ in 0..2 {
            pings.ask(at(10), mint.issue().0, Some(target), timeout);
        }
        let mut datagram = [0; ping::LEN];
        asked.recv(&mut datagram).unwrap();
        assert_eq!(ping::answer(&datagram).and_then(|answer| ping::answered(&answer)), Some(u64::MAX));

        let stranger = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(outcome(pings.answered(u64::MAX, stranger)), None);
        assert_eq!(outcome(pings.answered(u64::MAX, target)), Some(PingOutcome::Answered));
        assert_eq!(outcome(pings.answered(u64::MAX, target)), None);
        assert_eq!(pings.due(), Some(at(110)));
        assert_eq!(outcome(pings.expire(Instant::from_nanos(109_999_999))), None);
        assert_eq!(outcome(pings.expire(at(110))), Some(PingOutcome::Unanswered));
        assert_eq!(outcome(pings.expire(at(111))), None);
        assert_eq!(outcome(pings.answered(0, target)), None);
    }
}
