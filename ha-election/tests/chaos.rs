//! Many seeds under loss, jitter and crashes. `common` checks on every event that no term is reigned in twice
//! and that nobody goes back to a lower term.

mod common;

use common::{Cluster, SWIFT, ms};
use ha_election::Event;

const NUMBERS: [u32; 5] = [1, 2, 3, 4, 5];

fn lossy(seed: u64) -> Cluster {
    let mut cluster = Cluster::started(&NUMBERS, SWIFT, seed);
    (cluster.loss, cluster.jitter) = (200, ms(10));
    cluster
}

#[test]
fn a_fifth_of_all_frames_lost_still_gives_one_master_that_stays() {
    let mut reigns = 0;
    for seed in 0..200 {
        let mut cluster = lossy(seed);
        cluster.run_until(ms(3_000), |c| c.agree(&NUMBERS).is_some());
        // If two were elected, they meet, and the better one raises its term once.
        cluster.run_for(SWIFT.election_window);
        let master = cluster.masters();
        let heard = cluster.log.len();
        cluster.run_for(ms(10_000));
        assert_eq!(cluster.masters(), master, "seed {seed}: {}", cluster.picture());
        let later = &cluster.log[heard..];
        reigns += later.iter().filter(|(_, _, event)| matches!(event, Event::Reigning { .. })).count();
    }
    assert_eq!(reigns, 0, "no master was unseated, and none had to raise its term");
}

#[test]
fn crashes_and_restarts_under_loss_end_with_one_master() {
    for seed in 0..100 {
        let mut cluster = lossy(seed);
        for round in 0..4 {
            cluster.run_for(ms(700 + 37 * round));
            let victim = NUMBERS[usize::try_from((seed + round) % 5).unwrap()];
            cluster.crash(victim);
            cluster.run_for(ms(300 * round));
            cluster.start(victim, 2);
        }
        cluster.run_until(ms(5_000), |c| c.agree(&NUMBERS).is_some());
    }
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    let run = || {
        let mut cluster = lossy(7);
        cluster.run_for(ms(3_000));
        (cluster.transmitted, cluster.log)
    };
    assert_eq!(run(), run());
}
