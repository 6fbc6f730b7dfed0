//! A million hostile payloads in good sums, for each reader of a host-local file: a value or a typed fault each
//! time, never a panic, and no more memory than is stated.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use allocation_counter::measure;
use common::golden::load;
use common::{CLUSTER, host, identity};
use ha_core::codec::max_allocated;
use ha_core::contract::Hostile;
use ha_core::record::{Generation, seal};
use ha_datastore::format::local::{
    AnyLocal, ClusterConfig, FdmConfig, HostList, LocalFile, LocalRecord, VmMetadata, VmMetadataView,
};
use xxhash_rust::xxh3::xxh3_64;

const PAYLOADS: u32 = 1_000_000;
/// So many of a million, at least, are to be read, or nothing behind the first fields was tried.
const ENOUGH: u32 = PAYLOADS / 50;

/// Gives a million files to `read`, which tells whether it took one; `bound` for a file's length.
fn attack(file: LocalFile, bound: fn(usize) -> usize, read: impl Fn(&[u8]) -> bool) {
    let golden = load(file.name());
    let length = usize::try_from(u32::from_le_bytes(golden[64..68].try_into().unwrap())).unwrap();
    let goods = [golden[96..80 + length].to_vec()];
    let mut hostile = Hostile::from_seed(u64::from(file.kind().number()));
    let (mut body, mut good) = (Vec::new(), 0);
    for round in 0..PAYLOADS {
        hostile.payload(&goods, 600, &mut body);
        let rest = [&7_u64.to_le_bytes(), body.as_slice()].concat();
        // A sum that does not fit, once in a while.
        let sum = xxh3_64(&rest) ^ u64::from(round % 16 == 0);
        let payload = [&sum.to_le_bytes(), rest.as_slice()].concat();
        let bytes = seal(file.kind(), &identity(7, 1), Generation::FIRST, &payload, 4096).unwrap();
        let mut taken_in = false;
        let taken = measure(|| taken_in = read(&bytes));
        assert!(taken.bytes_max <= bound(bytes.len()) as u64, "{body:?}: {taken:?}");
        assert!(!(taken_in && round % 16 == 0), "{body:?}: the sum does not fit");
        good += u32::from(taken_in);
    }
    assert!(good > ENOUGH, "{file}: {good}");
}

fn read<T: LocalRecord>(file: &[u8]) -> bool {
    T::read(file, CLUSTER, host(7)).is_ok()
}

#[test]
fn cluster_configs() {
    attack(LocalFile::ClusterConfig, max_allocated, read::<ClusterConfig>);
}

#[test]
fn configs_of_a_host() {
    attack(LocalFile::FdmConfig, max_allocated, read::<FdmConfig>);
}

#[test]
fn host_lists() {
    attack(LocalFile::HostList, max_allocated, read::<HostList>);
}

#[test]
fn matrices_in_memory() {
    attack(LocalFile::VmMetadata, max_allocated, read::<VmMetadata>);
}

/// Nothing is allocated, also not by looking up every machine that the file claims to have.
#[test]
fn matrices_in_place() {
    attack(
        LocalFile::VmMetadata,
        |_| 0,
        |file| {
            let Ok(view) = VmMetadataView::read(file, CLUSTER, host(7)) else { return false };
            assert_eq!(view.iter().count(), view.vms());
            for (vm, hosts) in view.iter() {
                assert_eq!(view.compatible(vm).map(|found| found.count()), Some(hosts.count()));
                assert!(hosts.iter().all(|host| hosts.contains(host)));
            }
            true
        },
    );
}

/// The same without an envelope that fits.
#[test]
fn files() {
    let goods = LocalFile::ALL.map(|file| load(file.name()));
    let mut hostile = Hostile::from_seed(1);
    let mut file = Vec::new();
    for _ in 0..PAYLOADS {
        hostile.payload(&goods, 8192, &mut file);
        let mut taken_in = false;
        let taken = measure(|| taken_in = AnyLocal::read(&file).is_ok());
        assert!(taken.bytes_max <= max_allocated(file.len()) as u64, "{taken:?}");
        assert_eq!(taken_in, goods.contains(&file), "only a change that changes nothing goes unnoticed");
    }
}
