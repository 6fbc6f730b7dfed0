//! Runs the failover demo many times and sums up: medians, worst cases, and every run that failed.
//!
//! `cargo run --release --example soak -- --runs 10 -- --kill slave` passes what follows the second `--` to each
//! run. Without that, each run has 2 to 5 hosts and either role, drawn from `--seed`.
#![allow(clippy::print_stdout, reason = "the summary is this program's purpose")]

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use ha_core::Random;
use serde_json::Value;

/// Repeat the failover demo and sum up.
#[derive(Debug, Parser)]
#[command(after_help = "Example: soak --runs 10 -- --profile swift --kill master --kill-how stop")]
struct Options {
    /// How many runs.
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Seed of the hosts and roles that are drawn.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Options of `failover` for every run, instead of drawn ones.
    #[arg(last = true, value_name = "FAILOVER OPTIONS")]
    failover: Vec<String>,
}

const FIGURES: [&str; 6] = [
    "suspected_ms",
    "declared_ms",
    "new_master_ms",
    "first_restart_order_ms",
    "all_running_ms",
    "protected_again_ms",
];

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(failover) = failover() else {
        println!(
            "the executable `failover` is not beside this one: run `cargo build --release --example failover`"
        );
        return ExitCode::FAILURE;
    };
    let mut random = Random::from_seed(options.seed);
    let mut reports = Vec::new();
    let mut bad = 0_u32;
    for run in 1..=options.runs {
        let arguments =
            if options.failover.is_empty() { drawn(&mut random) } else { options.failover.clone() };
        let output = Command::new(&failover).arg("--json").args(&arguments).stderr(Stdio::piped()).output();
        let (good, report, said) = match &output {
            Ok(output) => (
                output.status.success(),
                serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ),
            Err(error) => (false, Value::Null, error.to_string()),
        };
        let inside = declared_inside_plan(&report);
        println!("run {run:>4}: {}  {}", arguments.join(" "), line(&report));
        if !good || !inside {
            bad += 1;
            println!("  BAD: {}{}", if inside { "" } else { "declared outside the plan; " }, said.trim_end());
        }
        reports.push(report);
    }
    for figure in FIGURES {
        summarize(figure, &reports);
    }
    let total = |name: &str| reports.iter().filter_map(|report| report[name].as_u64()).sum::<u64>();
    println!(
        "{} runs, {bad} bad; double_runs {}, unclear_binds {}, lost {}",
        options.runs,
        total("double_runs"),
        total("unclear_binds"),
        total("lost"),
    );
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failover() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.with_file_name("failover");
    path.exists().then_some(path)
}

fn drawn(random: &mut Random) -> Vec<String> {
    let hosts = 2 + random.below(4);
    let role = if random.below(2) == 0 { "slave" } else { "master" };
    ["--hosts", &hosts.to_string(), "--kill", role].map(String::from).to_vec()
}

/// Not sooner than the plan says, less one heartbeat period, nor later, plus 50 ms. The death of an agent alone need
/// not lead to any declaration.
fn declared_inside_plan(report: &Value) -> bool {
    if report["kill_how"] == "agent" {
        return true;
    }
    let number = |name: &str| report[name].as_f64();
    let period = if report["profile"] == "swift" { 100.0 } else { 1_000.0 };
    match (number("declared_ms"), number("plan_min_declared_ms"), number("plan_max_declared_ms")) {
        (Some(declared), Some(min), Some(max)) => declared >= min - period && declared <= max + 50.0,
        _ => false,
    }
}

fn line(report: &Value) -> String {
    let figure = |name: &&str| report[*name].as_f64().map(|ms| format!("{name} {ms:.1}"));
    FIGURES.iter().filter_map(figure).collect::<Vec<_>>().join("  ")
}

fn summarize(figure: &str, reports: &[Value]) {
    let mut values: Vec<f64> = reports.iter().filter_map(|report| report[figure].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    if let (Some(min), Some(max)) = (values.first(), values.last()) {
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        println!("{figure:<24} median {:>8.1}  ({min:.1}..{max:.1})", f64::midpoint(low, high));
    }
}
