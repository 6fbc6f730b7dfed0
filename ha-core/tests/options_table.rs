//! The table of options against its page for people, against itself, and against what it says of effects.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

extern crate alloc;

use alloc::collections::BTreeSet;
use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use ha_core::options::{DefaultValue, Effect, Kind, Numbered, OPTIONS, OptionError, OptionSpec, Options};
use ha_core::{Limits, Profile, TimingConfig};

const PROFILES: [Profile; 2] = [Profile::Vsphere, Profile::Swift];

/// `OPTIONS.md` as the table would have it.
fn page() -> String {
    let mut page = String::from(
        "# Options\n\n\
         Every `das.*`, `fdm.*`, host and VM option that ha-core knows: `ha_core::options::OPTIONS`, for people. Names are\n\
         compared without regard to case; a host's `fdm.x` is `das.config.fdm.x` cluster-wide. An unknown name is an\n\
         error. Facts are those of fdm-facts; defaults of options that are not used are FDM's. \"vsphere / swift\" are\n\
         the timing profiles.\n\n\
         This page is compared with the table by a test. To write it anew after a change of the table:\n\
         `BLESS=1 cargo test -p ha-core --test options_table`.\n\n\
         | Option | Layer | Unit | Range | Default | Effect | Meaning | Fact |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for spec in OPTIONS {
        let range = match spec.kind {
            Kind::Choice(words) => words.join(", "),
            Kind::Bool | Kind::Address | Kind::Text => String::from("-"),
            Kind::Seconds { .. } | Kind::Milliseconds { .. } | Kind::Whole { .. } => {
                spec.kind.range().map(|(min, max)| format!("{min}..{max}")).unwrap()
            }
        };
        let default = match spec.default {
            DefaultValue::Unset => String::from("-"),
            DefaultValue::Same(value) => value.into(),
            DefaultValue::PerProfile { vsphere, swift } => format!("{vsphere} / {swift}"),
        };
        let effect = match spec.effect {
            Effect::Used => String::from("used"),
            Effect::Planned => String::from("planned: none yet"),
            Effect::WithoutEffect(reason) => format!("none: {reason}"),
        };
        let OptionSpec { layer, kind, meaning, source, .. } = spec;
        writeln!(
            page,
            "| {spec} | {layer} | {} | {range} | {default} | {effect} | {meaning} | {source} |",
            kind.unit()
        )
        .unwrap();
    }
    page
}

#[test]
fn the_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("OPTIONS.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    for (row, (is, should_be)) in (1..).zip(written.lines().zip(page.lines())) {
        assert_eq!(is, should_be, "OPTIONS.md line {row}; BLESS=1 rewrites the page");
    }
    assert_eq!(written.len(), page.len(), "OPTIONS.md has lines too many or too few; BLESS=1 rewrites it");
}

/// Some name of an option: with a number where it needs one.
fn a_name(spec: &OptionSpec) -> String {
    match spec.numbered {
        Numbered::No | Numbered::BareAndTo { .. } => spec.name.into(),
        Numbered::To { last } => format!("{}{last}", spec.name),
    }
}

/// Values of a kind that are accepted: the extremes.
fn accepted(kind: Kind) -> Vec<String> {
    match kind {
        Kind::Bool => vec!["true".into(), "false".into()],
        Kind::Choice(words) => {
            words.iter().flat_map(|word| [word.to_string(), word.to_ascii_uppercase()]).collect()
        }
        Kind::Address => vec!["192.0.2.9".into(), "2001:db8::9".into()],
        Kind::Text => vec!["some text".into()],
        Kind::Seconds { .. } | Kind::Milliseconds { .. } | Kind::Whole { .. } => {
            kind.range().map(|(min, max)| vec![min, max]).unwrap()
        }
    }
}

