//! A failing scenario becomes small and readable.

use core::time::Duration;

use ha_core::HostId;
use ha_sim::scenario::{Fault, Pace, Trouble};
use ha_sim::{Scenario, shrink};

fn is_down(scenario: &Scenario, host: u32) -> bool {
    scenario.faults.iter().any(|fault| fault.what == Trouble::Down(HostId::new(host)))
}

/// 40 faults, of which two together are to blame.
fn failing() -> Scenario {
    let fault = |n: u32| {
        let at = Duration::from_millis(u64::from(n));
        Fault { at, lasts: Duration::from_millis(5), what: Trouble::Down(HostId::new(n)) }
    };
    let quiet = Scenario::quiet(40, 1, Pace::Swift);
    let noise = ha_sim::Noise { loss_per_mille: 100, duplicate_per_mille: 50, ..quiet.noise.clone() };
    Scenario { faults: (1..=40).map(fault).collect(), noise, calm_at: Duration::from_secs(1), ..quiet }
}

#[test]
fn only_what_is_to_blame_is_left() {
    let mut runs = 0;
    let small = shrink(&failing(), 1_000, |scenario| {
        runs += 1;
        is_down(scenario, 11) && is_down(scenario, 33) && scenario.noise.loss_per_mille > 0
    });
    assert_eq!(small.faults.len(), 2);
    assert!(is_down(&small, 11) && is_down(&small, 33));
    assert_eq!((small.noise.loss_per_mille, small.noise.duplicate_per_mille), (100, 0));
    assert!(runs < 200, "{runs}");
    let text = small.to_string();
    assert!(text.contains("0.011000000 s  for 5ms: host-11 is down"), "{text}");
    assert!(text.contains("the faults stop; to settle: {1 2 3 4 5 6 and 34 more}"), "{text}");
}

#[test]
fn the_budget_is_kept_and_what_is_left_still_fails() {
    for budget in [0, 1, 5, 30] {
        let mut runs = 0;
        let small = shrink(&failing(), budget, |scenario| {
            runs += 1;
            is_down(scenario, 11) && is_down(scenario, 33)
        });
        assert!(runs <= budget && is_down(&small, 11) && is_down(&small, 33));
    }
}
