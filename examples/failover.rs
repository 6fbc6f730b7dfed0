//! The main job on real input: a host is killed, and its virtual machines run again elsewhere.
//!
//! `cargo run --release --example failover -- --help` lists the options.

use std::process::ExitCode;

fn main() -> ExitCode {
    ha_examples::role::run(ha_examples::cli::run)
}
