//! `FORMAT.md` says what the code does: every row of every table, compared with bytes that the code writes.
//!
//! Each table of fields must cover its bytes without a gap, in order, and name exactly the fields that are known here.
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::time::Duration;
use std::collections::BTreeMap;

use common::golden::{dump, load};
use common::owner::Owner;
use common::{CLUSTER, Disk, GEOMETRY, LOGGED, at, host, new_home, term, uuid, vm};
use ha_core::record::{Generation, RecordKind};
use ha_core::{BootId, DatastoreId, FileIdentity, FileKind, Identity, Incarnation, Instant, VmEpoch, VmId};
use ha_datastore::format::local::{
    ClusterConfig, ConfigVersion, FdmConfig, HostList, LocalFile, LocalRecord, VmMetadata,
};
use ha_datastore::format::{
    HeartbeatRecord, HomeSum, ListEntry, ListOwnerRecord, MarkerState, OrderId, OwnerState, PowerOffMarker,
    PoweronRecord, ProbeNonce, ProbeRecord, ProtectedList, Protection, RestartIntent, VmLockRecord,
    VmLockState, file_size,
};
use ha_datastore::ownership::Input;
use ha_datastore::{ChangeId, ListChange};
use xxhash_rust::xxh3::xxh3_64;

const MANUAL: &str = include_str!("../FORMAT.md");

