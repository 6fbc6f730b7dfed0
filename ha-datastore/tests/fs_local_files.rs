//! The four files of a host in their folder: versions, damage, maps.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod fs_common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use fs_common::TempDir;
use ha_core::record::{RecordFault, SealError};
use ha_core::{BootId, ClusterId, HostId, Identity, Incarnation, VmUuid};
use ha_datastore::format::local::{
    AnyLocal, ClusterConfig, ConfigVersion, FdmConfig, HostEntry, HostList, LocalFault, LocalFile,
    LocalRecord, VmMetadata,
};
use ha_datastore::fs::local::{LocalError, LocalFolder, VersionRule, Written, raise_incarnation};

const ME: Identity = Identity {
    cluster: ClusterId::from_bytes([0xc1; 16]),
    host: HostId::new(7),
    boot: BootId::from_bytes([0xb0; 16]),
    incarnation: Incarnation::new(1),
};

fn version(number: u64) -> ConfigVersion {
    ConfigVersion::new(number)
}

fn config(number: u64, options: &str) -> ClusterConfig {
    ClusterConfig { version: version(number), options: options.parse().unwrap() }
}

fn matrix(number: u64, on: u32) -> VmMetadata {
    let hosts = vec![HostId::new(3), HostId::new(7)];
    let mut matrix = VmMetadata::new(version(number), version(69), hosts).unwrap();
    matrix.set(VmUuid::from_bytes([1; 16]), [HostId::new(on)]).unwrap();
    matrix
}

fn open(temp: &TempDir) -> LocalFolder {
    LocalFolder::open(temp.path(), ME).unwrap()
}

#[test]
fn each_file_is_there_after_it_was_written() {
    let temp = TempDir::new();
    let folder = open(&temp);
    assert!(folder.read::<ClusterConfig>().unwrap().is_none() && folder.map_vm_metadata().unwrap().is_none());

    let hosts = vec![HostEntry { host: ME.host, moid: "host-7".parse().unwrap(), addresses: Vec::new() }];
    let hosts = HostList::new(version(69), hosts).unwrap();
    let own = FdmConfig { version: version(1), options: "fdm.nodeGoodness = 3".parse().unwrap() };
    let stored = [
        folder.write(&config(80, ""), VersionRule::OnlyNewer).unwrap(),
        folder.write(&hosts, VersionRule::OnlyNewer).unwrap(),
        folder.write(&own, VersionRule::OnlyNewer).unwrap(),
        folder.write(&matrix(601_102, 3), VersionRule::OnlyNewer).unwrap(),
    ];
    assert_eq!(stored, [Written::Stored; 4]);

    let folder = open(&temp);
    assert_eq!(folder.read::<ClusterConfig>().unwrap().unwrap().content, config(80, ""));
    assert_eq!(folder.read::<HostList>().unwrap().unwrap().content, hosts);
    assert_eq!(folder.read::<FdmConfig>().unwrap().unwrap().content, own);
    assert_eq!(folder.read::<VmMetadata>().unwrap().unwrap().content, matrix(601_102, 3));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 4);
    for file in LocalFile::ALL {
        let path = folder.path_of(file);
        assert_eq!(path, temp.path().join(file.name()));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        assert_eq!(AnyLocal::read(&fs::read(path).unwrap()).unwrap().file(), file);
    }
}

