//! The embedder's side of [`ha_agent::Agent`]: sockets, files, the launcher, the clock, and the loop around it.
//!
//! One thread decides. The others read sockets, or belong to [`FsStorage`], and hand over what they got; none of
//! them ever waits for the deciding thread longer than it takes to read its bounded share. What the deciding thread
//! sends is written by threads of its own, so a peer that does not read delays nobody.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::num::NonZeroU16;
use core::time::Duration;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use bytes::Bytes;
use ha_agent::{Agent, AgentConfig, DatastoreEntry, HostEntry, Input};
use ha_core::wire::{Key, KeyRing, Security};
use ha_core::{Capability, Deadline, Identity, Incarnation, Instant, Machine};
use ha_datastore::fs::local::raise_incarnation;
use ha_datastore::fs::{FsStorage, Mount, boot_clock, boot_id};

use crate::config::{DATASTORE, HostConfig, LIMITS, local_folder};
use crate::failure::{Context, Failure};
use crate::protocol::{driver, manager};
use crate::{local_socket, ping};
use inbox::{Gate, Wake};
use outside::Outside;
use suspend::SuspendWatch;

mod driver_link;
mod feed;
mod inbox;
mod outside;
pub(crate) mod pings;
mod streams;
mod suspend;
pub(crate) mod terms;

/// The longest frame (architecture 9), in bytes; a longer datagram is cut, and so refused as a frame.
const DATAGRAM: usize = 2_048;

/// How many datagrams may wait; more are dropped, as the network may drop any.
const DATAGRAMS: usize = 1_024;

/// The host wants a sign of life at least this often.
const SIGN_OF_LIFE: Duration = Duration::from_millis(250);

/// What is waiting is read before the clock judges anyone, but never more than this in a row, or a flood could
/// silence the clock.
const LATE_INPUTS: u32 = 64;

/// How many rejected inputs are written to the log.
const LOGGED_REJECTIONS: u32 = 50;

/// Plays the agent, under the configuration at `config`. Returns only with a failure.
///
/// # Errors
///
/// A failure if the agent cannot begin.
pub fn run(config: &Path) -> Result<(), Failure> {
    let host = HostConfig::load(config)?;
    let local = local_folder(config);
    let own = host.own()?.clone();
    let udp = UdpSocket::bind(own.agent).context(|| format!("binding {} for datagrams", own.agent))?;
    let tcp = TcpListener::bind(own.agent).context(|| format!("binding {} for streams", own.agent))?;
    let pings =
        UdpSocket::bind((own.ping.ip(), 0)).context(|| format!("binding {} for pings", own.ping.ip()))?;
    let launcher = local_socket::connect(local, driver::SOCKET).context(|| "reaching the launcher".into())?;
    let managers = local_socket::listen(local, manager::SOCKET);
    let managers = managers.context(|| format!("listening on {}", manager::SOCKET))?;

    let (wakes, inbox) = channel();
    let completed = wakes.clone();
    let mount = Mount {
        id: DATASTORE,
        root: host.datastore.clone(),
        cluster_directory: host.cluster_directory.clone(),
        capability: Capability::SAME_KERNEL,
    };
    // A completion that nobody waits for any more needs no reader.
    let storage = FsStorage::start(vec![mount], move |done| drop(completed.send(Wake::Storage(done))));
    let storage = storage.context(|| "opening the datastore".into())?;

    let agent =
        Agent::new(agent_config(&host, local)?, boot_clock()).context(|| "starting the agent".into())?;
    let streams = streams::Streams::new(tcp, wakes.clone()).context(|| "starting a thread".into())?;
    let stored = wakes.clone();
    let terms = terms::Terms::new(local, move |term| stored.send(Wake::TermStored(term)).is_ok())?;
    let driver = driver_link::DriverLink::new(launcher, wakes.clone())?;
    let copy = |socket: &UdpSocket| socket.try_clone().context(|| "copying a socket".into());
    let (datagrams, pongs) = (copy(&udp)?, copy(&pings)?);
    let heard = wakes.clone();
    spawn("datagrams", move || hear_datagrams(&datagrams, &heard))?;
    let heard = wakes.clone();
    spawn("pongs", move || hear_pongs(&pongs, &heard))?;
    let heard = wakes.clone();
    spawn("managers", move || hear_managers(&managers, &heard))?;

    let outside = Outside {
        feed: feed::Feed::new(host.host),
        pings: pings::Pings::new(pings, random()),
        streams,
        storage,
        terms,
        driver,
        udp,
        host,
        wakes,
        ready: VecDeque::new(),
    };
    Loop { agent, outside, inbox, suspend: SuspendWatch::new(), next_sign: boot_clock(), rejected: 0 }.run()
}

