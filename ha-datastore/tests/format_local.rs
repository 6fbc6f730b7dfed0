//! The host-local files: golden bytes both ways, every damage, every bound, and what people see.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::fmt::Debug;

use common::golden::compare as golden;
use common::{CLUSTER, host, identity, uuid};
use ha_core::record::{Generation, RecordFault, RecordKind, seal};
use ha_core::{ClusterId, HostId};
use ha_datastore::format::local::{
    AnyLocal, ClusterConfig, ConfigVersion, FdmConfig, HostAddress, HostEntry, HostList, HostListError,
    LocalFault, LocalFile, LocalRecord, MetadataError, OptionsText, VmMetadata, VmMetadataView,
};
use xxhash_rust::xxh3::xxh3_64;

const OPTIONS: &str = "das.isolationaddress = 10.0.0.1\nfdm.isolationPolicyDelaySec = 60\n";

fn version(number: u64) -> ConfigVersion {
    ConfigVersion::new(number)
}

fn cluster_config() -> ClusterConfig {
    ClusterConfig { version: version(80), options: OPTIONS.parse().unwrap() }
}

fn fdm_config() -> FdmConfig {
    FdmConfig { version: version(2), options: "fdm.nodeGoodness = 12\n".parse().unwrap() }
}

fn entry(number: u32, moid: &str, addresses: &[&str]) -> HostEntry {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    HostEntry { host: host(number), moid: moid.parse().unwrap(), addresses }
}

fn host_list() -> HostList {
    let hosts = vec![
        entry(90, "host-12", &[]),
        entry(3, "host-99", &["10.0.0.3:8182", "esx-3.example.org:8182"]),
        entry(7, "host-100", &["10.0.0.7:8182"]),
    ];
    HostList::new(version(69), hosts).unwrap()
}

/// The odd numbers: one host more than a word has bits.
fn sixty_five_hosts() -> Vec<HostId> {
    (0..65).map(|index| host(2 * index + 1)).collect()
}

fn vm_metadata() -> VmMetadata {
    let mut matrix = VmMetadata::new(version(601_102), version(69), sixty_five_hosts()).unwrap();
    matrix.set(uuid(200), [host(127)]).unwrap();
    matrix.set(uuid(9), sixty_five_hosts()).unwrap();
    matrix.set(uuid(2), []).unwrap();
    matrix.set(uuid(1), [host(129), host(1)]).unwrap();
    matrix
}

/// The file is as the independent script wrote it, says the same, and no damaged form of it says anything.
fn golden_both_ways<T: LocalRecord + PartialEq + Debug>(content: &T) {
    let file = golden(T::FILE.name(), &content.seal(&identity(7, 3)).unwrap());
    let read = |file: &[u8]| T::read(file, CLUSTER, host(7));
    let record = read(&file).unwrap();
    assert_eq!((&record.content, record.writer), (content, identity(7, 3)));
    assert_eq!(T::read_version(&file, CLUSTER, host(7)), Ok(content.version()));
    let any = AnyLocal::read(&file).unwrap();
    assert_eq!((any.file(), any.writer()), (T::FILE, identity(7, 3)));

    for length in 0..file.len() {
        let fault = LocalFault::Record(RecordFault::WrongSize { found: length });
        assert_eq!(read(&file[..length]).unwrap_err(), fault);
        AnyLocal::read(&file[..length]).unwrap_err();
    }
    let longer = [file.as_slice(), &[0; 4096]].concat();
    let fault = LocalFault::Record(RecordFault::WrongSize { found: longer.len() });
    assert_eq!(read(&longer).unwrap_err(), fault);
    let mut flipped = file;
    for bit in 0..flipped.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(read(&flipped), Err(LocalFault::Record(_))), "bit {bit}");
        assert!(AnyLocal::read(&flipped).is_err(), "bit {bit}");
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn golden_files() {
    golden_both_ways(&cluster_config());
    golden_both_ways(&fdm_config());
    golden_both_ways(&host_list());
    golden_both_ways(&vm_metadata());
}

#[test]
fn a_file_of_another_host_or_cluster_is_refused() {
    let file = cluster_config().seal(&identity(7, 3)).unwrap();
    let read = |cluster, number| ClusterConfig::read(&file, cluster, host(number)).unwrap_err();
    assert_eq!(read(CLUSTER, 8), LocalFault::Record(RecordFault::WrongWriter { found: host(7) }));
    let other = ClusterId::from_bytes([1; 16]);
    assert_eq!(read(other, 7), LocalFault::Record(RecordFault::ForeignCluster { found: CLUSTER }));
    let fault = FdmConfig::read(&file, CLUSTER, host(7)).unwrap_err();
    assert_eq!(fault, LocalFault::Record(RecordFault::WrongKind { found: 8 }));
    let record = seal(RecordKind::Heartbeat, &identity(7, 3), Generation::FIRST, &[0; 48], 4096).unwrap();
    let fault = AnyLocal::read(&record).unwrap_err();
    assert_eq!(fault, LocalFault::Record(RecordFault::WrongKind { found: 1 }));
}

