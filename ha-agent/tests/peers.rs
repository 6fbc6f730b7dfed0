//! Nothing that comes from the network or from storage makes an agent panic, and nothing that no member could
//! have sent changes what it does: an agent that gets such junk and its twin that gets none say the same.
#![allow(clippy::unwrap_used, reason = "a test panics where a value is missing")]
#![allow(clippy::wildcard_enum_match_arm, reason = "only some events carry what is checked")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

mod common;

use std::collections::BTreeSet;

use bytes::Bytes;
use common::{
    Bench, CLUSTER, DATASTORE, Garble, Habit, MILLI, Rogue, SECOND, almost, config, host, identity, key, vm,
};
use ha_agent::{ConnectionId, Event, Input};
use ha_core::wire::{Channel, FrameKind, RefusalReason};
use ha_core::{ClusterId, HostId, Identity, Incarnation, Instant, Machine, Random, Round, Term};
use proptest::prelude::*;

/// Makes one piece of junk for a host, out of what was sent on the network so far.
type Junk = fn(&Bench, HostId, &mut Random) -> Bytes;

fn pick<'t, T>(random: &mut Random, of: &'t [T]) -> &'t T {
    &of[usize::try_from(random.below(u64::try_from(of.len()).unwrap())).unwrap()]
}

/// Some datagram between hosts for which `holds` holds, out of the first `among`.
fn sent(bench: &Bench, among: usize, random: &mut Random, holds: impl Fn(HostId, HostId) -> bool) -> Bytes {
    let all: Vec<Bytes> = bench.datagrams[..among]
        .iter()
        .filter(|(from, to, _)| holds(*from, *to))
        .map(|(_, _, bytes)| bytes.clone())
        .collect();
    pick(random, &all).clone()
}

fn datagram_to(bench: &Bench, host: HostId, random: &mut Random) -> Bytes {
    sent(bench, bench.datagrams.len(), random, |_, to| to == host)
}

fn noise(_: &Bench, _: HostId, random: &mut Random) -> Bytes {
    (0..random.below(1_300)).map(|_| random.next_u64().to_le_bytes()[0]).collect()
}

fn truncated(bench: &Bench, to: HostId, random: &mut Random) -> Bytes {
    let whole = datagram_to(bench, to, random);
    let length = usize::try_from(random.below(u64::try_from(whole.len()).unwrap())).unwrap();
    whole.slice(..length)
}

fn flipped(bench: &Bench, to: HostId, random: &mut Random) -> Bytes {
    let mut bytes = datagram_to(bench, to, random).to_vec();
    let bit = usize::try_from(random.below(u64::try_from(8 * bytes.len()).unwrap())).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    Bytes::from(bytes)
}

/// A claim to be master of all, as somebody without the key would make it.
fn forged(bench: &Bench, to: HostId, random: &mut Random) -> Bytes {
    let others: Vec<HostId> = [1, 2, 3].map(host).into_iter().filter(|host| *host != to).collect();
    let liar = Identity { incarnation: Incarnation::new(9), ..identity(pick(random, &others).number()) };
    claim(bench, Rogue::new(liar, key(8)), to)
}

fn of_another_cluster(bench: &Bench, to: HostId, _: &mut Random) -> Bytes {
    let peer = identity(if to == host(1) { 2 } else { 1 });
    claim(bench, Rogue::of_cluster(peer, ClusterId::from_bytes([0xC2; 16]), key(7)), to)
}

fn of_a_stranger(bench: &Bench, to: HostId, _: &mut Random) -> Bytes {
    claim(bench, Rogue::new(identity(9), key(7)), to)
}

fn claim(bench: &Bench, mut rogue: Rogue, to: HostId) -> Bytes {
    let term = Term::new(Round::new(1_000), host(9));
    rogue.say(bench.now, to, FrameKind::Claim, Some(term), &[0; 32])
}

fn reflected(bench: &Bench, host: HostId, random: &mut Random) -> Bytes {
    sent(bench, bench.datagrams.len(), random, |from, _| from == host)
}

/// What one of the others says to the other. (Slaves say nothing to each other while all is well.)
fn misdirected(bench: &Bench, target: HostId, _: &mut Random) -> Bytes {
    let mut others = [1, 2, 3].map(host).into_iter().filter(|host| *host != target);
    let from = identity(others.next().unwrap().number());
    Rogue::new(from, key(7)).say(bench.now, others.next().unwrap(), FrameKind::Probe, None, &[])
}

