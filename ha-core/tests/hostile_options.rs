//! A million hostile texts for each form of options: options or a typed error, within the stated memory.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use allocation_counter::measure;
use ha_core::contract::Hostile;
use ha_core::options::{LineError, Options};

const TEXTS: u32 = 1_000_000;

const TOML: [&str; 4] = [
    "das.heartbeatDsPerHost = 3 # dotted\n\"das.isolationaddress0\" = \"192.0.2.1\"\n",
    "[das]\nslotmeminmb = 1_024\n[ das.config.fdm ]\nhostTimeout = 12.5\n",
    "[das.config.log]\ndirectory = \"a \\\"b\\\" \\t#'\"\n[a]\n[b.'c']\n",
    "das.maxresets = +1_0#ten\nfdm.nodegoodnes = 4",
];

const KEY_VALUE: [&str; 3] = [
    "\u{feff}# HA\r\n\r\n das.heartbeatDsPerHost = 3\r\ndas.isolationaddress0=\"192.0.2.1\"",
    "das.slotmeminmb =1024\nFDM.HOSTTIMEOUT = 12.500\n",
    "das.config.log.directory = \u{e9}\u{1f5ff}\ndas.usedefaultisolationaddres = x\n",
];

/// Parses hostile forms of `goods`; tells how many were accepted, and how many refused at some line.
fn attack(seed: u64, goods: &[&str], parse: fn(&str) -> Result<Options, LineError>) -> (u32, u32) {
    let goods: Vec<Vec<u8>> = goods.iter().map(|good| good.as_bytes().to_vec()).collect();
    let mut hostile = Hostile::from_seed(seed);
    let mut bytes = Vec::new();
    let mut counts = (0, 0);
    for _ in 0..TEXTS {
        hostile.payload(&goods, 120, &mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let mut result = Ok(Options::new());
        let taken = measure(|| result = parse(&text));
        assert!(taken.bytes_max <= Options::max_allocated(text.len()) as u64, "{text:?}: {taken:?}");
        match result {
            Ok(_) => counts.0 += 1,
            Err(error) => {
                assert!(error.line >= 1 && error.line <= text.lines().count());
                counts.1 += 1;
            }
        }
    }
    counts
}

#[test]
fn toml() {
    let (accepted, refused) = attack(1, &TOML, Options::parse_toml);
    assert!(accepted > TEXTS / 100 && refused > TEXTS / 2, "{accepted} {refused}");
}

#[test]
fn key_and_value() {
    let (accepted, refused) = attack(2, &KEY_VALUE, Options::parse_key_value);
    assert!(accepted > TEXTS / 100 && refused > TEXTS / 4, "{accepted} {refused}");
}

/// The most memory for the bytes of a text: as many tables as fit; and one long name, refused.
#[test]
fn texts_made_to_cost_memory_stay_within_the_bound() {
    let tables: String = (0..20_000).map(|number| format!("[{number:x}]\n")).collect();
    let long = format!("{} = 1", "x".repeat(1 << 20));
    let quoted = format!("das.config.log.directory = \"{}\"", "x".repeat(1 << 20));
    for text in [tables, long, quoted] {
        for parse in [Options::parse_toml, Options::parse_key_value] {
            let taken = measure(|| drop(parse(&text)));
            assert!(taken.bytes_max <= Options::max_allocated(text.len()) as u64, "{taken:?}");
        }
    }
}
