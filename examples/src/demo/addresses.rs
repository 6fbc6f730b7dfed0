use core::net::{Ipv4Addr, SocketAddr};
use std::net::{TcpListener, UdpSocket};

use ha_core::{HostId, Moid};

use crate::config::HostAddress;
use crate::failure::{Context, Failure};

/// How often other addresses are tried before the demo gives up.
const TRIES: u32 = 32;

/// The last byte of the manager's address; hosts have their number there.
const MANAGER: u8 = 254;

/// Addresses of a whole cluster on loopback, and the manager's socket for pings.
///
/// Linux answers on all of 127.0.0.0/8, so every run takes a random network of its own there, with a random port
/// outside the range that the kernel gives away. Two demos at once do not meet.
#[derive(Debug)]
pub(crate) struct Addresses {
    pub(crate) hosts: Vec<HostAddress>,
    pub(crate) isolation: SocketAddr,
    pub(crate) pings: UdpSocket,
}

impl Addresses {
    /// Chooses addresses for hosts 1 to `hosts`, on which nobody listens now.
    pub(crate) fn choose(hosts: u32) -> Result<Self, Failure> {
        let mut last = Failure::new("no address was tried");
        for _ in 0..TRIES {
            match Self::try_one(hosts) {
                Ok(addresses) => return Ok(addresses),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    fn try_one(hosts: u32) -> Result<Self, Failure> {
        let [a, b, high, low, ..] = *uuid::Uuid::new_v4().as_bytes();
        let port = 10_000 + u16::from_le_bytes([high, low]) % 20_000;
        // 127.0.0.x is what other programs use.
        let address = |last: u8, port: u16| SocketAddr::from((Ipv4Addr::new(127, a | 1, b, last), port));
        let isolation = address(MANAGER, port + 1);
        let pings = UdpSocket::bind(isolation).context(|| format!("binding {isolation}"))?;
        let hosts = (1..=hosts).map(|number| {
            let last = u8::try_from(number).context(|| "numbering the hosts".into())?;
            let host = HostId::new(number);
            let moid: Moid = host.to_string().parse().context(|| "naming the hosts".into())?;
            let (agent, ping) = (address(last, port), address(last, port + 1));
            let free =
                UdpSocket::bind(agent).and_then(|_| TcpListener::bind(agent)).and(UdpSocket::bind(ping));
            free.context(|| format!("binding {agent} and {ping}"))?;
            Ok(HostAddress { host, moid, agent, ping })
        });
        Ok(Self { hosts: hosts.collect::<Result<_, Failure>>()?, isolation, pings })
    }
}
