//! The harder modes: a host that hangs before it dies, an agent that comes back, exact times, somebody else's kill.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Output, Stdio};

use core::time::Duration;
use ha_examples::config::VmProgram;
use ha_examples::demo::{Demo, Setup};
use ha_examples::report::Report;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::support::{TestFolder, assert_no_second_copy, command, processes_of, protected, setup, turn};

/// Far above what is measured on a quiet machine, far below what would be wrong.
const GENEROUS_MS: f64 = 5_000.0;

/// How long a host is stopped before it is killed.
const STOP: Duration = Duration::from_secs(5);

fn numbers(arguments: &[&str]) -> Value {
    let folder = TestFolder::new("modes");
    let output = command(&folder.0).args(arguments).arg("--json").output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{log}", output.status);
    assert_eq!(processes_of(&folder.0), Vec::<String>::new());
    only_object(&output)
}

fn only_object(output: &Output) -> Value {
    let text = str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(text).unwrap()
}

fn millis(numbers: &Value, field: &str) -> f64 {
    numbers[field].as_f64().unwrap_or_else(|| panic!("{field} in {numbers}"))
}

fn assert_promises(numbers: &Value, restarted: u64) {
    assert_eq!(numbers["restarted"], restarted, "{numbers}");
    assert_eq!((&numbers["double_runs"], &numbers["lost"]), (&0.into(), &0.into()), "{numbers}");
}

#[test]
fn agents_live_by_the_options_of_a_file() {
    let _turn = turn();
    let folder = TestFolder::new("options");
    let file = folder.0.join("options.toml");
    std::fs::write(&file, "[das.config.fdm]\nhostTimeout = 0.9\nicmpPingTimeout = 0.4\n").unwrap();
    // Without strong evidence, so that the two options are what decides.
    let numbers = numbers(&["--exact", "--options", file.to_str().unwrap()]);
    assert_promises(&numbers, 2);
    assert_eq!(millis(&numbers, "plan_min_declared_ms"), 1_300.0, "{numbers}");
    let declared = millis(&numbers, "declared_ms");
    assert!(
        (1_200.0..GENEROUS_MS).contains(&declared),
        "at most a heartbeat period before the plan: {numbers}"
    );
}

fn host_hangs_before_it_dies(role: &str) {
    let _turn = turn();
    let numbers = numbers(&["--kill-how", "stop", "--kill", role]);
    assert_promises(&numbers, 2);
    assert_eq!((&numbers["kill_how"], &numbers["killed_role"]), (&"stop".into(), &role.into()));
    assert_eq!(numbers["started_while_stopped"], 0, "{numbers}");
    let times = ["suspected_ms", "declared_ms", "killed_ms"].map(|field| millis(&numbers, field));
    assert!(times.is_sorted() && times[2] >= 5_000.0, "{numbers}");
    // From the kill, not from the stop: nobody can have the locks before.
    assert!(millis(&numbers, "all_running_ms") < GENEROUS_MS, "{numbers}");
}

#[test]
fn nothing_starts_while_a_slave_hangs_and_all_runs_again_once_it_is_dead() {
    host_hangs_before_it_dies("slave");
}

#[test]
fn nothing_starts_while_the_master_hangs_and_all_runs_again_once_it_is_dead() {
    host_hangs_before_it_dies("master");
}

/// The check works: without locks something starts during the stop, which no overlap of ledgers would show, and the
/// report is not a good one.
#[test]
fn a_start_during_the_stop_is_seen() {
    let _turn = turn();
    let setup = Setup { vm_program: VmProgram::Unlocked, ..setup(3, 3) };
    let mut demo = protected(setup.clone());
    let host = demo.slave_with_vms().unwrap();
    let kill = demo.stop_and_kill_host(host, STOP).unwrap();
    let finished = demo.finish().unwrap();
    let report = Report::new(&setup, &kill, None, &finished).unwrap();
    assert!(report.numbers.started_while_stopped > Some(0), "{}", report.json());
    assert!(!report.is_good());
}