/// A datagram that has arrived before: the very last may still be under way.
fn replayed(bench: &Bench, host: HostId, random: &mut Random) -> Bytes {
    sent(bench, bench.datagrams.len().saturating_sub(20), random, |_, to| to == host)
}

/// What both twins must say alike: all but complaints about the junk, and the junk's own streams.
fn said(bench: &Bench) -> Vec<&(Instant, HostId, String)> {
    let of_junk =
        |line: &str| line.starts_with("Event(InvalidMaster") || line.starts_with("Close(Accepted(9");
    bench.transcript.iter().filter(|(_, _, line)| !of_junk(line)).collect()
}

fn complaints(bench: &Bench, of: HostId) -> Vec<Option<HostId>> {
    let claimed = |(_, host, event): &(Instant, HostId, Event)| match event {
        Event::InvalidMaster { claimed, .. } if *host == of => Some(*claimed),
        _ => None,
    };
    bench.events.iter().filter_map(claimed).collect()
}

/// Junk for one host, in peace and then while it handles a death. Gives how often it complained.
fn twins(junk: Junk, at_master: bool, reasons: &[RefusalReason]) -> usize {
    let (mut plain, mut annoyed) = (Bench::protected(3, Habit::Tidy), Bench::protected(3, Habit::Tidy));
    let mut random = Random::from_seed(1);
    let master = plain.master().unwrap();
    let slaves: Vec<HostId> = [1, 2, 3].map(host).into_iter().filter(|host| *host != master).collect();
    // If the slave is the target, its master dies.
    let (target, victim) = if at_master { (master, slaves[0]) } else { (slaves[1], master) };
    let mut given = 0;
    for round in 0..400 {
        if round == 200 {
            plain.power_off(victim);
            annoyed.power_off(victim);
        }
        plain.run_for(5 * MILLI);
        annoyed.run_for(5 * MILLI);
        let bytes = junk(&annoyed, target, &mut random);
        annoyed.give(target, Input::Datagram(bytes)).unwrap();
        given += 1;
    }
    plain.run_for(SECOND);
    annoyed.run_for(SECOND);
    assert_eq!(annoyed.running.len(), 3);
    assert!(said(&plain) == said(&annoyed), "the junk changed what the agents say");
    let refused = |bench: &Bench| bench.agents[&target].wire_counters().clone();
    let (before, after) = (refused(&plain), refused(&annoyed));
    assert_eq!(after.refused_in_all() - before.refused_in_all(), given, "each is counted");
    assert_eq!(after.accepted(), before.accepted());
    let named = |reason| after.refused(reason).get() - before.refused(reason).get();
    let counted: u64 = reasons.iter().map(|reason| named(*reason)).sum();
    assert_eq!(counted, given, "{after:?}");
    let complaints = complaints(&annoyed, target);
    let once: BTreeSet<_> = complaints.iter().collect();
    assert_eq!(once.len(), complaints.len(), "once per claimed sender: {complaints:?}");
    complaints.len()
}

#[test]
fn junk_datagrams_change_nothing() {
    use RefusalReason as R;
    let damaged = &R::ALL[..14];
    let table: [(&str, Junk, &[R], usize); 9] = [
        ("noise", noise, &[R::TooShort, R::TooLong, R::BadMagic], 0),
        ("truncated", truncated, &[R::TooShort, R::LengthMismatch], 0),
        ("forged", forged, &[R::BadTag], 2),
        ("of another cluster", of_another_cluster, &[R::ForeignCluster], 1),
        ("of a stranger", of_a_stranger, &[R::UnknownSender], 1),
        ("reflected", reflected, &[R::FromOurselves], 1),
        ("misdirected", misdirected, &[R::NotForUs], 0),
        ("replayed", replayed, &[R::Replayed], 0),
        ("flipped", flipped, damaged, usize::MAX),
    ];
    for (name, junk, reasons, complaints) in table {
        for at_master in [true, false] {
            let found = twins(junk, at_master, reasons);
            let expected = complaints == usize::MAX || found == complaints;
            assert!(expected, "{name}: {found} complaints instead of {complaints}");
        }
    }
}

