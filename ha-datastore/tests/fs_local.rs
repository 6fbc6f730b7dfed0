//! State of one host: incarnation and atomic replacement.
#![cfg(feature = "fs")]

mod fs_common;

use std::fs;
use std::io;

use fs_common::TempDir;
use ha_core::Incarnation;
use ha_datastore::fs::local::{raise_incarnation, write_atomically};

const NOTHING_KNOWN: Incarnation = Incarnation::new(0);

#[test]
fn an_incarnation_is_above_everything_known_and_never_repeats() {
    let temp = TempDir::new();
    let raise = |at_least| raise_incarnation(temp.path(), Incarnation::new(at_least)).unwrap().number();
    assert_eq!([raise(0), raise(0), raise(1), raise(7), raise(3)], [1, 2, 3, 8, 9]);
    assert_eq!(fs::read_to_string(temp.path().join("incarnation")).unwrap(), "incarnation-9\n");
}

#[test]
fn an_interrupted_raise_is_no_obstacle() {
    let temp = TempDir::new();
    raise_incarnation(temp.path(), Incarnation::new(4)).unwrap();
    let leftover = temp.path().join("incarnation.tmp");
    fs::write(&leftover, "incarnation-99999 and then the power failed").unwrap();

    assert_eq!(raise_incarnation(temp.path(), NOTHING_KNOWN).unwrap(), Incarnation::new(6));
    assert_eq!(fs::read_to_string(temp.path().join("incarnation")).unwrap(), "incarnation-6\n");
    assert!(!leftover.exists());
}

#[test]
fn what_cannot_be_understood_is_never_taken_for_nothing() {
    let temp = TempDir::new();
    let path = temp.path().join("incarnation");
    let last = format!("incarnation-{}\n", u64::MAX);
    for content in ["", "7", "incarnation-", "incarnation-07", "\0\0\0\0", last.as_str()] {
        fs::write(&path, content).unwrap();
        let error = raise_incarnation(temp.path(), NOTHING_KNOWN).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{content:?}: {error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "left for a person to look at");
    }
    let error = raise_incarnation(&temp.path().join("missing"), NOTHING_KNOWN).unwrap_err();
    assert!(error.kind() == io::ErrorKind::NotFound && error.to_string().contains("missing"), "{error}");
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let temp = TempDir::new();
    let path = temp.path().join("hostlist");
    write_atomically(&path, b"a long first version").unwrap();
    write_atomically(&path, b"short").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"short");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "no temporary file is left");
}
