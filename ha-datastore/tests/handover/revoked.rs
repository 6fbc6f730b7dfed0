use core::time::Duration;

use ha_core::{ClusterId, FileKind, Random};
use ha_datastore::format::ListOwnerRecord;
use ha_datastore::fs::path_of;

use crate::child::Child;
use crate::owner::{CLUSTER_DIRECTORY, PERIOD};
use crate::record::Record;
use crate::shim::Shim;
use crate::{Datastore, setting};

/// How a lock is taken from its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revocation {
    /// The holder hangs, its lease expires; its descriptors are refused when it goes on.
    Expiry,
    /// The same, and nothing is refused: it does not notice.
    Silent,
    /// Its writes fail while it runs.
    Faults,
}

/// Locks are taken away from owners over a mount that can do it. What an old owner still writes when it goes on
/// changes nothing that its successor has said to be durable, and the successor's owner record stands again.
pub(crate) fn an_owner_whose_lock_was_taken_away_spoils_nothing() {
    let handovers = setting("HA_REVOCATIONS", 60);
    let mut random = Random::from_seed(setting("HA_SEED", 1));
    let datastore = Datastore::create("revoke");
    let mounts = [1, 2].map(|host| Shim::mount(datastore.path(), host));
    let [Some(first), Some(second)] = mounts else {
        return println!("skipped: no /dev/fuse");
    };
    let mut shims = [first, second];
    let mut record = Record::default();
    let mut children =
        [1, 2].map(|host| Child::start_shared(shims[if host == 1 { 0 } else { 1 }].root(), host, 1));
    for revoked in 1..=handovers {
        let old = await_owner(&mut children, &mut record, None);
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        let new = 1 - old;
        let how = [Revocation::Expiry, Revocation::Silent, Revocation::Faults];
        let how = how[usize::try_from(random.below(3)).unwrap()];
        match how {
            Revocation::Faults => shims[old].tell("eio_write"),
            Revocation::Expiry | Revocation::Silent => {
                children[old].stop();
                record.follow(&mut children[old]);
                record.disregard(&children[old]);
                shims[old].tell(if how == Revocation::Expiry { "droplocks" } else { "droplocks_lax" });
            }
        }
        await_owner(&mut children, &mut record, Some(new));
        std::thread::sleep(Duration::from_micros(random.below(5_000)));
        shims[old].tell("clear");
        children[old].go_on();
        std::thread::sleep(PERIOD + Duration::from_micros(random.below(10_000)));
        if how == Revocation::Silent {
            // It never notices, and believes that it owns the datastore still.
            let (host, incarnation) = (children[old].host, children[old].incarnation);
            children[old].kill();
            record.follow(&mut children[old]);
            children[old] = Child::start_shared(shims[old].root(), host, incarnation + 1);
        }
        await_that("the old owner notices", || {
            record.follow(&mut children[old]);
            !record.is_disregarded(&children[old])
        });
        await_owner_record(&datastore, children[new].host);
        if revoked % 1_000 == 0 {
            println!("{revoked} locks taken away, {} changes durable", record.durable());
        }
    }
    for child in &mut children {
        child.kill();
        record.follow(child);
    }
    let owners = record.check();
    let told_late = record.told_late();
    println!(
        "{handovers} locks taken away, {owners} terms, {} changes durable, {told_late} told by owners that had not noticed yet",
        record.durable()
    );
    assert!(owners as u64 > handovers && record.durable() as u64 > handovers);
}

/// Waits until one of them, or the given one, owns the datastore.
fn await_owner(children: &mut [Child; 2], record: &mut Record, wanted: Option<usize>) -> usize {
    let mut owner = None;
    await_that("somebody owns the datastore", || {
        let may_be = |index: &usize| wanted.is_none_or(|wanted| wanted == *index);
        owner = (0..2).filter(may_be).find(|index| record.follow(&mut children[*index]));
        owner.is_some()
    });
    owner.unwrap()
}

/// Waits until the owner record says that `host` owns the datastore.
fn await_owner_record(datastore: &Datastore, host: u32) {
    let path = path_of(datastore.path(), CLUSTER_DIRECTORY, &FileKind::ProtectedList);
    await_that("the owner record is the new owner's", || {
        let file = std::fs::read(&path).unwrap();
        let owner = ListOwnerRecord::read(&file, ClusterId::from_bytes([0xc1; 16]));
        owner.record().is_some_and(|record| record.writer.host.number() == host)
    });
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    panic!("not within 20 s: {what}");
}
