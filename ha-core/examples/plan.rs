//! Prints what each named profile promises: `cargo run -p ha-core --example plan`.
#![allow(clippy::print_stdout, reason = "an example tells its story on standard output")]

use core::time::Duration;

use ha_core::timing::PlanError;
use ha_core::{Capability, Profile, Rating, TimingConfig, TimingPlan};

fn main() -> Result<(), PlanError> {
    let shared = Capability {
        rating: Rating::F3,
        lock_free_after: Duration::from_secs(2),
        queued_writes: Duration::ZERO,
        looking_is_safe: true,
    };
    for profile in [Profile::Swift, Profile::Vsphere] {
        for (name, capability) in [("F3", shared), ("undeclared, so F1", Capability::UNDECLARED)] {
            let plan = TimingPlan::validate(TimingConfig::profile(profile), capability)?;
            println!("profile {profile}, storage {name}\n\n{plan}");
        }
    }

    let mut hasty = TimingConfig::profile(Profile::Swift);
    hasty.suspicion_after = Duration::from_millis(150);
    match TimingPlan::validate(hasty, shared) {
        Ok(_) => println!("a hasty configuration was accepted"),
        Err(refused) => println!("a hasty configuration is refused: {refused}"),
    }
    Ok(())
}
