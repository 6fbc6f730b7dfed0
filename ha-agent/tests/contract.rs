//! The machine's contract, rule by rule, for the whole agent.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

mod common;

use core::time::Duration;

use common::{Bench, DATASTORE, Habit, MILLI, SECOND, config, host, identity, protect, vm};
use ha_agent::{AgentConfig, Command, ConnectionId, Input, Rejected};
use ha_core::operation::{
    Lock, LockOutcome, LookAtLock, LookOutcome, Ping, PingOutcome, Read, StartOutcome, StartVm, StopOutcome,
    StopVm, TakeOutcome, TakeVmLock, Write, WriteVmRecord,
};
use ha_core::{
    HostId, Incarnation, Instant, Machine, MachineId, Random, StorageCompletion, StorageFault, TokenMint,
    UnknownRequest, VmCompletion, VmDriverReport,
};

/// A cluster whose master dies, is replaced, and whose virtual machine runs again.
fn story(habit: Habit) -> Bench {
    let mut bench = Bench::protected(3, habit);
    let master = bench.master().unwrap();
    bench.power_off(master);
    assert!(bench.run_until(3 * SECOND, |bench| bench.running.len() == 3), "{:#?}", bench.events);
    bench.run_for(SECOND);
    assert_eq!(bench.double_runs, 0);
    bench
}

#[test]
fn r1_equal_inputs_give_equal_outputs() {
    let (one, other) = (story(Habit::Tidy), story(Habit::Tidy));
    assert!(one.transcript.len() > 300, "{}", one.transcript.len());
    assert!(one.transcript == other.transcript);
}

#[test]
fn r1_another_seed_gives_another_run() {
    // The third host never comes, so that the election lasts its whole window.
    let run = |seed| {
        let mut bench = Bench::new((1..=2).map(|number| AgentConfig { seed, ..config(number, 3) }));
        bench.run_for(3 * SECOND);
        bench.transcript
    };
    assert!(run(1) == run(1));
    assert!(run(1) != run(2), "the seed is not used");
}

#[test]
fn r3_a_tick_before_its_time_does_nothing() {
    let (tidy, restless) = (story(Habit::Tidy), story(Habit::Restless));
    assert!(tidy.transcript == restless.transcript);
}

/// The bench checks after each tick and drain whether the next deadline lies ahead; this run meets as much as it
/// can. A step that gives one of the agent's machines something overdue may need one more tick, never two.
#[test]
fn r3_no_hot_loop() {
    for seed in 0..20 {
        let mut random = Random::from_seed(seed);
        let mut draw = move |bound| u32::try_from(random.below(bound)).unwrap();
        let mut bench = Bench::protected(3, Habit::Tidy);

        let mut lives = [1; 4];
        for _ in 0..30 {
            let target = host(1 + draw(3));
            match draw(6) {
                0 => bench.power_off(target),
                1 | 2 => {
                    let number = target.number();
                    lives[number as usize] += 1;
                    let mut config = config(number, 3);
                    config.identity.incarnation = Incarnation::new(lives[number as usize]);
                    bench.power_off(target);
                    bench.start(config);
                }
                3 => bench.give(target, Input::Resumed { gap: SECOND }).unwrap(),
                4 => bench.give(target, Input::Driver(VmDriverReport::Lost)).unwrap(),
                _ => bench.command(target, protect(vm(u8::try_from(1 + draw(3)).unwrap()))),
            }
            bench.run_for(Duration::from_millis([1, 20, 150, 700][draw(4) as usize]));
        }
        assert_eq!(bench.double_runs, 0, "seed {seed}");
    }
}

#[test]
fn r4_dropped_effects_lose_nothing() {
    let (tidy, dropping) = (story(Habit::Tidy), story(Habit::DropsEffects));
    assert!(tidy.transcript == dropping.transcript);
}