fn agent_comes_back(role: &str) {
    let _turn = turn();
    let numbers = numbers(&["--restart-agent", "--kill", role]);
    assert_promises(&numbers, 0);
    assert_eq!((&numbers["kill_how"], &numbers["killed_role"]), (&"agent".into(), &role.into()));
    assert!(millis(&numbers, "protected_again_ms") < GENEROUS_MS, "{numbers}");
    assert!(numbers.get("killed_ms").is_none(), "{numbers}");
}

#[test]
fn a_slave_agent_that_comes_back_adopts_its_vms() {
    agent_comes_back("slave");
}

#[test]
fn a_master_agent_that_comes_back_adopts_its_vms() {
    agent_comes_back("master");
}

/// Adopted means watched: the new agent is the only one that can tell that one of them ended.
#[test]
fn an_adopted_vm_that_dies_runs_again() {
    let _turn = turn();
    let mut demo = protected(Setup { restart_agent: true, ..setup(3, 6) });
    let host = demo.slave_with_vms().unwrap();
    let kill = demo.kill_agent(host).unwrap();
    demo.wait_until_protected_again().unwrap();
    demo.go_on_for(Duration::from_secs(2)).unwrap();
    assert_no_second_copy(&demo);

    let (vm, epoch) = kill.vms[0].clone();
    let died = demo.kill_vm(&vm).unwrap();
    demo.wait_until_restarted(&[(vm.clone(), epoch)], Duration::from_secs(10)).unwrap();
    let ended = |demo: &Demo| {
        let events = demo.observed().events().iter().filter(|event| event.at >= died);
        events.filter(|event| event.code == "vm-ended" && event.host == host).count()
    };
    demo.wait_for(Duration::from_secs(5), "word of the end", |demo| Ok(ended(demo) == 1)).unwrap();
    let measured = demo.finish().unwrap().measured;
    assert_eq!((measured.double_runs, measured.lost), (0, 0));
}

#[test]
fn with_exact_times_only_the_whole_wait_declares() {
    let _turn = turn();
    let numbers = numbers(&["--exact"]);
    assert_promises(&numbers, 2);
    assert_eq!(numbers["declared_by"], "weak", "{numbers}");
    // Host timeout and ping window of `swift`, less one heartbeat period.
    assert!(millis(&numbers, "plan_min_declared_ms") >= 800.0, "{numbers}");
    assert!(millis(&numbers, "declared_ms") >= 700.0, "{numbers}");
}

/// A demo that holds: its line, and the rest of its output.
struct Held {
    demo: Child,
    line: Value,
    rest: BufReader<ChildStdout>,
}

impl Held {
    fn start(folder: &TestFolder, arguments: &[&str]) -> Self {
        let mut command = command(&folder.0);
        let command = command.args(["--json", "--hold"]).args(arguments).stderr(Stdio::null());
        let mut demo = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut rest = BufReader::new(demo.stdout.take().unwrap());
        let mut line = String::new();
        rest.read_line(&mut line).unwrap();
        let line = serde_json::from_str(&line).unwrap();
        Self { demo, line, rest }
    }

    fn slave(&self) -> &Value {
        let hosts = self.line["hosts"].as_array().unwrap();
        hosts.iter().find(|host| host["role"] == "slave").unwrap()
    }

    /// The report, and whether the demo was content.
    fn report(mut self) -> (Value, bool) {
        let mut text = String::new();
        self.rest.read_to_string(&mut text).unwrap();
        let report = serde_json::from_str(&text).unwrap();
        (report, self.demo.wait().unwrap().success())
    }
}

fn pid(number: &Value) -> Pid {
    Pid::from_raw(i32::try_from(number.as_i64().unwrap()).unwrap()).unwrap()
}

