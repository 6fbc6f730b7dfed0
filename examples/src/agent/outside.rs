use alloc::collections::VecDeque;
use std::io::{self, Write};
use std::net::UdpSocket;
use std::sync::mpsc::Sender;

use ha_agent::{Input, Output, PingTarget};
use ha_core::{HostId, Instant};
use ha_datastore::fs::FsStorage;
use rustix::net::{SendFlags, sendto};

use super::driver_link::DriverLink;
use super::feed::Feed;
use super::inbox::Wake;
use super::pings::Pings;
use super::streams::Streams;
use super::terms::Terms;
use crate::config::HostConfig;

/// Everything around the agent: carries out its outputs, and makes inputs of what happens.
pub(super) struct Outside {
    pub(super) host: HostConfig,
    pub(super) udp: UdpSocket,
    pub(super) pings: Pings,
    pub(super) streams: Streams,
    pub(super) storage: FsStorage,
    pub(super) terms: Terms,
    pub(super) driver: DriverLink,
    pub(super) feed: Feed,
    pub(super) wakes: Sender<Wake>,
    /// Inputs that are to be given to the agent next.
    pub(super) ready: VecDeque<Input>,
}

impl Outside {
    /// Makes inputs of something that happened.
    pub(super) fn take_in(&mut self, wake: Wake) {
        let input = match wake {
            Wake::Datagram(bytes, _) => Some(Input::Datagram(bytes)),
            Wake::StreamAccepted(stream, _) => {
                self.streams.accept(stream);
                None
            }
            Wake::StreamOpened(connection) => {
                self.streams.is_open(connection).then_some(Input::StreamOpened(connection))
            }
            Wake::StreamReceived(connection, bytes, _) => {
                self.streams.is_open(connection).then_some(Input::StreamReceived(connection, bytes))
            }
            Wake::StreamClosed(connection) => {
                let news = self.streams.is_open(connection).then_some(Input::StreamClosed(connection));
                self.streams.close(connection);
                news
            }
            Wake::Storage(completion) => Some(Input::Storage(completion)),
            Wake::TermStored(acknowledged) => Some(Input::TermStored { acknowledged }),
            Wake::Pong { number, from, permit: _ } => self.pings.answered(number, from).map(Input::Ping),
            Wake::Driver(reply) => self.driver.heard(reply),
            Wake::DriverLost => {
                self.ready.extend(self.driver.lost());
                None
            }
            Wake::ManagerCame(stream, _) => {
                if let Err(failure) = self.feed.welcome(stream, self.wakes.clone()) {
                    eprintln!("agent: {failure}");
                }
                None
            }
            Wake::ManagerSaid(number, command, _) => {
                self.feed.is_current(number).then(|| Input::Command(command.into()))
            }
            Wake::ManagerGone(number) => {
                self.feed.gone(number);
                None
            }
        };
        self.ready.extend(input);
    }

    /// Ends the pings whose time is over.
    pub(super) fn expire_pings(&mut self, now: Instant) {
        while let Some(ended) = self.pings.expire(now) {
            self.ready.push_back(Input::Ping(ended));
        }
    }

    /// Carries out one output of a step that was made at `now`.
    pub(super) fn perform(&mut self, now: Instant, output: Output) {
        let news = match output {
            Output::Transmit { to, bytes } => {
                self.transmit(to, &bytes);
                None
            }
            Output::Connect { to, connection } => {
                let address = self.host.address_of(to).map(|address| address.agent);
                self.streams.dial(connection, address)
            }
            Output::Send { connection, bytes } => self.streams.send(connection, bytes),
            Output::Close(connection) => {
                self.streams.close(connection);
                None
            }
            Output::Storage(request) => {
                self.storage.submit(request);
                None
            }
            Output::Ping { token, target, timeout } => {
                let target = match target {
                    PingTarget::Host(host) => self.host.address_of(host).map(|address| address.ping),
                    PingTarget::IsolationAddress(index) => {
                        let index = usize::try_from(index).unwrap_or(usize::MAX);
                        self.host.isolation_addresses.get(index).copied()
                    }
                };
                self.pings.ask(now, token, target, timeout);
                None
            }
            Output::StoreTerm { acknowledged } => {
                self.terms.store(acknowledged);
                None
            }
            Output::Vm(request) => {
                self.ready.extend(self.driver.ask(request));
                None
            }
            Output::Event(event) => {
                self.feed.tell(now, &event);
                None
            }
        };
        self.ready.extend(news);
    }

    /// Loss is allowed, waiting is not.
    fn transmit(&self, to: HostId, bytes: &[u8]) {
        if let Some(address) = self.host.address_of(to) {
            sendto(&self.udp, bytes, SendFlags::DONTWAIT, &address.agent).ok();
        }
    }
}

/// One byte for the host's watchdog, on the pipe that is this process's standard output.
pub(super) fn write_sign() -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(b".").and_then(|()| stdout.flush())
}
