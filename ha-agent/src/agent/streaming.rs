//! Control streams: cut into frames, authenticated, trusted once a frame echoed a recent one of ours.

use alloc::vec::Vec;

use bytes::Bytes;
use ha_core::wire::{Channel, Echo, FrameKind, Opened};
use ha_core::{HostId, Incarnation, Instant, Machine};
use ha_election::Role;
use ha_heartbeat::Input as MonitorInput;

use super::{Agent, Rejected};
use crate::control::{self, ControlMessage};
use crate::inventory::Inventory;
use crate::{ConnectionId, Output};

/// Who sent a control frame, and what the frame proves.
#[derive(Clone, Copy, Debug)]
struct Speaker {
    host: HostId,
    incarnation: Incarnation,
    /// Whether any frame on the stream has echoed a recent one of ours.
    proven: bool,
    /// When we sent the frame that this one echoes, if that was lately.
    echoes: Option<Instant>,
}

impl Agent {
    pub(super) fn on_stream_opened(
        &mut self,
        now: Instant,
        connection: ConnectionId,
    ) -> Result<(), Rejected> {
        match connection {
            ConnectionId::Accepted(_) => {
                let master = matches!(self.role, Role::Master { .. });
                if self.halted || !master || !self.streams.accept(now, connection) {
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
        let (from, incarnation) = (received.from, received.incarnation);
        let echoes = match received.echo {
            Echo::Fresh { sent_at } => Some(sent_at),
            Echo::Stale | Echo::None => None,
        };
        let Ok(message) = control::decode(received.payload) else { return false };
        let Some(stream) = self.streams.get_mut(connection) else { return false };
        if *stream.peer.get_or_insert(from) != from {
            return false;
        }
        stream.proven |= echoes.is_some();
        let speaker = Speaker { host: from, incarnation, proven: stream.proven, echoes };
        self.on_control(now, connection, speaker, message)
    }

    fn on_control(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        from: Speaker,
        message: ControlMessage,
    ) -> bool {
        let proven = from.proven;
        match (message, connection, self.role) {
            (ControlMessage::Hello { .. }, ConnectionId::Accepted(_), Role::Master { term }) => {
                self.say(now, connection, &ControlMessage::Welcome { term });
                true
            }
            // A welcome that echoes nothing recent proves nothing: the stream is dialled again.
            (ControlMessage::Welcome { .. }, ConnectionId::Dialled(_), Role::Slave { master, .. })
                if proven && master == from.host =>
            {
                self.say_inventory(now);
                true
            }
            (ControlMessage::Inventory(report), ConnectionId::Accepted(_), Role::Master { .. }) if proven => {
                self.on_inventory(now, connection, from, report.into());
                true
            }
            (ControlMessage::Order(order), ConnectionId::Dialled(_), Role::Slave { .. }) if proven => {
                self.on_order(now, from.host, order);
                true
            }
            (ControlMessage::OrderResult(result), ConnectionId::Accepted(_), Role::Master { .. })
                if proven =>
            {
                self.restarts.on_result(now, from.host, result.order(), result.vm.uuid(), result.outcome);
                true
            }
            // A message in the wrong direction or role, or unproven: the sender's picture of us is not ours.
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

    fn on_inventory(&mut self, now: Instant, connection: ConnectionId, from: Speaker, inventory: Inventory) {
        let host = from.host;
        if let Some(older) = self.streams.older_of(host, connection) {
            self.streams.remove(older);
            self.outbox.push(Output::Close(older));
        }
        if self.watched.contains(&host) && self.peers.get(host).is_none() {
            let result = self.monitor.handle_input(now, MonitorInput::StreamOpened { host });
            self.refuse_inside(result);
        }
        for running in inventory.iter() {
            self.epochs.learn(running.vm.uuid(), running.epoch);
        }
        self.peers.set(host, from.incarnation, inventory, from.echoes.unwrap_or(Instant::ORIGIN));
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

    /// Closes accepted streams that have not proven themselves in time, so that they keep no slave out.
    pub(super) fn close_silent_streams(&mut self, now: Instant) {
        let silent: Vec<ConnectionId> = self.streams.silent(now, self.config.timing.master_lost).collect();
        for connection in silent {
            self.streams.remove(connection);
            self.outbox.push(Output::Close(connection));
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
            (ConnectionId::Accepted(_), Some(peer)) if self.streams.of_slave(peer).is_none() => {
                self.peers.forget(peer);
                self.restarts.on_host_gone(now, peer);
                self.dirty = true;
            }
            (ConnectionId::Accepted(_), Some(_) | None) => {}
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