/// Frames of the past, given to an agent that has just started and knows no sequences: authentic, never fresh,
/// worth some probes, and nothing else.
#[test]
fn replays_from_an_earlier_life_cost_probes_only() {
    let past = Bench::protected(3, Habit::Tidy).datagrams;
    let start = |annoy: bool| {
        let mut bench = Bench::new((1..=3).map(|number| {
            let mut config = config(number, 3);
            config.identity.incarnation = Incarnation::new(2);
            config
        }));
        bench.now = bench.now.after(100 * SECOND);
        for chunk in past.chunks(5) {
            for (_, to, bytes) in chunk.iter().filter(|_| annoy) {
                bench.give(*to, Input::Datagram(bytes.clone())).unwrap();
            }
            bench.run_for(5 * MILLI);
        }
        assert!(bench.run_until(5 * SECOND, |bench| bench.master().is_some()), "{:#?}", bench.events);
        bench
    };
    let (plain, annoyed) = (start(false), start(true));
    assert_eq!(plain.master(), annoyed.master());
    let codes = |bench: &Bench| -> Vec<_> {
        bench.events.iter().map(|(_, host, event)| (*host, event.code())).collect()
    };
    let told = |bench: &Bench, code| codes(bench).iter().filter(|(_, is)| *is == code).count();
    for code in ["role-changed", "host-judged", "host-suspected", "datastore-owned", "same-kernel-refused"] {
        assert_eq!(told(&plain, code), told(&annoyed, code), "{code}: {:#?}", annoyed.events);
    }
    let probes = annoyed.transcript.len().abs_diff(plain.transcript.len());
    assert!(probes < past.len(), "at most one probe for each: {probes} for {}", past.len());
}

/// Streams that the master accepts and that bring anything but frames: closed, and that is all.
#[test]
fn junk_on_a_new_stream_closes_it_and_changes_nothing() {
    let (mut plain, mut annoyed) = (Bench::protected(3, Habit::Tidy), Bench::protected(3, Habit::Tidy));
    let (master, slave) = (plain.master().unwrap(), plain.slave());
    let genuine: Vec<Bytes> = annoyed.sends.iter().map(|(_, _, bytes)| bytes.clone()).collect();
    let mut random = Random::from_seed(2);
    for round in 0..400_u64 {
        if round == 200 {
            plain.power_off(slave);
            annoyed.power_off(slave);
        }
        plain.run_for(5 * MILLI);
        annoyed.run_for(5 * MILLI);
        let mut bytes = pick(&mut random, &genuine).to_vec();
        match round % 4 {
            0 => bytes = random.next_u64().to_le_bytes().to_vec(),
            // Replayed, reflected or misdirected as it is.
            1 => {}
            2 => bytes.iter_mut().skip(4).for_each(|byte| *byte = random.next_u64().to_le_bytes()[0]),
            _ => bytes[104..].iter_mut().for_each(|byte| *byte ^= 0x55),
        }
        let connection = ConnectionId::Accepted(9_000 + round);
        annoyed.give(master, Input::StreamOpened(connection)).unwrap();
        let before = annoyed.transcript.len();
        // Cut anywhere.
        let cut = usize::try_from(random.below(u64::try_from(bytes.len()).unwrap())).unwrap();
        for part in [&bytes[..cut], &bytes[cut..]] {
            annoyed.give(master, Input::StreamReceived(connection, Bytes::copy_from_slice(part))).unwrap();
        }
        let close = format!("Close({connection:?})");
        let closed = annoyed.transcript[before..].iter().any(|(_, _, line)| *line == close);
        if !closed {
            // A length that is only claimed: more is to come, and it never does.
            annoyed.give(master, Input::StreamClosed(connection)).unwrap();
            assert_eq!(round % 4, 2, "not closed after {bytes:?}");
        }
    }
    plain.run_for(SECOND);
    annoyed.run_for(SECOND);
    assert!(said(&plain) == said(&annoyed));
    assert_eq!(annoyed.running.len(), 3);
    assert!(annoyed.agents[&master].counters().bad_control.get() > 200);
}

