//! The command line of the demo.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use ha_core::Profile;

use crate::demo::Part;
use crate::demo::folder::Folder;
use crate::options_file::OptionsFile;
use crate::scenario;

/// Kills a host of a VM high-availability cluster and shows how its virtual machines run again elsewhere.
///
/// The cluster is real: each host is a process group with an agent, its virtual machines are processes with locks
/// on a shared directory, the agents speak UDP and TCP on loopback. When every virtual machine is protected, one
/// host is killed as a whole. The demo waits until all its virtual machines run elsewhere, stops everything it
/// started, and prints what happened when, counted from the kill. With `--kill-how stop` times count from the stop,
/// save `all_running_ms`, which still counts from the kill.
///
/// The exit status is 0 if every virtual machine of the dead host runs again, none ever ran twice at once, and none
/// is lost; 1 if not; 2 if the command line is wrong. With `--kill-how stop` nothing may have started during the stop
/// either.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "failover", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Options {
    /// How many hosts the cluster has, 2 to 32.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=32))]
    pub hosts: u32,

    /// How many virtual machines run on them, 1 to 512.
    #[arg(long, value_name = "M", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub vms: u32,

    /// Which spans of time the agents live by.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = ProfileName::Swift)]
    pub profile: ProfileName,

    /// Which host is killed.
    #[arg(long, value_name = "ROLE", value_enum, default_value_t = Victim::Slave)]
    pub kill: Victim,

    /// How the host is made to fail.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = How::Kill)]
    pub kill_how: How,

    /// Switch every early end off, as in FDM itself: neither strong evidence nor a complete count of voters ends a
    /// wait before its time. Goes with any profile.
    #[arg(long)]
    pub exact: bool,

    /// Read the cluster's options from here: TOML if the name ends in `.toml`, else lines `name = value`.
    ///
    /// Names are vSphere's, such as `das.config.fdm.hostTimeout`; `ha-core/OPTIONS.md` lists all. Isolation addresses
    /// are the demo's own.
    #[arg(long, value_name = "FILE")]
    pub options: Option<PathBuf>,

    /// Kill only the agent of the chosen host. The host starts it again, and the new agent adopts the virtual
    /// machines, which run on.
    ///
    /// The exit status is 0 if then all are protected again and none was restarted; `restarted` counts those of any
    /// host.
    #[arg(long, conflicts_with = "kill_how")]
    pub restart_agent: bool,

    /// Kill nothing: print one line with a JSON object to standard output, which tells of every process, role, address
    /// and path, and wait until somebody else kills a host or an agent. Then the same report follows.
    ///
    /// A host dies by `kill -KILL -- -PID` with its `pid`, an agent by `kill -KILL PID` with its `agent_pid`. Times
    /// count from about that moment, exact to some ten milliseconds. An agent that is killed is started again only with
    /// `--restart-agent`.
    #[arg(long, conflicts_with_all = ["kill", "kill_how"])]
    pub hold: bool,

    /// Hold for no longer than this. If nobody kills anything the report counts what happened, and the exit status is
    /// 0 only if there was no declaration, no change of role, and no restart.
    #[arg(long, value_name = "SECONDS", requires = "hold", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub hold_for: Option<u64>,

    /// Put all files here and keep them; an empty or new directory on a local file system.
    ///
    /// Besides the datastore and each host's log it gets `events.jsonl`, every event of every agent. Without this,
    /// everything lies in a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Print one JSON object to standard output, and nothing else there save the line of `--hold` before it.
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  failover                            kill a slave of three hosts with six virtual machines
  failover --hosts 2 --kill master    kill the master; the one slave takes over alone
  failover --hosts 8 --vms 64 --json  print measurements for a program
  failover --kill-how stop            let a slave hang for five seconds before it dies
  failover --restart-agent            kill an agent only; it comes back and adopts its VMs
  failover --hold --hold-for 60       kill something yourself, or see that nothing happens";

/// A timing profile's name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileName {
    /// Sub-second detection.
    Swift,
    /// FDM's own times: the slow path, half a minute and more.
    Vsphere,
}

/// The host to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Victim {
    /// A slave on which virtual machines run.
    Slave,
    /// The master.
    Master,
}

/// How to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// All at once, without warning.
    Kill,
    /// The whole host stops for 5 s, with its locks held, and is killed then. Nothing may start during the stop.
    Stop,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Swift => Self::Swift,
            ProfileName::Vsphere => Self::Vsphere,
        }
    }
}

impl From<Victim> for Part {
    fn from(victim: Victim) -> Self {
        match victim {
            Victim::Slave => Self::Slave,
            Victim::Master => Self::Master,
        }
    }
}

/// The main of the demo itself.
#[must_use]
pub fn run() -> ExitCode {
    let options = Options::parse();
    if let Some(dir) = &options.dir
        && let Err(failure) = Folder::chosen(dir)
    {
        let text = format!("invalid value '{}' for '--dir <DIR>': {failure}", dir.display());
        Options::command().error(ErrorKind::ValueValidation, text).exit();
    }
    if let Some(path) = &options.options
        && let Err(failure) = OptionsFile::read(path)
    {
        let text = format!("invalid value '{}' for '--options <FILE>': {failure}", path.display());
        Options::command().error(ErrorKind::ValueValidation, text).exit();
    }
    match scenario::run(&options, print) {
        Ok(report) => {
            if options.json {
                print(&report.json());
            } else {
                print(&report.text());
            }
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("failover: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is what the demo is run for")]
fn print(text: &str) {
    println!("{text}");
}
