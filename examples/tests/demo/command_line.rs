//! Bad command lines name the culprit and say what would be accepted.

use std::process::Output;

use crate::support::{TestFolder, command};

fn refused(arguments: &[&str]) -> String {
    let folder = TestFolder::new("refused");
    let output: Output = command(&folder.0).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn values_out_of_range_are_named_with_the_range() {
    for (arguments, range) in [
        (["--hosts", "1"], "2..=32"),
        (["--hosts", "33"], "2..=32"),
        (["--vms", "0"], "1..=512"),
        (["--vms", "513"], "1..=512"),
    ] {
        let message = refused(&arguments);
        assert!(message.contains(arguments[0]) && message.contains(arguments[1]), "{message}");
        assert!(message.contains(range), "{message}");
    }
}

#[test]
fn unknown_words_are_named_with_the_accepted_ones() {
    for (arguments, accepted) in
        [(["--profile", "fast"], ["swift", "vsphere"]), (["--kill", "host-1"], ["slave", "master"])]
    {
        let message = refused(&arguments);
        assert!(message.contains(arguments[0]) && message.contains(arguments[1]), "{message}");
        assert!(accepted.iter().all(|word| message.contains(word)), "{message}");
    }
}

#[test]
fn options_that_do_not_go_together_are_named() {
    for (arguments, other) in [
        (&["--hold", "--kill", "slave"][..], "--kill"),
        (&["--hold", "--kill-how", "kill"], "--kill-how"),
        (&["--restart-agent", "--kill-how", "stop"], "--kill-how"),
        (&["--hold-for", "5"], "--hold"),
    ] {
        let message = refused(arguments);
        assert!(message.contains(arguments[0]) && message.contains(other), "{message}");
    }
    assert!(refused(&["--hold", "--hold-for", "0"]).contains("1..=86400"));
    assert!(refused(&["--kill-how", "burn"]).contains("stop"));
}

#[test]
fn what_is_no_option_is_named() {
    assert!(refused(&["--host", "3"]).contains("--host"));
    assert!(refused(&["three"]).contains("three"));
    assert!(refused(&["--hosts", "three"]).contains("three"));
    assert!(refused(&["--hosts"]).contains("--hosts"));
}

#[test]
fn a_directory_that_is_not_empty_or_no_directory_is_refused() {
    let folder = TestFolder::new("full");
    std::fs::write(folder.0.join("file"), "mine").unwrap();
    for path in [folder.0.clone(), folder.0.join("file")] {
        let path = path.to_str().unwrap();
        let message = refused(&["--dir", path]);
        assert!(message.contains("--dir") && message.contains(path), "{message}");
        assert!(message.contains("accepted: an empty directory"), "{message}");
    }
    assert_eq!(std::fs::read_to_string(folder.0.join("file")).unwrap(), "mine");
}

#[test]
fn a_file_of_options_that_is_not_accepted_is_refused_with_its_line() {
    let folder = TestFolder::new("options");
    let path = folder.0.join("cluster.toml");
    let message = refused(&["--options", path.to_str().unwrap()]);
    assert!(message.contains("--options") && message.contains("cluster.toml"), "{message}");
    for (text, told) in [
        ("[das]\nheartbeatDsPerHost = 9\n", ["line 2", "das.heartbeatDsPerHost", "from 2 to 5"]),
        ("das.hostTimeout = 3\n", ["line 1", "das.hostTimeout", "das.config.fdm.hostTimeout"]),
    ] {
        std::fs::write(&path, text).unwrap();
        let message = refused(&["--options", path.to_str().unwrap()]);
        assert!(told.iter().all(|word| message.contains(word)), "{message}");
    }
}

#[test]
fn help_shows_every_option_and_examples() {
    let folder = TestFolder::new("help");
    let output = command(&folder.0).arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--hosts",
        "--vms",
        "--profile",
        "--kill",
        "--kill-how",
        "--exact",
        "--restart-agent",
        "--hold",
        "--hold-for",
        "--options",
        "--dir",
        "--json",
        "Examples:",
        "default: 3",
        "exit status",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
}

#[test]
fn a_hidden_role_refuses_to_be_played_by_anyone_but_its_parent() {
    let folder = TestFolder::new("role");
    let output = command(&folder.0).args(["agent", "1", "/nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no longer the parent"));
}
