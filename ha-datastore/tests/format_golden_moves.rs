//! Every golden file with each sector and block zeroed, each two places exchanged, each place copied over each other
//! one, and each place filled with what was written for another: the state is the one that `FORMAT.md` says.
//!
//! Cuts and single bits are in `format_golden_damage.rs`, `format_local.rs` and `format_list_log.rs`.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod format_model;

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use common::golden::all as golden_files;
use common::{CLUSTER, LOGGED, host, uuid, vm};
use format_model::list::{self, ToldList};
use format_model::told::{Told, read as read_kind};
use format_model::{BLOCK, Rules, field, local, pair, restamp, u32_at, u64_at};
use ha_core::VmUuid;
use ha_core::record::RecordKind as Kind;
use ha_datastore::format::local::AnyLocal;
use ha_datastore::format::{LockRecordFault, ProtectedList, VmLockRecord};
use xxhash_rust::xxh3::xxh3_64;

const SECTOR: usize = 512;

/// How a golden file is read.
#[derive(Clone, Copy)]
enum Reader {
    /// Two slots of one block from that offset on; of one writer, if so.
    Pair {
        kind: Kind,
        at: usize,
        one_writer: bool,
    },
    LoggedList,
    Local(Kind),
}

impl Reader {
    /// A golden file that no rule is known for fails the test.
    fn of(name: &str) -> Self {
        let pair = |kind, at, one_writer| Self::Pair { kind, at, one_writer };
        match name {
            "heartbeat" => pair(Kind::Heartbeat, 0, true),
            "poweron" => pair(Kind::Poweron, BLOCK, true),
            "protectedlist" => pair(Kind::ListOwner, 0, false),
            "protectedlist.7" => pair(Kind::List, 0, true),
            "protectedlist.7-log"
            | "protectedlist.7-log-bad-twin"
            | "protectedlist.7-log-hole"
            | "protectedlist.7-log-lost-base" => Self::LoggedList,
            "poweredoff" => pair(Kind::PowerOffMarker, 0, false),
            "probe" => pair(Kind::Probe, 0, true),
            "ha-lock" | "ha-lock-initial" | "ha-lock-handing-over" | "ha-lock-moved" => {
                pair(Kind::VmLock, 0, false)
            }
            "clusterconfig" => Self::Local(Kind::ClusterConfig),
            "hostlist" => Self::Local(Kind::HostList),
            "vmmetadata" => Self::Local(Kind::VmMetadata),
            "fdm.cfg" => Self::Local(Kind::FdmConfig),
            other => panic!("no rule for {other}"),
        }
    }

    /// Where single records lie.
    fn places(self, size: usize) -> Vec<Range<usize>> {
        match self {
            Self::Pair { at, .. } => vec![at..at + BLOCK, at + BLOCK..at + 2 * BLOCK],
            Self::LoggedList => {
                let slots = [0..list::AREA, list::AREA..2 * list::AREA];
                slots
                    .into_iter()
                    .chain((2 * list::AREA..size).step_by(BLOCK).map(|at| at..at + BLOCK))
                    .collect()
            }
            Self::Local(_) => vec![Range { start: 0, end: size }],
        }
    }

    /// Places that are exchanged as a whole besides: the logs of a list, and both copies of their records.
    fn groups(self) -> Vec<Range<usize>> {
        match self {
            Self::Pair { .. } | Self::Local(_) => Vec::new(),
            Self::LoggedList => {
                let logs = 2 * list::AREA;
                let every = |length: usize| {
                    (logs..logs + 2 * list::LOG).step_by(length).map(move |at| at..at + length)
                };
                every(list::LOG).chain(every(2 * BLOCK)).collect()
            }
        }
    }

