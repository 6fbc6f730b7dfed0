//! The main job: a host is killed as a whole, and its virtual machines run again, once.

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use core::time::Duration;
use ha_datastore::fs::boot_clock;
use serde_json::Value;

use crate::support::{TestFolder, command, processes_of, turn};

/// Far above what is measured on a quiet machine, far below what would be wrong.
const ALL_RUNNING_LIMIT_MS: f64 = 5_000.0;

fn fail_over(arguments: &[&str]) -> Output {
    let folder = TestFolder::new("failover");
    let output = command(&folder.0).args(arguments).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{log}", output.status);
    let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().collect();
    assert!(left.is_empty(), "{left:?} is left");
    assert_eq!(processes_of(&folder.0), Vec::<String>::new());
    output
}

fn numbers(arguments: &[&str]) -> Value {
    let output = fail_over(&[arguments, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(text.lines().count(), 1);
    let fields = [
        "profile",
        "hosts",
        "vms",
        "killed_host",
        "killed_role",
        "kill_how",
        "suspected_ms",
        "declared_ms",
        "declared_by",
        "plan_min_declared_ms",
        "plan_max_declared_ms",
        "new_master_ms",
        "first_restart_order_ms",
        "all_running_ms",
        "restarted",
        "double_runs",
        "unclear_binds",
        "lost",
    ];
    let positions: Vec<_> = fields.iter().map(|field| text.find(&format!("\"{field}\":")).unwrap()).collect();
    assert!(positions.is_sorted(), "{text}");
    assert_eq!(numbers.as_object().unwrap().len(), fields.len(), "{text}");
    numbers
}

fn millis(numbers: &Value, field: &str) -> f64 {
    numbers[field].as_f64().unwrap_or_else(|| panic!("{field} in {numbers}"))
}

fn assert_good(numbers: &Value, role: &str, restarted: u64) {
    assert_eq!(numbers["profile"], "swift");
    assert_eq!(numbers["killed_role"], role);
    assert_eq!(numbers["kill_how"], "kill");
    assert_eq!(numbers["restarted"], restarted, "{numbers}");
    assert_eq!(numbers["double_runs"], 0, "{numbers}");
    assert_eq!(numbers["lost"], 0, "{numbers}");
    let times = ["suspected_ms", "declared_ms", "first_restart_order_ms", "all_running_ms"];
    let times = times.map(|field| millis(numbers, field));
    assert!(times.is_sorted(), "{numbers}");
    assert!(times[3] <= ALL_RUNNING_LIMIT_MS, "{numbers}");
    // One heartbeat period below: the last heartbeat may be that old when the host is killed.
    assert!(times[1] >= millis(numbers, "plan_min_declared_ms") - 100.0, "{numbers}");
    assert!(["strong", "weak"].iter().any(|strength| numbers["declared_by"] == *strength), "{numbers}");
}

#[test]
fn the_vms_of_a_killed_slave_run_again() {
    let _turn = turn();
    let numbers = numbers(&[]);
    assert_good(&numbers, "slave", 2);
    assert_eq!((&numbers["hosts"], &numbers["vms"]), (&3.into(), &6.into()));
    assert!(numbers["new_master_ms"].is_null(), "{numbers}");
}

#[test]
fn the_vms_of_a_killed_master_run_again() {
    let _turn = turn();
    let numbers = numbers(&["--kill", "master"]);
    assert_good(&numbers, "master", 2);
    let new_master = millis(&numbers, "new_master_ms");
    assert!(new_master <= millis(&numbers, "first_restart_order_ms"), "{numbers}");
}

#[test]
fn the_last_survivor_of_two_takes_over_alone() {
    let _turn = turn();
    assert_good(&numbers(&["--hosts", "2", "--vms", "3", "--kill", "master"]), "master", 2);
}

#[test]
fn one_vm_on_two_hosts_is_enough() {
    let _turn = turn();
    assert_good(&numbers(&["--hosts", "2", "--vms", "1", "--kill", "slave"]), "slave", 1);
}

#[test]
fn the_timeline_tells_the_story_in_order() {
    let _turn = turn();
    let output = fail_over(&["--kill", "master"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let told =
        ["is killed", "suspects", "declares", "becomes master", "owns", "orders", "has the lock", "runs on"];
    let positions: Vec<_> =
        told.iter().map(|word| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"))).collect();
    assert!(positions.is_sorted(), "{text}");
    assert!(text.contains("2 of 2 VMs"), "{text}");
    assert!(text.contains("0 ran twice at once, 0 lost"), "{text}");
}

#[test]
fn a_chosen_directory_is_kept() {
    let _turn = turn();
    let folder = TestFolder::new("kept");
    let dir = folder.0.join("new/place");
    let output = command(&folder.0).arg("--dir").arg(&dir).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut kept: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["datastore-1", "events.jsonl", "host-1", "host-2", "host-3"]);
}

/// The demo itself is killed, and cannot clean up: the kernel does.
#[test]
fn nothing_outlives_a_killed_demo() {
    let _turn = turn();
    let folder = TestFolder::new("killed");
    let mut demo = command(&folder.0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("are protected")));
    assert!(processes_of(&folder.0).len() >= 3 * 3 + 6);
    demo.kill().unwrap();
    demo.wait().unwrap();
    let until = boot_clock().after(Duration::from_secs(5));
    while !processes_of(&folder.0).is_empty() {
        assert!(boot_clock() < until, "{:#?}", processes_of(&folder.0));
    }
}
