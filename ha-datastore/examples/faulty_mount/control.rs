use core::time::Duration;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use crate::faults::{Fault, Rule, Status};
use crate::shared::Shared;

const LONGEST: usize = 1024;

/// How long an answer is waited for. Commands are answered at once, whatever is stalled.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends one command and returns its answer.
pub(crate) fn ask(socket: &Path, command: &str) -> io::Result<String> {
    // An abstract name, unlike a path, is gone with the process.
    let own = SocketAddr::from_abstract_name(format!("faulty_mount-{}", std::process::id()))?;
    let link = UnixDatagram::bind_addr(&own)?;
    link.set_read_timeout(Some(PATIENCE))?;
    link.send_to(command.as_bytes(), socket)?;
    let mut answer = [0; LONGEST];
    let length = link.recv(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// Carries commands out, in order, until the process ends.
pub(crate) fn serve(commands: &UnixDatagram, mount: &Shared) {
    let mut buffer = [0; LONGEST];
    loop {
        let (length, sender) = match commands.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) => return eprintln!("faulty_mount: no more commands: {error}"),
        };
        let answer = match String::from_utf8_lossy(&buffer[..length]).parse::<Command>() {
            Ok(command) => carry_out(command, mount).unwrap_or_else(|why| format!("error: {why}")),
            Err(why) => format!("error: {why}"),
        };
        // A sender without a name, or gone, does not want to know.
        let _answered = commands.send_to_addr(answer.as_bytes(), &sender);
    }
}

fn carry_out(command: Command, mount: &Shared) -> Result<String, String> {
    match command {
        Command::Fault(rule) => {
            if rule.fault == Fault::Stale {
                mount.snapshot.take_if_none().map_err(|error| error.to_string())?;
            }
            if !mount.faults.add(rule) {
                return Err("too many faults; `clear` first".into());
            }
        }
        Command::Snapshot => mount.snapshot.take().map_err(|error| error.to_string())?,
        Command::DropLocks { old_handles_die } => mount.handles.drop_locks(old_handles_die),
        Command::LocalLocks => mount.local_locks.set(true),
        Command::Clear => {
            mount.local_locks.set(false);
            mount.faults.clear();
        }
        Command::Status => {
            let Status { stalled, writes, faults } = mount.faults.status();
            return Ok(format!("stalled={stalled} writes={writes} faults={faults}"));
        }
    }
    Ok("ok".into())
}

#[derive(Debug)]
enum Command {
    Fault(Rule),
    Snapshot,
    DropLocks { old_handles_die: bool },
    LocalLocks,
    Clear,
    Status,
}

impl core::str::FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, within) = text.trim().split_once(" in ").unwrap_or((text.trim(), ""));
        let mut words = text.split_whitespace();
        let (name, number) = (words.next().unwrap_or_default(), words.next());
        if let Some(word) = words.next() {
            return Err(format!("`{word}` is one word too many"));
        }
        let count = |text: &str| text.parse::<u32>().map_err(|_| format!("`{text}` is not a whole number"));
        let fault = match (name, number) {
            ("eio_read", None) => Fault::EioRead,
            ("eio_write", None) => Fault::EioWrite,
            ("enospc", None) => Fault::Enospc,
            ("torn", None) => Fault::Torn(None),
            ("torn", Some(bytes)) => Fault::Torn(usize::try_from(count(bytes)?).ok()),
            ("stale", None) => Fault::Stale,
            ("delay", Some(millis)) => Fault::Delay(Duration::from_millis(count(millis)?.into())),
            ("stall", None) => Fault::Stall,
            ("stall_write", None) => Fault::StallWrite,
            ("snapshot" | "droplocks" | "droplocks_lax" | "local_locks" | "clear" | "status", None)
                if within.is_empty() =>
            {
                return Ok(match name {
                    "snapshot" => Self::Snapshot,
                    "droplocks" => Self::DropLocks { old_handles_die: true },
                    "droplocks_lax" => Self::DropLocks { old_handles_die: false },
                    "local_locks" => Self::LocalLocks,
                    "clear" => Self::Clear,
                    _ => Self::Status,
                });
            }
            _ => return Err(format!("`{text}` is no command; `faulty_mount --help` lists them")),
        };
        Ok(Self::Fault(Rule { fault, within: within.into() }))
    }
}