/// Values just outside of a kind.
fn refused(kind: Kind) -> Vec<String> {
    let below_and_above = |min: u64, max: u64| {
        let below = min.checked_sub(1).map(|below| below.to_string());
        below.into_iter().chain([(max + 1).to_string(), "-1".into(), "+1".into(), "".into(), "1 ".into()])
    };
    match kind {
        Kind::Bool => ["yes", "2", "", "truer"].map(String::from).into(),
        Kind::Choice(words) => {
            [format!("{}s", words[0]), words[1][1..].into(), String::new(), words[..2].join(" ")].into()
        }
        Kind::Address => {
            ["localhost", "10.0.0.256", "10.0.0.1:7", "10.0.0.1/24", ""].map(String::from).into()
        }
        Kind::Text => vec![String::new()],
        Kind::Seconds { min, max } => {
            let millis = |span: core::time::Duration| u64::try_from(span.as_millis()).unwrap();
            let text = |millis: u64| format!("{}.{:03}", millis / 1_000, millis % 1_000);
            let below = millis(min).checked_sub(1).map(text);
            let odd = ["-1", "", ".5", "5.", "1.2345", "1e3", "1s", "99999999999999999999"].map(String::from);
            below.into_iter().chain([text(millis(max) + 1)]).chain(odd).collect()
        }
        Kind::Milliseconds { min, max } => {
            below_and_above(u64::try_from(min.as_millis()).unwrap(), u64::try_from(max.as_millis()).unwrap())
                .chain(["1.5".into()])
                .collect()
        }
        Kind::Whole { min, max, .. } => below_and_above(min, max).chain(["1.5".into()]).collect(),
    }
}

#[test]
fn ranges_include_both_ends_and_nothing_beyond() {
    for spec in OPTIONS {
        let name = a_name(spec);
        for value in accepted(spec.kind) {
            assert_eq!(Options::new().set(&name, &value), Ok(()), "`{name}` = `{value}`");
        }
        for value in refused(spec.kind) {
            let error = Options::new().set(&name, &value).unwrap_err();
            let expected = OptionError::Value { name: name.clone(), found: value, expected: spec.kind };
            assert_eq!(error, expected);
        }
    }
}

#[test]
fn defaults_are_values_that_could_be_set() {
    for spec in OPTIONS {
        for value in PROFILES.into_iter().filter_map(|profile| spec.default_for(profile)) {
            assert_eq!(Options::new().set(&a_name(spec), value), Ok(()), "default of {spec}");
        }
    }
}

#[test]
fn no_name_stands_twice_and_no_row_is_empty() {
    let mut names = BTreeSet::new();
    for spec in OPTIONS {
        let lower = spec.name.to_ascii_lowercase();
        assert!(names.insert(lower.replace("das.config.fdm.", "fdm.")), "{spec} is in the table twice");
        assert!(!spec.meaning.is_empty() && !spec.source.is_empty(), "{spec}");
        assert!(!format!("{spec:?}").contains('|'), "{spec} would break the page's table");
    }
}

/// Everything that options hand to the machines.
fn outcome(options: &Options) -> ([TimingConfig; 2], Limits, Option<i64>, Vec<IpAddr>) {
    let gateway = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    (
        PROFILES.map(|profile| options.apply_to(profile, TimingConfig::profile(profile))),
        options.apply_to_limits(Limits::DEFAULT),
        options.node_goodness(),
        options.isolation_addresses(Some(gateway)),
    )
}

#[test]
fn exactly_the_used_options_change_something() {
    let untouched = outcome(&Options::new());
    for spec in OPTIONS {
        let changes = accepted(spec.kind).iter().any(|value| {
            let mut options = Options::new();
            options.set(&a_name(spec), value).unwrap();
            outcome(&options) != untouched
        });
        assert_eq!(changes, spec.effect == Effect::Used, "{spec} is listed as {:?}", spec.effect);
    }
}

#[test]
fn defaults_of_used_options_are_those_of_the_profiles() {
    for profile in PROFILES {
        let mut options = Options::new();
        for spec in OPTIONS.iter().filter(|spec| spec.effect == Effect::Used) {
            if let Some(value) = spec.default_for(profile) {
                options.set(spec.name, value).unwrap();
            }
        }
        let timing = TimingConfig::profile(profile);
        assert_eq!(options.apply_to(profile, timing), timing, "{profile}");
        assert_eq!(options.apply_to_limits(Limits::DEFAULT), Limits::DEFAULT);
        assert_eq!(options.isolation_addresses(None), Options::new().isolation_addresses(None));
        assert_eq!(options.iter().count(), 6, "defaults: four spans, a limit, the gateway");
    }
}
