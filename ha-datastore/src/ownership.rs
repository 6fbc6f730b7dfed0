//! Who owns a datastore's list, and what the owner writes there.
//!
//! [`Ownership`] takes the exclusive lock of `protectedlist` for a master's term, reads the owner record, reads
//! the list of every host, merges them, writes the merged list into the own `protectedlist.<n>`, and then the
//! owner record. From then on it rewrites that record each datastore write period, which is how others see that
//! the datastore is owned, and takes changes of the list.
//!
//! Promised:
//!
//! * [`Ownership::may_act`] is true only while the lock is held, both files are written under the claimed term,
//!   no write is overdue, and the owner record is fresh. A right that is overdue is suspended; it comes back when
//!   that very write ends well. A fault, or a write out for `storage_stall_max`, ends the right:
//!   [`Event::RightLost`], the lock is let go, and everything begins again with the lock.
//! * [`Event::Durable`] names a change only when it is on disk and the right still held at that moment.
//! * Nothing is written under a term whose round is not greater than those found on the datastore, save one's
//!   own: [`Event::RoundSeen`] says which round to exceed.
//! * A host's list is written by that host alone. A late write of an old owner spoils only its own file.
//! * One unreadable list, the own one among them, is told by name, waited for, and does not blind the others. Then what
//!   can still be read of it is merged, and if anything that was durable may be missing, that is told too
//!   ([`Event::ChangesMayBeMissing`]). What this life has written to its own list is remembered.
//! * An owner record of which nothing can be read is never taken for none: see [`Event::OwnerUnreadable`]. Its
//!   successor has a term above those of all lists, and a counter above their versions.
//! * No more than [`Ownership::READS_AT_ONCE_BYTES`] are asked for at a time, and no look follows another at once.
//!
//! The parent decides when a lock may be tried at all (`may_take`): below F3 only after a sealed release, a
//! proof, or the takeover wait (architecture 2, 7). Once owned, `may_take` no longer matters.
//!
//! A slave may own a datastore for a master that cannot reach it: it claims under its master's term, and writes its own
//! list file. The right of such a proxy ends with its master: the parent gives [`Input::Release`] when it has lost its
//! master, and [`Input::TermSeen`] for every term that it hears of (architecture 7).
//!
//! Not yet: a list that was unreadable when the datastore was taken is not read again until the next taking; and
//! tombstones are never cleared away.

mod acquire;
mod keep;
mod lists;
mod machine;
mod proof;
mod reads;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use ha_core::operation::{Lock, Read};
use ha_core::record::{Generation, RecordFault};
use ha_core::{
    DatastoreId, FileKind, FileName, HostId, Identity, Incarnation, Instant, MachineId, MonotonicNow, Outbox,
    RequestId, Round, StorageCompletion, StorageFault, StorageRequest, Term, TimingConfig, TokenMint,
    UnknownRequest,
};

use crate::file_writer::{FileWriter, NextGeneration};
use crate::format::{Geometry, HeadParts, ListFull, ListPoint, LogIndex, OwnerDamage};
use crate::protected_list::{ChangeId, ChangeRefused, ListChange, ProtectedListWriter};

use lists::{OwnerFound, Taking};
use reads::{Asked, Wanted};

/// What an ownership is made of.
#[derive(Clone, Debug)]
pub struct OwnershipConfig {
    /// The own cluster, host, boot and life.
    pub identity: Identity,
    /// The machine's name; completions are routed by it.
    pub machine: MachineId,
    /// The datastore.
    pub datastore: DatastoreId,
    /// The hosts whose lists are read; the own host is always among them.
    pub hosts: Vec<HostId>,
    /// The sizes of the files.
    pub geometry: Geometry,
    /// The spans of time; used are `datastore_write_period`, `datastore_io_timeout`, `storage_stall_max` and
    /// `look_again` with its two companions.
    pub timing: TimingConfig,
}

