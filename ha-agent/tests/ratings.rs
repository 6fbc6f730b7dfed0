//! What a datastore's rating allows when a host dies: below F3 a person's word is needed.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]
#![allow(clippy::wildcard_enum_match_arm, reason = "only some events carry what is checked")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

mod common;

use core::time::Duration;

use common::{Bench, DATASTORE, Habit, Rogue, SECOND, SWIFT, config, host, identity, key, protect, vm};
use ha_agent::{Command, Event, Input, OwnerDamage, Role};
use ha_core::record::Generation;
use ha_core::wire::FrameKind;
use ha_core::{
    BootId, Capability, FileKind, FileName, HostId, Identity, Incarnation, Instant, Rating, VmUuid,
};
use ha_datastore::format::HeartbeatRecord;
use ha_sim::{Options, World};

const OTHER_BOOT: BootId = BootId::from_bytes([0xA0; 16]);

/// Three hosts that own their datastore as one kernel does; then a fourth joins from another one, and the
/// datastore is worth F1 from then on.
fn no_longer_one_kernel() -> Bench {
    let mut bench = Bench::protected_among(3, 4, Habit::Tidy);
    let mut joins = config(4, 4);
    joins.identity.boot = OTHER_BOOT;
    bench.start(joins);
    // Hosts that are watched for the first time may be long overdue.

    bench.run_for(SECOND);
    bench
}

fn told<'b, T>(bench: &'b Bench, is: impl Fn(HostId, &'b Event) -> Option<T>) -> Vec<T> {
    bench.events.iter().filter_map(|(_, host, event)| is(*host, event)).collect()
}

fn ordered(bench: &Bench) -> usize {
    told(bench, |_, event| matches!(event, Event::OrderSent { .. }).then_some(())).len()
}

/// Which virtual machines wait for a person's word, and on which host.
fn waiting(bench: &Bench) -> Vec<(VmUuid, HostId)> {
    told(bench, |_, event| match event {
        Event::OperatorNeeded { vm, host } => Some((vm.uuid(), *host)),
        _ => None,
    })
}

fn vm_of(host: HostId) -> VmUuid {
    vm(u8::try_from(host.number()).unwrap()).uuid()
}

const fn confirm(host: HostId, boot: BootId, incarnation: Incarnation) -> Command {
    Command::ConfirmDead { host, boot, incarnation }
}

#[test]
fn a_second_boot_id_is_told_once_for_its_host() {
    let mut bench = no_longer_one_kernel();
    bench.run_for(10 * SECOND);
    let refused = |host: HostId| {
        told(&bench, |by, event| {
            match event {
                Event::SameKernelRefused { host } => Some(*host),
                _ => None,
            }
            .filter(|_| by == host)
        })
    };
    assert_eq!(refused(bench.master().unwrap()), [host(4)], "{:#?}", bench.events);
    assert!(refused(host(4)).len() <= 3);
    assert_eq!(bench.running.len(), 3);
}

#[test]
fn below_f3_the_operator_is_asked_once_and_nothing_is_ordered() {
    let mut bench = no_longer_one_kernel();
    let dead = bench.slave();
    bench.power_off(dead);
    bench.run_for(30 * SECOND);
    assert_eq!(waiting(&bench), [(vm_of(dead), dead)]);
    assert_eq!((ordered(&bench), bench.running.len()), (0, 2));
}

#[test]
fn every_vm_is_asked_for_by_name() {
    let mut bench = Bench::protected_among(3, 4, Habit::Tidy);
    let (master, dead) = (bench.master().unwrap(), bench.slave());
    for number in 11..=13 {
        let vm = bench.create_vm(number);
        bench.command(dead, Command::PowerOn { vm: vm.clone() });
        bench.run_for(SECOND);
        bench.command(master, protect(vm));
    }
    let mut joins = config(4, 4);
    joins.identity.boot = OTHER_BOOT;
    bench.start(joins);
    bench.run_for(SECOND);
    bench.power_off(dead);
    bench.run_for(10 * SECOND);
    let mut waiting = waiting(&bench);
    waiting.sort_unstable();
    let mut expected: Vec<_> = [11, 12, 13].map(|number| (vm(number).uuid(), dead)).to_vec();
    expected.push((vm_of(dead), dead));
    expected.sort_unstable();
    assert_eq!(waiting, expected);
}

