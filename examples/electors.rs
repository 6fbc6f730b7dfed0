//! Electors in processes of their own, which speak over UDP on loopback: kill them, stop them, cut their links, and see
//! who leads and why.
//!
//! `cargo run --release --example electors -- --help` lists the options and the commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    ha_examples::role::run(ha_examples::electors::run)
}