/// Everything that can happen to an ownership.
#[derive(Debug)]
pub enum Input {
    /// The master of this term wants the datastore. The same term again only renews `may_take`.
    Claim {
        /// The term.
        term: Term,
        /// Whether the lock may be tried.
        may_take: bool,
    },
    /// Whether the lock may be tried, without a new claim.
    Rights {
        /// Whether it may.
        may_take: bool,
    },
    /// The claim is given up: seal `released`, let the lock go. Answered by one [`Event::Released`]. A proxy gives it
    /// up as soon as it has lost its master.
    Release,
    /// This term was heard of. A claim under a lower one is released, and none below it is taken any more. Without it
    /// a proxy, which follows its master and claims nothing itself, would go on owning for a master that has yielded.
    TermSeen {
        /// The term.
        term: Term,
    },
    /// The host was suspended: what it held may have been taken meanwhile. The claim stays and begins again.
    Expire,
    /// Whether a conflicting lock request could strip a partitioned owner of every lock it holds (below F3). Then
    /// the owner record is read first, and the lock is tried only if the list was never owned, was released, was
    /// owned by this very host, or by one that is known to have ended.
    Caution {
        /// Whether to take that care.
        cautious: bool,
    },
    /// An operator or a fence device has confirmed the end of a life of a host. It proves nothing of a later one.
    OwnerEnded {
        /// The host.
        host: HostId,
        /// The life that has ended, and with it every earlier one.
        incarnation: Incarnation,
    },
    /// An operator has confirmed, having read [`Event::OwnerUnreadable`], that no other host owns the datastore: every
    /// one that may is ended, or cannot reach it any more. It holds for an owner record with just this content, and
    /// lapses when anybody has written there.
    NobodyOwns {
        /// The content, by the name that the event gave it.
        damage: OwnerDamage,
    },
    /// Change the list. Answered by [`Event::Durable`] or [`Event::Dropped`].
    Change {
        /// The change's name.
        id: ChangeId,
        /// The change.
        change: ListChange,
    },
    /// Storage answered.
    Storage(StorageCompletion),
}

/// Everything an ownership asks for or tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// To storage.
    Storage(StorageRequest),
    /// To the parent.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody else owns the datastore. Told once per claim and attempt series; the lock is tried again.
    LockHeld,
    /// The datastore knows this round, which the claim does not exceed. It waits for a higher claim.
    RoundSeen {
        /// The highest round found.
        round: Round,
    },
    /// The owner's end is not proven, and trying its lock could do it harm: nothing is tried. Told once.
    OwnerUnproven {
        /// The owner by its record.
        host: HostId,
    },
    /// The owner record tells nothing; the lists alone say which rounds have been. Told once per content and claim.
    ///
    /// With care ([`Input::Caution`]) the lock is tried only after the end of every other host that has ever written a
    /// list here was confirmed, for the life that wrote it last or a later one, or after [`Input::NobodyOwns`]. A host
    /// whose list cannot tell that life needs the latter. Each that is missing is named by [`Event::OwnerUnproven`].
    OwnerUnreadable {
        /// Names this content.
        damage: OwnerDamage,
        /// What is wrong with slot A.
        a: RecordFault,
        /// What is wrong with slot B.
        b: RecordFault,
    },
    /// A host's list does not count as a whole. It is read again while the look-again period is short; then what can
    /// still be read of it is merged.
    ListUnreadable {
        /// The host.
        host: HostId,
        /// Why.
        why: UnreadableList,
    },
    /// The datastore is about to be owned without all that this host may have reported durable: protections and open
    /// restarts may be missing, or be older than they were. Whoever manages the cluster should compare its inventory.
    ///
    /// Not told if the host has written nothing since another one owned the datastore, whose list is whole: that
    /// has in it what could be read of all others then, and whoever wrote it has told what could not.
    ChangesMayBeMissing {
        /// The host.
        host: HostId,
        /// Up to where nothing of what it wrote is missing, if that is known.
        known: Option<ListPoint>,
    },
    /// The merged list is longer than the file. Told once; the datastore cannot be owned until the lists are shorter or
    /// the files larger, and is looked at again slowly.
    MergedListFull(ListFull),
    /// The datastore is owned under this term: [`Ownership::list`] holds the merged list, and it is durable.
    Owned {
        /// The term.
        term: Term,
    },
    /// These changes are durable, and the right still holds.
    Durable {
        /// In the order they came.
        ids: Vec<ChangeId>,
    },
    /// The right ended before these changes were known to be durable. They may or may not be on disk.
    Dropped {
        /// In the order they came.
        ids: Vec<ChangeId>,
    },
    /// A request failed while the datastore was being taken; it is tried again from the lock on.
    Trouble {
        /// How.
        fault: StorageFault,
    },
    /// A request has been out for `storage_stall_max` while the datastore was being taken.
    Stalled,
    /// The right has ended; it is acquired afresh if the claim stays.
    RightLost {
        /// Why.
        reason: LostReason,
    },
    /// The claim is over and the lock let go.
    Released {
        /// Whether the owner record says `released` for it.
        sealed: bool,
    },
}

