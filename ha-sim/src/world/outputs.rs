//! What agents ask of the network and of isolation addresses.

use core::time::Duration;

use ha_agent::{Input, Output, PingTarget};
use ha_core::operation::PingOutcome;
use ha_core::{HostId, VmRequest};

use super::{Happening, LOCAL_DISK_DELAY, Record, SPAWN_DELAY, STORAGE_DELAY, World};
use crate::network::End;
use crate::noise::Arrivals;

impl World {
    pub(super) fn carry_out(&mut self, host: HostId, output: Output) {
        let stream = self.network.stream_delay();
        match output {
            Output::Transmit { to, bytes } => {
                let Arrivals { first, copy } = self.network.datagram(host, to);
                if !self.is_cut(host, to) {
                    for delay in [first, copy].into_iter().flatten() {
                        self.after(delay, Happening::Tell(to, Input::Datagram(bytes.clone())));
                    }
                }
            }
            Output::Connect { to, connection } => self.after(stream, Happening::Dial((host, connection), to)),
            Output::Send { connection, bytes } => {
                let other = self.network.other_end((host, connection));
                if let Some((to, end)) = other.filter(|(to, _)| !self.is_cut_somehow(host, *to)) {
                    self.after(stream, Happening::Tell(to, Input::StreamReceived(end, bytes)));
                }
            }
            Output::Close(connection) => self.close((host, connection)),
            Output::Storage(request) => self.after(STORAGE_DELAY, Happening::Storage(host, request)),
            Output::Ping { token, target, timeout } => {
                let answers = match target {
                    PingTarget::Host(target) => {
                        !self.is_cut_somehow(host, target)
                            && self.hosts.get(&target).is_some_and(|host| host.powered)
                    }
                    PingTarget::IsolationAddress(_) => {
                        !self.faults.cut_off.contains(&host) && !self.faults.no_address.contains(&host)
                    }
                };
                let (after, outcome) = if answers {
                    (2 * stream, PingOutcome::Answered)
                } else {
                    (timeout, PingOutcome::Unanswered)
                };
                self.after(after, Happening::Tell(host, Input::Ping(token.complete(outcome))));
            }
            Output::StoreTerm { acknowledged } => {
                if let Some(host) = self.hosts.get_mut(&host) {
                    host.stored = acknowledged;
                }
                self.after(LOCAL_DISK_DELAY, Happening::Tell(host, Input::TermStored { acknowledged }));
            }
            Output::Vm(request) => {
                let delay = match request {
                    VmRequest::TakeLock { .. } => SPAWN_DELAY,
                    VmRequest::ShareLock { .. }
                    | VmRequest::WriteRecord { .. }
                    | VmRequest::Resume { .. }
                    | VmRequest::Start { .. }
                    | VmRequest::Abandon { .. }
                    | VmRequest::Stop { .. } => STORAGE_DELAY,
                };
                self.after(delay, Happening::Vm(host, request));
            }
            Output::Event(event) => self.records.push(Record { at: self.now, host, event }),
        }
    }

    pub(super) fn dial(&mut self, from: End, to: HostId) {
        if self.is_cut_somehow(from.0, to) {
            let refused = Happening::Tell(from.0, Input::StreamClosed(from.1));
            return self.after(Duration::from_secs(1), refused);
        }
        let listening = self.hosts.get(&to).is_some_and(|host| host.agent.is_some());
        let delay = self.network.stream_delay();
        if listening {
            let (_, accepted) = self.network.connect(from, to);
            self.after(Duration::ZERO, Happening::Tell(to, Input::StreamOpened(accepted)));
            self.after(delay, Happening::Tell(from.0, Input::StreamOpened(from.1)));
        } else {
            self.after(delay, Happening::Tell(from.0, Input::StreamClosed(from.1)));
        }
    }

    pub(super) fn close(&mut self, end: End) {
        if let Some((other, connection)) = self.network.close(end) {
            let delay = self.network.stream_delay();
            self.after(delay, Happening::Tell(other, Input::StreamClosed(connection)));
        }
    }
}
