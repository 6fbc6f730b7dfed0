use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};

/// A process that may own the datastore.
pub(crate) struct Child {
    pub(crate) host: u32,
    pub(crate) incarnation: u64,
    process: std::process::Child,
    lines: Receiver<String>,
}

impl Child {
    pub(crate) fn start(datastore: &Path, host: u32, incarnation: u64) -> Self {
        Self::start_rated("SameKernel", datastore, host, incarnation)
    }

    /// Over a mount whose locks can be lost.
    pub(crate) fn start_shared(datastore: &Path, host: u32, incarnation: u64) -> Self {
        Self::start_rated("F2", datastore, host, incarnation)
    }

    fn start_rated(rating: &str, datastore: &Path, host: u32, incarnation: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("owner")
            .arg(datastore)
            .args([host.to_string(), incarnation.to_string(), rating.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || says.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { host, incarnation, process, lines }
    }

    /// What it has said since the last call; after its end, everything.
    pub(crate) fn said(&mut self) -> Vec<String> {
        let is_over = self.process.try_wait().unwrap().is_some();
        if is_over { self.lines.iter().collect() } else { self.lines.try_iter().collect() }
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
