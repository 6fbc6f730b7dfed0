//! Elections under faults, from many seeds; or what one costs.
//!
//! ```text
//! cargo run --release -p ha-sim --example elections -- --seeds 10000 --hosts 3..32
//! cargo run --release -p ha-sim --example elections -- --seeds 300 --hosts 96
//! cargo run --release -p ha-sim --example elections -- --seeds 20 --hosts 1000
//! cargo run --release -p ha-sim --example elections -- --cost 3,8,32,96,300,1000 --svg cost.svg
//! ```
//!
//! The exit code is 1 if an invariant was violated; the smallest scenario found that violates it is printed.
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod batch;
mod cost;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ha_sim::scenario::Pace;

/// Runs elections on virtual time under loss, duplication, reordering, one-way cuts, crashes and stops.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only this seed, with its timeline.
    #[arg(long)]
    seed: Option<u64>,
    /// Hosts: a number, or a range such as 3..32 of which each seed takes one.
    #[arg(long, default_value = "3..32")]
    hosts: Hosts,
    /// `swift`, `vsphere` or `exact`; without it each seed takes one.
    #[arg(long)]
    pace: Option<Pace>,
    /// How many threads.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// How many runs a failing scenario may cost to be made smaller.
    #[arg(long, default_value_t = 300)]
    shrink: u32,
    /// Go on after a violation, and only count.
    #[arg(long)]
    keep_going: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Instead: the datagrams of a fault-free election, for these numbers of hosts.
    #[arg(long, value_delimiter = ',')]
    cost: Vec<u32>,
    /// Where to write the chart of `--cost`.
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// How many hosts a seed's cluster has.
#[derive(Clone, Copy, Debug)]
struct Hosts {
    least: u32,
    most: u32,
}

impl core::str::FromStr for Hosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let number = |text: &str| text.parse().map_err(|error| format!("`{text}`: {error}"));
        let (least, most) = (number(least)?, number(most.trim_start_matches('='))?);
        if 0 < least && least <= most && most <= 4_096 {
            Ok(Self { least, most })
        } else {
            Err("expected a number from 1 to 4096, or a rising range of two".to_owned())
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.cost.is_empty() { batch::run(&arguments) } else { cost::run(&arguments) };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
