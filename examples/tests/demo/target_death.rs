//! The host that was ordered to restart a virtual machine dies at the worst moment.

use core::time::Duration;

use ha_core::{HostId, VmUuid};
use ha_examples::demo::{Demo, Setup};
use ha_examples::failure::Failure;
use ha_examples::protocol::manager::Detail;

use crate::support::{protected, setup, turn};

/// How long a holder stays between the durable epoch and exec. Much less than an order's validity of 2 s.
const HOLD: Duration = Duration::from_millis(700);

const LIMIT: Duration = Duration::from_secs(20);

/// Waits until a host has made `epoch` of `vm` durable. Which.
fn raised(demo: &mut Demo, vm: VmUuid, epoch: u64) -> Result<HostId, Failure> {
    let mut target = None;
    demo.wait_for(LIMIT, "a durable epoch", |demo| {
        let raised = |detail: &Detail| {
            matches!(detail, Detail::Vm { vm: about, epoch: Some(durable), .. } if (*about, *durable) == (vm, epoch))
        };
        let events = demo.observed().events();
        let event = events.iter().find(|event| event.code == "vm-lock-taken" && raised(&event.detail));
        target = event.map(|event| event.host);
        Ok(target.is_some())
    })?;
    target.ok_or_else(|| Failure::new("no target"))
}

#[test]
fn target_killed_between_epoch_and_exec_and_then_the_master() {
    let _turn = turn();
    let mut demo = protected(Setup { hold_before_exec: HOLD, ..setup(5, 1) });
    let vm = demo.vms()[0].clone();
    let host = demo.slave_with_vms().unwrap();
    demo.kill_host(host).unwrap();

    let target = raised(&mut demo, vm.id.uuid(), 2).unwrap();
    demo.kill_host(target).unwrap();
    let epochs = |demo: &Demo| -> Vec<u64> {
        demo.instances_of(&vm).unwrap().iter().map(|instance| instance.epoch).collect()
    };
    assert_eq!(epochs(&demo), [1], "killed too late: epoch 2 had already become a process");

    // Also if the target was the master: then it is its successor that dies.
    demo.wait_for(LIMIT, "a master", |demo| Ok(demo.master().is_some())).unwrap();
    let master = demo.master().unwrap();
    demo.kill_host(master).unwrap();

    demo.wait_until_restarted(&[(vm.clone(), 2)], LIMIT).unwrap();
    demo.go_on_for(Duration::from_secs(2)).unwrap();
    let epochs = epochs(&demo);
    assert_eq!((epochs.len(), epochs[0]), (2, 1), "{epochs:?}");
    let measured = demo.finish().unwrap().measured;
    assert_eq!((measured.double_runs, measured.lost), (0, 0));
}
