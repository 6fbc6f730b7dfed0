use crate::{Completion, MachineId, Operation, Random, TokenMint};

/// So many requests ahead of the machine that it has never come there.
const FAR_AHEAD: u64 = 10_000;

/// A completion for `machine` that answers none of its open requests: of another host, another life, another
/// lane, or for a request that it has not made yet.
pub fn stray<O: Operation>(random: &mut Random, machine: MachineId, outcome: O::Outcome) -> Completion<O> {
    let (other, skipped) = match random.below(8) {
        0 => (machine, FAR_AHEAD),
        1 | 2 => (MachineId { lane: machine.lane.wrapping_add(1 << 20), ..machine }, 0),
        3..=5 => (MachineId { incarnation: machine.incarnation.next(), ..machine }, random.below(8)),
        6.. => {
            let number = machine.host.number().wrapping_add(1);
            (MachineId { host: crate::HostId::new(number), ..machine }, random.below(8))
        }
    };
    let mut mint = TokenMint::new(other);
    let (mut token, _) = mint.issue();
    for _ in 0..skipped {
        (token, _) = mint.issue();
    }
    token.complete(outcome)
}
