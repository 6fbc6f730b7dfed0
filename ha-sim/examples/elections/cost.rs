//! What a fault-free election costs in datagrams, as a table and as a chart.

use core::error::Error;
use core::fmt::Write as _;
use core::time::Duration;
use std::fs;

use ha_sim::Scenario;
use ha_sim::elections::{Counts, Elections, Elector, StartError};
use ha_sim::scenario::Pace;
use serde_json::json;

use super::Arguments;

/// The most that an election may cost, for each host.
const PER_HOST: u64 = 8;

/// One election.
struct Cost {
    hosts: u32,
    what: &'static str,
    took: Duration,
    counts: Counts,
}

type Failed = Box<dyn Error + Send + Sync>;

/// Whether every election was as cheap as it must be.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failed> {
    let pace = arguments.pace.unwrap_or(Pace::Swift);
    let mut costs = Vec::new();
    for hosts in &arguments.cost {
        eprintln!("{hosts} hosts");
        costs.extend(elections(*hosts, pace)?);
    }
    if arguments.json {
        let rows: Vec<_> = costs.iter().map(Cost::json).collect();
        println!("{:#}", json!(rows));
    } else {
        println!(
            "hosts,election,seconds,candidacies,claims,probes,heartbeats,all but heartbeats,busiest window,8 n,n (n - 1)"
        );
        costs.iter().for_each(|cost| println!("{}", cost.row()));
    }
    if let Some(path) = &arguments.svg {
        fs::write(path, chart(&costs))?;
    }
    Ok(costs.iter().all(Cost::is_cheap))
}

/// A cold start, and the master's death.
fn elections(hosts: u32, pace: Pace) -> Result<Vec<Cost>, StartError> {
    let mut world: Elections<Elector> = Elections::new(&Scenario::quiet(hosts, 1, pace));
    let limit = Duration::from_secs(120);
    let mut costs = Vec::new();
    for what in ["cold start", "master's death"] {
        if let Some(master) = world.master() {
            let fifth = pace.timing().heartbeat_period / 5;
            world.run_for(2 * pace.timing().master_lost + fifth)?;
            world.kill(master);
            world.count_anew();
        }
        if let Some(took) = world.run_until_settled(limit)? {
            costs.push(Cost { hosts, what, took, counts: world.counts().clone() });
        }
    }
    Ok(costs)
}

impl Cost {
    fn is_cheap(&self) -> bool {
        let hosts = u64::from(self.hosts);
        self.counts.of_elections() <= PER_HOST * hosts && self.counts.busiest_window <= hosts * (hosts - 1)
    }

    fn row(&self) -> String {
        let Self { hosts, what, took, counts } = self;
        let n = u64::from(*hosts);
        let Counts { candidacies, claims, probes, heartbeats, busiest_window, .. } = counts;
        format!(
            "{hosts},{what},{:.6},{candidacies},{claims},{probes},{heartbeats},{},{busiest_window},{},{}",
            took.as_secs_f64(),
            counts.of_elections(),
            PER_HOST * n,
            n * (n - 1)
        )
    }

    fn json(&self) -> serde_json::Value {
        let Self { hosts, what, took, counts } = self;
        json!({
            "hosts": hosts,
            "election": what,
            "seconds": took.as_secs_f64(),
            "candidacies": counts.candidacies,
            "claims": counts.claims,
            "probes": counts.probes,
            "heartbeats": counts.heartbeats,
            "of_elections": counts.of_elections(),
            "busiest_window": counts.busiest_window,
        })
    }
}

/// Hosts across, datagrams up, both logarithmic.
fn chart(costs: &[Cost]) -> String {
    let (width, height, edge) = (640.0, 480.0, 60.0);
    let x = |hosts: f64| edge + (width - 2.0 * edge) * hosts.log10() / 3.2;
    let y = |count: f64| height - edge - (height - 2.0 * edge) * count.max(1.0).log10() / 7.5;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for power in 0..=3 {
        let n = 10_f64.powi(power);
        line(&mut svg, [(x(n), edge), (x(n), height - edge)].into_iter(), "#ddd");
        label(&mut svg, x(n), height - edge + 18.0, &format!("{n}"));
    }
    for power in 0..=7 {
        let n = 10_f64.powi(power);
        line(&mut svg, [(edge, y(n)), (width - edge, y(n))].into_iter(), "#ddd");
        label(&mut svg, 20.0, y(n) + 4.0, &format!("1e{power}"));
    }
    let hosts = || (0..=64).map(|step| 10_f64.powf(f64::from(step) / 20.0)).filter(|n| *n >= 2.0);
    line(&mut svg, hosts().map(|n| (x(n), y(8.0 * n))), "green");
    line(&mut svg, hosts().map(|n| (x(n), y(n * (n - 1.0)))), "orange");
    let total = |cost: &Cost| f64::from(u32::try_from(cost.counts.of_elections()).unwrap_or(u32::MAX));
    for (what, color) in [("cold start", "blue"), ("master's death", "red")] {
        let of = costs.iter().filter(|cost| cost.what == what);
        line(&mut svg, of.map(|cost| (x(f64::from(cost.hosts)), y(total(cost)))), color);
    }
    let legend = "green: 8 n, orange: n (n - 1), blue: cold start, red: master's death";
    label(&mut svg, edge, 24.0, &format!("datagrams of one election over hosts; {legend}"));
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, points: impl Iterator<Item = (f64, f64)>, color: &str) {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _infallible =
        writeln!(svg, "<polyline fill=\"none\" stroke=\"{color}\" points=\"{}\"/>", points.join(" "));
}

fn label(svg: &mut String, x: f64, y: f64, text: &str) {
    let text = text.replace('\'', "&#39;");
    let _infallible = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}
