//! Identities: one spelling each, typed errors, and the orders that the protocol relies on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use core::fmt::{Debug, Display};
use core::str::FromStr;

use ha_core::{
    Acknowledged, BootId, ClusterId, ConfigPath, DatastoreId, HostId, Incarnation, Moid, ParseError, Profile,
    Rating, Round, Term, VmEpoch, VmId, VmUuid,
};
use proptest::prelude::*;

fn round_trips<T>(text: &str)
where
    T: FromStr + Display + PartialEq + Debug,
    T::Err: Debug + Display,
{
    let parsed: T = text.parse().unwrap();
    assert_eq!(parsed.to_string(), text);
    assert_eq!(parsed.to_string().parse::<T>().unwrap(), parsed);
}

fn refuses<T: FromStr<Err = ParseError> + Debug>(texts: &[&str], expected: &str) {
    for text in texts {
        let error = text.parse::<T>().unwrap_err();
        let short: String = text.chars().take(64).collect();
        assert_eq!(error.found, short);
        assert!(error.to_string().contains(expected), "`{text}`: {error}");
    }
}

#[test]
fn text_forms_parse_and_print() {
    round_trips::<HostId>("host-0");
    round_trips::<HostId>("host-4294967295");
    round_trips::<DatastoreId>("datastore-17");
    round_trips::<Incarnation>("incarnation-18446744073709551615");
    round_trips::<VmEpoch>("epoch-3");
    round_trips::<Term>("12@host-7");
    round_trips::<Moid>("host-99");
    round_trips::<BootId>("67e55044-10b1-426f-9247-bb680e5fe0c8");
    round_trips::<ClusterId>("67e55044-10b1-426f-9247-bb680e5fe0c8");
    round_trips::<VmUuid>("67e55044-10b1-426f-9247-bb680e5fe0c8");
    for profile in [Profile::Swift, Profile::Vsphere] {
        assert_eq!(profile.to_string().parse(), Ok(profile));
    }
    for rating in [Rating::F0, Rating::F1, Rating::F2, Rating::F3, Rating::SameKernel] {
        assert_eq!(rating.to_string().parse(), Ok(rating));
    }
}

#[test]
fn every_other_spelling_is_refused_and_the_error_says_what_was_expected() {
    let numbers = ["", "7", "host", "host-", "host-07", "host-+7", "host--7", "host- 7", "host-7 ", "Host-7"];
    refuses::<HostId>(&numbers, "`host-<number>`");
    refuses::<HostId>(&["host-4294967296", "host-99999999999999999999", "host-0x7", "host-７"], "4294967295");
    refuses::<DatastoreId>(&["datastore-", "host-1", "datastore-00"], "`datastore-<number>`");
    refuses::<Incarnation>(&["incarnation-18446744073709551616", "7"], "`incarnation-<number>`");
    refuses::<VmEpoch>(&["epoch", "epoch-01"], "`epoch-<number>`");
    refuses::<Term>(
        &["", "1", "@host-1", "1@", "01@host-1", "1@host-01", "1@2@host-3", "-1@host-1"],
        "<round>@",
    );
    let uuids = [
        "",
        "67e5504410b1426f9247bb680e5fe0c8",
        "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
        "67e55044-10b1-426f-9247-bb680e5fe0cg",
        "67e5504-410b1-426f-9247-bb680e5fe0c8",
    ];
    refuses::<BootId>(&uuids, "a uuid such as");
    let long = "x".repeat(81);
    refuses::<Moid>(&["", "host 99", "höst", "host/99", "host\n", &long], "1 to 80 letters");
    assert!("swft".parse::<Profile>().unwrap_err().to_string().contains("`swift` or `vsphere`"));
    assert!("f3".parse::<Rating>().unwrap_err().to_string().contains("F0, F1, F2, F3 or SameKernel"));
}

#[test]
fn managed_object_ids_are_ordered_as_text_and_host_ids_as_numbers() {
    let moid = |text: &str| text.parse::<Moid>().unwrap();
    assert!(moid("host-99") > moid("host-100"), "fdm-facts 1.10");
    assert!(moid("host-9") > moid("host-89"));
    assert!(moid("host-10") > moid("host-1"));
    assert!(HostId::new(99) < HostId::new(100));
}

