//! The process of one elector: its sockets, its clock, and the loop around [`Elector`].
//!
//! One thread reads everything and decides; only the disk has a thread of its own. So what waits in the sockets is read
//! before the clock judges anybody, also after this process was stopped.

use std::io::{self, ErrorKind, Write};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use ha_core::{Acknowledged, HostId, Identity, Incarnation, Instant};
use ha_datastore::fs::local::raise_incarnation;
use ha_datastore::fs::{boot_clock, boot_id};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, sendto};

use super::config::ElectorConfig;
use super::elector::{Act, Elector};
use super::protocol::{Line, MAX_ORDER, News, Order, Settings, Status};
use crate::agent::pings::Pings;
use crate::agent::random;
use crate::agent::terms::{self, Terms};
use crate::config::local_folder;
use crate::failure::{Context, Failure};
use crate::lines;
use crate::ping;

/// Datagrams read in a row before time may pass: a flood must not silence the clock.
const DATAGRAMS_IN_A_ROW: u32 = 64;

/// The longest frame, in bytes; a longer datagram is cut, and so refused as a frame.
const DATAGRAM: usize = 2_048;

/// Plays one elector, under the configuration at `config`. Returns only with a failure.
///
/// # Errors
///
/// A failure if it cannot begin or cannot go on.
pub(crate) fn run(config: &Path) -> Result<(), Failure> {
    Host::start(ElectorConfig::load(config)?, local_folder(config))?.run()
}

struct Host {
    config: ElectorConfig,
    elector: Elector,
    udp: UdpSocket,
    ping_socket: UdpSocket,
    pings: Pings,
    orders: UnixDatagram,
    terms: Terms,
    stored: Receiver<Acknowledged>,
    /// Something lies in `stored`.
    stored_bell: UnixDatagram,
    settings: Settings,
    sent: u64,
    cut: u64,
}

impl Host {
    fn start(config: ElectorConfig, local: &Path) -> Result<Self, Failure> {
        let address = config.address_of(config.host);
        let address = address.ok_or_else(|| Failure::new("the host list does not contain this host"))?;
        let bind = |address| UdpSocket::bind(address).context(|| format!("binding {address}"));
        let (udp, ping_socket) = (bind(address)?, bind((address.ip(), 0).into())?);
        let asking = ping_socket.try_clone().context(|| "copying a socket".into())?;
        let orders = io::stdin().as_fd().try_clone_to_owned().context(|| "copying a socket".into())?;
        let orders = UnixDatagram::from(orders);
        let (bell, stored_bell) = UnixDatagram::pair().context(|| "making a socket".into())?;
        for result in [
            udp.set_nonblocking(true),
            ping_socket.set_nonblocking(true),
            orders.set_nonblocking(true),
            stored_bell.set_nonblocking(true),
        ] {
            result.context(|| "preparing a socket".into())?;
        }
        let (done, stored) = channel();
        let terms = Terms::new(local, move |term| done.send(term).is_ok() && bell.send(&[0]).is_ok())?;
        // Durable before anything is sent: nothing of an earlier life may be taken for this one's.
        let incarnation =
            raise_incarnation(local, Incarnation::new(0)).context(|| "raising the incarnation".into())?;
        let boot = boot_id().context(|| "reading the boot id".into())?;
        let identity = Identity { cluster: config.cluster, host: config.host, boot, incarnation };
        let elector = Elector::new(boot_clock(), &config, identity, terms::stored(local)?)?;
        let settings =
            Settings { cut_to: Vec::new(), cut_from_address: false, datastores: 0, in_service: false };
        let pings = Pings::new(asking, random());
        tell(boot_clock(), News::Ready { life: incarnation.number() })?;
        Ok(Self {
            config,
            elector,
            udp,
            ping_socket,
            pings,
            orders,
            terms,
            stored,
            stored_bell,
            settings,
            sent: 0,
            cut: 0,
        })
    }

    fn run(mut self) -> Result<(), Failure> {
        loop {
            self.wait()?;
            // Orders first: a link that was cut while this process stood still is cut for all that it sends now.
            self.read_orders()?;
            self.read_stored()?;
            self.read_answers()?;
            self.read_datagrams()?;
            let now = boot_clock();
            while let Some(unanswered) = self.pings.expire(now) {
                self.elector.pinged(now, unanswered);
            }
            self.elector.tick(now);
            self.carry_out(now)?;
        }
    }

