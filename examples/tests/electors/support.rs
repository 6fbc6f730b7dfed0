use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// One test at a time. Held until the test ends, so that nothing else disturbs its times.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The executable, which `cargo test` builds beside this test.
pub(crate) fn program() -> Command {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(Path::parent).unwrap();
    let program: PathBuf = profile.join("examples/electors");
    assert!(
        program.exists(),
        "{} is missing; build it with `cargo build -p ha-examples --example electors`",
        program.display()
    );
    Command::new(program)
}

/// What a script has come to.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) events: Vec<Value>,
    pub(crate) summary: Value,
}

/// Runs a script with more arguments.
pub(crate) fn run_with(arguments: &[&str], script: &str) -> Run {
    let mut command = program();
    let Output { status, stdout, stderr } =
        command.args(arguments).args(["--json", "--script", script]).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(stderr, "", "nothing of a host or of the demo goes wrong");
    let stdout = String::from_utf8(stdout).unwrap();
    let mut events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = events.pop().unwrap();
    assert_eq!(summary["event"], "summary", "{stdout}");
    Run { code: status.code(), events, summary }
}

/// Runs a script in which everything is expected to come true.
pub(crate) fn run(script: &str) -> Run {
    let run = run_with(&[], script);
    assert_eq!((run.code, &run.summary["good"]), (Some(0), &Value::Bool(true)), "{}", run.summary);
    run
}

impl Run {
    /// The events of this kind, and of this host unless it is empty.
    pub(crate) fn of<'a>(&'a self, event: &'a str, host: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events
            .iter()
            .filter(move |line| line["event"] == event && (host.is_empty() || line["host"] == host))
    }

    /// The roles that a host had, one after the other.
    pub(crate) fn roles<'a>(&'a self, host: &'a str) -> Vec<&'a str> {
        self.of("role", host).map(|line| line["role"].as_str().unwrap()).collect()
    }

    /// Who has led, one after the other, and how many followed at last.
    pub(crate) fn leaders(&self) -> Vec<(&str, usize)> {
        let mut leaders: Vec<(&str, usize)> = Vec::new();
        for line in self.of("leads", "") {
            let (host, followers) =
                (line["host"].as_str().unwrap(), line["followers"].as_array().unwrap().len());
            match leaders.last_mut() {
                Some((last, number)) if *last == host => *number = followers,
                _ => leaders.push((host, followers)),
            }
        }
        leaders
    }

    /// When a command was given, in milliseconds since the start.
    pub(crate) fn commanded(&self, command: &str) -> f64 {
        let mut commands = self.of("command", "").filter(|line| line["command"] == command);
        at(commands.next().unwrap())
    }
}

/// When something happened, in milliseconds since the start.
pub(crate) fn at(line: &Value) -> f64 {
    line["at_ms"].as_f64().unwrap()
}

/// The round of a term such as `2@host-4`.
pub(crate) fn round(line: &Value) -> u64 {
    line["term"].as_str().unwrap().split_once('@').unwrap().0.parse().unwrap()
}
