//! Whether the lock may be tried where the try itself could do harm (below F3).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use ha_core::operation::ReadReply;
use ha_core::record::PairState;
use ha_core::{HostId, Identity, Instant, ReadFrom, StorageFault};

use super::{Event, Ownership, Stage};
use crate::format::{HeadPart, HeadParts, ListHead, ListOwnerRecord, OwnerDamage, OwnerState};

impl Ownership {
    /// Whether the owner's lock may be tried: it has none any more, or its end is known.
    pub(super) fn peeked(&mut self, now: Instant, outcome: Result<ReadReply, StorageFault>) {
        let Stage::Peeking { since, .. } = self.stage else { return };
        if !self.is_wanted() {
            self.stage = Stage::Idle;
            return;
        }
        let reply = match outcome {
            Ok(reply) => reply,
            Err(fault) => {
                self.event(Event::Trouble { fault });
                self.stage = Stage::LookAgain { at: self.next_look(now, since), since };
                return;
            }
        };
        let unproven = match ListOwnerRecord::read(&reply.bytes, self.config.identity.cluster) {
            PairState::NeverWritten => None,
            PairState::Valid { record } | PairState::Degraded { record, .. } => Some(record)
                .filter(|record| record.content.state == OwnerState::Owned)
                .and_then(|record| self.unproven([record.writer])),
            // Which of them owned it last, nobody knows; a late write of the one may lie over one of the other.
            PairState::Inconsistent { a, b } => self.unproven([a.writer, b.writer]),
            PairState::Corrupt { a, b } => {
                let damage = OwnerDamage::of(&reply.bytes);
                self.owner_unreadable(damage, a, b);
                return self.look_for_owners(now, since, damage);
            }
        };
        match unproven {
            None => self.lock(now, since),
            Some(host) => {
                if !core::mem::replace(&mut self.held_told, true) {
                    self.event(Event::OwnerUnproven { host });
                }
                self.look_slowly(now, since);
            }
        }
    }

    /// The first of these writers that is another host and whose end is not known.
    fn unproven(&self, writers: impl IntoIterator<Item = Identity>) -> Option<HostId> {
        let is_proven = |writer: &Identity| {
            writer.host == self.config.identity.host
                || self.ended.get(&writer.host).is_some_and(|ended| writer.incarnation <= *ended)
        };
        writers.into_iter().find(|writer| !is_proven(writer)).map(|writer| writer.host)
    }

    /// Nothing in the owner record can be read, so any host may own the datastore that has ever written a list: an owner
    /// does that first. The lists' heads tell which, and in which life last.
    fn look_for_owners(&mut self, now: Instant, since: Instant, damage: OwnerDamage) {
        if self.nobody_owns == Some(damage) {
            return self.lock(now, since);
        }
        // What was not enough a moment ago is not enough now, unless somebody has said something.
        if self.heads_not_before.is_some_and(|at| now < at) {
            return self.look_slowly(now, since);
        }
        self.stage = Stage::Proving { since, asked: now, heads: BTreeMap::new() };
        self.want_heads(ReadFrom::Storage);
    }

    pub(super) fn owner_head_read(
        &mut self,
        now: Instant,
        outcome: Result<ReadReply, StorageFault>,
        (host, part): (HostId, HeadPart),
    ) {
        let Stage::Proving { since, asked, heads } = &mut self.stage else { return };
        *asked = now;
        let since = *since;
        let head = heads.entry(host).or_default();
        if let Ok(reply) = outcome {
            head.take(part, &reply.bytes, self.config.identity.cluster, host);
        }
        if !self.has_read_all() {
            return;
        }
        let Stage::Proving { heads, .. } = &mut self.stage else { return };
        let heads = core::mem::take(heads);
        if !self.is_wanted() {
            self.stage = Stage::Idle;
            return;
        }
        let unproven = self.possible_owners(&heads);
        if unproven.is_empty() {
            return self.lock(now, since);
        }
        for host in unproven {
            if self.unproven_told.insert(host) {
                self.event(Event::OwnerUnproven { host });
            }
        }
        self.heads_not_before = Some(now.after(self.config.timing.look_again_fast_for));
        self.look_slowly(now, since);
    }

    /// The other hosts that may own the datastore, as far as their lists tell.
    fn possible_owners(&self, heads: &BTreeMap<HostId, HeadParts>) -> Vec<HostId> {
        let others: BTreeSet<HostId> = self.hosts();
        let may_own = |host: &HostId| {
            let head = heads.get(host).copied().map_or(ListHead::Damaged, HeadParts::judge);
            match head {
                ListHead::NeverWritten => false,
                ListHead::Written { life } => self.ended.get(host).is_none_or(|ended| *ended < life),
                ListHead::Damaged => true,
            }
        };
        others.into_iter().filter(|host| *host != self.config.identity.host).filter(may_own).collect()
    }

    fn look_slowly(&mut self, now: Instant, since: Instant) {
        let slow = self.config.timing.look_again_slow.max(Self::SHORTEST_LOOK);
        self.stage = Stage::LookAgain { at: now.after(slow), since };
    }
}