#[test]
fn below_f3_only_the_exact_confirmation_lets_the_restart_happen() {
    let mut bench = no_longer_one_kernel();
    let (master, dead) = (bench.master().unwrap(), bench.slave());
    let exact = identity(dead.number());
    bench.power_off(dead);
    bench.run_for(5 * SECOND);
    let wrong = [
        confirm(dead, exact.boot, Incarnation::new(0)),
        confirm(dead, exact.boot, exact.incarnation.next()),
        confirm(dead, OTHER_BOOT, exact.incarnation),
        confirm(host(9), exact.boot, exact.incarnation),
    ];
    for command in wrong {
        bench.command(master, command);
        bench.run_for(2 * SECOND);
        assert_eq!((ordered(&bench), bench.running.len()), (0, 2));
    }
    let refused = told(&bench, |_, event| matches!(event, Event::ConfirmRefused { .. }).then_some(()));
    assert_eq!(refused.len(), 4);
    bench.command(master, confirm(dead, exact.boot, exact.incarnation));
    let again = bench.run_until(2 * SECOND, |bench| bench.runs_on(vm_of(dead)).is_some());
    assert!(again, "{:#?}", bench.events);
    bench.run_for(5 * SECOND);
    assert_eq!((ordered(&bench), bench.double_runs), (1, 0));
}

/// The whole way on hosts with kernels of their own and a datastore of which nothing was declared.
#[test]
fn on_f1_from_the_start_a_confirmed_death_is_restarted() {
    let options =
        Options { capability: Capability::UNDECLARED, one_kernel: false, ..Options::quiet(3, 1, SWIFT) };
    let mut world = World::new(&options).unwrap();
    assert!(world.run_until(10 * SECOND, |world| world.master().is_some()), "{:#?}", world.records());
    world.run_for(SECOND);
    let master = world.master().unwrap();
    let dead = (1..=3).map(HostId::new).find(|host| *host != master).unwrap();
    let vm = world.create_vm(1);
    world.command(dead, Command::PowerOn { vm: vm.clone() });
    world.run_for(SECOND);
    world.command(master, protect(vm.clone()));
    world.run_for(SECOND);
    world.power_off(dead);
    world.run_for(20 * SECOND);
    let asked = |event: &Event| matches!(event, Event::OperatorNeeded { .. });
    let times = world.records().iter().filter(|record| asked(&record.event)).count();
    assert_eq!((times, world.runs_on(vm.uuid())), (1, None), "{:#?}", world.records());
    world.command(master, confirm(dead, options.boot(dead), Incarnation::new(1)));
    assert!(
        world.run_until(2 * SECOND, |world| world.runs_on(vm.uuid()).is_some()),
        "{:#?}",
        world.records()
    );
    assert_eq!(world.double_runs(), 0);
}

/// An operator who errs is believed only until the host is heard again; the lock is a second line.
#[test]
fn confirming_the_end_of_a_host_that_lives_starts_nothing_twice() {
    let mut bench = no_longer_one_kernel();
    let (master, lives) = (bench.master().unwrap(), bench.slave());
    let exact = identity(lives.number());
    bench.command(master, confirm(lives, exact.boot, exact.incarnation));
    bench.run_for(10 * SECOND);
    assert_eq!((bench.running.len(), bench.double_runs), (3, 0), "{:#?}", bench.events);
}

/// A conflicting request could strip a partitioned owner of every lock it holds (architecture 1).
#[test]
fn below_f3_a_silent_masters_list_lock_is_not_tried() {
    let mut bench = no_longer_one_kernel();
    let list = |line: &str| line.starts_with("Storage(Lock {") && line.contains("kind: ProtectedList }");
    assert!(bench.transcript.iter().any(|(_, _, line)| list(line)), "the first master took it");
    bench.power_off(bench.master().unwrap());
    let before = bench.transcript.len();
    bench.run_for(10 * SECOND);
    let reigns = |agent: &ha_agent::Agent| matches!(agent.role(), Role::Master { .. });
    assert!(bench.agents.values().any(reigns), "there is a new master");
    assert!(!bench.transcript[before..].iter().any(|(_, _, line)| list(line)));
    assert_eq!((ordered(&bench), bench.running.len()), (0, 2));
}

#[test]
fn on_f3_and_on_one_kernel_nobody_is_asked() {
    let f3 = Capability { rating: Rating::F3, ..Capability::SAME_KERNEL };
    for (capability, one_kernel) in [(f3, false), (Capability::SAME_KERNEL, true)] {
        let options = Options { capability, one_kernel, ..Options::quiet(3, 1, SWIFT) };
        let mut world = World::new(&options).unwrap();
        assert!(world.run_until(10 * SECOND, |world| world.master().is_some()), "{:#?}", world.records());
        world.run_for(SECOND);
        let master = world.master().unwrap();
        let dead = (1..=3).map(HostId::new).find(|host| *host != master).unwrap();
        let vm = world.create_vm(1);
        world.command(dead, Command::PowerOn { vm: vm.clone() });
        world.run_for(SECOND);
        world.command(master, protect(vm.clone()));
        world.run_for(SECOND);
        world.power_off(dead);
        assert!(
            world.run_until(SECOND / 2, |world| world.runs_on(vm.uuid()).is_some()),
            "{:#?}",
            world.records()
        );
        let asked =
            |event: &Event| matches!(event, Event::OperatorNeeded { .. } | Event::SameKernelRefused { .. });
        assert!(!world.records().iter().any(|record| asked(&record.event)));
        assert_eq!(world.double_runs(), 0);
    }
}