/// Junk on a slave's own stream costs the stream, which it dials again. Nobody is restarted for it.
#[test]
fn junk_on_a_slaves_stream_costs_the_stream_only() {
    for at_master in [true, false] {
        let mut bench = Bench::protected(3, Habit::Tidy);
        let (master, slave) = (bench.master().unwrap(), bench.slave());
        let events = bench.events.len();
        for _ in 0..5 {
            let to = if at_master { master } else { slave };
            let (end, _) = bench
                .streams
                .iter()
                .find(|((owner, _), (other, _))| *owner == to && [master, slave].contains(other))
                .map(|(end, other)| (*end, *other))
                .unwrap();
            bench.give(to, Input::StreamReceived(end.1, Bytes::from_static(b"GET / HTTP/1.1"))).unwrap();
            assert!(!bench.streams.contains_key(&end));
            bench.run_for(SECOND);
        }
        assert!(bench.streams.keys().any(|(owner, _)| *owner == slave), "it did not dial again");
        let bad = |(_, _, event): &(Instant, HostId, Event)| {
            matches!(event, Event::OrderSent { .. } | Event::RoleChanged { .. } | Event::DatastoreLost { .. })
        };
        assert!(!bench.events[events..].iter().any(bad), "{:#?}", &bench.events[events..]);
        // All is as before: a death is handled as ever.
        bench.power_off(slave);
        assert!(bench.run_until(SECOND, |bench| bench.running.len() == 3), "{:#?}", bench.events);
        assert_eq!(bench.double_runs, 0);
    }
}

/// Whoever dials and says nothing takes a place, but not for ever.
#[test]
fn silent_streams_lock_nobody_out() {
    let mut bench = Bench::protected(2, Habit::Tidy);
    let (master, slave) = (bench.master().unwrap(), bench.slave());
    for number in 0..100 {
        bench.give(master, Input::StreamOpened(ConnectionId::Accepted(9_000 + number))).unwrap();
    }
    let end = *bench.streams.keys().find(|(owner, _)| *owner == slave).unwrap();
    bench.give(slave, Input::StreamReceived(end.1, Bytes::from_static(b"broken"))).unwrap();
    assert!(!bench.streams.contains_key(&end));
    let number = u8::try_from(slave.number()).unwrap();
    bench.run_for(30 * SECOND);
    assert!(bench.streams.keys().any(|(owner, _)| *owner == slave), "the slave cannot come back");
    bench.power_off(slave);
    assert!(bench.run_until(SECOND, |bench| bench.runs_on(vm(number).uuid()) == Some(master)));
}

/// A member gone mad: it has the key, hears everything, echoes it, and sends what is almost right.
fn madness(seed: u64) {
    let mut random = Random::from_seed(seed);
    let mut bench = Bench::protected(3, Habit::Tidy);

    let (master, mad) = (bench.master().unwrap(), bench.slave());
    bench.power_off(mad);
    let mut rogue =
        Rogue::new(Identity { incarnation: Incarnation::new(2), ..identity(mad.number()) }, key(7));
    let payload = |bytes: &Bytes| bytes[104..bytes.len() - 16].to_vec();
    let said: Vec<Vec<u8>> = bench.datagrams.iter().map(|(_, _, bytes)| payload(bytes)).collect();
    let control: Vec<Vec<u8>> = bench.sends.iter().map(|(_, _, bytes)| payload(bytes)).collect();
    let connection = ConnectionId::Accepted(9_000 + seed);
    bench.give(master, Input::StreamOpened(connection)).unwrap();
    let (mut heard, mut read) = (bench.datagrams.len(), bench.sends.len());
    for round in 0..300 {
        for (_, to, bytes) in &bench.datagrams[heard..] {
            if *to == mad {
                rogue.hear(bench.now, Channel::Datagram, bytes);
            }
        }
        for (_, end, bytes) in &bench.sends[read..] {
            if *end == connection {
                rogue.hear(bench.now, Channel::Stream, bytes);
            }
        }
        (heard, read) = (bench.datagrams.len(), bench.sends.len());
        let kinds = [FrameKind::Probe, FrameKind::Candidacy, FrameKind::Claim, FrameKind::Heartbeat];
        let term = Term::new(Round::new(random.below(50)), host(u32::try_from(random.below(5)).unwrap()));
        let to = host(1 + u32::try_from(random.below(3)).unwrap());
        if to != mad {
            let said = almost(&mut random, &said);
            let frame = rogue.say(bench.now, to, *pick(&mut random, &kinds), Some(term), &said);
            bench.give(to, Input::Datagram(frame)).unwrap();
        }
        // The first words are well-formed, so that a part of the streams becomes trusted.
        let said = if round == 0 { control[0].clone() } else { almost(&mut random, &control) };
        let frame = rogue.say(bench.now, master, FrameKind::Control, Some(term), &said);
        bench.give(master, Input::StreamReceived(connection, frame)).unwrap();
        bench.run_for(random.span_below(10 * MILLI));
    }
    assert_eq!(bench.double_runs, 0, "seed {seed}");
}

