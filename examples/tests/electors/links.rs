//! Links that are cut in one direction or both.

use crate::support::{at, run, turn};

#[test]
fn a_cut_in_one_direction_costs_its_host_the_master_and_nobody_else() {
    let _turn = turn();
    for cut in ["cut 1 to 5", "cut 5 to 1"] {
        let run = run(&format!(
            "expect master 5; {cut}; wait 1600ms; expect master 5 of 2 3 4 5; status; heal 1; expect master 5"
        ));
        assert_eq!(run.leaders(), [("host-5", 4)], "{cut}");
        assert_eq!(run.roles("host-5"), ["candidate", "master"], "{cut}");
        assert_eq!(run.roles("host-1"), ["candidate", "slave", "candidate", "slave"], "{cut}");
        assert!(run.of("election-goes-on", "host-1").count() > 0, "{cut}");
        let sender = if cut == "cut 1 to 5" { "host-1" } else { "host-5" };
        for status in run.of("status", "") {
            assert_eq!(status["cut"].as_u64().unwrap() > 0, status["host"] == sender, "{cut}: {status}");
        }
    }
}

#[test]
fn each_part_has_a_master_and_one_of_them_gives_way_when_they_meet() {
    let _turn = turn();
    let run =
        run("expect master 5; partition 1 2; expect master 2 of 1 2; expect master 5 of 3 4 5; heal all; \
                   expect master any; wait 500ms; expect master 2");
    // Neither owns a list, so the higher term stays.
    assert_eq!(run.leaders(), [("host-5", 4), ("host-2", 4)]);
    let healed = run.commanded("heal all");
    let yielded: Vec<_> = run.of("yielded", "").collect();
    assert!(
        matches!(yielded.as_slice(), [one] if one["host"] == "host-5" && at(one) >= healed),
        "{yielded:?}"
    );
    for host in ["host-3", "host-4"] {
        assert_eq!(run.roles(host), ["candidate", "slave", "slave"], "it changes sides without an election");
    }
}

#[test]
fn an_isolated_host_never_acts_and_an_isolated_master_stops_to() {
    let _turn = turn();
    let run = run("expect master 5; isolate 1; wait 1300ms; expect master 1 of 1; status; isolate 5; \
                   expect master 4 of 2 3 4; wait 200ms; status; heal all; expect master any of 1 2 3 4 5");
    let healed = run.commanded("heal all");
    let mut rights = run.of("rights", "host-1").filter(|line| line["held"] == true);
    assert!(rights.all(|line| at(line) >= healed), "it is master of itself, and no more");
    let lone = run.of("status", "host-1").next().unwrap();
    assert_eq!((&lone["role"], &lone["rights"]), (&"master".into(), &false.into()));
    let old_master = run.of("status", "host-5").nth(1).unwrap();
    assert_eq!((&old_master["rights"], &old_master["isolated"]), (&false.into(), &true.into()));
    let declared = run.of("isolated", "host-5").next().unwrap();
    let after = at(declared) - run.commanded("isolate 5");
    assert!((400.0..1_000.0).contains(&after), "a master declares itself after 500 ms, not {after}");
    assert_eq!(run.of("isolated", "host-5").nth(1).unwrap()["isolated"], false);
}