    /// Compares what the crate tells with what the page says, and names the state.
    fn check(self, file: &[u8], case: &str) -> &'static str {
        match self {
            Self::Pair { kind, at, one_writer } => {
                let host = one_writer.then_some(7);
                let expected = pair(&file[at..], &Rules { kind: kind.number(), host, area: BLOCK });
                assert_eq!(read_kind(kind, &file[at..]), expected, "{case}");
                if kind == Kind::VmLock {
                    check_machine(file, &expected, case);
                }
                expected.name()
            }
            Self::LoggedList => {
                let expected = list::read(file);
                let state = ProtectedList::read(file, CLUSTER, host(7), &LOGGED);
                assert_eq!(ToldList::of(state, &LOGGED), expected, "{case}");
                expected.name()
            }
            Self::Local(kind) => {
                let expected = local(file, kind.number());
                assert_eq!(read_kind(kind, file), expected, "{case}");
                if expected.counts().is_some() {
                    assert!(AnyLocal::read(file).is_ok(), "{case}");
                }
                expected.name()
            }
        }
    }
}

/// The same file by the reader that knows which machine's it is.
fn check_machine(file: &[u8], expected: &Told, case: &str) {
    let found = VmLockRecord::read_of(file, CLUSTER, &vm(5));
    let found = found.map(|record| record.content.seal(&record.writer, record.generation).to_vec());
    let expected = match expected {
        Told::NeverWritten => Err(LockRecordFault::NeverWritten),
        Told::Inconsistent(..) => Err(LockRecordFault::Inconsistent),
        Told::Corrupt(a, b) => Err(LockRecordFault::Corrupt { a: *a, b: *b }),
        Told::Valid(slot) | Told::Degraded(slot, _) => {
            let found = VmUuid::from_bytes(slot[80..96].try_into().unwrap());
            let home = [1_u32.to_le_bytes().as_slice(), b"vm-5/vm-5.vmx"].concat();
            match found == uuid(5) {
                false => Err(LockRecordFault::WrongVm { found }),
                true if u64_at(slot, 120) != xxh3_64(&home) & !1 => Err(LockRecordFault::OtherHome),
                true => Ok(slot.clone()),
            }
        }
    };
    assert_eq!(found, expected, "{case}");
}

/// A golden file under damage, and how often each state came out of it.
struct Case<'a> {
    name: &'a str,
    reader: Reader,
    good: &'a [u8],
    states: BTreeMap<&'static str, u32>,
}

impl Case<'_> {
    fn check(&mut self, what: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut file = self.good.to_vec();
        damage(&mut file);
        let state = self.reader.check(&file, &format!("{}: {what}", self.name));
        *self.states.entry(state).or_default() += 1;
    }

    fn zeroed(&mut self) {
        for unit in [SECTOR, BLOCK, 2 * BLOCK, list::AREA] {
            for at in (0..self.good.len()).step_by(unit) {
                self.check(&format!("{unit} bytes zeroed at {at}"), |file| {
                    let end = (at + unit).min(file.len());
                    file[at..end].fill(0);
                });
            }
        }
    }

    fn moved(&mut self) {
        let places = self.reader.places(self.good.len()).into_iter().chain(self.reader.groups());
        let places: Vec<_> = places.collect();
        for (one, other) in places.iter().flat_map(|one| places.iter().map(move |other| (one, other))) {
            if one.len() != other.len() || one == other {
                continue;
            }
            let (at, length) = (one.start, one.len());
            self.check(&format!("{length} bytes at {at} copied to {}", other.start), |file| {
                file.copy_within(one.clone(), other.start);
            });
            if one.end <= other.start {
                self.check(&format!("{length} bytes at {at} exchanged with {}", other.start), |file| {
                    let (low, high) = file.split_at_mut(other.start);
                    low[one.clone()].swap_with_slice(&mut high[..length]);
                });
            }
        }
        self.check("twice in a row", |file| file.extend_from_within(..));
    }

    /// What was written for another place, in place of each record.
    fn filled(&mut self, donors: &BTreeSet<Vec<u8>>) {
        for place in self.reader.places(self.good.len()) {
            let own = &self.good[place.clone()];
            let others = if own[..4] == *b"vHAr" { of_others(own) } else { Vec::new() };
            let donors = donors.iter().map(|donor| ("another file's".to_owned(), donor.clone()));
            for (whose, record) in donors.chain(others) {
                self.check(&format!("{whose} record at {}", place.start), |file| {
                    let length = record.len().min(place.len());
                    file[place.clone()].fill(0);
                    file[place.start..place.start + length].copy_from_slice(&record[..length]);
                });
            }
        }
    }
}

