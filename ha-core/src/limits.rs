/// The bounds of every queue, map and loop (contract rule R6). One value for the whole agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Hosts in the host list; at most 4096.
    pub hosts: u32,
    /// Datastores known to the cluster.
    pub datastores: u32,
    /// Virtual machines in one datastore's protected list.
    pub vms_per_list: u32,
    /// Records in one of the two logs of a protected list, 8 KiB each. A log is never longer than the list itself,
    /// so short lists get fewer; one of up to 8 KiB gets none, because it is as short as a record.
    pub list_log_records: u32,
    /// Virtual machines running on one host.
    pub vms_per_host: u32,
    /// Open restart intents of one master.
    pub open_intents: u32,
    /// Restarts that one host carries out at once (`das.perHostConcurrentFailoversLimit`).
    pub restarts_per_host: u32,
}

impl Limits {
    /// FDM's maxima (fdm-facts 14), rounded up.
    pub const DEFAULT: Self = Self {
        hosts: 4_096,
        datastores: 256,
        vms_per_list: 100_000,
        list_log_records: 1_024,
        vms_per_host: 1_024,
        open_intents: 100_000,
        restarts_per_host: 32,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
