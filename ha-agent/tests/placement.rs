//! Where a virtual machine restarts, as a table.
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

use std::collections::BTreeSet;

use ha_agent::placement::{Candidate, place};
use ha_core::HostId;

/// Candidates as (host, load, free slots), the hosts to avoid, the answer; hosts by number.
type Row = (&'static [(u32, usize, usize)], &'static [u32], Option<u32>);

const TABLE: &[(&str, Row)] = &[
    ("nobody", (&[], &[], None)),
    ("nobody, and one to avoid", (&[], &[1], None)),
    ("the only one", (&[(4, 9, 1)], &[], Some(4))),
    ("the least loaded", (&[(1, 3, 8), (2, 1, 8), (3, 2, 8)], &[], Some(2))),
    ("load counts, free slots do not", (&[(1, 2, 32), (2, 1, 1)], &[], Some(2))),
    ("a tie goes to the lowest number", (&[(3, 1, 8), (1, 1, 8), (2, 1, 8)], &[], Some(1))),
    ("numbers are compared as numbers", (&[(10, 0, 8), (9, 0, 8)], &[], Some(9))),
    ("no free slot", (&[(1, 0, 0)], &[], None)),
    ("no free slot on the least loaded", (&[(1, 0, 0), (2, 5, 1)], &[], Some(2))),
    ("no free slot anywhere", (&[(1, 0, 0), (2, 0, 0)], &[], None)),
    ("avoided although least loaded", (&[(1, 0, 8), (2, 31, 1)], &[1], Some(2))),
    ("avoided in a tie", (&[(1, 1, 8), (2, 1, 8), (3, 1, 8)], &[1], Some(2))),
    ("avoided, but the only one", (&[(1, 0, 8)], &[1], Some(1))),
    ("avoided, but the only one with a slot", (&[(1, 7, 1), (2, 0, 0)], &[1], Some(1))),
    ("two avoided", (&[(1, 0, 8), (2, 1, 8), (3, 9, 8)], &[1, 2], Some(3))),
    ("all avoided: the least loaded of them", (&[(1, 2, 8), (2, 1, 8)], &[1, 2], Some(2))),
    ("the avoided one is no candidate", (&[(2, 1, 8), (3, 0, 8)], &[1], Some(3))),
];

#[test]
fn every_row_of_the_table() {
    for (name, (candidates, avoid, expected)) in TABLE {
        let mut candidates: Vec<Candidate> = candidates
            .iter()
            .map(|&(host, load, free_slots)| Candidate { host: HostId::new(host), load, free_slots })
            .collect();
        let avoid: BTreeSet<HostId> = avoid.iter().copied().map(HostId::new).collect();
        let expected = expected.map(HostId::new);
        assert_eq!(place(&candidates, &avoid), expected, "{name}");
        // The order in which candidates are named decides nothing.
        candidates.reverse();
        assert_eq!(place(&candidates, &avoid), expected, "{name}, from behind");
    }
}
