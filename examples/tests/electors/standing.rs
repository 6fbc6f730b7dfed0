//! What makes a host fit to be master.

use crate::support::{run, run_with, turn};

#[test]
fn leaving_is_no_death_and_coming_back_no_claim() {
    let _turn = turn();
    let run =
        run("expect master 5; leave master; expect master 4; join 5; expect master 4 of 1 2 3 4 5; status");
    assert_eq!(run.roles("host-5"), ["candidate", "master", "uninitialized", "candidate", "slave"]);
    assert!(run.of("status", "").all(|line| line["life"] == 1));
}

#[test]
fn datastores_make_a_better_candidate_and_unseat_no_master() {
    let _turn = turn();
    let arguments = ["--hosts", "3"];
    let run = run_with(
        &arguments,
        "expect master 3; datastores 1 2; wait 300ms; expect master 3; kill 3; expect master 1",
    );
    assert_eq!(run.code, Some(0), "{}", run.summary);
    assert_eq!(run.leaders(), [("host-3", 2), ("host-1", 1)]);
}

#[test]
fn a_host_without_datastores_takes_no_part() {
    let _turn = turn();
    let run = run_with(&["--hosts", "3"], "expect master 3; datastores 3 0; expect master 2 of 1 2; status");
    assert_eq!(run.code, Some(0), "{}", run.summary);
    let told = run.of("role", "host-3").last().unwrap();
    assert_eq!((&told["role"], &told["reason"]), (&"uninitialized".into(), &"no datastore connected".into()));
}
