//! What one received slave heartbeat costs: decoded, authenticated, its echo checked, beside its floors.
//!
//! `cargo bench -p ha-core`. All figures come from one run, interleaved, as medians of 31 rounds; only their ratios
//! say something on a shared machine. The allocations of a received heartbeat are counted in a round of their own:
//! there must be none.
#![allow(clippy::print_stdout, reason = "the table is this program's purpose")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

use core::hint::black_box;
use core::num::NonZeroU16;
use core::time::Duration;
use std::time::Instant as Clock;

use allocation_counter::measure;
use ha_core::wire::{
    Channel, Echo, FrameKind, Key, KeyRing, MAX_SLAVE_HEARTBEAT, Opened, Security, Wire, WireConfig,
};
use ha_core::{BootId, ClusterId, HostId, Identity, Incarnation, Instant};
use siphasher::sip128::{Hasher128, SipHasher24};

const ROUNDS: usize = 31;
/// Frames in one round: a replay window lets each be opened once only.
const FRAMES: usize = 4_096;

fn wire(host: u32, hosts: u32) -> Wire {
    let identity = Identity {
        cluster: ClusterId::from_bytes([1; 16]),
        host: HostId::new(host),
        boot: BootId::from_bytes([2; 16]),
        incarnation: Incarnation::new(3),
    };
    let config = WireConfig {
        identity,
        hosts: (1..=hosts).map(HostId::new).collect(),
        security: Security::Keyed(KeyRing::new(NonZeroU16::MIN, Key::from_bytes([7; 16]))),
        echo_fresh: Duration::from_secs(10),
        probe_spacing: Duration::from_millis(25),
    };
    Wire::new(config).expect("the host list is well formed")
}

/// Frames of a slave that heard the master, each with a fresh echo.
fn frames(master: &mut Wire, slave: &mut Wire, slave_id: HostId, now: Instant) -> Vec<Vec<u8>> {
    let claim = master.seal(now, slave_id, FrameKind::Claim, None, &[0; 40]).expect("a known host");
    assert!(matches!(slave.open(now, Channel::Datagram, &claim), Opened::Accepted(_)));
    let payload = [0; MAX_SLAVE_HEARTBEAT];
    let mut sealed = || slave.seal(now, HostId::new(1), FrameKind::Heartbeat, None, &payload);
    (0..FRAMES).map(|_| sealed().expect("a known host").to_vec()).collect()
}

fn per_frame(work: impl FnOnce()) -> f64 {
    let began = Clock::now();
    work();
    began.elapsed().as_nanos() as f64 / FRAMES as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How often a master allocates to receive one round of heartbeats.
fn allocations(hosts: u32) -> u64 {
    let now = Instant::from_nanos(1_000_000_000);
    let (mut master, mut slave) = (wire(1, hosts), wire(hosts, hosts));
    let frames = frames(&mut master, &mut slave, HostId::new(hosts), now);
    let mut accepted = 0;
    let taken = measure(|| {
        for frame in &frames {
            accepted +=
                usize::from(matches!(master.open(now, Channel::Datagram, frame), Opened::Accepted(_)));
        }
    });
    assert_eq!(accepted, FRAMES, "each heartbeat is received");
    taken.count_total
}

fn main() {
    println!("one slave heartbeat of 160 bytes, ns (median of {ROUNDS})");
    println!(
        "{:>6} {:>10} {:>10} {:>10} {:>10} {:>12}",
        "hosts", "received", "memcpy", "crc32", "mac", "allocations"
    );
    for hosts in [3, 32, 1_000, 4_096] {
        let mut taken = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            let now = Instant::from_nanos(1_000_000_000);
            let slave_id = HostId::new(hosts);
            let (mut master, mut slave) = (wire(1, hosts), wire(hosts, hosts));
            let frames = frames(&mut master, &mut slave, slave_id, now);
            taken[0].push(per_frame(|| {
                for frame in &frames {
                    match master.open(now, Channel::Datagram, black_box(frame)) {
                        Opened::Accepted(it) => assert!(matches!(it.echo, Echo::Fresh { .. })),
                        Opened::Ignored(_) | Opened::Refused(_) => unreachable!("a good frame"),
                    }
                }
            }));
            let mut copy = [0_u8; 160];
            taken[1].push(per_frame(|| {
                for frame in &frames {
                    copy.copy_from_slice(black_box(frame));
                    black_box(&copy);
                }
            }));
            taken[2].push(per_frame(|| {
                for frame in &frames {
                    black_box(crc32fast::hash(black_box(frame)));
                }
            }));
            taken[3].push(per_frame(|| {
                for frame in &frames {
                    let mut hasher = SipHasher24::new_with_key(&[7; 16]);
                    core::hash::Hasher::write(&mut hasher, black_box(&frame[..144]));
                    black_box(hasher.finish128());
                }
            }));
        }
        let [received, copied, summed, mac] = taken.map(median);
        let allocated = allocations(hosts);
        println!("{hosts:>6} {received:>10.1} {copied:>10.1} {summed:>10.1} {mac:>10.1} {allocated:>12}");
        assert_eq!(allocated, 0, "a received heartbeat allocates nothing");
    }
}