#[test]
fn a_later_generation_is_no_local_file() {
    let whole = fdm_config().seal(&identity(7, 3)).unwrap();
    let length = usize::try_from(u32::from_le_bytes(whole[64..68].try_into().unwrap())).unwrap();
    let payload = &whole[80..80 + length];
    let again =
        seal(RecordKind::FdmConfig, &identity(7, 3), Generation::new(2), payload, whole.len()).unwrap();
    let fault = FdmConfig::read(&again, CLUSTER, host(7)).unwrap_err();
    assert_eq!(fault, LocalFault::Record(RecordFault::BadContent { field: "generation" }));
}

#[test]
fn options_are_kept_as_they_are_and_parse() {
    let config = cluster_config();
    assert_eq!(config.options.as_str(), OPTIONS);
    assert!(config.options.options().unwrap().get("das.isolationaddress").is_some());
    let unknown: OptionsText = "das.newerThanThis = 1".parse().unwrap();
    assert!(unknown.options().unwrap_err().to_string().contains("das.newerThanThis"));

    for (length, accepted) in
        [(OptionsText::MAX_LEN - 1, true), (OptionsText::MAX_LEN, true), (OptionsText::MAX_LEN + 1, false)]
    {
        let text = "#".repeat(length);
        let parsed: Option<OptionsText> = text.parse().ok();
        assert_eq!(parsed.is_some(), accepted, "{length}");
        if let Some(options) = parsed {
            let config = ClusterConfig { version: version(1), options };
            let file = config.seal(&identity(7, 3)).unwrap();
            assert_eq!(ClusterConfig::read(&file, CLUSTER, host(7)).unwrap().content, config);
        }
    }
    for bad in ["a\0b", "a\rb", "\u{1b}[31m"] {
        assert!(bad.parse::<OptionsText>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_host_list_has_each_host_once() {
    let list = host_list();
    assert_eq!(list.hosts().iter().map(|entry| entry.host.number()).collect::<Vec<_>>(), [3, 7, 90]);
    assert_eq!(list.get(host(7)).unwrap().moid.as_str(), "host-100");
    assert_eq!(list.get(host(8)), None);
    assert_eq!(list.get_by_moid(&"host-99".parse().unwrap()).unwrap().host, host(3));

    let refused = |hosts| HostList::new(version(1), hosts).unwrap_err();
    let error = refused(vec![entry(1, "a", &[]), entry(1, "b", &[])]);
    assert_eq!(error, HostListError::SameNumber { host: host(1) });
    let error = refused(vec![entry(1, "a", &[]), entry(2, "a", &[])]);
    assert_eq!(error, HostListError::SameMoid { moid: "a".parse().unwrap() });

    let with_addresses = |count| HostList::new(version(1), vec![entry(1, "a", &vec!["x"; count])]);
    assert!(with_addresses(HostList::MAX_ADDRESSES).is_ok());
    let error = with_addresses(HostList::MAX_ADDRESSES + 1).unwrap_err();
    assert_eq!(error, HostListError::TooManyAddresses { host: host(1), found: 9 });
    for bad in ["", "a b", "ü", &"x".repeat(262)] {
        assert!(bad.parse::<HostAddress>().is_err(), "{bad:?}");
    }
}

#[test]
fn the_largest_host_list_fits() {
    let address = "x".repeat(HostAddress::MAX_LEN);
    let largest = |count: u32| {
        let hosts = (0..count)
            .map(|number| entry(number, &format!("{number:0>80}"), &[&*address; HostList::MAX_ADDRESSES]));
        HostList::new(version(1), hosts.collect())
    };
    let list = largest(4_096).unwrap();
    let file = list.seal(&identity(7, 3)).unwrap();
    assert_eq!(file.len(), LocalFile::HostList.max_size());
    assert_eq!(HostList::read(&file, CLUSTER, host(7)).unwrap().content, list);
    assert_eq!(largest(4_097).unwrap_err(), HostListError::TooManyHosts { found: 4_097 });
}

#[test]
fn a_machine_is_found_in_place() {
    let file = vm_metadata().seal(&identity(7, 3)).unwrap();
    let view = VmMetadataView::read(&file, CLUSTER, host(7)).unwrap();
    assert_eq!((view.version(), view.host_list(), view.vms()), (version(601_102), version(69), 4));
    assert!(view.hosts().eq(sixty_five_hosts()));
    let on = |number| view.compatible(uuid(number)).map(|hosts| hosts.iter().collect::<Vec<_>>());
    assert_eq!(on(1), Some(vec![host(1), host(129)]));
    assert_eq!(on(2), Some(vec![]), "known, and no host can run it");
    assert_eq!(on(9), Some(sixty_five_hosts()));
    assert_eq!(on(200), Some(vec![host(127)]));
    for unknown in [0, 3, 8, 10, 199, 201, 255] {
        assert_eq!(on(unknown), None, "{unknown}");
    }
    let hosts = view.compatible(uuid(200)).unwrap();
    assert_eq!(
        [126, 127, 128, 129, 131].map(|number| hosts.contains(host(number))),
        [false, true, false, false, false]
    );
    assert_eq!((hosts.count(), view.compatible(uuid(9)).unwrap().count()), (1, 65));
}

#[test]
fn a_matrix_is_changed_and_keeps_its_bounds() {
    let mut matrix = vm_metadata();
    assert_eq!(matrix.set(uuid(1), [host(2)]), Err(MetadataError::UnknownHost { host: host(2) }));
    assert_eq!(matrix, vm_metadata(), "unchanged");
    assert!(matrix.remove(uuid(1)) && !matrix.remove(uuid(1)));
    let next = matrix.with_version(version(601_103));
    let file = next.seal(&identity(7, 3)).unwrap();
    assert_eq!(VmMetadata::read(&file, CLUSTER, host(7)).unwrap().content, next);

    let of = |hosts: Vec<HostId>| VmMetadata::new(version(1), version(1), hosts);
    assert_eq!(of(vec![host(1), host(2), host(1)]).unwrap_err(), MetadataError::SameHost { host: host(1) });
    assert!(of((0..4_096).map(host).collect()).is_ok());
    let error = of((0..4_097).map(host).collect()).unwrap_err();
    assert_eq!(error, MetadataError::TooManyHosts { found: 4_097 });
}

/// At every number of hosts around a word's bits; nothing of one row leaks into the next.
#[test]
fn rows_of_every_width() {
    for count in [0, 1, 2, 63, 64, 65, 127, 128, 129] {
        let hosts: Vec<HostId> = (0..count).map(host).collect();
        let mut matrix = VmMetadata::new(version(1), version(1), hosts.clone()).unwrap();
        matrix.set(uuid(1), hosts.clone()).unwrap();
        matrix.set(uuid(2), []).unwrap();
        matrix.set(uuid(3), hosts.last().copied()).unwrap();
        let file = matrix.seal(&identity(7, 3)).unwrap();
        let view = VmMetadataView::read(&file, CLUSTER, host(7)).unwrap();
        assert!(view.compatible(uuid(1)).unwrap().iter().eq(hosts.iter().copied()), "{count}");
        assert_eq!(view.compatible(uuid(2)).unwrap().count(), 0, "{count}");
        assert!(view.compatible(uuid(3)).unwrap().iter().eq(hosts.last().copied()), "{count}");
        assert_eq!(VmMetadata::read(&file, CLUSTER, host(7)).unwrap().content, matrix, "{count}");
    }
}

#[test]
fn a_full_matrix_fits_and_one_machine_more_does_not() {
    let mut matrix = VmMetadata::new(version(1), version(1), vec![host(1)]).unwrap();
    let number = |number: usize| ha_core::VmUuid::from_bytes(u128::try_from(number).unwrap().to_be_bytes());
    for index in 0..VmMetadata::MAX_VMS {
        matrix.set(number(index), [host(1)]).unwrap();
    }
    matrix.set(number(7), []).unwrap();
    let vm = number(VmMetadata::MAX_VMS);
    assert_eq!(matrix.set(vm, []), Err(MetadataError::TooManyVms { vm }));
    let file = matrix.seal(&identity(7, 3)).unwrap();
    let view = VmMetadataView::read(&file, CLUSTER, host(7)).unwrap();
    for index in 0..VmMetadata::MAX_VMS {
        assert_eq!(view.compatible(number(index)).unwrap().contains(host(1)), index != 7, "{index}");
    }
    assert!(view.compatible(vm).is_none());
}

/// Good sums over a body that no writer makes.
#[test]
fn what_no_writer_writes_is_refused_by_name() {
    let read = |body: &[u8]| {
        let rest = [&601_102_u64.to_le_bytes(), body].concat();
        let payload = [&xxh3_64(&rest).to_le_bytes(), rest.as_slice()].concat();
        let file = seal(RecordKind::VmMetadata, &identity(7, 3), Generation::FIRST, &payload, 4096).unwrap();
        VmMetadataView::read(&file, CLUSTER, host(7)).map(drop)
    };
    let good = vm_metadata().seal(&identity(7, 3)).unwrap();
    let length = usize::try_from(u32::from_le_bytes(good[64..68].try_into().unwrap())).unwrap();
    let good = &good[96..80 + length];
    assert_eq!(read(good), Ok(()));
    let row = 16 + 16;
    let rows = good.len() - 4 * row;
    let bad = |field| Err(LocalFault::Record(RecordFault::BadContent { field }));
    let changed = |at: usize, bytes: &[u8]| {
        let mut body = good.to_vec();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        read(&body)
    };
    assert_eq!(read(&good[..7]), bad("version of the host list"));
    assert_eq!(changed(8, &4_097_u32.to_le_bytes()), bad("hosts"));
    assert_eq!(changed(12, &100_001_u32.to_le_bytes()), bad("virtual machines"));
    assert_eq!(changed(12, &5_u32.to_le_bytes()), bad("length"));
    assert_eq!(read(&good[..good.len() - 1]), bad("length"));
    assert_eq!(changed(20, &1_u32.to_le_bytes()), bad("order of hosts"));
    assert_eq!(changed(16 + 4 * 65, &[1]), bad("padding"));
    assert_eq!(changed(rows + row, &[1; 16]), bad("order of virtual machines"));
    assert_eq!(changed(rows + 16 + 8, &[2]), bad("bits without a host"));
}

#[test]
fn members_in_the_wrong_order_are_refused() {
    let file = host_list().seal(&identity(7, 3)).unwrap();
    let length = usize::try_from(u32::from_le_bytes(file[64..68].try_into().unwrap())).unwrap();
    let mut payload = file[80..80 + length].to_vec();
    // The first host's number, after sum, version and count.
    payload[24] = 8;
    let sum = xxh3_64(&payload[8..]);
    payload[..8].copy_from_slice(&sum.to_le_bytes());
    let file = seal(RecordKind::HostList, &identity(7, 3), Generation::FIRST, &payload, 4096).unwrap();
    let fault = HostList::read(&file, CLUSTER, host(7)).unwrap_err();
    assert_eq!(fault, LocalFault::HostList(HostListError::OutOfOrder { host: host(7) }));
}

#[test]
fn each_file_prints() {
    let print = |file: &[u8]| AnyLocal::read(file).unwrap().to_string();
    let head = |name: &str| {
        format!(
            "{name} of host-7 in cluster c1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1\n\
             written by incarnation-3 in boot b0b0b0b0-b0b0-b0b0-b0b0-b0b0b0b0b0b0\n"
        )
    };
    let by = identity(7, 3);
    assert_eq!(
        print(&cluster_config().seal(&by).unwrap()),
        head("clusterconfig")
            + "cluster configuration, version 80\n  das.isolationaddress = 10.0.0.1\n  \
               fdm.isolationPolicyDelaySec = 60"
    );
    assert_eq!(
        print(&fdm_config().seal(&by).unwrap()),
        head("fdm.cfg") + "options of this host, version 2\n  fdm.nodeGoodness = 12"
    );
    let nothing = FdmConfig { version: version(1), options: OptionsText::default() };
    assert_eq!(nothing.to_string(), "options of this host, version 1\n  no option is set");
    assert_eq!(
        print(&host_list().seal(&by).unwrap()),
        head("hostlist")
            + "host list, version 69: 3 hosts\n  host-3  host-99  10.0.0.3:8182  esx-3.example.org:8182\n  \
               host-7  host-100  10.0.0.7:8182\n  host-90  host-12"
    );
    let mut matrix = VmMetadata::new(version(5), version(69), vec![host(3), host(7)]).unwrap();
    matrix.set(uuid(1), [host(3), host(7)]).unwrap();
    matrix.set(uuid(2), []).unwrap();
    assert_eq!(
        print(&matrix.seal(&by).unwrap()),
        head("vmmetadata")
            + "compatibility, version 5: 2 virtual machines on 2 hosts of host list 69\n  \
               01010101-0101-0101-0101-010101010101  host-3, host-7\n  \
               02020202-0202-0202-0202-020202020202  no host"
    );
}
