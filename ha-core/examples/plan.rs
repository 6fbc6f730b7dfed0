//! Prints what each named profile promises: `cargo run -p ha-core --example plan`.
//!
//! With the path of a configuration file, what each promises with its options:
//! `cargo run -p ha-core --example plan -- cluster.toml`. A file whose name ends in `.toml` is read as TOML, any
//! other as vSphere's `name = value` lines; `ha-core/OPTIONS.md` lists the names.
#![allow(clippy::print_stdout, reason = "an example tells its story on standard output")]

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ha_core::options::Options;
use ha_core::timing::PlanError;
use ha_core::{Capability, Limits, Profile, Rating, TimingConfig, TimingPlan};

const SHARED: Capability = Capability {
    rating: Rating::F3,
    lock_free_after: Duration::from_secs(2),
    queued_writes: Duration::ZERO,
    looking_is_safe: true,
};

fn main() -> ExitCode {
    let told = match std::env::args_os().nth(1).map(PathBuf::from) {
        Some(path) => read(&path).map(|options| with_options(&options)),
        None => without_options().map_err(|refused| refused.to_string()),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            eprintln!("{refused}");
            ExitCode::FAILURE
        }
    }
}

fn without_options() -> Result<(), PlanError> {
    for profile in [Profile::Swift, Profile::Vsphere] {
        for (name, capability) in [("F3", SHARED), ("undeclared, so F1", Capability::UNDECLARED)] {
            let plan = TimingPlan::validate(TimingConfig::profile(profile), capability)?;
            println!("profile {profile}, storage {name}\n\n{plan}");
        }
    }

    let mut hasty = TimingConfig::profile(Profile::Swift);
    hasty.suspicion_after = Duration::from_millis(150);
    match TimingPlan::validate(hasty, SHARED) {
        Ok(_) => println!("a hasty configuration was accepted"),
        Err(refused) => println!("a hasty configuration is refused: {refused}"),
    }
    Ok(())
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
        println!("profile {profile}, storage F3\n");
        for finding in options.findings(profile) {
            println!("note: {finding}");
        }
        let timing = options.apply_to(profile, TimingConfig::profile(profile));
        match TimingPlan::validate(timing, SHARED) {
            Ok(plan) => println!("{plan}"),
            Err(refused) => println!("refused: {refused}\n"),
        }
    }
}
