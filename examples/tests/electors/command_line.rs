//! The command line, the commands, and what is left behind.

use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::{program, run_with, turn};

fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = program().args(arguments).output().unwrap();
    assert_eq!(status.code(), Some(2), "{arguments:?}");
    assert!(stdout.is_empty(), "nothing is started: {stdout:?}");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn a_wrong_command_line_is_told_with_the_culprit_and_what_is_accepted() {
    for (arguments, told) in [
        (["--hosts", "1"], ["--hosts", "2..=9"]),
        (["--hosts", "10"], ["10", "2..=9"]),
        (["--profile", "fast"], ["fast", "swift, vsphere"]),
        (["--script", "kill 6"], ["--script", "`6` is no host; accepted: 1 to 5"]),
        (["--script", "status; explode"], ["line 1: `explode`", "kill, start, pause"]),
        (["--script", "status\nwait 5"], ["line 2: `wait 5`", "500ms"]),
        (["--script", "no-such-file.txt"], ["no-such-file.txt", "not the name of a file"]),
        (["--scripts", "status"], ["--scripts", "--script"]),
    ] {
        let message = refused(&arguments);
        assert!(told.iter().all(|word| message.contains(word)), "{arguments:?}: {message}");
    }
    assert!(refused(&["--hosts", "3", "--script", "kill 4"]).contains("1 to 3"));
}

#[test]
fn a_script_in_a_file_is_read_and_its_mistakes_name_the_file() {
    let folder = Folder::new("script");
    let path = folder.0.join("commands.txt");
    std::fs::write(&path, "# nothing\n\nexpect master 2; quit\nkill 1 # never reached\n").unwrap();
    let path = path.to_str().unwrap();
    let _turn = turn();
    let run = run_with(&["--hosts", "2"], path);
    assert_eq!(run.code, Some(0), "{}", run.summary);
    let commands: Vec<_> = run.of("command", "").map(|line| line["command"].as_str().unwrap()).collect();
    assert_eq!(commands, ["expect master 2", "quit"]);
    std::fs::write(path, "status\nkill\n").unwrap();
    let message = refused(&["--script", path]);
    assert!(message.contains("commands.txt: line 2") && message.contains("`kill H`"), "{message}");
}

#[test]
fn help_teaches_with_every_command_and_a_script() {
    let output = program().arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--hosts",
        "--profile",
        "--exact",
        "--script",
        "--json",
        "exit status",
        "kill H",
        "start H",
        "pause H",
        "resume H",
        "cut A to B",
        "partition H",
        "isolate H",
        "heal all",
        "leave H",
        "join H",
        "datastores H N",
        "expect master H",
        "wait 500ms",
        "status",
        "quit",
        "A script in a file:",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
}

#[test]
fn what_does_not_come_true_ends_the_script_and_the_run_is_bad() {
    let _turn = turn();
    for (script, why) in [
        ("expect master 2; expect master 1 within 20ms; kill 1", "host-2 is master in term 1@host-2"),
        ("start 1; kill 2", "host-1 runs already"),
        ("kill 1; kill 1; kill 2", "host-1 does not run"),
        ("resume 1; kill 2", "host-1 is not paused"),
        ("cut 1 1; kill 2", "host-1 has no link to itself"),
    ] {
        let run = run_with(&["--hosts", "2"], script);
        assert_eq!((run.code, &run.summary["good"]), (Some(1), &false.into()), "{script}");
        let [failed] = run.summary["failed"].as_array().unwrap().as_slice() else {
            panic!("{}", run.summary)
        };
        let failed = failed.as_str().unwrap();
        assert!(failed.starts_with("line 1: `") && failed.contains(why), "{failed}");
        let last = script.rsplit(';').next().unwrap().trim();
        assert!(run.of("command", "").all(|line| line["command"] != last), "{script}");
    }
}

#[test]
fn commands_may_be_typed_and_a_typing_error_is_forgiven() {
    let _turn = turn();
    let mut child = program();
    let child =
        child.args(["--hosts", "2"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut typed = child.stdin.take().unwrap();
    typed.write_all(b"expect master 2\nkil 2\nkill master\nexpect master 1\n").unwrap();
    drop(typed);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(0), "{stdout}{stderr}");
    assert!(stderr.starts_with("`kil 2`: `kil` is no command"), "{stderr}");
    assert!(stdout.contains("==> host-1 leads in term 2@host-1, alone"), "{stdout}");
}

#[test]
fn nothing_outlives_the_manager_not_even_a_host_that_is_stopped() {
    let _turn = turn();
    let folder = Folder::new("killed");
    let mut child = program();
    let child = child.arg("--hosts=2").env("TMPDIR", &folder.0).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"expect master 2\npause 1\nstatus\n").unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("host-1  paused")));
    assert_eq!(processes_of(&folder.0).len(), 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let gone = (0..200).any(|_| {
        std::thread::park_timeout(Duration::from_millis(10));
        processes_of(&folder.0).is_empty()
    });
    assert!(gone, "{:?}", processes_of(&folder.0));
}

#[test]
fn nothing_is_left_behind() {
    let _turn = turn();
    let folder = Folder::new("left");
    let output = program().args(["--script", "pause 1"]).env("TMPDIR", &folder.0).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
    assert!(processes_of(&folder.0).is_empty());
}

/// The living processes that were told to work below `folder`.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let command_line = |process: std::fs::DirEntry| {
        let bytes = std::fs::read(process.path().join("cmdline")).ok()?;
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
        text.contains(folder).then_some(text)
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(command_line).collect()
}

/// A folder that is gone when the test ends well.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ha-electors-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }
}
