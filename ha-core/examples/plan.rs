//! Prints what each named profile promises on storage of each kind: `cargo run -p ha-core --example plan`.
//!
//! With the path of a configuration file, what each promises with its options:
//! `cargo run -p ha-core --example plan -- cluster.toml`. A file whose name ends in `.toml` is read as TOML, any
//! other as vSphere's `name = value` lines; `ha-core/OPTIONS.md` lists the names.
#![allow(clippy::print_stdout, reason = "an example tells its story on standard output")]

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ha_core::options::Options;
use ha_core::{Capability, Limits, Profile, Rating, TimingConfig, TimingPlan};

const F3: Capability = Capability {
    rating: Rating::F3,
    lock_free_after: Duration::from_secs(2),
    queued_writes: Duration::ZERO,
    looking_is_safe: true,
};
const F2: Capability = Capability {
    rating: Rating::F2,
    lock_free_after: Duration::from_secs(2),
    queued_writes: Duration::from_millis(500),
    looking_is_safe: false,
};
const WATCHDOG: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let told = match std::env::args_os().nth(1).map(PathBuf::from) {
        Some(path) => read(&path).map(|options| with_options(&options)),
        None => {
            without_options();
            Ok(())
        }
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            eprintln!("{refused}");
            ExitCode::FAILURE
        }
    }
}

fn without_options() {
    for profile in [Profile::Swift, Profile::Vsphere] {
        tell(profile, TimingConfig::profile(profile));
    }
    let mut hasty = TimingConfig::profile(Profile::Swift);
    hasty.suspicion_after = Duration::from_millis(150);
    match TimingPlan::validate(hasty, F3) {
        Ok(_) => println!("a hasty configuration was accepted"),
        Err(refused) => println!("a hasty configuration is refused: {refused}"),
    }
}

/// The plan for storage of each kind; a datastore about which nothing is declared counts as F1.
fn tell(profile: Profile, timing: TimingConfig) {
    let mut watched = timing;
    watched.lease.watchdog = Some(WATCHDOG);
    for (storage, timing, capability) in [
        ("on one kernel", timing, Capability::SAME_KERNEL),
        ("F3", timing, F3),
        ("F2, hosts with a watchdog of 2 s", watched, F2),
        ("F1, undeclared, no watchdog", timing, Capability::UNDECLARED),
    ] {
        println!("profile {profile}, storage {storage}\n");
        match TimingPlan::validate(timing, capability) {
            Ok(plan) => println!("{plan}"),
            Err(refused) => println!("refused: {refused}\n"),
        }
    }
}

fn read(path: &Path) -> Result<Options, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let options = if is_toml { Options::parse_toml(&text) } else { Options::parse_key_value(&text) };
    options.map_err(|error| format!("{}: {error}", path.display()))
}

fn with_options(options: &Options) {
    println!("options that are set");
    for (name, _, value) in options.iter() {
        println!("  {name} = {value}");
    }
    println!("restarts at once on one host: {}", options.apply_to_limits(Limits::DEFAULT).restarts_per_host);
    println!("isolation addresses besides the gateway: {:?}", options.isolation_addresses(None));
    match options.node_goodness() {
        Some(goodness) => println!("goodness at elections: {goodness}\n"),
        None => println!("goodness at elections: the number of connected datastores\n"),
    }
    for profile in [Profile::Swift, Profile::Vsphere] {
        for finding in options.findings(profile) {
            println!("note, profile {profile}: {finding}");
        }
        tell(profile, options.apply_to(profile, TimingConfig::profile(profile)));
    }
}
