//! Whatever a stranger sends to an agent changes nothing.

use core::num::NonZeroU16;
use core::time::Duration;
use std::net::{TcpStream, UdpSocket};

use ha_core::wire::{FrameKind, Key, KeyRing, Security, Wire, WireConfig};
use ha_core::{ClusterId, HostId, Identity, Incarnation, Random, Round, Term};
use ha_datastore::fs::{boot_clock, boot_id};
use ha_examples::config::HostConfig;
use ha_examples::demo::Demo;

use crate::support::{assert_no_second_copy, protected, setup, turn};

/// A wire that is right in all but what the test makes wrong.
fn wire(config: &HostConfig, host: HostId, cluster: ClusterId, key: [u8; 16]) -> Wire {
    let boot = boot_id().unwrap();
    Wire::new(WireConfig {
        identity: Identity { cluster, host, boot, incarnation: Incarnation::new(1) },
        hosts: (1..=8).map(HostId::new).collect(),
        security: Security::Keyed(KeyRing::new(NonZeroU16::MIN, Key::from_bytes(key))),
        echo_fresh: Duration::from_millis(500),
        probe_spacing: Duration::from_millis(25),
    })
    .inspect(|_| assert_eq!(config.hosts.len(), 3))
    .unwrap()
}

/// Frames of every kind that only a datagram can be, under a term far above any real one.
fn frames(wire: &mut Wire, to: HostId, master: HostId) -> Vec<Vec<u8>> {
    let term = Some(Term::new(Round::new(1 << 40), master));
    let kinds = FrameKind::ALL.into_iter().filter(|kind| *kind != FrameKind::Control);
    let lengths = [0, 8, 24, 64, 200];
    let sealed = kinds.flat_map(|kind| lengths.map(|length| (kind, vec![0xA5; length])));
    sealed
        .map(|(kind, payload)| wire.seal(boot_clock(), to, kind, term, &payload).unwrap().to_vec())
        .collect()
}

fn hostile(demo: &Demo, to: HostId) -> Vec<Vec<u8>> {
    let file = demo.folder().join(to.to_string()).join(HostConfig::FILE);
    let config = HostConfig::load(&file).unwrap();
    let key: [u8; 16] = config.key.as_slice().try_into().unwrap();
    let peer = HostId::new(if to == HostId::new(1) { 2 } else { 1 });
    let other_cluster = ClusterId::from_bytes([9; 16]);

    let forged = frames(&mut wire(&config, peer, config.cluster, [7; 16]), to, peer);
    let foreign = frames(&mut wire(&config, peer, other_cluster, key), to, peer);
    let stranger = HostId::new(8);
    let unknown = frames(&mut wire(&config, stranger, config.cluster, key), to, stranger);
    let mirrored = frames(&mut wire(&config, to, config.cluster, key), peer, to);
    let genuine = frames(&mut wire(&config, peer, config.cluster, key), to, peer);
    let cut = genuine.iter().flat_map(|frame| (0..frame.len()).step_by(7).map(|end| frame[..end].to_vec()));
    let flipped = genuine.iter().flat_map(|frame| {
        (0..frame.len()).step_by(5).map(|at| {
            let mut frame = frame.clone();
            frame[at] ^= 0x10;
            frame
        })
    });
    let mut random = Random::from_seed(2);
    let noise = (0..200_u64).map(|length| {
        let length = usize::try_from(length * 11).unwrap();
        (0..length).map(|_| random.next_u64().to_le_bytes()[0]).collect::<Vec<u8>>()
    });
    let noise: Vec<_> = noise.collect();
    [forged, foreign, unknown, mirrored, cut.collect(), flipped.collect(), noise].concat()
}

#[test]
fn malformed_truncated_forged_and_foreign_datagrams_change_nothing() {
    let _turn = turn();
    let mut demo = protected(setup(3, 3));
    let master = demo.master().unwrap();
    let slave = demo.slave_with_vms().unwrap();
    let roles =
        |demo: &Demo| demo.observed().events().iter().filter(|event| event.code == "role-changed").count();
    let before = roles(&demo);

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for to in [master, slave] {
        let address = demo.agent_address(to).unwrap();
        for datagrams in hostile(&demo, to).chunks(100) {
            for datagram in datagrams {
                socket.send_to(datagram, address).unwrap();
            }
            demo.go_on_for(Duration::from_millis(5)).unwrap();
        }
        // A stream that brings the same is as good as none.
        let mut stream = TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut stream, &[0xFF; 4096]).unwrap();
    }
    demo.go_on_for(Duration::from_secs(2)).unwrap();

    assert_eq!(demo.master(), Some(master));
    assert_eq!(roles(&demo), before);
    assert_no_second_copy(&demo);
    for host in [master, slave] {
        let told = |event: &&ha_examples::protocol::manager::EventLine| {
            event.host == host && event.code == "invalid-master"
        };
        let events = demo.observed().events().iter().filter(told);
        let mut texts: Vec<_> = events.map(|event| event.text.as_str()).collect();
        assert!(!texts.is_empty(), "{host} noticed nothing");
        let all = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), all, "{host} told of one forger more than once");
    }

    let kill = demo.kill_host(slave).unwrap();
    demo.wait_until_restarted(&kill.vms, Duration::from_secs(10)).unwrap();
    let measured = demo.finish().unwrap().measured;
    assert_eq!((measured.double_runs, measured.lost), (0, 0));
}