    /// Waits for a message or for the next deadline.
    fn wait(&self) -> Result<(), Failure> {
        let due = [self.elector.due(), self.pings.due()].into_iter().flatten().min();
        let span = due.map(|due| due.since(boot_clock()));
        let limit = span.map(|span| Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(span.subsec_nanos()),
        });
        let mut sources = [
            PollFd::new(&self.orders, PollFlags::IN),
            PollFd::new(&self.stored_bell, PollFlags::IN),
            PollFd::new(&self.ping_socket, PollFlags::IN),
            PollFd::new(&self.udp, PollFlags::IN),
        ];
        match poll(&mut sources, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error).context(|| "waiting".into()),
        }
    }

    fn read_orders(&mut self) -> Result<(), Failure> {
        let mut bytes = [0; MAX_ORDER];
        while let Some(length) = waiting(self.orders.recv(&mut bytes)) {
            let order = serde_json::from_slice(&bytes[..length]).context(|| "reading an order".into())?;
            let now = boot_clock();
            match order {
                Order::Settings(settings) => {
                    self.elector.stand(now, settings.datastores, settings.in_service);
                    self.settings = settings;
                }
                Order::Status(number) => {
                    let status = Status { sent: self.sent, cut: self.cut, ..self.elector.status(now) };
                    tell(now, News::Status { number, status })?;
                }
            }
            self.carry_out(now)?;
        }
        Ok(())
    }

    fn read_stored(&mut self) -> Result<(), Failure> {
        while waiting(self.stored_bell.recv(&mut [0])).is_some() {
            if let Ok(term) = self.stored.try_recv() {
                let now = boot_clock();
                self.elector.stored(now, term);
                self.carry_out(now)?;
            }
        }
        Ok(())
    }

    fn read_answers(&mut self) -> Result<(), Failure> {
        while let Some((number, from)) = waiting(ping::next_answer(&self.ping_socket)) {
            if let Some(answered) = self.pings.answered(number, from) {
                let now = boot_clock();
                self.elector.pinged(now, answered);
                self.carry_out(now)?;
            }
        }
        Ok(())
    }

    fn read_datagrams(&mut self) -> Result<(), Failure> {
        let mut datagram = [0; DATAGRAM];
        for _ in 0..DATAGRAMS_IN_A_ROW {
            let Some(length) = waiting(self.udp.recv(&mut datagram)) else { break };
            let now = boot_clock();
            self.elector.hear(now, &datagram[..length]);
            self.carry_out(now)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, now: Instant) -> Result<(), Failure> {
        while let Some(act) = self.elector.next_act() {
            match act {
                Act::Send { to, frame } => self.send(to, &frame),
                Act::Ping { token, timeout } => {
                    // A question to nobody is answered by nobody.
                    let target = (!self.settings.cut_from_address).then_some(self.config.isolation);
                    self.pings.ask(now, token, target, timeout);
                }
                Act::Store(term) => self.terms.store(term),
                Act::Tell(news) => tell(now, news)?,
            }
        }
        Ok(())
    }

    /// Loss is allowed, waiting is not.
    fn send(&mut self, to: HostId, frame: &[u8]) {
        if self.settings.cut_to.contains(&to.number()) {
            self.cut += 1;
        } else if let Some(address) = self.config.address_of(to) {
            self.sent += 1;
            sendto(&self.udp, frame, SendFlags::DONTWAIT, &address).ok();
        }
    }
}

/// What a socket that never waits has to offer. An error of one message says nothing about the next, which the next
/// turn of the loop reads.
fn waiting<T>(received: io::Result<T>) -> Option<T> {
    match received {
        Ok(received) => Some(received),
        Err(error) => {
            if error.kind() != ErrorKind::WouldBlock {
                eprintln!("elector: {error}");
            }
            None
        }
    }
}

fn tell(at: Instant, news: News) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    let told = lines::send(&mut stdout, &Line { at, news }).and_then(|()| stdout.flush());
    told.context(|| "telling the manager".into())
}