/// All hosts of one kernel were rebooted together: the second life, of a new boot, knows its own boot only.
fn after_a_reboot(started: &[u32]) -> Bench {
    let later = |number: &u32| {
        let mut config = config(*number, 3);
        config.identity.incarnation = Incarnation::new(2);
        config
    };
    Bench::new(started.iter().map(later))
}

fn same_kernel_refused(bench: &Bench) -> bool {
    !told(bench, |_, event| matches!(event, Event::SameKernelRefused { .. }).then_some(())).is_empty()
}

/// Host 3 has not come back. Its heartbeat file is of the earlier boot and stands still: no second kernel writes.
#[test]
fn a_file_of_an_earlier_boot_is_no_second_kernel() {
    let mut bench = after_a_reboot(&[1, 2]);
    let beat = HeartbeatRecord {
        counter: 7,
        write_period: SWIFT.datastore_write_period,
        io_timeout: SWIFT.datastore_io_timeout,
        ttl: Duration::ZERO,
        watchdog: Duration::ZERO,
        written_at: Instant::from_nanos(1),
    };
    let mut file = beat.seal(&Identity { boot: OTHER_BOOT, ..identity(3) }, Generation::FIRST).to_vec();
    file.resize(2 * HeartbeatRecord::AREA, 0);
    bench.files.insert(FileName::new(DATASTORE, FileKind::Heartbeat(host(3))), file);
    bench.run_for(10 * SECOND);
    assert!(bench.master().is_some() && !same_kernel_refused(&bench), "{:#?}", bench.events);
}

/// A recorded frame is authentic, but it says nothing of the present.
#[test]
fn a_replayed_frame_of_an_earlier_boot_is_no_second_kernel() {
    let before = Identity { boot: OTHER_BOOT, ..identity(2) };
    let past = Rogue::new(before, key(7)).say(Instant::from_nanos(1), host(1), FrameKind::Probe, None, &[]);
    let mut bench = after_a_reboot(&[1, 2, 3]);
    bench.give(host(1), Input::Datagram(past)).unwrap();
    bench.run_for(5 * SECOND);
    assert_eq!(bench.agents[&host(1)].wire_counters().probes().get().min(1), 1, "it was accepted");
    assert!(bench.master().is_some() && !same_kernel_refused(&bench), "{:#?}", bench.events);
}

#[test]
fn an_owner_record_that_cannot_be_read_needs_a_word_about_that_very_record() {
    let mut bench = no_longer_one_kernel();
    let master = bench.master().unwrap();
    bench.power_off(master);
    let record = FileName::new(DATASTORE, FileKind::ProtectedList);
    bench.files.get_mut(&record).unwrap().fill(0xA5);
    bench.run_for(5 * SECOND);
    // Master, but without the right to the datastore.
    let reigns = |host: &HostId| matches!(bench.agents[host].role(), Role::Master { .. });
    let successor = *bench.agents.keys().find(|host| reigns(host)).unwrap();
    let damage = told(&bench, |by, event| match event {
        Event::OwnerUnreadable { damage, .. } if by == successor => Some(*damage),
        _ => None,
    });
    let &[damage] = &damage[..] else { panic!("told once: {damage:?}") };
    let unproven = told(&bench, |by, event| match event {
        Event::OwnerUnproven { host, .. } if by == successor => Some(*host),
        _ => None,
    });
    assert_eq!(unproven, [master], "only it has written a list");
    let owned = |bench: &Bench| {
        let owned = |by, event: &Event| by == successor && matches!(event, Event::DatastoreOwned { .. });
        told(bench, |by, event| owned(by, event).then_some(())).len()
    };
    let other = OwnerDamage::new(damage.number() ^ 1);
    bench.command(successor, Command::NobodyOwns { datastore: DATASTORE, damage: other });
    bench.run_for(30 * SECOND);
    assert_eq!(owned(&bench), 0, "that word is about another content");
    bench.command(successor, Command::NobodyOwns { datastore: DATASTORE, damage });
    bench.run_for(15 * SECOND);
    assert_eq!(owned(&bench), 1, "{:#?}", bench.events);
}
