//! The hypervisor's driver of one host: starts virtual machines through holders, and tells of their end.
//!
//! It holds no descriptor on the datastore, because a spawn would wait for a stalled mount then (architecture 8).
//! It serves one agent at a time. Virtual machines outlive that agent; holders that have not been told to start do
//! not. All children are spawned from this process's main thread.

use alloc::collections::BTreeMap;
use core::time::Duration;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;

use ha_core::operation::{StartOutcome, StopOutcome, TakeOutcome};
use ha_core::{HolderId, StorageFault, VmUuid};
use ha_datastore::fs::boot_clock;

use crate::config::{HostConfig, local_folder};
use crate::failure::{Context, Failure};
use crate::lines::{self, Lines};
use crate::local_socket;
use crate::outgoing::Outgoing;
use crate::protocol::driver::{DriverReply, DriverRequest, InventoryItem, RequestNumber, SOCKET};
use crate::protocol::holder::{HolderCommand, HolderReply};
use child::{Child, Stage, Waiting};

mod child;

/// What the launcher writes to its standard output once its socket listens.
pub const READY: &[u8] = b"ready\n";

/// How many lines may wait for an agent that does not read.
const CLIENT_QUEUE: usize = 4_096;

/// How many wakes may wait for the main thread; whoever has one more waits with it.
const WAKES: usize = 1_024;

/// How often unfinished stops are looked at.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// Plays the launcher, under the configuration at `config`.
///
/// # Errors
///
/// A failure if the socket cannot be served. The host then dies as a whole.
pub fn run(config: &Path) -> Result<(), Failure> {
    let host = HostConfig::load(config)?;
    let listener = local_socket::listen(local_folder(config), SOCKET);
    let listener = listener.context(|| format!("listening on {SOCKET}"))?;
    let mut stdout = std::io::stdout();
    stdout.write_all(READY).and_then(|()| stdout.flush()).context(|| "telling the host".into())?;
    let (wakes, inbox) = sync_channel(WAKES);
    let accepted = wakes.clone();
    spawn("accept", move || accept(&listener, &accepted))?;
    let mut launcher =
        Launcher { config, host, wakes, client: None, clients: 0, children: BTreeMap::new(), spawned: 0 };
    launcher.serve(&inbox)
}

enum Wake {
    Client(UnixStream),
    Request(u64, DriverRequest),
    ClientGone(u64),
    Said(u64, HolderReply),
    Ended(u64),
}

struct Client {
    number: u64,
    stream: UnixStream,
    outgoing: Outgoing,
    /// Its inventory has been sent. Until then nothing else is.
    informed: bool,
}

struct Launcher<'a> {
    config: &'a Path,
    host: HostConfig,
    wakes: SyncSender<Wake>,
    client: Option<Client>,
    clients: u64,
    children: BTreeMap<u64, Child>,
    spawned: u64,
}

