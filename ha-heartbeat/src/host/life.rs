//! Signs of life, and of its end, that come from the host itself or from an operator.

use ha_core::{BootId, Evidence, HostState, Incarnation, Instant, Strength};

use super::Host;
use crate::desk::Desk;
use crate::{Event, Output, SuspicionReason};

impl Host {
    /// An authentic heartbeat. It ends suspicion and every question that is open about the host.
    pub(crate) fn heard(&mut self, now: Instant, boot: BootId, incarnation: Incarnation, desk: &mut Desk) {
        if !self.accept_life(now, boot, incarnation, desk) {
            desk.stats.old_lives.count();
            return;
        }
        self.silent_since = now;
        self.ping_by_silence(desk);
        if self.suspicion.take().is_some() {
            self.first_look = None;
            self.files.values_mut().for_each(super::HeartbeatFile::forget_lock);
            if !self.files.is_empty() {
                desk.outbox.push(Output::UnwatchDatastores { host: self.id });
            }
        }
        self.pronounce(now, HostState::Running, Strength::Weak, None, desk);
    }

    pub(crate) const fn stream_opened(&mut self) {
        self.stream_broken = None;
    }

    /// A broken stream starts suspicion and, where strong evidence can be had, a ping round at once.
    pub(crate) fn stream_broke(&mut self, now: Instant, desk: &mut Desk) {
        self.stream_broken = Some(now);
        if self.is_proven() {
            return;
        }
        // The first ping goes out with the break.
        if let Some(strong) = self.strong.as_mut().filter(|strong| strong.is_idle()) {
            strong.begin(now, self.id, desk);
        }
        self.suspect(now, SuspicionReason::StreamBroken, desk);
    }

    /// The host's own word, or an operator's, that it has ended.
    pub(crate) fn ended(&mut self, now: Instant, proof: Evidence, desk: &mut Desk) {
        self.pronounce(now, HostState::Failed, Strength::Strong, Some(proof), desk);
    }

    /// The life that a heartbeat file names. A file may lag behind the network: an older life there is nothing.
    pub(super) fn life_on_disk(
        &mut self,
        now: Instant,
        boot: BootId,
        incarnation: Incarnation,
        desk: &mut Desk,
    ) {
        let before = self.life;
        if !self.accept_life(now, boot, incarnation, desk) || before.is_none() || self.life == before {
            return;
        }
        // A proof is the proof of one life's end. A later life starts without any.
        if self.is_proven() {
            self.silent_since = now;
            if let Some(suspicion) = &mut self.suspicion {
                suspicion.counts_from = now;
                suspicion.handed_over = false;
            }
            let new_boot = before.filter(|(known, _)| *known != boot).map(|_| Evidence::NewBoot { boot });
            self.pronounce(now, HostState::Unknown, Strength::Weak, new_boot, desk);
            self.ping_by_silence(desk);
        }
    }

    /// Whether this is the last known life, or a later one. Incarnations never repeat and only grow, also over
    /// reboots, so a smaller or equal one under another boot is no news.
    fn accept_life(&mut self, now: Instant, boot: BootId, incarnation: Incarnation, desk: &mut Desk) -> bool {
        let life = (boot, incarnation);
        if let Some(known) = self.life.filter(|known| *known != life) {
            if incarnation <= known.1 {
                return false;
            }
            if boot != known.0 {
                desk.event(Event::NewBoot { host: self.id, ended: known.0, boot, incarnation, at: now });
            }
        }
        self.life = Some(life);
        true
    }
}
