//! Which part of the demo this process plays.

use core::ffi::CStr;
use core::str::FromStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::failure::{Context, Failure};
use crate::{agent, electors, holder, host, launcher, process, vm};

/// A part that a child of the demo plays, by the first argument. Without one of these words it is the demo itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Stands for one machine.
    Host,
    /// Runs that machine's agent.
    Agent,
    /// Starts that machine's virtual machines.
    Launcher,
    /// Takes one virtual machine's lock.
    Holder,
    /// Is one virtual machine.
    Vm,
    /// Is one host of the electors.
    Elector,
}

impl Role {
    /// The role's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Agent => "agent",
            Self::Launcher => "launcher",
            Self::Holder => "holder",
            Self::Vm => "vm",
            Self::Elector => "elector",
        }
    }

    const fn process_name(self) -> &'static CStr {
        match self {
            Self::Host => c"ha-host",
            Self::Agent => c"ha-agent",
            Self::Launcher => c"ha-launcher",
            Self::Holder => c"ha-holder",
            Self::Vm => c"ha-vm",
            Self::Elector => c"ha-elector",
        }
    }
}

impl FromStr for Role {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let all = [Self::Host, Self::Agent, Self::Launcher, Self::Holder, Self::Vm, Self::Elector];
        all.into_iter()
            .find(|role| role.word() == text)
            .ok_or_else(|| Failure::new(format!("`{text}` is not a role of the demo's processes")))
    }
}

/// The main of every process of a demo. `demo` is that of the demo itself, as the person started it.
#[must_use]
pub fn run(demo: fn() -> ExitCode) -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next().and_then(|word| word.to_str().and_then(|word| word.parse::<Role>().ok()));
    let Some(role) = role else { return demo() };
    let rest: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    match play(role, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}: {failure}", role.word());
            ExitCode::FAILURE
        }
    }
}

fn play(role: Role, arguments: &[PathBuf]) -> Result<(), Failure> {
    let [parent, config, rest @ ..] = arguments else {
        return Err(Failure::new("this is a part of the demo that only the demo starts; try --help"));
    };
    let parent = parent.to_str().and_then(|parent| parent.parse().ok());
    let parent =
        parent.ok_or_else(|| Failure::new("the first argument must be the parent's process number"))?;
    process::die_with_parent(parent)?;
    process::call_myself(role.process_name()).context(|| "naming the process".into())?;
    let config: &Path = config;
    match role {
        Role::Host => host::run(config),
        Role::Agent => agent::run(config),
        Role::Launcher => launcher::run(config),
        Role::Holder => holder::run(config, parent),
        Role::Vm => vm::run(config, rest),
        Role::Elector => electors::host::run(config),
    }
}