/// The record as another writer, cluster, life, file or place would have it, all sums right.
fn of_others(record: &[u8]) -> Vec<(String, Vec<u8>)> {
    let set = |whose: &str, at: usize, bytes: &[u8]| {
        let changed = restamp(record, |record| record[at..at + bytes.len()].copy_from_slice(bytes));
        (whose.to_owned(), changed)
    };
    let life = u64_at(record, field::INCARNATION);
    let mut others = vec![
        set("host 8's", field::HOST, &8_u32.to_le_bytes()),
        set("host 0's", field::HOST, &0_u32.to_le_bytes()),
        set("another cluster's", field::CLUSTER, &[0xc2; 16]),
        set("another boot's", field::BOOT, &[0xb1; 16]),
        set("an older life's", field::INCARNATION, &life.saturating_sub(1).to_le_bytes()),
        set("a newer life's", field::INCARNATION, &(life + 1).to_le_bytes()),
        set("a newer version's", field::OLDEST_READER, &[2]),
        set("the other slot's", field::SLOT, &(1 - u32_at(record, field::SLOT)).to_le_bytes()),
        set("slot 2's", field::SLOT, &2_u32.to_le_bytes()),
    ];
    others.extend((0..=13_u16).map(|kind| set(&format!("kind {kind}'s"), field::KIND, &kind.to_le_bytes())));
    let is_of_one_machine = [Kind::PowerOffMarker, Kind::VmLock].map(|kind| kind.number().to_le_bytes());
    if is_of_one_machine.iter().any(|kind| record[field::KIND..field::KIND + 2] == *kind) {
        others.push(set("machine 6's", 80, uuid(6).as_bytes()));
    }
    if record[field::KIND..field::KIND + 2] == Kind::ListLog.number().to_le_bytes() {
        let fields =
            [("chain", 0), ("base", 8), ("base sum", 16), ("index", 24), ("first", 28), ("count", 32)];
        for (name, at) in fields {
            let byte = record[80 + at];
            others.extend([1, 2, 0x81].map(|by| set(&format!("another {name}'s"), 80 + at, &[byte ^ by])));
        }
    }
    let generation = u64_at(record, field::GENERATION);
    for other in
        [0, 1, u64::MAX - 1, u64::MAX].into_iter().chain((0..8).map(|by| (generation + by).saturating_sub(4)))
    {
        let whose = format!("generation {other}'s");
        others.push(set(&whose, field::GENERATION, &other.to_le_bytes()));
        let slot = u32::try_from(other % 2).unwrap().to_le_bytes();
        let placed = restamp(&others.last().unwrap().1, |record| {
            record[field::SLOT..field::SLOT + 4].copy_from_slice(&slot);
        });
        others.push((whose, placed));
    }
    others
}

#[test]
fn every_golden_file_in_every_moved_form_is_what_the_manual_says() {
    let goldens = golden_files();
    let donors: BTreeSet<Vec<u8>> = goldens
        .iter()
        .flat_map(|(name, file)| {
            Reader::of(name).places(file.len()).into_iter().map(|place| file[place].to_vec())
        })
        .collect();
    let mut all: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, good) in &goldens {
        let mut case = Case { name, reader: Reader::of(name), good, states: BTreeMap::new() };
        case.check("as it is", |_| {});
        case.zeroed();
        case.moved();
        case.filled(&donors);
        println!("{name}: {:?}", case.states);
        for (state, count) in case.states {
            *all.entry(state).or_default() += count;
        }
    }
    println!("all: {all:?}");
    let seen: Vec<&str> = all.keys().copied().collect();
    let states = ["broken", "corrupt", "degraded", "inconsistent", "never written", "outdated", "valid"];
    assert_eq!(seen, states, "each state was met");
}
