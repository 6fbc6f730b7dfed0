//! What the demo does from start to report, by its options.

use core::time::Duration;

use ha_core::{HostId, Profile};
use ha_datastore::fs::boot_clock;

use crate::cli::{How, Options, Victim};
use crate::config::VmProgram;
use crate::demo::{Demo, Kill, KillHow, Setup};
use crate::failure::{Context, Failure};
use crate::options_file::OptionsFile;
use crate::report::{Quiet, Report};

/// After the restarts the demo goes on for this long, so that second copies would show in the ledgers.
const AFTERMATH: Duration = Duration::from_millis(300);

/// After the death of an agent the demo goes on for longer: restarts would need the time that a look again takes.
const AFTERMATH_OF_AN_AGENT: Duration = Duration::from_secs(3);

/// How long a host is stopped before it is killed.
const STOP: Duration = Duration::from_secs(5);

/// What the demo reports at its end.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Something was killed.
    Killed(Box<Report>),
    /// The demo held, and nobody killed anything.
    Quiet(Quiet),
}

impl Outcome {
    /// Whether the promises were kept.
    #[must_use]
    pub fn is_good(&self) -> bool {
        match self {
            Self::Killed(report) => report.is_good(),
            Self::Quiet(quiet) => quiet.is_good(),
        }
    }

    /// The report for programs, on one line.
    #[must_use]
    pub fn json(&self) -> String {
        match self {
            Self::Killed(report) => report.json(),
            Self::Quiet(quiet) => quiet.json(),
        }
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Killed(report) => report.text(),
            Self::Quiet(quiet) => quiet.text(),
        }
    }
}

/// Runs the demo. `hold_line` gets what a held cluster consists of.
///
/// # Errors
///
/// A failure if there is nothing to report.
pub fn run(options: &Options, hold_line: impl FnOnce(&str)) -> Result<Outcome, Failure> {
    let setup = Setup {
        program: std::env::current_exe().context(|| "finding the own executable".into())?,
        hosts: options.hosts,
        vms: options.vms,
        profile: options.profile.into(),
        exact: options.exact,
        options: options.options.as_deref().map(OptionsFile::read).transpose()?.unwrap_or_default(),
        restart_agent: options.restart_agent,
        first_on: options.kill.into(),
        dir: options.dir.clone(),
        vm_program: VmProgram::Locked,
        hold_before_exec: Duration::ZERO,
    };
    for finding in setup.options.options()?.findings(setup.profile) {
        eprintln!("note: {finding}");
    }
    let mut demo = Demo::start(setup.clone())?;
    eprintln!("{} hosts started in {}", setup.hosts, demo.folder().display());
    demo.protect_all(|progress| eprintln!("{progress}"))?;
    if !options.hold {
        let kill = kill(options, &mut demo)?;
        return report(&setup, &kill, demo);
    }
    let standing = demo.standing()?;
    hold_line(&standing.json());
    let began = boot_clock();
    if let Some(kill) = demo.hold(options.hold_for.map(Duration::from_secs))? {
        eprintln!(
            "{} has lost {}",
            kill.host,
            if kill.how == KillHow::Agent { "its agent" } else { "everything" }
        );
        report(&setup, &kill, demo)
    } else {
        let ended = boot_clock();
        Ok(Outcome::Quiet(Quiet::new(&setup, began, ended, &demo.finish()?)))
    }
}

fn kill(options: &Options, demo: &mut Demo) -> Result<Kill, Failure> {
    let victim: Option<HostId> = match options.kill {
        Victim::Slave => demo.slave_with_vms(),
        Victim::Master => demo.master(),
    };
    let victim = victim.ok_or_else(|| Failure::new("no host with this role runs a VM"))?;
    if options.restart_agent {
        eprintln!("killing the agent of {victim}");
        return demo.kill_agent(victim);
    }
    match options.kill_how {
        How::Kill => {
            eprintln!("killing {victim}");
            demo.kill_host(victim)
        }
        How::Stop => {
            eprintln!("stopping {victim}, to be killed after {} s", STOP.as_secs());
            demo.stop_and_kill_host(victim, STOP)
        }
    }
}

/// Waits for what should follow a kill, and for what should not.
fn report(setup: &Setup, kill: &Kill, mut demo: Demo) -> Result<Outcome, Failure> {
    let mut protected_again = None;
    let followed = match kill.how {
        KillHow::Kill | KillHow::Stop => demo.wait_until_restarted(&kill.vms, limit(setup.profile)),
        KillHow::Agent if setup.restart_agent => {
            demo.wait_until_protected_again().map(|at| protected_again = Some(at))
        }
        KillHow::Agent => Ok(()),
    };
    if let Err(failure) = followed {
        // What is there is worth a report all the same; it will not be a good one.
        eprintln!("failover: {failure}");
    }
    demo.go_on_for(match kill.how {
        KillHow::Kill | KillHow::Stop => AFTERMATH,
        KillHow::Agent => AFTERMATH_OF_AN_AGENT,
    })?;
    Report::new(setup, kill, protected_again, &demo.finish()?).map(|report| Outcome::Killed(Box::new(report)))
}

const fn limit(profile: Profile) -> Duration {
    match profile {
        Profile::Swift => Duration::from_secs(60),
        Profile::Vsphere => Duration::from_secs(120),
    }
}