#[test]
fn versions_do_not_go_back_unless_forced() {
    let temp = TempDir::new();
    let folder = open(&temp);
    let stored = || folder.read::<ClusterConfig>().unwrap().unwrap().content;
    let write = |number, options, rule| folder.write(&config(number, options), rule);
    write(80, "#a", VersionRule::OnlyNewer).unwrap();

    let error = write(79, "#b", VersionRule::OnlyNewer).unwrap_err();
    assert!(matches!(&error, LocalError::Older { stored, given, .. }
        if *stored == version(80) && *given == version(79)));
    let path = temp.path().join("clusterconfig");
    let text = format!("{} has version 80, which is newer than the given 79", path.display());
    assert_eq!(error.to_string(), text);
    let error = write(80, "#b", VersionRule::OnlyNewer).unwrap_err();
    assert!(matches!(error, LocalError::SameVersion { version: found, .. } if found == version(80)));
    assert_eq!(stored(), config(80, "#a"));

    let later_life = Identity { incarnation: Incarnation::new(2), ..ME };
    let later = LocalFolder::open(temp.path(), later_life).unwrap();
    assert_eq!(later.write(&config(80, "#a"), VersionRule::OnlyNewer).unwrap(), Written::Unchanged);
    assert_eq!(write(81, "#b", VersionRule::OnlyNewer).unwrap(), Written::Stored);
    assert_eq!(write(5, "#c", VersionRule::Forced).unwrap(), Written::Stored);
    assert_eq!(stored(), config(5, "#c"));
}

#[test]
fn a_file_that_nobody_understands_is_written_over_only_by_force() {
    let temp = TempDir::new();
    let folder = open(&temp);
    folder.write(&config(80, "#a"), VersionRule::OnlyNewer).unwrap();
    let path = folder.path_of(LocalFile::ClusterConfig);
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    let damages: [(&[u8], RecordFault); 4] = [
        (&flipped, RecordFault::BadPayload),
        (&whole[..100], RecordFault::WrongSize { found: 100 }),
        (&[], RecordFault::WrongSize { found: 0 }),
        (&[0; 4096], RecordFault::NeverWritten),
    ];
    for (damaged, expected) in damages {
        fs::write(&path, damaged).unwrap();
        let read = folder.read::<ClusterConfig>().unwrap_err();
        let written = folder.write(&config(81, "#b"), VersionRule::OnlyNewer).unwrap_err();
        for error in [read, written] {
            assert!(
                matches!(&error, LocalError::Damaged { fault: LocalFault::Record(fault), .. }
                if *fault == expected),
                "{error}"
            );
            assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), damaged, "left for a person to look at");
    }
    folder.write(&config(3, "#c"), VersionRule::Forced).unwrap();
    assert_eq!(folder.read::<ClusterConfig>().unwrap().unwrap().content, config(3, "#c"));

    let stranger = Identity { host: HostId::new(8), ..ME };
    let error = LocalFolder::open(temp.path(), stranger).unwrap().read::<ClusterConfig>().unwrap_err();
    let fault = LocalFault::Record(RecordFault::WrongWriter { found: ME.host });
    assert!(matches!(error, LocalError::Damaged { fault: found, .. } if found == fault));
}

#[test]
fn a_map_stays_as_it_is_when_the_file_is_replaced() {
    let temp = TempDir::new();
    let folder = open(&temp);
    folder.write(&matrix(1, 3), VersionRule::OnlyNewer).unwrap();
    let first = folder.map_vm_metadata().unwrap().unwrap();
    folder.write(&matrix(2, 7), VersionRule::OnlyNewer).unwrap();
    let second = folder.map_vm_metadata().unwrap().unwrap();
    let of = |map: &ha_datastore::fs::local::MappedVmMetadata| {
        let hosts = map.view().compatible(VmUuid::from_bytes([1; 16])).unwrap();
        (map.view().version().number(), hosts.iter().map(HostId::number).collect::<Vec<_>>())
    };
    assert_eq!((of(&first), of(&second)), ((1, vec![3]), (2, vec![7])));
    fs::remove_file(folder.path_of(LocalFile::VmMetadata)).unwrap();
    assert_eq!((of(&first), of(&second)), ((1, vec![3]), (2, vec![7])));
}

