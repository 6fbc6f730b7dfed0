//! Control streams: cut into frames, authenticated, trusted once a frame echoed a recent one of ours.

use bytes::Bytes;
use ha_core::wire::{Channel, Echo, FrameKind, Opened};
use ha_core::{HostId, Instant, Machine};
use ha_election::Role;
use ha_heartbeat::Input as MonitorInput;

use super::{Agent, Rejected};
use crate::control::{self, ControlMessage};
use crate::inventory::Inventory;
use crate::{ConnectionId, Output};

impl Agent {
    pub(super) fn on_stream_opened(
        &mut self,
        now: Instant,
        connection: ConnectionId,
    ) -> Result<(), Rejected> {
        match connection {
            ConnectionId::Accepted(_) => {
                let master = matches!(self.role, Role::Master { .. });
                if self.halted || !master || !self.streams.accept(connection) {
                    self.outbox.push(Output::Close(connection));
                }
            }
            ConnectionId::Dialled(_) => {
                let Some(stream) = self.streams.get_mut(connection) else {
                    // It was given up while it was being opened.
                    self.outbox.push(Output::Close(connection));
                    return Ok(());
                };
                stream.open = true;
                if let Role::Slave { term, .. } = self.role {
                    self.say(now, connection, &ControlMessage::Hello { following: term });
                }
            }
        }
        Ok(())
    }

    pub(super) fn on_stream_received(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        bytes: &Bytes,
    ) -> Result<(), Rejected> {
        let Some(stream) = self.streams.get_mut(connection) else {
            // Bytes that were on their way when the stream was closed from this side.
            return Ok(());
        };
        if !stream.open {
            return Err(Rejected::UnknownStream);
        }
        if stream.buffer.push(bytes).is_err() {
            self.counters.bad_control.count();
            self.break_stream(now, connection);
            return Ok(());
        }
        while let Some(frame) = self.streams.get_mut(connection).and_then(|s| s.buffer.next_frame()) {
            if !self.on_control_frame(now, connection, &frame) {
                self.counters.bad_control.count();
                self.break_stream(now, connection);
                break;
            }
        }
        Ok(())
    }

    /// Whether the stream can go on after this frame.
    fn on_control_frame(&mut self, now: Instant, connection: ConnectionId, frame: &Bytes) -> bool {
        let received = match self.wire.open(now, Channel::Stream, frame) {
            Opened::Accepted(received) => received,
            Opened::Ignored(_) => return true,
            Opened::Refused(refusal) => {
                self.on_refusal(&refusal);
                return false;
            }
        };
        let (from, echo) = (received.from, received.echo);
        let Ok(message) = control::decode(received.payload) else { return false };
        let Some(stream) = self.streams.get_mut(connection) else { return false };
        if *stream.peer.get_or_insert(from) != from {
            return false;
        }
        stream.proven |= matches!(echo, Echo::Fresh { .. });
        let proven = stream.proven;
        self.on_control(now, connection, from, proven, message)
    }

    fn on_control(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        from: HostId,
        proven: bool,
        message: ControlMessage,
    ) -> bool {
        let role = self.role;
        match (message, connection, role) {
            (ControlMessage::Hello { .. }, ConnectionId::Accepted(_), Role::Master { term }) => {
                self.say(now, connection, &ControlMessage::Welcome { term });
                true
            }
            (ControlMessage::Welcome { .. }, ConnectionId::Dialled(_), Role::Slave { master, .. }) => {
                if proven && master == from {
                    self.say_inventory(now);
                }
                master == from
            }
            (ControlMessage::Inventory(report), ConnectionId::Accepted(_), Role::Master { .. }) => {
                if proven {
                    self.on_inventory(now, connection, from, report.into());
                }
                proven
            }
            (ControlMessage::Order(order), ConnectionId::Dialled(_), Role::Slave { .. }) => {
                if proven {
                    self.on_order(now, from, order);
                }
                proven
            }
            (ControlMessage::OrderResult(result), ConnectionId::Accepted(_), Role::Master { .. }) => {
                if proven {
                    self.restarts.on_result(now, from, result.order(), result.vm.uuid(), result.outcome);
                }
                proven
            }
            // A message in the wrong direction or role: the sender's picture of us is not ours. Start anew.
            (
                ControlMessage::Hello { .. }
                | ControlMessage::Welcome { .. }
                | ControlMessage::Inventory(_)
                | ControlMessage::Order(_)
                | ControlMessage::OrderResult(_),
                _,
                _,
            ) => false,
        }
    }

    fn on_inventory(&mut self, now: Instant, connection: ConnectionId, from: HostId, inventory: Inventory) {
        if let Some(older) = self.streams.older_of(from, connection) {
            self.streams.remove(older);
            self.outbox.push(Output::Close(older));
        }
        if self.watched.contains(&from) && self.peers.get(from).is_none() {
            let result = self.monitor.handle_input(now, MonitorInput::StreamOpened { host: from });
            self.refuse_inside(result);
        }
        self.peers.set(from, inventory);
        self.dirty = true;
    }

    /// A stream ended by the other side or the network: suspicion begins.
    pub(super) fn on_stream_closed(&mut self, now: Instant, connection: ConnectionId) {
        let Some(stream) = self.streams.remove(connection) else { return };
        let Some(peer) = stream.peer else { return };
        match connection {
            ConnectionId::Accepted(_) if self.streams.of_slave(peer).is_some() => return,
            ConnectionId::Accepted(_) => {
                self.peers.forget(peer);
                self.restarts.on_host_gone(now, peer);
                self.dirty = true;
            }
            ConnectionId::Dialled(_) => {
                self.streams.redial = Some(now.after(self.config.timing.heartbeat_period));
            }
        }
        if stream.proven && self.watched.contains(&peer) {
            let result = self.monitor.handle_input(now, MonitorInput::StreamBroken { host: peer });
            self.refuse_inside(result);
        }
    }

    /// Ends a stream that cannot go on. The peer is not suspected for it.
    fn break_stream(&mut self, now: Instant, connection: ConnectionId) {
        let Some(stream) = self.streams.remove(connection) else { return };
        self.outbox.push(Output::Close(connection));
        match (connection, stream.peer) {
            (ConnectionId::Dialled(_), _) => {
                self.streams.redial = Some(now.after(self.config.timing.look_again));
            }
            (ConnectionId::Accepted(_), Some(peer)) => {
                self.peers.forget(peer);
                self.dirty = true;
            }
            (ConnectionId::Accepted(_), None) => {}
        }
    }

    pub(super) fn say(&mut self, now: Instant, connection: ConnectionId, message: &ControlMessage) {
        let Some(to) = self.streams.get_mut(connection).and_then(|stream| stream.peer) else { return };
        let term = self.known_term();
        let sealed = control::encode(message)
            .ok()
            .and_then(|payload| self.wire.seal(now, to, FrameKind::Control, term, &payload).ok());
        match sealed {
            Some(bytes) => self.outbox.push(Output::Send { connection, bytes }),
            None => self.counters.unsendable.count(),
        }
    }

    /// Tells the master what runs here.
    pub(super) fn say_inventory(&mut self, now: Instant) {
        let Some((_, connection)) = self.streams.dialled else { return };
        if self.streams.get_mut(connection).is_some_and(|stream| stream.proven) {
            self.say(now, connection, &ControlMessage::Inventory(self.inventory.report()));
        }
    }
}
