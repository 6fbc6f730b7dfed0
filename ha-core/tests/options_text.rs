//! Options from text: vSphere's `name = value` lines and the subset of TOML.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use ha_core::options::{LineError, OptionError, Options};
use proptest::prelude::*;

const TOML: &str = r#"
# HA of cluster 7
das.heartbeatDsPerHost = 3            # dotted
"das.isolationaddress0" = "192.0.2.1" # quoted
das . 'slotmeminmb' = 1_024

[das]
usedefaultisolationaddress = false
isolationshutdowntimeout = "300"
[ das.config.fdm ] # cluster-wide
hostTimeout = 12.5
log_is_elsewhere.x = 1
"#;

const KEY_VALUE: &str = "\u{feff}# HA of cluster 7\r\n\r\n\
    das.heartbeatDsPerHost = 3\r\n  das.isolationaddress0=\"192.0.2.1\"\r\n\
    das.slotmeminmb =1024\ndas.usedefaultisolationaddress = FALSE\n\
    das.isolationshutdowntimeout\t=\t300\nFDM.HOSTTIMEOUT = 12.500";

fn good_toml() -> String {
    TOML.lines().filter(|line| !line.starts_with("log_is")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn both_forms_say_the_same() {
    let toml = Options::parse_toml(&good_toml()).unwrap();
    assert_eq!(toml, Options::parse_key_value(KEY_VALUE).unwrap());
    assert_eq!(toml.iter().count(), 6);
    assert_eq!(toml, Options::parse_toml(&good_toml().replace('\n', "\r\n")).unwrap());
}

#[test]
fn an_empty_text_sets_nothing() {
    for text in ["", "\n\n", "# only this", "\u{feff}"] {
        assert_eq!(Options::parse_toml(text), Ok(Options::new()));
        assert_eq!(Options::parse_key_value(text), Ok(Options::new()));
    }
    assert_eq!(Options::parse_toml("[das]"), Ok(Options::new()));
}

#[test]
fn errors_name_the_line() {
    let error = Options::parse_toml(TOML).unwrap_err();
    assert_eq!(error.line, 12);
    assert_eq!(error.to_string(), "line 12: `das.config.fdm.log_is_elsewhere.x` is not an option");

    for (text, told) in [
        ("\ndas.maxresets", "line 2: expected `name = value`, found `das.maxresets`"),
        (
            "#\n\ndas.heartbeatDsPerHost = 6",
            "line 3: `das.heartbeatDsPerHost` = `6`: expected a whole number from 2 to 5",
        ),
        (
            "fdm.hostTimeout = 10s",
            "line 1: `das.config.fdm.hostTimeout` = `10s`: expected seconds from 0.001 to 86400, with at most three \
             decimals",
        ),
        ("das.maxresets = 1\nDAS.MAXRESETS = 1", "line 2: `das.maxresets` is set a second time; set it once"),
        ("= 3", "line 1: `` is not an option"),
        (
            "das.isolationaddress1 = gateway.example",
            "line 1: `das.isolationaddress1` = `gateway.example`: expected an IPv4 or IPv6 address",
        ),
        (
            "das.config.fdm.nodeGoodness = 1",
            "line 1: `das.config.fdm.nodeGoodness` would set `fdm.nodeGoodness` on every host; set \
             `fdm.nodeGoodness` on one host instead",
        ),
    ] {
        assert_eq!(Options::parse_key_value(text).unwrap_err().to_string(), told);
    }
}

/// Whether a line is bad in itself or by what it sets, the first one is told.
#[test]
fn the_first_bad_line_is_told() {
    let line = |text| {
        let lines = [Options::parse_toml(text), Options::parse_key_value(text)];
        lines.map(|parsed| parsed.unwrap_err().line)
    };
    assert_eq!(line("das.nosuch = 1\nno assignment"), [1, 1]);
    assert_eq!(line("no assignment\ndas.nosuch = 1"), [1, 1]);
    // A value with something behind it sets nothing.
    assert!(matches!(
        Options::parse_toml("das.nosuch = 1 2").unwrap_err().error,
        OptionError::Syntax { found, .. } if found == "2"
    ));
}

#[test]
fn what_is_not_in_the_subset_is_refused_with_what_would_be() {
    const VALUE: &str = "a string in quotes, a number, `true` or `false`";
    const END: &str = "the end of the line";
    for (text, expected, found) in [
        ("das.isolationaddress = 192.0.2.1", VALUE, "192.0.2.1"),
        ("das.maxresets = [1]", VALUE, "[1]"),
        ("das.maxresets = { a", VALUE, "{"),
        ("das.maxresets =", VALUE, ""),
        ("das.maxresets = # none", VALUE, ""),
        ("das.maxresets = 0x10", VALUE, "0x10"),
        ("das.maxresets = 010", VALUE, "010"),
        ("das.maxresets = 1__0", VALUE, "1__0"),
        ("das.maxresets = _1", VALUE, "_1"),
        ("das.maxresets = 1e3", VALUE, "1e3"),
        ("das.maxresets = inf", VALUE, "inf"),
        ("fdm.hostTimeout = 1.", VALUE, "1."),
        ("fdm.hostTimeout = .5", VALUE, ".5"),
        ("das.vmFailoverEnabled = True", VALUE, "True"),
        ("das.maxresets = 1979-05-27", VALUE, "1979-05-27"),
        ("das.maxresets = 1 2", END, "2"),
        ("das.maxresets = \"1\" x", END, "x"),
        ("das.maxresets = \"\"\"1", END, "\"1"),
        ("[das] maxresets = 1", END, "maxresets = 1"),
        ("[[das]]", "a name", "[das]]"),
        ("[das", "`]` after the table's name", "end of line"),
        ("[]", "a name", "]"),
        ("das..maxresets = 1", "a name", ".maxresets = 1"),
        ("= 1", "a name", "= 1"),
        ("das maxresets = 1", "`=` after the name", "maxresets = 1"),
        ("das.maxresets", "`=` after the name", "end of line"),
        ("das.config.log.directory = \"x", "a closing quote on the same line", "end of line"),
        ("das.config.log.directory = 'x\u{7}'", "a closing quote on the same line", "\u{7}'"),
        ("das.config.log.directory = \"\\u0041\"", "`\"`, `\\` or `t` after a backslash", "u0041\""),
    ] {
        let error = OptionError::Syntax { expected, found: found.into() };
        assert_eq!(Options::parse_toml(&format!("\n{text}\n")), Err(LineError { line: 2, error }), "{text}");
    }
    let expected = "a table that does not stand further up";
    let twice = LineError { line: 3, error: OptionError::Syntax { expected, found: "das".into() } };
    assert_eq!(Options::parse_toml("[das]\n[fdm]\n[das]"), Err(twice));
}

#[test]
fn numbers_and_strings_mean_what_they_mean_in_toml() {
    for (text, value) in [
        ("das.config.log.directory = \"a \\\"b\\\" \\\\ \\t#'\"", "a \"b\" \\ \t#'"),
        ("das.config.log.directory = 'a \\t \"#' # b", "a \\t \"#"),
        ("das.config.log.directory = \"12\"", "12"),
        ("das.maxresets = +1_0#ten", "10"),
        ("das.maxresets = 0", "0"),
    ] {
        let options = Options::parse_toml(text).unwrap();
        let values: Vec<String> = options.iter().map(|(_, _, value)| value.to_string()).collect();
        assert_eq!(values, [value], "{text}");
    }
    let refused = Options::parse_toml("das.maxresets = -1").unwrap_err();
    assert!(matches!(refused.error, OptionError::Value { found, .. } if found == "-1"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "(das|fdm|[\\[\\]#='\"\\\\. \t\n\r0-9a-z_+\\-]|\\PC){0,60}") {
        for parsed in [Options::parse_toml(&text), Options::parse_key_value(&text)] {
            if let Err(error) = parsed {
                prop_assert!(error.line >= 1 && error.line <= text.lines().count());
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn a_directory_survives_both_forms(directory in "[a-zA-Z/#='. \\\\\"]{1,20}") {
        let escaped = directory.replace('\\', "\\\\").replace('"', "\\\"");
        let toml = Options::parse_toml(&format!("das.config.log.directory = \"{escaped}\"")).unwrap();
        let plain = Options::parse_key_value(&format!("das.config.log.directory = \"{directory}\"")).unwrap();
        prop_assert_eq!(&toml, &plain);
        let value = toml.get("das.config.log.directory").map(ToString::to_string);
        prop_assert_eq!(value, Some(directory));
    }
}