/// Why a right ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// A write failed, or its outcome is unknown.
    Fault(StorageFault),
    /// A write has been out for `storage_stall_max`.
    Stalled,
    /// The parent said so.
    Expired,
}

/// Why a host's list could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadableList {
    /// The read failed.
    Fault(StorageFault),
    /// Neither slot holds a whole list.
    Corrupt {
        /// What is wrong with slot A.
        a: RecordFault,
        /// What is wrong with slot B.
        b: RecordFault,
    },
    /// Two whole lists of which none follows the other.
    Inconsistent,
    /// A newer list was written and is lost. The older one is merged if the newer one does not come back in time.
    Outdated {
        /// The newer snapshot.
        lost: Generation,
    },
    /// A record of the log is lost, and a later one is there.
    BrokenLog {
        /// The snapshot that the log continues.
        base: Generation,
        /// The record that is lost.
        lost: LogIndex,
        /// A later one that is there.
        found: LogIndex,
    },
    /// The own list says less than was seen durable in it: storage has lost something, or has given out something
    /// old. That is no information.
    Regressed {
        /// The list's version that was durable.
        seen: u64,
        /// The version that was read; `None` if the file looks never written.
        found: Option<u64>,
    },
}

/// A mistake of the parent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The completion answers no open request of this machine.
    #[error(transparent)]
    UnknownRequest(#[from] UnknownRequest),
    /// A higher term is claimed already, or was heard of.
    #[error("term {given} was claimed after term {current}")]
    OldTerm {
        /// The given term.
        given: Term,
        /// The highest one.
        current: Term,
    },
    /// The datastore is not owned under the claimed term, so its list cannot be changed.
    #[error("the datastore is not owned")]
    NotOwned,
    /// The change cannot be made.
    #[error(transparent)]
    Change(#[from] ChangeRefused),
}

/// What the parent wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    term: Term,
    may_take: bool,
    /// The datastore knows a round that this claim does not exceed.
    outdated: bool,
}

#[derive(Debug)]
enum Stage {
    /// Nothing to do, or not allowed to.
    Idle,
    /// The lock is tried at `at`; the series of attempts began at `since`.
    LookAgain {
        at: Instant,
        since: Instant,
    },
    /// The owner record is read before the lock is tried.
    Peeking {
        since: Instant,
        asked: Instant,
    },
    /// The owner record tells nothing; who may own the datastore is looked up in the lists.
    Proving {
        since: Instant,
        asked: Instant,
        heads: BTreeMap<HostId, HeadParts>,
    },
    /// `void` if a grant would prove nothing, because the host was suspended since the lock was asked for, or because
    /// the answer comes too late.
    Locking {
        request: RequestId<Lock>,
        since: Instant,
        /// `None` once it was told that there is no answer.
        asked: Option<Instant>,
        void: bool,
    },
    /// From here on the lock is held.
    ReadingOwner {
        asked: Instant,
    },
    /// Lists are looked at that are too long to be read for nothing.
    ReadingHeads {
        asked: Instant,
        owner: OwnerFound,
        heads: BTreeMap<HostId, HeadParts>,
    },
    ReadingLists {
        asked: Instant,
        taking: Box<Taking>,
    },
    WritingList {
        term: Term,
    },
    WritingOwner {
        term: Term,
    },
    Owned {
        term: Term,
        next_beat: Instant,
    },
    /// `sealing` once the record that says so is out.
    Releasing {
        term: Term,
        sealing: bool,
    },
}

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct Ownership {
    config: OwnershipConfig,
    clock: MonotonicNow,
    outbox: Outbox<Output>,
    mint: TokenMint,
    claim: Option<Claim>,
    /// The highest term that was heard of besides the claimed ones.
    seen: Option<Term>,
    stage: Stage,
    /// Reads that are out, also those that nobody waits for any more.
    reads: BTreeMap<RequestId<Read>, Asked>,
    /// Reads of this attempt that wait for their turn; at most three per host.
    waiting: VecDeque<Wanted>,
    owner: FileWriter,
    owner_generation: NextGeneration,
    owner_counter: u64,
    /// When the last owner record that is durable was asked for, since the lock was granted.
    owner_beat: Option<Instant>,
    list: ProtectedListWriter,
    /// Changes that are durable but not told, because the right is suspended.
    untold: Vec<ChangeId>,
    held_told: bool,
    /// Lists that could not be read in this attempt, since when some could not, and which were told.
    unread: BTreeSet<HostId>,
    unread_since: Option<Instant>,
    unread_told: BTreeSet<HostId>,
    /// Of which hosts it was told that changes may be missing.
    missing_told: BTreeSet<HostId>,
    /// Since when attempts have failed, one after the other.
    trouble_since: Option<Instant>,
    full_told: bool,
    cautious: bool,
    /// Hosts whose end was confirmed, and the last life that has ended.
    ended: BTreeMap<HostId, Incarnation>,
    /// The content of the owner record under which nobody owns the datastore, as was confirmed.
    nobody_owns: Option<OwnerDamage>,
    damage_told: Option<OwnerDamage>,
    unproven_told: BTreeSet<HostId>,
    /// When the lists' heads may be read again although nothing was confirmed since.
    heads_not_before: Option<Instant>,
}