#[test]
fn terms_are_ordered_by_round_then_host_and_never_tie_between_hosts() {
    let term = |round, host| Term::new(Round::new(round), HostId::new(host));
    assert!(term(2, 1) > term(1, 9));
    assert!(term(1, 9) > term(1, 2));
    assert_ne!(term(1, 1), term(1, 2));
    assert_eq!(Round::ZERO.next(), Round::new(1));
}

#[test]
fn what_was_acknowledged_allows_no_lower_term() {
    let term = |round, host| Term::new(Round::new(round), HostId::new(host));
    let followed = Acknowledged::from(term(4, 5));
    for (next, allowed) in [((3, 9), false), ((4, 4), false), ((4, 5), true), ((4, 6), true), ((5, 1), true)]
    {
        assert_eq!(followed.allows(term(next.0, next.1)), allowed, "{next:?} after {followed}");
    }
    let reserved = Acknowledged::reserved(Round::new(4));
    for (next, allowed) in [((3, 9), false), ((4, 0), true), ((5, 0), true)] {
        assert_eq!(reserved.allows(term(next.0, next.1)), allowed, "{next:?} after {reserved}");
    }
    assert!(Acknowledged::NONE < term(0, 0).into());
    assert!(reserved < term(4, 0).into() && reserved > term(3, u32::MAX).into());
}

#[test]
fn an_acknowledged_term_has_one_spelling() {
    round_trips::<Acknowledged>("4@host-5");
    round_trips::<Acknowledged>("4");
    refuses::<Acknowledged>(&["", "04", "-1", "x"], "`<round>` or `<round>@host-<number>`");
    refuses::<Acknowledged>(&["4@", "@host-5", "4@5"], "`<round>@host-<number>`");
}

#[test]
fn numbers_that_must_not_repeat_stop_at_their_end_instead_of_wrapping() {
    assert_eq!(Incarnation::new(u64::MAX).next(), Incarnation::new(u64::MAX));
    assert_eq!(VmEpoch::new(u64::MAX).next(), VmEpoch::new(u64::MAX));
    assert_eq!(Round::new(u64::MAX).next(), Round::new(u64::MAX));
}

#[test]
fn ratings_are_ordered_by_what_they_promise_and_only_two_fence() {
    let all = [Rating::F0, Rating::F1, Rating::F2, Rating::F3, Rating::SameKernel];
    assert!(all.is_sorted());
    assert_eq!(all.map(Rating::fences), [false, false, false, true, true]);
    assert_eq!(Rating::default(), Rating::F1);
}

#[test]
fn a_virtual_machines_config_path_is_a_folder_and_a_file() {
    let uuid = VmUuid::from_bytes([5; 16]);
    let home = DatastoreId::new(3);
    let vm = VmId::new(uuid, home, "web-1/web-1.vmx").unwrap();
    assert_eq!((vm.uuid(), vm.home(), vm.config()), (uuid, home, "web-1/web-1.vmx"));
    assert_eq!(vm.to_string(), "[datastore-3] web-1/web-1.vmx");
    let longest = format!("{}/{}", "a".repeat(255), "b".repeat(256));
    assert_eq!(longest.len(), VmId::MAX_CONFIG);
    assert!(VmId::new(uuid, home, &longest).is_ok());
    let too_long = format!("{longest}c");
    for bad in ["", "web-1.vmx", "/web-1.vmx", "a//b", "a/", "../b", "a/.b", "./a/b", "a/b\0", &too_long] {
        assert!(VmId::new(uuid, home, bad).is_err(), "{bad:?}");
    }
}

proptest! {
    /// The rule of [`VmId::new`] in other words.
    #[test]
    fn config_paths_have_a_folder_and_no_empty_or_hidden_part(path in "[/.a\u{0}\u{e4}]{0,12}") {
        let parts: Vec<&str> = path.split('/').collect();
        let good = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains('\0');
        let expected = parts.len() > 1 && parts.iter().all(good);
        prop_assert_eq!(ConfigPath::new(&path).map(ConfigPath::as_str).ok(), expected.then_some(path.as_str()));
    }
}