#[test]
fn a_held_cluster_tells_where_everything_is_and_reports_the_kill_of_a_host() {
    let _turn = turn();
    let folder = TestFolder::new("hold");
    let held = Held::start(&folder, &["--hold-for", "60"]);
    let hosts = held.line["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 3);
    let masters = hosts.iter().filter(|host| host["role"] == "master");
    assert_eq!(masters.map(|host| &host["host"]).collect::<Vec<_>>(), [&held.line["master"]]);
    for host in hosts {
        let vms = host["vms"].as_array().unwrap();
        assert_eq!(vms.len(), 2);
        let own = ["pid", "agent_pid", "launcher_pid"].map(|role| &host[role]);
        for process in own.into_iter().chain(vms.iter().map(|vm| &vm["pid"])) {
            let group = rustix::process::getpgid(Some(pid(process))).unwrap();
            assert_eq!(group, pid(&host["pid"]), "{host}");
        }
    }
    let slave = held.slave().clone();
    kill_process_group(pid(&slave["pid"]), Signal::KILL).unwrap();
    let (report, content) = held.report();
    assert!(content, "{report}");
    assert_promises(&report, 2);
    assert_eq!((&report["killed_host"], &report["kill_how"]), (&slave["host"], &"kill".into()));
    assert_eq!(report["killed_role"], "slave");
    assert!(millis(&report, "all_running_ms") < GENEROUS_MS, "{report}");
    assert_eq!(processes_of(&folder.0), Vec::<String>::new());
}

#[test]
fn a_held_cluster_reports_the_kill_of_an_agent_that_comes_back() {
    let _turn = turn();
    let folder = TestFolder::new("hold-agent");
    let held = Held::start(&folder, &["--hold-for", "60", "--restart-agent"]);
    let slave = held.slave().clone();
    kill_process(pid(&slave["agent_pid"]), Signal::KILL).unwrap();
    let (report, content) = held.report();
    assert!(content, "{report}");
    assert_promises(&report, 0);
    assert_eq!((&report["killed_host"], &report["kill_how"]), (&slave["host"], &"agent".into()));
    assert!(millis(&report, "protected_again_ms") < GENEROUS_MS, "{report}");
}

#[test]
fn a_held_cluster_reports_the_kill_of_an_agent_that_stays_away() {
    let _turn = turn();
    let folder = TestFolder::new("hold-agent-away");
    let held = Held::start(&folder, &["--hold-for", "60"]);
    kill_process(pid(&held.slave()["agent_pid"]), Signal::KILL).unwrap();
    let (report, content) = held.report();
    assert!(content, "{report}");
    assert_promises(&report, 0);
    assert_eq!(report["kill_how"], "agent");
    assert!(report.get("protected_again_ms").is_none(), "{report}");
}

#[test]
fn a_held_cluster_of_which_nothing_is_killed_stays_quiet() {
    let _turn = turn();
    let folder = TestFolder::new("hold-quiet");
    let (report, content) = Held::start(&folder, &["--hold-for", "3"]).report();
    assert!(content, "{report}");
    assert!(millis(&report, "held_ms") >= 3_000.0, "{report}");
    for count in ["declarations", "elections", "orders", "restarts", "double_runs", "lost"] {
        assert_eq!(report[count], 0, "{count} in {report}");
    }
}

/// Only the whole report of a kill forgives a restart.
#[test]
fn a_restart_while_nothing_should_happen_is_seen() {
    let _turn = turn();
    let folder = TestFolder::new("hold-vm");
    let held = Held::start(&folder, &["--hold-for", "4"]);
    kill_process(pid(&held.slave()["vms"][0]["pid"]), Signal::KILL).unwrap();
    let (report, content) = held.report();
    assert!(!content, "{report}");
    assert!(report["restarts"].as_u64() > Some(0), "{report}");
    assert_eq!((&report["double_runs"], &report["elections"]), (&0.into(), &0.into()), "{report}");
}
