use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use ha_core::{Capability, TimingPlan};

use super::manager::Manager;
use super::play::patience;
use super::script::{COMMANDS, Step, parse};
use crate::cli::ProfileName;
use crate::config::timing_of;
use crate::failure::{Context, Failure};
use crate::options_file::OptionsFile;

/// Lets hosts elect a master, in processes that you kill, stop and cut off, and tells who leads and why.
///
/// Each host is a process of its own around the production election; they speak in authenticated frames over UDP on
/// loopback. A kill is SIGKILL, a pause is SIGSTOP; a link is cut by its sender, which drops what it would have sent.
///
/// Every line begins with two times in milliseconds: since the start, and since the last command.
///
/// The exit status is 0 if every expectation was met, every command of the script could be carried out, no host ended
/// by itself, none followed a lower term than before in one life, and no term had two reigns; 1 if not; 2 if the command
/// line or the script is wrong, in which case nothing is started.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "electors", version, max_term_width = 120, after_help = after_help())]
pub(super) struct Options {
    /// How many hosts the cluster has, 2 to 9.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=9))]
    hosts: u32,

    /// Which spans of time the hosts live by.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = ProfileName::Swift)]
    profile: ProfileName,

    /// Switch every early end off, as in FDM itself: an election lasts its whole window. Goes with any profile.
    #[arg(long)]
    exact: bool,

    /// Carry out these commands, then end: the name of a file, or the commands themselves if no such file exists.
    /// Without this, commands come from standard input.
    #[arg(long, value_name = "FILE OR COMMANDS")]
    script: Option<String>,

    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

fn after_help() -> String {
    format!(
        "Commands:\n{COMMANDS}\n\n\
         Examples:\n  \
         electors                                        type commands yourself; `help` lists them\n  \
         electors --script 'expect master 5; kill master; expect master 4; status'\n  \
         electors --script 'expect master 5; partition 1 2; expect master 2 of 1 2; heal all; expect master any'\n\n\
         A script in a file:\n  \
         expect master 5             # all ranks are equal: the highest id wins\n  \
         pause master                # it hangs, and keeps what it believes\n  \
         expect master 4             # the others lose it and elect\n  \
         resume 5                    # it wakes up as a master of nobody\n  \
         expect master any           # one of the two gives way\n  \
         cut 1 to master             # host-1 hears its master, which no longer hears it\n  \
         wait 2s\n  \
         status"
    )
}

/// The main of the demo itself.
#[must_use]
pub fn run() -> ExitCode {
    let options = Options::parse();
    let steps = match options.script.as_deref().map(|script| read(script, options.hosts)).transpose() {
        Ok(steps) => steps,
        Err(failure) => {
            let text = format!("invalid value for '--script <FILE OR COMMANDS>': {failure}");
            Options::command().error(ErrorKind::ValueValidation, text).exit();
        }
    };
    match play(&options, steps.as_deref()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("electors: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the run was good.
fn play(options: &Options, steps: Option<&[Step]>) -> Result<bool, Failure> {
    let Options { hosts, exact, json, .. } = *options;
    let profile = options.profile.into();
    let timing = timing_of(profile, exact, &OptionsFile::default())?;
    let plan = TimingPlan::validate(timing, Capability::SAME_KERNEL).context(|| "the timing".into())?;
    let patience = patience(plan.settled_max);
    let mut manager = Manager::start(hosts, profile, exact, json)?;
    match steps {
        Some(steps) => manager.play(steps, patience)?,
        None => manager.obey(patience)?,
    }
    let summary = manager.summary();
    manager.story.end(&summary.text(), &summary.json());
    Ok(summary.is_good())
}

/// Reads a script, from a file if there is one by that name.
fn read(script: &str, hosts: u32) -> Result<Vec<Step>, Failure> {
    if Path::new(script).is_file() {
        let text = std::fs::read_to_string(script).context(|| format!("reading {script}"))?;
        return parse(&text, hosts).context(|| script.into());
    }
    let told = |error| Failure::new(format!("{error} (it is not the name of a file either)"));
    parse(script, hosts).map_err(told)
}
