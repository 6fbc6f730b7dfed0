//! Two real processes and one directory: the owner of a datastore is killed, again and again, at random moments.
//!
//! Each process runs the production [`Ownership`](ha_datastore::Ownership) over the production driver, protects
//! virtual machines as fast as it can, and says what it was told is durable. Whoever takes the datastore next says
//! what its merged list holds. No two owners may have one term, and nothing that was said to be durable may be missing
//! from any later owner's list.
//!
//! The normal run makes 300 hand-overs; `HA_HANDOVERS=10000 cargo test -p ha-datastore --features fs --test handover`
//! makes more, in about ten minutes; `HA_REVOCATIONS` does the same for locks that are taken away over FUSE. `HA_SEED`
//! chooses other moments.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(clippy::std_instead_of_alloc, reason = "std is there anyway")]
#![allow(clippy::print_stdout, reason = "the processes talk by their standard output")]
#![allow(clippy::disallowed_methods, reason = "processes need real time")]

mod child;
mod owner;
mod record;
mod revoked;
mod shim;

use core::time::Duration;
use std::path::Path;

use child::Child;
use ha_core::{FileKind, HostId, Random};
use ha_datastore::format::file_size;
use ha_datastore::fs::layout;
use record::Record;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) == Some("owner") {
        return owner::run(&arguments[2..]);
    }
    for (name, test) in [
        ("owners_are_killed_at_random_moments", owners_are_killed_at_random_moments as fn()),
        ("a_stopped_owner_keeps_the_datastore", a_stopped_owner_keeps_the_datastore),
        (
            "an_owner_whose_lock_was_taken_away_spoils_nothing",
            revoked::an_owner_whose_lock_was_taken_away_spoils_nothing,
        ),
    ] {
        // As the usual harness does: an argument that is no option is part of the names to run.
        if arguments[1..].iter().all(|filter| filter.starts_with('-') || name.contains(filter.as_str())) {
            test();
            println!("test {name} ... ok");
        }
    }
}

/// A number that the environment may set.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn owners_are_killed_at_random_moments() {
    let handovers = setting("HA_HANDOVERS", 300);
    let seed = setting("HA_SEED", 1);
    let datastore = Datastore::create("kill");
    let mut random = Random::from_seed(seed);
    let mut record = Record::default();
    let mut children = [1, 2].map(|host| Child::start(datastore.path(), host, 1));
    for killed in 1..=handovers {
        let owner = loop {
            let owner = children.iter_mut().position(|child| record.follow(child));
            match owner {
                Some(owner) => break owner,
                None => std::thread::sleep(Duration::from_micros(200)),
            }
        };
        // From at once, with its first beats and changes still under way, to some beats later.
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        let (host, incarnation) = (children[owner].host, children[owner].incarnation);
        children[owner].kill();
        record.follow(&mut children[owner]);
        children[owner] = Child::start(datastore.path(), host, incarnation + 1);
        if random.below(4) == 0 {
            // And the other one, while it takes the datastore.
            std::thread::sleep(Duration::from_micros(random.below(15_000)));
            let other = 1 - owner;
            let (host, incarnation) = (children[other].host, children[other].incarnation);
            children[other].kill();
            record.follow(&mut children[other]);
            children[other] = Child::start(datastore.path(), host, incarnation + 1);
        }
        if killed % 1_000 == 0 {
            println!("{killed} owners killed, {} changes durable", record.durable());
        }
    }
    for child in &mut children {
        child.kill();
        record.follow(child);
    }
    let owners = record.check();
    println!("{handovers} owners killed, {owners} terms, {} changes durable", record.durable());
    assert!(owners as u64 >= handovers, "each kill was of an owner");
    assert!(record.durable() as u64 > handovers, "owners have time to change something");
}

fn a_stopped_owner_keeps_the_datastore() {
    let datastore = Datastore::create("stop");
    let mut record = Record::default();
    let mut children = [1, 2].map(|host| Child::start(datastore.path(), host, 1));
    for _ in 0..5 {
        let owner = loop {
            if let Some(owner) = children.iter_mut().position(|child| record.follow(child)) {
                break owner;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        children[owner].stop();
        record.follow(&mut children[owner]);
        let terms = record.terms();
        std::thread::sleep(Duration::from_millis(400));
        let other = 1 - owner;
        record.follow(&mut children[other]);
        assert_eq!(record.terms(), terms, "nobody takes the datastore from an owner that is stopped");
        let durable = record.durable();
        children[owner].go_on();
        std::thread::sleep(Duration::from_millis(200));
        record.follow(&mut children[owner]);
        assert!(record.durable() > durable, "it goes on, or begins again");
        let (host, incarnation) = (children[owner].host, children[owner].incarnation);
        children[owner].kill();
        record.follow(&mut children[owner]);
        children[owner] = Child::start(datastore.path(), host, incarnation + 1);
    }
    for child in &mut children {
        child.kill();
        record.follow(child);
    }
    record.check();
}

/// A folder with the files of two hosts, gone when the test ends well.
struct Datastore(std::path::PathBuf);

impl Datastore {
    fn create(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ha-handover-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let kinds = [1, 2].map(|host| FileKind::ProtectedListOf(HostId::new(host)));
        let files: Vec<_> = [FileKind::ProtectedList]
            .into_iter()
            .chain(kinds)
            .map(|kind| (kind.clone(), file_size(&kind, &owner::GEOMETRY)))
            .collect();
        layout::create(&path, owner::CLUSTER_DIRECTORY, &files).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Datastore {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }
}
