//! What the agent's threads hand to its one deciding thread, and the bounds on what may wait there.

use alloc::sync::Arc;
use core::net::SocketAddr;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ha_agent::ConnectionId;
use ha_core::{Acknowledged, StorageCompletion};

use crate::protocol::driver::DriverReply;
use crate::protocol::manager::ManagerCommand;

/// One thing that happened outside.
///
/// What strangers can cause carries a [`Permit`], so that only so much of it waits. The rest answers requests of
/// the agent, which bounds those itself.
#[derive(Debug)]
#[expect(dead_code, reason = "permits are held, not read")]
pub(super) enum Wake {
    Datagram(Bytes, Permit),
    StreamAccepted(TcpStream, Permit),
    StreamOpened(ConnectionId),
    StreamReceived(ConnectionId, Bytes, Permit),
    StreamClosed(ConnectionId),
    Storage(StorageCompletion),
    TermStored(Acknowledged),
    Pong { number: u64, from: SocketAddr, permit: Permit },
    Driver(DriverReply),
    DriverLost,
    ManagerCame(UnixStream, Permit),
    ManagerSaid(u64, ManagerCommand, Permit),
    ManagerGone(u64),
}

/// Lets a fixed number of things wait at once.
#[derive(Debug)]
pub(super) struct Gate {
    free: Mutex<usize>,
    freed: Condvar,
}

/// The place of one waiting thing; free again when it is dropped, which is all that it is for.
#[derive(Debug)]
pub(super) struct Permit(Arc<Gate>);

impl Gate {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(places), freed: Condvar::new() })
    }

    /// A place, if one is free.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        let mut free = self.lock();
        *free = free.checked_sub(1)?;
        Some(Permit(Arc::clone(self)))
    }

    /// A place; waits until one is free.
    pub(super) fn enter(self: &Arc<Self>) -> Permit {
        let mut free = self.lock();
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Permit(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.lock() += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_opens_when_a_place_is_given_back() {
        let gate = Gate::new(2);
        let first = gate.enter();
        let _second = gate.try_enter().unwrap();
        assert!(gate.try_enter().is_none());
        drop(first);
        assert!(gate.try_enter().is_some());
    }

    #[test]
    fn who_waits_at_the_gate_gets_in() {
        let gate = Gate::new(1);
        let place = gate.enter();
        let waiting = Arc::clone(&gate);
        let waiter = std::thread::spawn(move || drop(waiting.enter()));
        drop(place);
        waiter.join().unwrap();
        assert!(gate.try_enter().is_some());
    }
}