#[test]
fn r5_a_clock_that_goes_back_stands_still() {
    let (tidy, back) = (story(Habit::Tidy), story(Habit::ClockGoesBack));
    assert!(back.went_back > 50, "{}", back.went_back);
    assert!(tidy.transcript == back.transcript);
}

#[test]
fn r5_no_instant_panics() {
    let ends = [Instant::ORIGIN, Instant::from_nanos(1), Instant::from_nanos(u64::MAX)];
    for stage in [0, 5, 50, 200, 400, 1_000] {
        for end in ends {
            let mut bench = Bench::protected(3, Habit::Tidy);
            let master = bench.master().unwrap();
            bench.power_off(bench.slave());
            bench.run_for(stage * MILLI);
            for (host, mut agent) in core::mem::take(&mut bench.agents) {
                // What is asked for at the end of time is not answered any more.
                agent.tick(end).run(drop);
                assert_eq!(agent.may_act(DATASTORE, end), end < bench.now && host == master);
                agent.step(end, Input::Resumed { gap: Duration::MAX }).unwrap().run(drop);
                agent.step(end, Input::Driver(VmDriverReport::Lost)).unwrap().run(drop);
                agent.step(end, Input::Command(Command::PowerOn { vm: vm(1) })).unwrap().run(drop);
                agent.step(Instant::ORIGIN, Input::Command(protect(vm(1)))).unwrap().run(drop);
                agent.tick(end).run(drop);
            }
        }
    }
}

#[test]
fn an_agent_made_at_an_end_of_time_does_not_panic() {
    for nanos in [0, u64::MAX - 1, u64::MAX] {
        let now = Instant::from_nanos(nanos);
        let mut agent = ha_agent::Agent::new(config(1, 3), now).unwrap();
        agent.step(now, Input::Driver(VmDriverReport::Complete(Vec::new()))).unwrap().run(drop);
        agent.tick(now).run(drop);
        agent.tick(Instant::from_nanos(u64::MAX)).run(drop);
    }
}

/// One completion of each operation by each lane, for a machine that may never have asked for it.
fn completions(host: HostId, incarnation: Incarnation, skip: u32) -> Vec<Input> {
    let mut inputs = Vec::new();
    for lane in 0..32 {
        let mut mint = TokenMint::new(MachineId { host, incarnation, lane });
        for _ in 0..skip {
            let (_unused, _) = mint.issue::<Write>();
        }
        let write = mint.issue::<Write>().0.complete(Ok(()));
        let read = mint.issue::<Read>().0.complete(Err(StorageFault::Io));
        let lock = mint.issue::<Lock>().0.complete(LockOutcome::Granted);
        let look = mint.issue::<LookAtLock>().0.complete(LookOutcome::Held);
        let ping = mint.issue::<Ping>().0.complete(PingOutcome::Answered);
        inputs.extend([
            Input::Storage(StorageCompletion::Write(write)),
            Input::Storage(StorageCompletion::Read(read)),
            Input::Storage(StorageCompletion::Lock(lock)),
            Input::Storage(StorageCompletion::LookAtLock(look)),
            Input::Ping(ping),
        ]);
    }
    inputs
}

fn vm_completions(host: HostId, incarnation: Incarnation) -> Vec<Input> {
    let mut inputs = Vec::new();
    for lane in (1 << 16)..(1 << 16) + 8 {
        let mut mint = TokenMint::new(MachineId { host, incarnation, lane });
        let take = mint.issue::<TakeVmLock>().0.complete(TakeOutcome::Held);
        let write = mint.issue::<WriteVmRecord>().0.complete(Ok(()));
        let start = mint.issue::<StartVm>().0.complete(StartOutcome::Running);
        let stop = mint.issue::<StopVm>().0.complete(StopOutcome::Stopped);
        inputs.extend([
            Input::Vm(VmCompletion::TakeLock(take)),
            Input::Vm(VmCompletion::WriteRecord(write)),
            Input::Vm(VmCompletion::Start(start)),
            Input::Vm(VmCompletion::Stop(stop)),
        ]);
    }
    inputs
}

