use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread;

use ha_core::HostId;
use rustix::process::{Signal, kill_process};

use super::protocol::{Line, Order};
use crate::failure::{Context, Failure};
use crate::lines::Lines;
use crate::process::{OWN_EXECUTABLE, child, pid};
use crate::role::Role;

/// What the manager hears, from whomever.
#[derive(Debug)]
pub(super) enum Heard {
    /// A line of the person or program that gives the commands.
    Typed(String),
    /// There are no more of those.
    TypingEnded,
    /// From the elector of `host`, by the number of its start.
    Told { host: HostId, start: u64, line: Line },
    /// That elector has ended, and all that it told was passed on.
    Ended { host: HostId, start: u64 },
}

/// The process of one elector.
#[derive(Debug)]
pub(super) struct HostProcess {
    host: HostId,
    child: Child,
    orders: UnixDatagram,
    /// Which start of the host this is.
    pub(super) start: u64,
}

impl HostProcess {
    /// Starts it, and passes on what it tells. For the main thread, with which it dies.
    pub(super) fn start(
        host: HostId,
        start: u64,
        config: &Path,
        heard: SyncSender<Heard>,
    ) -> Result<Self, Failure> {
        let (orders, theirs) = UnixDatagram::pair().context(|| "making a socket".into())?;
        orders.set_nonblocking(true).context(|| "preparing a socket".into())?;
        let mut command = child(Path::new(OWN_EXECUTABLE), Role::Elector.word(), config);
        let command = command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::piped());
        let mut child = command.spawn().context(|| format!("starting {host}"))?;
        let told = child.stdout.take().ok_or_else(|| Failure::new("a child without standard output"))?;
        let pass_on = move || {
            let mut lines = Lines::new(told);
            // A line that is none ends it as well: the host then counts as ended, and is killed.
            while let Ok(Some(line)) = lines.receive() {
                if heard.send(Heard::Told { host, start, line }).is_err() {
                    return;
                }
            }
            heard.send(Heard::Ended { host, start }).ok();
        };
        let reader = thread::Builder::new().name(host.to_string()).spawn(pass_on);
        reader.context(|| "starting a thread".into())?;
        Ok(Self { host, child, orders, start })
    }

    /// Sends an order; it waits in the socket if the process is stopped. One that has died does not hear it.
    pub(super) fn order(&self, order: &Order) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(order).context(|| format!("writing to {}", self.host))?;
        match self.orders.send(&bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                Err(Failure::new(format!("{} does not read its orders", self.host)))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn stop(&self) -> Result<(), Failure> {
        self.signal(Signal::STOP)
    }

    pub(super) fn go_on(&self) -> Result<(), Failure> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        kill_process(pid(self.child.id())?, signal).context(|| format!("signalling {}", self.host))
    }

    /// Ends it with SIGKILL and reaps it.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).context(|| format!("killing {}", self.host))
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        if let Err(failure) = self.kill() {
            eprintln!("{failure}");
        }
    }
}
