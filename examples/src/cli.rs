//! The command line of the demo.

use core::time::Duration;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use ha_core::{HostId, Profile};

use crate::config::VmProgram;
use crate::demo::folder::Folder;
use crate::demo::{Demo, Part, Setup};
use crate::failure::{Context, Failure};
use crate::report::Report;

/// After the restarts the demo goes on for this long, so that second copies would show in the ledgers.
const AFTERMATH: Duration = Duration::from_millis(300);

/// Kills a host of a VM high-availability cluster and shows how its virtual machines run again elsewhere.
///
/// The cluster is real: each host is a process group with an agent, its virtual machines are processes with locks
/// on a shared directory, the agents speak UDP and TCP on loopback. When every virtual machine is protected, one
/// host is killed as a whole. The demo waits until all its virtual machines run elsewhere, stops everything it
/// started, and prints what happened when, counted from the kill.
///
/// The exit status is 0 if every virtual machine of the dead host runs again, none ever ran twice at once, and none
/// is lost; 1 if not; 2 if the command line is wrong.
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

    /// Put all files here and keep them; an empty or new directory on a local file system.
    ///
    /// Besides the datastore and each host's log it gets `events.jsonl`, every event of every agent. Without this,
    /// everything lies in a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Print one JSON object to standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  failover                            kill a slave of three hosts with six virtual machines
  failover --hosts 2 --kill master    kill the master; the one slave takes over alone
  failover --hosts 8 --vms 64 --json  print measurements for a program";

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
    match fail_over(&options) {
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

fn fail_over(options: &Options) -> Result<Report, Failure> {
    let setup = Setup {
        program: std::env::current_exe().context(|| "finding the own executable".into())?,
        hosts: options.hosts,
        vms: options.vms,
        profile: options.profile.into(),
        first_on: options.kill.into(),
        dir: options.dir.clone(),
        vm_program: VmProgram::Locked,
        hold_before_exec: Duration::ZERO,
    };
    let mut demo = Demo::start(setup.clone())?;
    eprintln!("{} hosts started in {}", setup.hosts, demo.folder().display());
    demo.protect_all(|progress| eprintln!("{progress}"))?;
    let victim: Option<HostId> = match options.kill {
        Victim::Slave => demo.slave_with_vms(),
        Victim::Master => demo.master(),
    };
    let victim = victim.ok_or_else(|| Failure::new("no host with this role runs a VM"))?;
    eprintln!("killing {victim}");
    let kill = demo.kill_host(victim)?;
    let limit = match setup.profile {
        Profile::Swift => Duration::from_secs(60),
        Profile::Vsphere => Duration::from_secs(120),
    };
    let restarted = demo.wait_until_restarted(&kill.vms, limit);
    if let Err(failure) = restarted {
        // What is there is worth a report all the same; it will not be a good one.
        eprintln!("failover: {failure}");
    }
    demo.go_on_for(AFTERMATH)?;
    Report::new(&setup, &kill, &demo.finish()?)
}

#[expect(clippy::print_stdout, reason = "this is what the demo is run for")]
fn print(text: &str) {
    println!("{text}");
}
