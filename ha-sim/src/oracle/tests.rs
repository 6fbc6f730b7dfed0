use super::*;

const AT: Instant = Instant::ORIGIN;

fn host(number: u32) -> HostId {
    HostId::new(number)
}

fn oracle() -> Oracle {
    Oracle::new(3, &[vec![host(1), host(2)]], Invariant::OneMaster)
}

/// The world gives incarnations itself, so only here can one come twice.
#[test]
fn an_incarnation_that_comes_again_is_noticed() {
    for (second, expected) in [(1, Some(Invariant::LifeOnce)), (2, Some(Invariant::LifeOnce)), (3, None)] {
        let mut oracle = oracle();
        oracle.lives(AT, host(1), 2);
        oracle.lives(AT, host(1), second);
        assert_eq!(oracle.violation().map(|violation| violation.invariant), expected);
    }
}

#[test]
fn settled_means_one_master_in_one_term_and_nothing_less() {
    let five = Reign { round: 5, host: 1 };
    let others =
        [Stance::Out, Stance::Looks, Stance::Follows(Reign { round: 4, host: 1 }), Stance::Reigns(five)];
    for other in others {
        let mut oracle = oracle();
        oracle.reigns(AT, host(1), five);
        oracle.stands(AT, host(1), Stance::Reigns(five));
        oracle.stands(AT, host(2), other);
        assert_eq!((oracle.settled_since(), oracle.master()), (None, None), "{other}");
    }
    let mut oracle = oracle();
    oracle.reigns(AT, host(1), five);
    oracle.stands(AT, host(1), Stance::Reigns(five));
    oracle.follows(AT, host(2), five);
    oracle.stands(AT, host(2), Stance::Follows(five));
    assert_eq!((oracle.settled_since(), oracle.master()), (Some(AT), Some(host(1))));
    oracle.stands(AT, host(3), Stance::Looks);
    oracle.close(AT);
    assert_eq!(oracle.violation(), None, "host-3 is outside");
}

#[test]
fn two_of_one_group_share_it_and_nobody_else_does() {
    let oracle = oracle();
    assert!(oracle.share_a_group(host(1), host(2)));
    assert!(!oracle.share_a_group(host(1), host(3)) && !oracle.share_a_group(host(3), host(3)));
}