/// A field's name and the bytes that it must have.
type Field = (&'static str, Vec<u8>);

/// The cells of the first table after a heading.
fn table(after: &str) -> Vec<Vec<&'static str>> {
    let text = MANUAL.split_once(after).unwrap_or_else(|| panic!("no {after:?}")).1;
    let rows =
        text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// A sum of numbers, of products of a number and a name, and of names.
fn value(text: &str, names: &BTreeMap<&str, usize>) -> usize {
    let text = &text.replace("(16 + 8 w)", "row");
    let factor = |factor: &str| {
        let number = factor.replace(',', "");
        number
            .parse()
            .unwrap_or_else(|_| *names.get(factor).unwrap_or_else(|| panic!("{factor:?} in {text:?}")))
    };
    let product = |product: &str| {
        product.split([' ', 'x']).filter(|part| !part.is_empty()).map(factor).product::<usize>()
    };
    text.split(" + ")
        .map(|part| match part.split_once(" - ") {
            Some((all, less)) => product(all) - product(less),
            None => product(part),
        })
        .sum()
}

/// Compares a table of fields with bytes that begin at its offset zero; `names` for the letters in it.
fn check(after: &str, bytes: &[u8], names: &[(&str, usize)], fields: Vec<Field>) {
    let (rows, names) = (table(after), names.iter().copied().collect());
    let said: Vec<&str> = rows.iter().map(|row| row[2]).collect();
    assert_eq!(said, fields.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{after}");
    let mut end = 0;
    for (row, (name, expected)) in rows.iter().zip(fields) {
        let at = value(row[0], &names);
        assert_eq!(at, end, "{after}: {name} follows without a gap");
        let length = if row[1].is_empty() { bytes.len() - at } else { value(row[1], &names) };
        assert_eq!(bytes[at..at + length], expected, "{after}: {name}");
        end += length;
    }
    assert_eq!(end, bytes.len(), "{after}: nothing is left over");
}

fn writer() -> Identity {
    let boot = BootId::from_bytes([0xb7; 16]);
    Identity { cluster: CLUSTER, host: host(7), boot, incarnation: Incarnation::new(0x33) }
}

fn payload(slot: &[u8]) -> &[u8] {
    &slot[80..80 + u32::from_le_bytes(slot[64..68].try_into().unwrap()) as usize]
}

fn u32s(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn u64s(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn heartbeat() -> HeartbeatRecord {
    HeartbeatRecord {
        counter: 1,
        write_period: Duration::from_nanos(2),
        io_timeout: Duration::from_nanos(3),
        ttl: Duration::from_nanos(4),
        watchdog: Duration::from_nanos(5),
        written_at: Instant::from_nanos(6),
    }
}

#[test]
fn the_envelope() {
    let slot = heartbeat().seal(&writer(), Generation::new(9));
    let payload = payload(&slot).to_vec();
    let fields = vec![
        ("magic", b"vHAr".to_vec()),
        ("kind", vec![1, 0]),
        ("version", vec![1]),
        ("oldest reader", vec![1]),
        ("cluster", vec![0xc1; 16]),
        ("host", u32s(7)),
        ("slot", u32s(1)),
        ("boot", vec![0xb7; 16]),
        ("incarnation", u64s(0x33)),
        ("generation", u64s(9)),
        ("length", u32s(48)),
        ("payload sum", u32s(crc32fast::hash(&payload))),
        ("reserved", u32s(0)),
        ("header sum", u32s(crc32fast::hash(&slot[..76]))),
        ("payload", payload),
        ("zeros", vec![0; 4096 - 80 - 48]),
    ];
    let rows = table("in this envelope:");
    assert_eq!(rows[0][3], "`vHAr`");
    check("in this envelope:", &slot, &[("length", 48)], fields);
}

#[test]
fn fixed_payloads() {
    let (by, first) = (writer(), Generation::FIRST);
    let fields = ["counter", "write period", "I/O timeout", "TTL", "watchdog", "written at"];
    let fields = fields.into_iter().zip(1..).map(|(name, number)| (name, u64s(number))).collect();
    check("### 1, heartbeat (48 bytes)", payload(&heartbeat().seal(&by, first)), &[], fields);

    let owner = |state| ListOwnerRecord { term: term(1, 2), counter: 3, state }.seal(&by, first);
    for (state, number) in [(OwnerState::Owned, 1), (OwnerState::Released, 2)] {
        let fields = vec![
            ("term: round", u64s(1)),
            ("term: host", u32s(2)),
            ("state", u32s(number)),
            ("counter", u64s(3)),
        ];
        check("### 3, list owner (24 bytes)", payload(&owner(state)), &[], fields);
    }
    assert_eq!(table("### 3, list owner")[2][3], "1 owned, 2 released");

    let states = [MarkerState::None, MarkerState::Intended, MarkerState::Done, MarkerState::Cancelled];
    for (state, number) in states.into_iter().zip(0..) {
        let marker = PowerOffMarker { vm: uuid(5), epoch: VmEpoch::new(6), state }.seal(&by, first);
        let fields = vec![("machine", vec![5; 16]), ("epoch", u64s(6)), ("state", u64s(number))];
        check("### 5, power-off marker (32 bytes)", payload(&marker), &[], fields);
    }
    assert_eq!(table("### 5, power-off marker")[2][3], "0 none, 1 intended, 2 done, 3 cancelled");

    let probe = ProbeRecord { nonce: ProbeNonce::new(7) }.seal(&by, first);
    check("### 12, probe (8 bytes)", payload(&probe), &[], vec![("nonce", u64s(7))]);
}

#[test]
fn vm_locks() {
    let (incarnation, within) = (Incarnation::new(11), Duration::from_nanos(12));
    let home_sum = |datastore: u32| {
        let home = [datastore.to_le_bytes().as_slice(), b"vm-5/vm-5.vmx"].concat();
        xxh3_64(&home) & !1
    };
    let sum = HomeSum::of(&new_home(5));
    let moved = |cleanly_off| VmLockState::Moved { home: new_home(5).home(), sum, cleanly_off };
    let states = [
        (VmLockState::Free, 1, 0, 0),
        (VmLockState::Running { host: host(8), incarnation }, 2, 8, 11),
        (VmLockState::HandingOver { target: host(8), within }, 3, 8, 12),
        (moved(false), 4, 2, home_sum(2)),
        (moved(true), 4, 2, home_sum(2) + 1),
        (VmLockState::CleanlyOff, 5, 0, 0),
    ];
    for (state, number, who, what) in states {
        let record = VmLockRecord::of(&vm(5), VmEpoch::new(6), state);
        let lock = record.seal(&writer(), Generation::FIRST);
        let mut fields = vec![
            ("machine", vec![5; 16]),
            ("epoch", u64s(6)),
            ("state", u32s(number)),
            ("who", u32s(who)),
            ("what", u64s(what)),
            ("home", u64s(home_sum(1))),
            ("file", u64s(0)),
        ];
        check("### 6, VM lock (56 bytes)", payload(&lock), &[], fields.clone());
        let told = VmLockRecord { file: FileIdentity::new(13), ..record }.seal(&writer(), Generation::FIRST);
        fields.pop();
        fields.push(("file", u64s(13)));
        check("### 6, VM lock (56 bytes)", payload(&told), &[], fields);
    }
    let rows = table("### 6, VM lock");
    assert_eq!(rows[2][3], "1 free, 2 running, 3 handing over, 4 moved, 5 cleanly off");
}

#[test]
fn poweron() {
    for (isolated, inventory_complete) in [(false, true), (true, false)] {
        let vms = BTreeMap::from([(uuid(4), VmEpoch::new(5))]);
        let record = PoweronRecord { inventory: 1, isolated, inventory_complete, vms };
        let slot = record.seal(&writer(), Generation::FIRST, &GEOMETRY).unwrap();
        let fields = vec![
            ("inventory", u64s(1)),
            ("isolated", vec![isolated.into()]),
            ("inventory complete", vec![inventory_complete.into()]),
            ("", vec![0; 2]),
            ("n", u32s(1)),
            ("machine", vec![4; 16]),
            ("epoch", u64s(5)),
        ];
        check("### 2, poweron (16 + 24 n bytes)", payload(&slot), &[("i", 0)], fields);
    }
}

fn entry(intent: Option<RestartIntent>) -> ListEntry {
    ListEntry {
        vm: VmId::new(uuid(4), DatastoreId::new(1), "a/b").unwrap(),
        protection: Protection::Protected,
        version: 5,
        priority: 3,
        cpu_reservation_mhz: 6,
        memory_overhead_mb: 7,
        intent,
    }
}

/// The list with that entry alone, as a payload.
fn list(entry: ListEntry) -> Vec<u8> {
    let list =
        ProtectedList { version: 3, entries: [(uuid(4), entry)].into(), ..ProtectedList::new(term(1, 2)) };
    payload(&list.seal(&writer(), Generation::FIRST, &GEOMETRY).unwrap()).to_vec()
}

#[test]
fn lists() {
    let order = OrderId { term: term(1, 2), number: 3 };
    let intent = |target| RestartIntent { order, attempts: 4, target, expected: VmEpoch::new(6) };
    let list_of = |intent| list(entry(intent));
    let closed = list_of(None);
    let sum = xxh3_64(&closed[8..]);
    let fields = vec![
        ("list sum", u64s(sum)),
        ("term: round", u64s(1)),
        ("term: host", u32s(2)),
        ("version", u64s(3)),
        ("n", u32s(1)),
    ];
    check("### 4, list (32 bytes, then the entries)", &closed[..32], &[], fields);

    for (bytes, open) in [(&closed[32..], false), (&list_of(Some(intent(None)))[32..76], true)] {
        let fields = vec![
            ("machine", vec![4; 16]),
            ("home", u32s(1)),
            ("protection", vec![1]),
            ("priority", vec![3]),
            ("intent", vec![open.into()]),
            ("version", u64s(5)),
            ("CPU reservation", u32s(6)),
            ("memory overhead", u32s(7)),
            ("c", vec![3, 0]),
            ("config path", b"a/b".to_vec()),
        ];
        check("Each entry, by uuid strictly ascending as bytes:", bytes, &[("c", 3)], fields);
    }
    let removed = list(ListEntry { protection: Protection::Removed, ..entry(None) });
    assert_eq!(removed[32 + 20], 2, "a tombstone");

    for (target, has, number) in [(None, 0, 0), (Some(host(5)), 1, 5)] {
        let fields = vec![
            ("order: round", u64s(1)),
            ("order: host", u32s(2)),
            ("order: number", u64s(3)),
            ("attempts", u32s(4)),
            ("target", vec![has]),
            ("target", u32s(number)),
            ("expected epoch", u64s(6)),
        ];
        check("With an open restart, right after that:", &list_of(Some(intent(target)))[76..], &[], fields);
    }
}

/// The first record that an owner appends to its log.
#[test]
fn logs() {
    let mut owner = Owner::new(7, 1, Disk::new(LOGGED), at(0));
    owner.claim(term(3, 7));
    owner.settle();
    owner.give(Input::Change { id: ChangeId(1), change: ListChange::Protect(entry(None)) });
    owner.settle();
    let (snapshot, change) = (&owner.writes[owner.writes.len() - 2], owner.writes.last().unwrap());
    assert_eq!((snapshot.bytes.len(), change.bytes.len()), (LOGGED.list_area(), 2 * 4096));
    let (base, record) = (&snapshot.bytes, payload(&change.bytes));
    let base_sum = base[80..88].to_vec();
    let chain = xxh3_64(&[&base_sum, &record[8..]].concat());
    let version = u64::from_le_bytes(base[100..108].try_into().unwrap());
    let entries = list(entry(None))[32..].to_vec();
    let fields = vec![
        ("chain", u64s(chain)),
        ("base", base[56..64].to_vec()),
        ("base sum", base_sum),
        ("index", u32s(0)),
        ("first", u32s(0)),
        ("count", u32s(1)),
        ("term: round", u64s(3)),
        ("term: host", u32s(7)),
        ("version", u64s(version + 1)),
        ("n", u32s(1)),
        ("entries", entries),
    ];
    check("The copies' payloads are the same:", record, &[], fields);
}

/// Names, sizes, places and kinds of the files on a datastore.
#[test]
fn files() {
    let (p, l) = (GEOMETRY.poweron_area(), LOGGED.list_area());
    let names = BTreeMap::from([("P", p), ("L", l), ("G", LOGGED.list_log_area())]);
    assert_eq!(p, (80 + 16 + 24 * 100_usize).next_multiple_of(4096));
    assert_eq!(l, (80 + 32 + 192 * 170_usize).next_multiple_of(4096));
    assert_eq!(LOGGED.list_log_records() as usize, l / 8192);
    let vm = VmId::new(uuid(1), DatastoreId::new(1), "a/b").unwrap();
    let slots = |of: [u64; 2]| (usize::try_from(of[0]).unwrap(), usize::try_from(of[1] - of[0]).unwrap());
    let both = [Generation::FIRST, Generation::new(1)];
    let known = [
        (
            "`host-<n>-hb`",
            FileKind::Heartbeat(host(7)),
            both.map(HeartbeatRecord::offset),
            RecordKind::Heartbeat,
        ),
        (
            "`host-<n>-poweron`",
            FileKind::Poweron(host(7)),
            both.map(|of| PoweronRecord::offset(of, &GEOMETRY)),
            RecordKind::Poweron,
        ),
        (
            "`protectedlist`",
            FileKind::ProtectedList,
            both.map(ListOwnerRecord::offset),
            RecordKind::ListOwner,
        ),
        (
            "`protectedlist.<n>`",
            FileKind::ProtectedListOf(host(7)),
            both.map(|of| ProtectedList::offset(of, &LOGGED)),
            RecordKind::List,
        ),
        (
            "`poweredoff/<vm uuid>`",
            FileKind::PoweredOff(uuid(1)),
            both.map(PowerOffMarker::offset),
            RecordKind::PowerOffMarker,
        ),
        ("`host-<n>-probe`", FileKind::Probe(host(7)), both.map(ProbeRecord::offset), RecordKind::Probe),
        (
            "`<vm home>/.<config file name>.ha-lock`",
            FileKind::VmLock(vm),
            both.map(VmLockRecord::offset),
            RecordKind::VmLock,
        ),
    ];
    let rows = table("## The cluster's directory");
    assert_eq!(
        rows.iter().map(|row| row[0]).collect::<Vec<_>>(),
        known.iter().map(|file| file.0).collect::<Vec<_>>()
    );
    for (row, (name, file, offsets, kind)) in rows.into_iter().zip(known) {
        let size = file_size(&file, &if kind == RecordKind::List { LOGGED } else { GEOMETRY });
        assert_eq!(value(row[1], &names) as u64, size, "{name}");
        assert_eq!((value(row[2], &names), value(row[3], &names)), slots(offsets), "{name}");
        let log = if kind == RecordKind::List {
            format!(", its logs {}", RecordKind::ListLog.number())
        } else {
            String::new()
        };
        assert_eq!(row[4], format!("{}{log}", kind.number()), "{name}");
    }
}

#[test]
fn files_of_a_host() {
    let rows = table("nothing is padded, and nothing may follow.");
    let mut said: Vec<(String, u16)> =
        rows.iter().map(|row| (row[0].trim_matches('`').to_owned(), row[1].parse().unwrap())).collect();
    let mut known = LocalFile::ALL.map(|file| (file.name().to_owned(), file.kind().number())).to_vec();
    said.sort();
    known.sort();
    assert_eq!(said, known);
    let version = ConfigVersion::new(9);
    let config = ClusterConfig { version, options: "a = 1".parse().unwrap() }.seal(&writer()).unwrap();
    let own = FdmConfig { version, options: "a = 1".parse().unwrap() }.seal(&writer()).unwrap();
    let hosts = HostList::new(version, Vec::new()).unwrap().seal(&writer()).unwrap();
    for file in [&config, &own, &hosts] {
        let payload = payload(file);
        let sum = xxh3_64(&payload[8..]);
        check(
            "Every payload begins with:",
            &payload[..16],
            &[],
            vec![("sum", u64s(sum)), ("version", u64s(9))],
        );
    }
    assert_eq!(payload(&config)[16..], *[u64s(5), b"a = 1".to_vec()].concat());
    assert_eq!(payload(&hosts)[16..], *u64s(0));
}

#[test]
fn vmmetadata() {
    let version = ConfigVersion::new;
    let mut matrix = VmMetadata::new(version(9), version(8), vec![host(3)]).unwrap();
    matrix.set(uuid(4), [host(3)]).unwrap();
    let file = matrix.seal(&writer()).unwrap();
    let names = [("h", 1), ("t", 8), ("w", 1), ("i", 0), ("row", 16 + 8), ("k", 0)];
    let fields = vec![
        ("host list", u64s(8)),
        ("h", u32s(1)),
        ("n", u32s(1)),
        ("host i", u32s(3)),
        ("", vec![0; 4]),
        ("machine k", vec![4; 16]),
        ("hosts of machine k", u64s(1)),
    ];
    check("offsets from the start of the body:", &payload(&file)[16..], &names, fields);
}

#[test]
fn worked_examples() {
    let examples = MANUAL.split("\n`tests/golden/").skip(1).map(|part| {
        let name = part.split_once(".hex`").unwrap().0;
        let text = part.split_once("```text\n").unwrap().1.split_once("```").unwrap().0;
        let lines: Vec<&str> =
            text.lines().map(|line| line.split_once("   ").map_or(line, |(bytes, _)| bytes)).collect();
        (name, lines)
    });
    let mut count = 0;
    for (name, lines) in examples {
        let golden = dump(&load(name));
        let first = golden.lines().position(|line| Some(&line) == lines.first()).unwrap();
        let found: Vec<&str> = golden.lines().skip(first).take(lines.len()).collect();
        assert_eq!(found, lines, "{name}");
        if name == "ha-lock-initial" {
            assert_eq!(golden.lines().count(), 1 + lines.len(), "everything else is zero");
        }
        count += 1;
    }
    assert_eq!(count, 2);
}

/// Each table of the manual is read by a test here.
#[test]
fn no_table_is_left_out() {
    let tables = MANUAL.lines().filter(|line| line.starts_with("|---")).count();
    let heads = MANUAL.lines().filter(|line| line.starts_with("| offset | bytes | field |")).count();
    // Besides the fields: the files twice, and the two tables of states, which `format_model` is written from.
    assert_eq!((heads, tables), (13, 17));
}