#[test]
fn a_damaged_matrix_is_not_mapped() {
    let temp = TempDir::new();
    let folder = open(&temp);
    let path = folder.path_of(LocalFile::VmMetadata);
    let fault = || {
        let error = folder.map_vm_metadata().unwrap_err();
        let LocalError::Damaged { fault: LocalFault::Record(fault), .. } = error else { panic!("{error}") };
        fault
    };
    fs::write(&path, []).unwrap();
    assert_eq!(fault(), RecordFault::WrongSize { found: 0 });
    let whole = matrix(1, 3).seal(&ME).unwrap();
    fs::write(&path, &whole[..4095]).unwrap();
    assert_eq!(fault(), RecordFault::WrongSize { found: 4095 });
    let mut flipped = whole.to_vec();
    flipped[120] ^= 0x80;
    fs::write(&path, flipped).unwrap();
    assert_eq!(fault(), RecordFault::BadPayload);
    fs::write(&path, whole).unwrap();
    assert!(folder.map_vm_metadata().unwrap().is_some());
}

#[test]
fn what_is_in_the_way_is_named_and_not_waited_for() {
    let temp = TempDir::new();
    let error = LocalFolder::open(&temp.path().join("missing"), ME).unwrap_err();
    assert!(matches!(error, LocalError::Io { .. }) && error.to_string().contains("missing"), "{error}");
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(LocalFolder::open(&file, ME).unwrap_err(), LocalError::NotADirectory { .. }));

    let folder = open(&temp);
    let path = folder.path_of(LocalFile::VmMetadata);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    assert!(matches!(folder.map_vm_metadata().unwrap_err(), LocalError::NotAFile { .. }));
    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    assert!(matches!(folder.map_vm_metadata().unwrap_err(), LocalError::Io { .. }), "no link is followed");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(folder.read::<VmMetadata>().unwrap_err(), LocalError::NotAFile { .. }));
}

#[test]
fn a_file_longer_than_any_whole_one_is_not_read() {
    let temp = TempDir::new();
    let folder = open(&temp);
    let most = u64::try_from(LocalFile::FdmConfig.max_size()).unwrap();
    let file = fs::File::create(folder.path_of(LocalFile::FdmConfig)).unwrap();
    file.set_len(most).unwrap();
    let error = folder.read::<FdmConfig>().unwrap_err();
    let fault = LocalFault::Record(RecordFault::NeverWritten);
    assert!(
        matches!(error, LocalError::Damaged { fault: found, .. } if found == fault),
        "of the right length"
    );
    file.set_len(most + 1).unwrap();
    let error = folder.read::<FdmConfig>().unwrap_err();
    assert!(
        matches!(error, LocalError::TooLong { found, most: limit, .. } if (found, limit) == (most + 1, most))
    );
}

/// `/proc` is no file system for files of a host, nor is any network mount.
#[test]
fn a_folder_on_another_file_system_is_refused() {
    let error = LocalFolder::open("/proc/self".as_ref(), ME).unwrap_err();
    assert!(matches!(error, LocalError::NotLocal { .. }), "{error}");
    assert!(error.to_string().contains("accepted for files of one host: ext2/3/4"), "{error}");
}

#[test]
fn leftovers_go_and_the_incarnation_stays() {
    let temp = TempDir::new();
    raise_incarnation(temp.path(), Incarnation::new(4)).unwrap();
    for file in LocalFile::ALL {
        fs::write(temp.path().join(format!("{}.tmp", file.name())), "then the power failed").unwrap();
    }
    open(&temp);
    let left: Vec<_> = fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["incarnation"]);
}

/// A content that says of itself that it has no room.
#[derive(Debug)]
struct NoRoom;

impl LocalRecord for NoRoom {
    const FILE: LocalFile = LocalFile::FdmConfig;

    fn version(&self) -> ConfigVersion {
        version(1)
    }

    fn seal(&self, _: &Identity) -> Result<bytes::Bytes, SealError> {
        Err(SealError::TooLong { needed: 2, available: 1 })
    }

    fn read(_: &[u8], _: ClusterId, _: HostId) -> Result<ha_core::record::Sealed<Self>, LocalFault> {
        Err(LocalFault::Record(RecordFault::BadPayload))
    }
}

#[test]
fn a_content_without_room_changes_nothing() {
    let temp = TempDir::new();
    let error = open(&temp).write(&NoRoom, VersionRule::Forced).unwrap_err();
    assert!(matches!(error, LocalError::TooLarge { .. }));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}