fn agent_config(host: &HostConfig, local: &Path) -> Result<AgentConfig, Failure> {
    let key: [u8; 16] = host.key.as_slice().try_into().context(|| "the key must have 16 bytes".into())?;
    let boot = boot_id().context(|| "reading the boot id".into())?;
    // Durable before anything is sent: nothing of an earlier life of this agent may be taken for this one's.
    let incarnation =
        raise_incarnation(local, Incarnation::new(0)).context(|| "raising the incarnation".into())?;
    let hosts = host.hosts.iter().map(|other| HostEntry { host: other.host, moid: other.moid.clone() });
    let mut config = AgentConfig {
        identity: Identity { cluster: host.cluster, host: host.host, boot, incarnation },
        acknowledged: terms::stored(local)?,
        hosts: hosts.collect(),
        datastores: vec![DatastoreEntry {
            datastore: DATASTORE,
            capability: Capability::SAME_KERNEL,
            heartbeat: true,
        }],
        isolation_addresses: 0,
        node_goodness: None,
        timing: host.timing()?,
        security: Security::Keyed(KeyRing::new(NonZeroU16::MIN, Key::from_bytes(key))),
        limits: LIMITS,
        seed: random(),
    }
    .with_options(&host.options.options()?, host.profile, None);
    // The demo's addresses stand for real ones, so they have ports.
    config.isolation_addresses = u32::try_from(host.isolation_addresses.len())
        .context(|| "counting the isolation addresses".into())?;
    Ok(config)
}

struct Loop {
    agent: Agent,
    outside: Outside,
    inbox: Receiver<Wake>,
    suspend: SuspendWatch,
    next_sign: Instant,
    rejected: u32,
}

impl Loop {
    fn run(mut self) -> Result<(), Failure> {
        let mut deadline = self.agent.poll_timeout();
        let mut late_inputs = 0;
        loop {
            self.sign_of_life()?;
            let due = self.due(deadline);
            // What is waiting comes first, so a stalled agent does not judge peers by its own silence.
            let wake = if late_inputs < LATE_INPUTS { self.wait(due)? } else { None };
            let now = boot_clock();
            if let Some(gap) = self.suspend.look() {
                self.outside.ready.push_front(Input::Resumed { gap });
            }
            let late = due <= now;
            late_inputs = if wake.is_some() && late { late_inputs + 1 } else { 0 };
            match wake {
                Some(wake) => self.outside.take_in(wake),
                None => {
                    self.outside.expire_pings(now);
                    deadline = self.tick(now);
                }
            }
            while let Some(input) = self.outside.ready.pop_front() {
                deadline = self.step(boot_clock(), input);
            }
        }
    }

    fn due(&self, deadline: Option<Deadline>) -> Instant {
        let moments = [deadline.map(|deadline| deadline.at), self.outside.pings.due(), Some(self.next_sign)];
        moments.into_iter().flatten().fold(self.next_sign, Instant::min)
    }

    fn wait(&self, until: Instant) -> Result<Option<Wake>, Failure> {
        match self.inbox.recv_timeout(until.since(boot_clock())) {
            Ok(wake) => Ok(Some(wake)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Failure::new("every source of input has ended")),
        }
    }

    fn step(&mut self, now: Instant, input: Input) -> Option<Deadline> {
        let Self { agent, outside, rejected, .. } = self;
        match agent.step(now, input) {
            Ok(effects) => return effects.run(|output| outside.perform(now, output)),
            Err(refusal) => {
                *rejected = rejected.saturating_add(1);
                if *rejected <= LOGGED_REJECTIONS {
                    eprintln!("agent: rejected: {refusal:?}");
                }
            }
        }
        agent.poll_timeout()
    }

    fn tick(&mut self, now: Instant) -> Option<Deadline> {
        let Self { agent, outside, .. } = self;
        agent.tick(now).run(|output| outside.perform(now, output))
    }

    /// Tells the host's watchdog that this loop still turns.
    fn sign_of_life(&mut self) -> Result<(), Failure> {
        let now = boot_clock();
        if now < self.next_sign {
            return Ok(());
        }
        self.next_sign = now.after(SIGN_OF_LIFE);
        outside::write_sign().context(|| "showing the host that this agent lives".into())
    }
}

fn hear_datagrams(socket: &UdpSocket, wakes: &Sender<Wake>) {
    let gate = Gate::new(DATAGRAMS);
    let mut datagram = [0; DATAGRAM];
    loop {
        // An error of one datagram says nothing about the next.
        let Ok(length) = socket.recv(&mut datagram) else { continue };
        let Some(permit) = gate.try_enter() else { continue };
        if wakes.send(Wake::Datagram(Bytes::copy_from_slice(&datagram[..length]), permit)).is_err() {
            return;
        }
    }
}

fn hear_pongs(socket: &UdpSocket, wakes: &Sender<Wake>) {
    let gate = Gate::new(DATAGRAMS);
    loop {
        let Ok((number, from)) = ping::next_answer(socket) else { continue };
        let Some(permit) = gate.try_enter() else { continue };
        if wakes.send(Wake::Pong { number, from, permit }).is_err() {
            return;
        }
    }
}

fn hear_managers(listener: &UnixListener, wakes: &Sender<Wake>) {
    let gate: Arc<Gate> = Gate::new(1);
    for stream in listener.incoming().flatten() {
        if wakes.send(Wake::ManagerCame(stream, gate.enter())).is_err() {
            return;
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new().name(name.into()).spawn(work).map(drop).context(|| "starting a thread".into())
}

pub(crate) fn random() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low.rotate_left(32)
}