impl Ownership {
    /// An ownership without a claim.
    #[must_use]
    pub fn new(config: OwnershipConfig, now: Instant) -> Self {
        let OwnershipConfig { identity, datastore, geometry, timing, .. } = &config;
        let no_term = Term::new(Round::ZERO, identity.host);
        Self {
            clock: MonotonicNow::new(now),
            outbox: Outbox::new(),
            mint: TokenMint::new(config.machine),
            claim: None,
            seen: None,
            stage: Stage::Idle,
            reads: BTreeMap::new(),
            waiting: VecDeque::new(),
            owner: FileWriter::new(FileName::new(*datastore, FileKind::ProtectedList), timing),
            owner_generation: NextGeneration::new(),
            owner_counter: 0,
            owner_beat: None,
            list: ProtectedListWriter::new(*identity, *datastore, *geometry, timing, no_term),
            untold: Vec::new(),
            held_told: false,
            unread: BTreeSet::new(),
            unread_since: None,
            unread_told: BTreeSet::new(),
            missing_told: BTreeSet::new(),
            trouble_since: None,
            full_told: false,
            cautious: false,
            ended: BTreeMap::new(),
            nobody_owns: None,
            damage_told: None,
            unproven_told: BTreeSet::new(),
            heads_not_before: None,
            config,
        }
    }

    /// Whether decisions about this datastore's machines may be carried out at `now`.
    #[must_use]
    pub fn may_act(&self, now: Instant) -> bool {
        let Stage::Owned { term, .. } = self.stage else { return false };
        let timing = &self.config.timing;
        let fresh_for = timing.datastore_write_period.saturating_add(timing.datastore_io_timeout);
        self.claim.is_some_and(|claim| claim.term == term)
            && self.owner_beat.is_some_and(|beat| now.since(beat) <= fresh_for)
            && !self.owner.is_overdue(now)
            && !self.list.file().is_overdue(now)
    }

    /// The list of the datastore while it is owned, also while the right is suspended.
    #[must_use]
    pub const fn list(&self) -> Option<&ProtectedListWriter> {
        match self.stage {
            Stage::Owned { .. } => Some(&self.list),
            Stage::Idle
            | Stage::LookAgain { .. }
            | Stage::Peeking { .. }
            | Stage::Proving { .. }
            | Stage::Locking { .. }
            | Stage::ReadingOwner { .. }
            | Stage::ReadingHeads { .. }
            | Stage::ReadingLists { .. }
            | Stage::WritingList { .. }
            | Stage::WritingOwner { .. }
            | Stage::Releasing { .. } => None,
        }
    }

    /// The claimed term.
    #[must_use]
    pub fn claimed(&self) -> Option<Term> {
        self.claim.map(|claim| claim.term)
    }

    /// Whether the lock is to be tried.
    fn is_wanted(&self) -> bool {
        self.claim.is_some_and(|claim| claim.may_take && !claim.outdated)
    }

    /// Whether nothing is out that could still land or answer from an earlier attempt.
    fn is_quiet(&self) -> bool {
        self.reads.is_empty() && self.owner.is_idle() && self.list.file().is_idle()
    }

    fn hosts(&self) -> BTreeSet<HostId> {
        self.config.hosts.iter().copied().chain([self.config.identity.host]).collect()
    }

    fn event(&mut self, event: Event) {
        self.outbox.push(Output::Event(event));
    }

    fn request(&mut self, request: StorageRequest) {
        self.outbox.push(Output::Storage(request));
    }
}
