use alloc::collections::VecDeque;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;
use std::thread;

use bytes::Bytes;
use ha_agent::Event;
use ha_core::{HostId, Instant};

use super::inbox::{Gate, Wake};
use crate::failure::{Context, Failure};
use crate::lines::{self, Lines};
use crate::outgoing::Outgoing;
use crate::protocol::manager::EventLine;

/// How many events are kept for a manager that connects later.
const BACKLOG: usize = 4_096;

/// How many commands may wait for the agent.
const COMMANDS: usize = 64;

/// Tells the manager of every event, and the events before it came.
#[derive(Debug)]
pub(super) struct Feed {
    host: HostId,
    backlog: VecDeque<Bytes>,
    managers: u64,
    manager: Option<Manager>,
}

#[derive(Debug)]
struct Manager {
    stream: UnixStream,
    outgoing: Outgoing,
}

impl Feed {
    pub(super) const fn new(host: HostId) -> Self {
        Self { host, backlog: VecDeque::new(), managers: 0, manager: None }
    }

    pub(super) fn tell(&mut self, now: Instant, event: &Event) {
        let Ok(line) = lines::encode(&EventLine::new(now, self.host, event)) else { return };
        let line = Bytes::from(line);
        if self.manager.as_ref().is_some_and(|manager| !manager.outgoing.send(line.clone())) {
            self.dismiss();
        }
        if self.backlog.len() == BACKLOG {
            self.backlog.pop_front();
        }
        self.backlog.push_back(line);
    }

    /// Takes a manager on, in place of any before.
    pub(super) fn welcome(&mut self, stream: UnixStream, wakes: Sender<Wake>) -> Result<(), Failure> {
        self.dismiss();
        let copy = || stream.try_clone().context(|| "copying a socket".into());
        let outgoing = Outgoing::start(copy()?, 2 * BACKLOG).context(|| "starting a thread".into())?;
        self.managers += 1;
        let (number, commands) = (self.managers, copy()?);
        let reader = thread::Builder::new().name("manager".into());
        reader.spawn(move || hear(number, commands, &wakes)).context(|| "starting a thread".into())?;
        let told = self.backlog.iter().all(|line| outgoing.send(line.clone()));
        self.manager = told.then_some(Manager { stream, outgoing });
        Ok(())
    }

    pub(super) fn gone(&mut self, number: u64) {
        if number == self.managers {
            self.dismiss();
        }
    }

    /// Whether this is the number of the manager that is connected.
    pub(super) const fn is_current(&self, number: u64) -> bool {
        number == self.managers && self.manager.is_some()
    }

    fn dismiss(&mut self) {
        if let Some(manager) = self.manager.take() {
            // Fails if the other side closed it first, which is as good.
            manager.stream.shutdown(Shutdown::Both).ok();
        }
    }
}

fn hear(number: u64, stream: UnixStream, wakes: &Sender<Wake>) {
    let gate = Gate::new(COMMANDS);
    let mut commands = Lines::new(stream);
    while let Ok(Some(command)) = commands.receive() {
        if wakes.send(Wake::ManagerSaid(number, command, gate.enter())).is_err() {
            return;
        }
    }
    drop(wakes.send(Wake::ManagerGone(number)));
}
