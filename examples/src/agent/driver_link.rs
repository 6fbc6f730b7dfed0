use alloc::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;
use std::thread;

use ha_agent::Input;
use ha_core::operation::{
    ShareOutcome, StartOutcome, StartVm, StopOutcome, StopVm, TakeOutcome, TakeVmLock, WriteVmRecord,
};
use ha_core::{RunningVm, StorageFault, Token, VmCompletion, VmDriverReport, VmRequest};

use super::inbox::Wake;
use crate::failure::{Context, Failure};
use crate::lines::{self, Lines};
use crate::outgoing::Outgoing;
use crate::protocol::driver::{DriverReply, DriverRequest, RequestNumber};

/// How many requests may wait for a launcher that does not read.
const QUEUE: usize = 4_096;

/// The link to the launcher of virtual machines, and the requests that it has not answered.
#[derive(Debug)]
pub(super) struct DriverLink {
    outgoing: Option<Outgoing>,
    requests: RequestNumber,
    waiting: BTreeMap<RequestNumber, Waiting>,
}

#[derive(Debug)]
enum Waiting {
    Take(Token<TakeVmLock>),
    Write(Token<WriteVmRecord>),
    Start(Token<StartVm>),
    Stop(Token<StopVm>),
}

impl Waiting {
    /// The answer when none will come. A launcher takes its holders and virtual machines with it when it dies.
    fn give_up(self) -> VmCompletion {
        let fault = StorageFault::Unknown;
        match self {
            Self::Take(token) => VmCompletion::TakeLock(token.complete(TakeOutcome::Fault(fault))),
            Self::Write(token) => VmCompletion::WriteRecord(token.complete(Err(fault))),
            Self::Start(token) => VmCompletion::Start(token.complete(StartOutcome::HolderGone)),
            Self::Stop(token) => VmCompletion::Stop(token.complete(StopOutcome::Unknown)),
        }
    }
}

impl DriverLink {
    /// Speaks over `stream`.
    pub(super) fn new(stream: UnixStream, wakes: Sender<Wake>) -> Result<Self, Failure> {
        let replies = stream.try_clone().context(|| "copying a socket".into())?;
        let reader = thread::Builder::new().name("driver".into());
        reader.spawn(move || hear(replies, &wakes)).context(|| "starting a thread".into())?;
        let outgoing = Outgoing::start(stream, QUEUE).context(|| "starting a thread".into())?;
        Ok(Self { outgoing: Some(outgoing), requests: 0, waiting: BTreeMap::new() })
    }

    /// Passes a request on. The answers of requests that are lost with the link.
    pub(super) fn ask(&mut self, request: VmRequest) -> Vec<Input> {
        self.requests += 1;
        let number = self.requests;
        let (waiting, line) = match request {
            VmRequest::TakeLock { token, holder, vm, not_after } => (
                Some(Waiting::Take(token)),
                DriverRequest::TakeLock { request: number, holder, vm, not_after },
            ),
            VmRequest::WriteRecord { token, holder, offset, bytes, not_after } => (
                Some(Waiting::Write(token)),
                DriverRequest::WriteRecord { request: number, holder, offset, bytes, not_after },
            ),
            VmRequest::Start { token, holder, epoch, not_after } => (
                Some(Waiting::Start(token)),
                DriverRequest::Start { request: number, holder, epoch, not_after },
            ),
            // This launcher migrates nothing: it shares no lock, and has no copy that came in.
            VmRequest::ShareLock { token, .. } => {
                let unsupported = ShareOutcome::Fault(StorageFault::Unsupported);
                return vec![Input::Vm(VmCompletion::ShareLock(token.complete(unsupported)))];
            }
            VmRequest::Resume { token, .. } => {
                return vec![Input::Vm(VmCompletion::Start(token.complete(StartOutcome::Failed)))];
            }
            VmRequest::Abandon { holder } => (None, DriverRequest::Abandon { holder }),
            VmRequest::Stop { token, vm, not_after } => {
                (Some(Waiting::Stop(token)), DriverRequest::Stop { request: number, vm, not_after })
            }
        };
        if let Some(waiting) = waiting {
            self.waiting.insert(number, waiting);
        }
        let Some(outgoing) = &self.outgoing else { return self.give_up() };
        let sent = lines::encode(&line).is_ok_and(|line| outgoing.send(line));
        if sent { Vec::new() } else { self.lost() }
    }

    /// Takes in what the launcher said. An answer to nothing that waits is dropped; one of the wrong sort is none.
    pub(super) fn heard(&mut self, reply: DriverReply) -> Option<Input> {
        match reply {
            DriverReply::Complete(items) => {
                let running = items.into_iter().map(|item| RunningVm {
                    vm: item.vm,
                    epoch: item.epoch,
                    holds_lock: item.holds_lock,
                });
                Some(Input::Driver(VmDriverReport::Complete(running.collect())))
            }
            DriverReply::Ended { vm, epoch } => Some(Input::Driver(VmDriverReport::Ended { vm, epoch })),
            DriverReply::Took { request, outcome } => match self.waiting.remove(&request)? {
                Waiting::Take(token) => Some(Input::Vm(VmCompletion::TakeLock(token.complete(outcome)))),
                other @ (Waiting::Write(_) | Waiting::Start(_) | Waiting::Stop(_)) => {
                    Some(Input::Vm(other.give_up()))
                }
            },
            DriverReply::Wrote { request, outcome } => match self.waiting.remove(&request)? {
                Waiting::Write(token) => Some(Input::Vm(VmCompletion::WriteRecord(token.complete(outcome)))),
                other @ (Waiting::Take(_) | Waiting::Start(_) | Waiting::Stop(_)) => {
                    Some(Input::Vm(other.give_up()))
                }
            },
            DriverReply::Started { request, outcome } => match self.waiting.remove(&request)? {
                Waiting::Start(token) => Some(Input::Vm(VmCompletion::Start(token.complete(outcome)))),
                other @ (Waiting::Take(_) | Waiting::Write(_) | Waiting::Stop(_)) => {
                    Some(Input::Vm(other.give_up()))
                }
            },
            DriverReply::Stopped { request, outcome } => match self.waiting.remove(&request)? {
                Waiting::Stop(token) => Some(Input::Vm(VmCompletion::Stop(token.complete(outcome)))),
                other @ (Waiting::Take(_) | Waiting::Write(_) | Waiting::Start(_)) => {
                    Some(Input::Vm(other.give_up()))
                }
            },
        }
    }

    /// Takes in the end of the link: every open request, and the link itself, is answered.
    pub(super) fn lost(&mut self) -> Vec<Input> {
        let mut answers = self.give_up();
        if self.outgoing.take().is_some() {
            answers.push(Input::Driver(VmDriverReport::Lost));
        }
        answers
    }

    fn give_up(&mut self) -> Vec<Input> {
        let waiting = core::mem::take(&mut self.waiting);
        waiting.into_values().map(|waiting| Input::Vm(waiting.give_up())).collect()
    }
}

fn hear(stream: UnixStream, wakes: &Sender<Wake>) {
    let mut replies = Lines::new(stream);
    while let Ok(Some(reply)) = replies.receive() {
        if wakes.send(Wake::Driver(reply)).is_err() {
            return;
        }
    }
    drop(wakes.send(Wake::DriverLost));
}