impl Launcher<'_> {
    fn serve(&mut self, inbox: &Receiver<Wake>) -> Result<(), Failure> {
        loop {
            let stopping = self.children.values().any(Child::is_stopping);
            let wake = if stopping {
                match inbox.recv_timeout(STOP_LOOK) {
                    Ok(wake) => Some(wake),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            } else {
                match inbox.recv() {
                    Ok(wake) => Some(wake),
                    Err(_) => return Ok(()),
                }
            };
            match wake {
                Some(Wake::Client(stream)) => self.welcome(stream)?,
                Some(Wake::Request(client, request)) => self.request(client, request),
                Some(Wake::ClientGone(client)) => self.client_gone(client),
                Some(Wake::Said(child, reply)) => self.said(child, reply),
                Some(Wake::Ended(child)) => self.ended(child),
                None => {}
            }
            self.look_at_stops();
            self.inform();
        }
    }

    fn welcome(&mut self, stream: UnixStream) -> Result<(), Failure> {
        if let Some(old) = self.client.as_ref().map(|client| client.number) {
            self.client_gone(old);
        }
        self.clients += 1;
        let number = self.clients;
        let copy = || stream.try_clone().context(|| "copying a socket".into());
        let outgoing = Outgoing::start(copy()?, CLIENT_QUEUE).context(|| "starting a thread".into())?;
        let (requests, wakes) = (copy()?, self.wakes.clone());
        self.client = Some(Client { number, stream, outgoing, informed: false });
        spawn("agent", move || hear_client(number, requests, &wakes))
    }

    /// Sends the complete inventory to a new agent, once every start that an earlier one ordered has gone one way
    /// or the other: until then the inventory would not be complete.
    fn inform(&mut self) {
        let Some(client) = self.client.as_mut().filter(|client| !client.informed) else { return };
        let number = client.number;
        let open = |child: &Child| child.client != number && matches!(child.stage, Stage::Starting(_));
        if self.children.values().any(open) {
            return;
        }
        client.informed = true;
        let running = self.children.values().filter_map(|child| match child.stage {
            Stage::Running(epoch) => {
                let holds_lock = child.holds_lock(&self.host);
                Some(InventoryItem { vm: child.vm.clone(), epoch, holds_lock })
            }
            Stage::Holding | Stage::Starting(_) => None,
        });
        let inventory = DriverReply::Complete(running.collect());
        self.tell(&inventory);
    }

    fn client_gone(&mut self, number: u64) {
        let Some(client) = self.client.take_if(|client| client.number == number) else { return };
        // Fails if the other side closed it first, which is as good.
        client.stream.shutdown(Shutdown::Both).ok();
        for child in self.children.values_mut() {
            child.forget_stop_requests();
            if child.client == number {
                child.abandon();
            }
        }
    }

    fn request(&mut self, client: u64, request: DriverRequest) {
        if self.client.as_ref().is_none_or(|current| current.number != client) {
            return;
        }
        match request {
            DriverRequest::TakeLock { request, holder, vm, not_after } => {
                let number = self.spawned + 1;
                let first = HolderCommand::TakeLock { vm: vm.clone(), not_after };
                let child = Child::spawn(self.config, client, holder, vm, request);
                let child = child.and_then(|mut child| {
                    let wakes = self.wakes.clone();
                    child.watch(move |said| drop(wakes.send(wake_of(number, said))))?;
                    child.command(&first);
                    Ok(child)
                });
                match child {
                    Ok(child) => {
                        self.spawned = number;
                        self.children.insert(number, child);
                    }
                    Err(failure) => {
                        eprintln!("launcher: {failure}");
                        let outcome = TakeOutcome::Fault(StorageFault::Unknown);
                        self.tell(&DriverReply::Took { request, outcome });
                    }
                }
            }
            DriverRequest::WriteRecord { request, holder, offset, bytes, not_after } => {
                let command = HolderCommand::Write { offset, bytes, not_after };
                if !self.ask(client, holder, Waiting::Write(request), &command) {
                    let outcome = Err(StorageFault::Unknown);
                    self.tell(&DriverReply::Wrote { request, outcome });
                }
            }
            DriverRequest::Start { request, holder, epoch, not_after } => {
                let command = HolderCommand::Start { epoch, not_after };
                if self.ask(client, holder, Waiting::Start(request), &command) {
                    self.child_of(client, holder)
                        .into_iter()
                        .for_each(|child| child.stage = Stage::Starting(epoch));
                } else {
                    self.tell(&DriverReply::Started { request, outcome: StartOutcome::HolderGone });
                }
            }
            DriverRequest::Abandon { holder } => {
                self.child_of(client, holder).into_iter().for_each(Child::abandon);
            }
            DriverRequest::Stop { request, vm, not_after } => {
                let outcome = if boot_clock() > not_after {
                    Some(StopOutcome::Unknown)
                } else {
                    self.stop(request, vm)
                };
                if let Some(outcome) = outcome {
                    self.tell(&DriverReply::Stopped { request, outcome });
                }
            }
        }
    }

    /// Passes a command on to a holder that waits for one. Whether there is such a holder.
    fn ask(&mut self, client: u64, holder: HolderId, waiting: Waiting, command: &HolderCommand) -> bool {
        let ready = |child: &&mut Child| child.stage == Stage::Holding && child.waiting == Waiting::Nothing;
        let Some(child) = self.child_of(client, holder).filter(ready) else { return false };
        child.waiting = waiting;
        child.command(command);
        true
    }

    /// Begins a stop; the outcome if there is nothing to wait for.
    fn stop(&mut self, request: RequestNumber, vm: VmUuid) -> Option<StopOutcome> {
        let runs = |child: &&mut Child| child.vm.uuid() == vm && child.stage != Stage::Holding;
        let Some(child) = self.children.values_mut().find(runs) else { return Some(StopOutcome::NotHere) };
        child.stop(request);
        None
    }

    fn look_at_stops(&mut self) {
        let now = boot_clock();
        let given_up: Vec<RequestNumber> =
            self.children.values_mut().flat_map(|child| child.press_stop(now)).collect();
        for request in given_up {
            self.tell(&DriverReply::Stopped { request, outcome: StopOutcome::Unknown });
        }
    }

    fn said(&mut self, number: u64, reply: HolderReply) {
        let Some(child) = self.children.get_mut(&number) else { return };
        let waiting = core::mem::replace(&mut child.waiting, Waiting::Nothing);
        let answer = match (waiting, child.stage, reply) {
            (Waiting::Take(request), _, HolderReply::Took(outcome)) => DriverReply::Took { request, outcome },
            (Waiting::Write(request), _, HolderReply::Wrote(outcome)) => {
                DriverReply::Wrote { request, outcome }
            }
            (Waiting::Start(request), Stage::Starting(epoch), HolderReply::Running) => {
                child.stage = Stage::Running(epoch);
                DriverReply::Started { request, outcome: StartOutcome::Running }
            }
            (Waiting::Start(request), _, HolderReply::StartExpired) => {
                child.stage = Stage::Holding;
                DriverReply::Started { request, outcome: StartOutcome::Expired }
            }
            (Waiting::Start(request), _, HolderReply::StartFailed) => {
                child.stage = Stage::Holding;
                DriverReply::Started { request, outcome: StartOutcome::Failed }
            }
            // Nobody asked for that: whoever says it is no holder. Its end will be told.
            (waiting, _, _) => {
                child.waiting = waiting;
                return child.kill();
            }
        };
        if child.client == self.client.as_ref().map_or(0, |client| client.number) {
            self.tell(&answer);
        }
    }

    fn ended(&mut self, number: u64) {
        let Some(child) = self.children.remove(&number) else { return };
        for request in child.stop_requests() {
            self.tell(&DriverReply::Stopped { request: *request, outcome: StopOutcome::Stopped });
        }
        if let Stage::Running(epoch) = child.stage {
            self.tell(&DriverReply::Ended { vm: child.vm.uuid(), epoch });
        }
        if child.client != self.client.as_ref().map_or(0, |client| client.number) {
            return;
        }
        let fault = StorageFault::Unknown;
        match child.waiting {
            Waiting::Nothing => {}
            Waiting::Take(request) => {
                self.tell(&DriverReply::Took { request, outcome: TakeOutcome::Fault(fault) });
            }
            Waiting::Write(request) => self.tell(&DriverReply::Wrote { request, outcome: Err(fault) }),
            Waiting::Start(request) => {
                self.tell(&DriverReply::Started { request, outcome: StartOutcome::HolderGone });
            }
        }
    }

    fn child_of(&mut self, client: u64, holder: HolderId) -> Option<&mut Child> {
        // The latest of that name: one that did not get the lock may not be reaped yet.
        self.children.values_mut().rfind(|child| child.client == client && child.holder == holder)
    }

    fn tell(&mut self, reply: &DriverReply) {
        let Some(client) = self.client.as_ref().filter(|client| client.informed) else { return };
        let number = client.number;
        let sent = lines::encode(reply).is_ok_and(|line| client.outgoing.send(line));
        if !sent {
            self.client_gone(number);
        }
    }
}

fn accept(listener: &UnixListener, wakes: &SyncSender<Wake>) {
    for stream in listener.incoming().flatten() {
        if wakes.send(Wake::Client(stream)).is_err() {
            return;
        }
    }
}

fn hear_client(number: u64, stream: UnixStream, wakes: &SyncSender<Wake>) {
    let mut requests = Lines::new(stream);
    while let Ok(Some(request)) = requests.receive() {
        if wakes.send(Wake::Request(number, request)).is_err() {
            return;
        }
    }
    drop(wakes.send(Wake::ClientGone(number)));
}

fn wake_of(child: u64, said: Option<HolderReply>) -> Wake {
    said.map_or(Wake::Ended(child), |reply| Wake::Said(child, reply))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new().name(name.into()).spawn(work).map(drop).context(|| "starting a thread".into())
}
