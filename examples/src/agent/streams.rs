use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use ha_agent::{ConnectionId, Input};

use super::inbox::{Gate, Wake};
use crate::outgoing::Outgoing;

/// How many frames may wait on one stream.
const QUEUE: usize = 1_024;

/// How many pieces of received bytes may wait for the agent, of all streams together.
const RECEIVED: usize = 256;

/// The longest piece, in bytes.
const PIECE: usize = 16_384;

/// How many accepted streams may be open. A cluster of 32 hosts needs 31.
const ACCEPTED: usize = 128;

/// A peer that does not answer a dial by then is not reached.
const DIAL_LIMIT: Duration = Duration::from_secs(1);

/// The open streams. Each has a thread that reads and one that writes, so none can hold up another or the agent.
#[derive(Debug)]
pub(super) struct Streams {
    open: BTreeMap<ConnectionId, Stream>,
    accepted: u64,
    gate: Arc<Gate>,
    wakes: Sender<Wake>,
}

#[derive(Debug)]
struct Stream {
    outgoing: Outgoing,
    socket: Arc<Socket>,
}

/// A socket that may not be connected yet, or closed by then.
#[derive(Debug, Default)]
struct Socket(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Dialling,
    Open(TcpStream),
    Closed,
}

impl Socket {
    /// Whether it was still wanted.
    fn opened(&self, stream: &TcpStream) -> io::Result<bool> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Dialling => {
                *state = State::Open(stream.try_clone()?);
                Ok(true)
            }
            State::Open(_) | State::Closed => Ok(false),
        }
    }

    fn close(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(stream) = core::mem::replace(&mut *state, State::Closed) {
            // Fails if the peer closed it first, which is as good.
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Streams {
    /// Accepts from `listener` on a thread.
    pub(super) fn new(listener: TcpListener, wakes: Sender<Wake>) -> io::Result<Self> {
        let accepted = wakes.clone();
        let gate = Gate::new(ACCEPTED);
        thread::Builder::new().name("accept".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepted.send(Wake::StreamAccepted(stream, gate.enter())).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { open: BTreeMap::new(), accepted: 0, gate: Gate::new(RECEIVED), wakes })
    }

    /// Takes on an accepted stream, to be announced as opened later; closes it if there are too many.
    pub(super) fn accept(&mut self, stream: TcpStream) {
        let open = self.open.keys().filter(|connection| matches!(connection, ConnectionId::Accepted(_)));
        if open.count() >= ACCEPTED {
            return;
        }
        self.accepted += 1;
        self.start(ConnectionId::Accepted(self.accepted), move || Ok(stream));
    }

    /// Opens a stream, to be announced as opened or closed later. The news, if it is known at once that it will not
    /// open.
    pub(super) fn dial(&mut self, connection: ConnectionId, address: Option<SocketAddr>) -> Option<Input> {
        let started = address.is_some_and(|address| {
            self.start(connection, move || TcpStream::connect_timeout(&address, DIAL_LIMIT))
        });
        if started { None } else { Some(Input::StreamClosed(connection)) }
    }

    /// Sends on a stream. The news of its end, if it does not take the bytes.
    pub(super) fn send(&mut self, connection: ConnectionId, bytes: Bytes) -> Option<Input> {
        let stream = self.open.get(&connection)?;
        if stream.outgoing.send(bytes) {
            return None;
        }
        self.close(connection);
        Some(Input::StreamClosed(connection))
    }

    pub(super) fn close(&mut self, connection: ConnectionId) {
        if let Some(stream) = self.open.remove(&connection) {
            stream.socket.close();
        }
    }

    /// Whether news of this stream still concerns the agent.
    pub(super) fn is_open(&self, connection: ConnectionId) -> bool {
        self.open.contains_key(&connection)
    }

    /// Whether a thread could be started for the stream. `open` runs there, because it may take its time.
    fn start(
        &mut self,
        connection: ConnectionId,
        open: impl FnOnce() -> io::Result<TcpStream> + Send + 'static,
    ) -> bool {
        let socket = Arc::new(Socket::default());
        let (shared, gate, wakes) = (Arc::clone(&socket), Arc::clone(&self.gate), self.wakes.clone());
        let closed = self.wakes.clone();
        let open = move || {
            let stream = open_and_read(connection, open, &shared, gate, wakes);
            if stream.is_err() {
                drop(closed.send(Wake::StreamClosed(connection)));
            }
            stream
        };
        let Ok(outgoing) = Outgoing::start_with(open, QUEUE) else { return false };
        self.open.insert(connection, Stream { outgoing, socket });
        true
    }
}

fn open_and_read(
    connection: ConnectionId,
    open: impl FnOnce() -> io::Result<TcpStream>,
    socket: &Socket,
    gate: Arc<Gate>,
    wakes: Sender<Wake>,
) -> io::Result<TcpStream> {
    let stream = open()?;
    stream.set_nodelay(true)?;
    let incoming = stream.try_clone()?;
    if !socket.opened(&stream)? {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    thread::Builder::new().name("stream".into()).spawn(move || read(connection, incoming, &gate, &wakes))?;
    Ok(stream)
}

fn read(connection: ConnectionId, mut stream: TcpStream, gate: &Arc<Gate>, wakes: &Sender<Wake>) {
    let mut sent = wakes.send(Wake::StreamOpened(connection));
    let mut piece = vec![0; PIECE];
    while sent.is_ok() {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => {
                let bytes = Bytes::copy_from_slice(&piece[..length]);
                sent = wakes.send(Wake::StreamReceived(connection, bytes, gate.enter()));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    drop(wakes.send(Wake::StreamClosed(connection)));
}
