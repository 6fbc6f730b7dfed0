//! One machine over std's UDP: a monitor of hosts that pings one host and judges it.
//!
//! `cargo run --example embed` watches a responder on loopback, which falls silent after a second.
#![allow(clippy::print_stdout, reason = "the story is this program's purpose")]
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "a program has std")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use ha_core::operation::{Ping, PingOutcome};
use ha_core::{
    BootId, Capability, HostId, Incarnation, Instant, Machine, MachineId, Profile, TimingConfig, TimingPlan,
    Token,
};
use ha_datastore::fs::boot_clock;
use ha_heartbeat::{Config, HostMonitor, Input, Output};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let (host, me) = (HostId::new(2), HostId::new(1));
    let incarnation = Incarnation::new(1);
    let plan = TimingPlan::validate(TimingConfig::profile(Profile::Swift), Capability::SAME_KERNEL)?;
    let machine = MachineId { host: me, incarnation, lane: 0 };
    let mut monitor = HostMonitor::new(Config { machine, plan }, boot_clock());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(peer.local_addr()?)?;
    peer.connect(socket.local_addr()?)?;
    thread::spawn(move || beat_for_a_second(&peer));

    let mut pings: BTreeMap<Instant, Token<Ping>> = BTreeMap::new();
    let watch = Input::Watch { host, datastores: Vec::new(), heard: Some(boot_clock()) };
    let (mut inputs, began) = (vec![watch], boot_clock());
    while boot_clock().since(began) < Duration::from_secs(3) {
        // 1. What is there: an input, else a ping whose time is over, else a heartbeat until the deadline.
        let now = boot_clock();
        let overdue = pings.first_entry().filter(|ping| *ping.key() <= now).map(|ping| ping.remove());
        inputs.extend(overdue.map(|token| Input::Pinged(token.complete(PingOutcome::Unanswered))));
        // 2. One step; 3. every output. The borrow of `effects` keeps the two in order.
        let effects = match inputs.pop() {
            Some(input) => monitor.step(now, input)?,
            None => monitor.tick(now),
        };
        let deadline = effects.run(|output| match output {
            Output::Ping { token, timeout, .. } => {
                socket.send(b"ping").ok(); // a refused ping is an unanswered one
                pings.insert(now.after(timeout).after(Duration::from_nanos(pings.len() as u64)), token);
            }
            Output::Event(event) => println!("{:>5} ms  {event:?}", now.since(began).as_millis()),
            Output::Storage(_) | Output::WatchDatastores { .. } | Output::UnwatchDatastores { .. } => {}
        });
        let next = deadline.map(|deadline| deadline.at).into_iter().chain(pings.keys().copied()).min();
        let wait = next.map_or(Duration::from_millis(50), |at| at.since(boot_clock()));
        socket.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?;
        if socket.recv(&mut [0; 8]).is_ok() {
            let boot = BootId::from_bytes([1; 16]);
            inputs.push(Input::Heard { host, boot, incarnation });
        }
    }
    println!("{}", monitor.verdict(host).map(ha_core::Verdict::why).unwrap_or_default());
    Ok(())
}

/// The peer: a heartbeat every 100 ms, then silence. Pings are never answered.
fn beat_for_a_second(peer: &UdpSocket) {
    for _ in 0..10 {
        peer.send(b"alive").ok();
        peer.set_read_timeout(Some(Duration::from_millis(100))).ok();
        peer.recv(&mut [0; 8]).ok();
    }
}
