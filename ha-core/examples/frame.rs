//! Two hosts exchange frames on a made-up clock, while somebody records and replays them.
#![allow(clippy::print_stdout, reason = "the example tells a story")]

use core::error::Error;
use core::num::NonZeroU16;
use core::time::Duration;

use ha_core::wire::{Channel, Echo, FrameKind, Key, KeyRing, Opened, Security, Wire, WireConfig};
use ha_core::{BootId, HostId, Identity, Incarnation, Instant, Round, Term};

fn main() -> Result<(), Box<dyn Error>> {
    let (one, two) = (HostId::new(1), HostId::new(2));
    let mut slave = wire(one, 7)?;
    let mut master = wire(two, 9)?;
    let term = Some(Term::new(Round::new(5), two));

    let first = slave.seal(at(0), two, FrameKind::Heartbeat, term, b"alive")?;
    println!("host-1 starts and sends a heartbeat of {} bytes", first.len());
    tell("host-2", master.open(at(1), Channel::Datagram, &first));

    let probe = master.seal(at(2), one, FrameKind::Probe, term, &[])?;
    println!("\nhost-2 has never been echoed by host-1, so it probes");
    tell("host-1", slave.open(at(3), Channel::Datagram, &probe));

    let second = slave.seal(at(1_000), two, FrameKind::Heartbeat, term, b"alive")?;
    println!("\nthe next heartbeat echoes the probe");
    tell("host-2", master.open(at(1_001), Channel::Datagram, &second));

    println!("\nsomebody sends it again, changes one bit of it, and sends it back to host-1");
    tell("host-2", master.open(at(1_002), Channel::Datagram, &second));
    let mut forged = second.to_vec();
    forged[104] ^= 1;
    tell("host-2", master.open(at(1_003), Channel::Datagram, &forged));
    tell("host-1", slave.open(at(1_003), Channel::Datagram, &second));

    println!("\nhost-2 restarts, and an hour later hears the recording before it hears host-1");
    let mut master = wire(two, 10)?;
    tell("host-2", master.open(at(3_600_000), Channel::Datagram, &second));
    let probe = master.seal(at(3_600_001), one, FrameKind::Probe, term, &[])?;
    tell("host-1", slave.open(at(3_600_002), Channel::Datagram, &probe));
    let genuine = slave.seal(at(3_600_003), two, FrameKind::Heartbeat, term, b"alive")?;
    tell("host-2", master.open(at(3_600_004), Channel::Datagram, &genuine));
    let counters = master.counters();
    println!("\nhost-2 accepted {} frames and asked for {} probe", counters.accepted(), counters.probes());
    Ok(())
}

fn wire(host: HostId, incarnation: u64) -> Result<Wire, Box<dyn Error>> {
    let identity = Identity {
        cluster: "67e55044-10b1-426f-9247-bb680e5fe0c8".parse()?,
        host,
        boot: BootId::from_bytes([1; 16]),
        incarnation: Incarnation::new(incarnation),
    };
    let key = Key::from_bytes(*b"only for example");
    Ok(Wire::new(WireConfig {
        identity,
        hosts: vec![HostId::new(1), HostId::new(2)],
        security: Security::Keyed(KeyRing::new(NonZeroU16::MIN, key)),
        echo_fresh: Duration::from_secs(3),
        probe_spacing: Duration::from_secs(1),
    })?)
}

fn at(millis: u64) -> Instant {
    Instant::ORIGIN.after(Duration::from_millis(millis))
}

fn tell(who: &str, opened: Opened<'_>) {
    match opened {
        Opened::Accepted(frame) => {
            let probe = if frame.probe { ", probe due" } else { "" };
            let echo = match frame.echo {
                Echo::None => "it has not heard us".to_owned(),
                Echo::Stale => "its echo is stale".to_owned(),
                Echo::Fresh { sent_at } => format!("it has heard what we sent at {sent_at}"),
            };
            println!("  {who} accepts {:?} {}: {echo}{probe}", frame.kind, frame.sequence);
        }
        Opened::Ignored(reason) => println!("  {who} ignores a frame: {reason:?}"),
        Opened::Refused(refusal) => println!("  {who} refuses a frame: {:?}", refusal.reason),
    }
}