#[test]
fn a_member_gone_mad_makes_nobody_panic_and_no_vm_run_twice() {
    for seed in 0..50 {
        madness(seed);
    }
}

/// Reads bring noise, writes and locks fail, for a while: no panic, nothing runs twice, and once storage is well
/// there is a master again that owns the datastore.
#[test]
fn garbage_from_storage_is_survived() {
    for seed in 0..40 {
        let mut bench = Bench::protected(3, Habit::Tidy);

        bench.garble = Some(Garble::new(seed));
        bench.run_for(SECOND);
        bench.power_off(bench.slave());
        bench.run_for(SECOND);
        bench.garble = None;
        let well = |bench: &Bench| bench.master().is_some();
        assert!(bench.run_until(30 * SECOND, well), "seed {seed}: {:#?}", bench.events);
        bench.run_for(5 * SECOND);
        assert_eq!((bench.double_runs, bench.running.len() >= 2), (0, true), "seed {seed}");
    }
}

#[test]
fn garbage_from_storage_at_the_start_is_survived() {
    for seed in 0..20 {
        let mut bench = Bench::new((1..=3).map(|number| config(number, 3)));

        bench.garble = Some(Garble::new(seed));
        bench.run_for(3 * SECOND);
        bench.garble = None;
        let well = |bench: &Bench| bench.master().is_some();
        assert!(bench.run_until(30 * SECOND, well), "seed {seed}: {:#?}", bench.events);
        assert!(bench.agents.values().any(|agent| agent.may_act(DATASTORE, bench.now)));
    }
}

/// Any bytes, also such that begin as a frame does.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just(Vec::new()),
        Just(b"vHAw\x01\x00\x01\x01".to_vec()),
        Just(
            [b"vHAw\x01\x00\x01\x01\x03\x00\x01\x00\x10\x00\x00\x00".as_slice(), CLUSTER.as_bytes()].concat()
        ),
    ];
    (head, proptest::collection::vec(any::<u8>(), 0..400)).prop_map(|(head, tail)| [head, tail].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_datagrams_are_survived(all in proptest::collection::vec(any_bytes(), 1..40)) {
        let mut bench = Bench::new((1..=2).map(|number| config(number, 2)));
        bench.run_for(SECOND);
        let count = u64::try_from(all.len()).unwrap();
        let before = bench.agents[&host(1)].wire_counters().refused_in_all();
        for bytes in all {
            bench.give(host(1), Input::Datagram(bytes.into())).unwrap();
            bench.run_for(MILLI);
        }
        prop_assert_eq!(bench.agents[&host(1)].wire_counters().refused_in_all() - before, count);
    }

    #[test]
    fn any_bytes_on_any_stream_are_survived(all in proptest::collection::vec((any::<bool>(), any_bytes()), 1..40)) {
        let mut bench = Bench::new((1..=2).map(|number| config(number, 2)));
        bench.run_for(SECOND);
        for (number, (known, bytes)) in (9_000..).zip(all) {
            let first = bench.streams.keys().next().copied().filter(|_| known);
            let (host, connection) = first.unwrap_or((host(1), ConnectionId::Accepted(number)));
            if first.is_none() {
                bench.give(host, Input::StreamOpened(connection)).unwrap();
            }
            bench.give(host, Input::StreamReceived(connection, bytes.into())).unwrap();
            bench.run_for(MILLI);
        }
        bench.run_for(SECOND);
        prop_assert!(bench.master().is_some());
    }
}

#[test]
fn a_stopped_clock_and_a_flood_end_nothing() {
    let mut bench = Bench::protected(2, Habit::Tidy);
    let master = bench.master().unwrap();
    let mut random = Random::from_seed(3);
    for _ in 0..10_000 {
        let bytes = noise(&bench, master, &mut random);
        bench.give(master, Input::Datagram(bytes)).unwrap();
    }
    let deadline = bench.agents[&master].poll_timeout().unwrap();
    assert!(deadline.at > bench.now);
    bench.run_for(SECOND);
    assert_eq!((bench.master(), bench.running.len()), (Some(master), 2));
}