/// Completions of other hosts, of other lives, and for requests that were never made.
#[test]
fn r8_foreign_completions_are_rejected_and_change_nothing() {
    let (mut plain, mut fooled) = (Bench::protected(3, Habit::Tidy), Bench::protected(3, Habit::Tidy));
    let slave = plain.slave();
    for bench in [&mut plain, &mut fooled] {
        bench.power_off(slave);
    }
    for _ in 0..100 {
        plain.run_for(5 * MILLI);
        fooled.run_for(5 * MILLI);
        for target in [1, 2, 3].map(host) {
            let own = identity(target.number()).incarnation;
            let foreign = completions(host(9), own, 0)
                .into_iter()
                .chain(completions(target, own.next(), 0))
                .chain(completions(target, Incarnation::new(0), 0))
                .chain(completions(target, own, 10_000));
            for input in foreign.filter(|_| fooled.agents.contains_key(&target)).collect::<Vec<_>>() {
                let text = format!("{input:?}");
                let refused = fooled.give(target, input);
                assert_eq!(refused, Err(Rejected::UnknownRequest(UnknownRequest)), "{text}");
            }
        }
    }
    assert!(plain.transcript == fooled.transcript);
    assert_eq!(fooled.running.len(), 3);
}

#[test]
fn r8_foreign_completions_of_starts_are_rejected_and_change_nothing() {
    let (mut plain, mut fooled) = (Bench::protected(2, Habit::Tidy), Bench::protected(2, Habit::Tidy));
    let (slave, master) = (plain.slave(), plain.master().unwrap());
    for bench in [&mut plain, &mut fooled] {
        bench.power_off(slave);
    }
    // The start goes through its steps meanwhile: lock, record, start.
    for _ in 0..2_000 {
        plain.run_for(Duration::from_micros(500));
        fooled.run_for(Duration::from_micros(500));
        let own = identity(master.number()).incarnation;
        for input in vm_completions(slave, own).into_iter().chain(vm_completions(master, own.next())) {
            let text = format!("{input:?}");
            let refused = fooled.give(master, input);
            assert_eq!(refused, Err(Rejected::UnknownRequest(UnknownRequest)), "{text}");
        }
    }
    assert!(plain.transcript == fooled.transcript);
    assert_eq!(fooled.running.len(), 2);
}

#[test]
fn bytes_on_a_stream_that_is_not_open_are_the_callers_mistake() {
    let mut bench = Bench::new((1..=2).map(|number| config(number, 2)));
    let start = bench.now;
    let slave = loop {
        bench.run_for(Duration::from_micros(50));
        assert!(bench.now.since(start) < 10 * SECOND, "nobody dials");
        if let Some((_, slave, _)) = bench.transcript.iter().find(|(_, _, line)| line.starts_with("Connect"))
        {
            break *slave;
        }
    };
    let early = Input::StreamReceived(ConnectionId::Dialled(1), b"too early".as_slice().into());
    assert_eq!(bench.give(slave, early), Err(Rejected::UnknownStream));
    // The stream opens all the same.
    assert!(bench.run_until(SECOND, |bench| !bench.sends.is_empty()));
}

#[test]
fn r10_a_right_is_read_with_the_clock() {
    let bench = Bench::protected(3, Habit::Tidy);
    let master = bench.master().unwrap();
    let agent = &bench.agents[&master];
    assert!(agent.may_act(DATASTORE, bench.now));
    assert!(!agent.may_act(DATASTORE, bench.now.after(10 * SECOND)), "nobody renewed it");
    assert!(!bench.agents[&bench.slave()].may_act(DATASTORE, bench.now));
    assert!(!agent.may_act(ha_core::DatastoreId::new(2), bench.now), "there is no such datastore");
}
