use core::fmt;

use ha_core::record::{RecordFault, Sealed};
use ha_core::{ClusterId, HostId, Identity, VmUuid};

use super::envelope::{PAYLOAD_AT, open_file};
use super::vm_metadata::{table_len, words};
use super::{CompatibleHosts, ConfigVersion, HostList, LocalFault, LocalFile, VmMetadata};
use crate::format::cursor::{Reader, check};

/// `vmmetadata` read in place: nothing is copied or allocated, so a mapped file will do.
///
/// The whole file is checked once, when the view is made. Its bytes must stay as they are for as long as it lives.
#[derive(Clone, Copy)]
pub struct VmMetadataView<'a> {
    layout: Layout,
    hosts: &'a [[u8; 4]],
    /// `vms` rows of [`Layout::row`] bytes.
    rows: &'a [u8],
}

/// What a file says of itself, once it was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    writer: Identity,
    version: ConfigVersion,
    host_list: ConfigVersion,
    hosts: usize,
    vms: usize,
}

impl<'a> VmMetadataView<'a> {
    /// A view of a whole file that `host` wrote in `cluster`. Allocates nothing.
    ///
    /// # Errors
    ///
    /// [`LocalFault`], the first in the order of `FORMAT.md`.
    pub fn read(file: &'a [u8], cluster: ClusterId, host: HostId) -> Result<Self, LocalFault> {
        Ok(Layout::check(file, cluster, host)?.view(file))
    }

    /// Who wrote the file.
    #[must_use]
    pub const fn writer(&self) -> Identity {
        self.layout.writer
    }

    /// The version of this content.
    #[must_use]
    pub const fn version(&self) -> ConfigVersion {
        self.layout.version
    }

    /// The version of the host list that the hosts are from.
    #[must_use]
    pub const fn host_list(&self) -> ConfigVersion {
        self.layout.host_list
    }

    /// All hosts of the matrix, by number, ascending.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<'a> {
        self.hosts.iter().map(|number| HostId::new(u32::from_le_bytes(*number)))
    }

    /// How many virtual machines the matrix has.
    #[must_use]
    pub const fn vms(&self) -> usize {
        self.layout.vms
    }

    /// The hosts that can run this virtual machine; `None` if the matrix does not know it. O(log n).
    #[must_use]
    pub fn compatible(&self, vm: VmUuid) -> Option<CompatibleHosts<'a>> {
        let (mut low, mut high) = (0, self.layout.vms);
        while low < high {
            let middle = low.midpoint(high);
            let (found, bits) = self.row(middle)?;
            match found.cmp(&vm) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Equal => return Some(CompatibleHosts { hosts: self.hosts, bits }),
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// All virtual machines by uuid, ascending as bytes, each with the hosts that can run it.
    pub fn iter(&self) -> impl Iterator<Item = (VmUuid, CompatibleHosts<'a>)> + use<'a> {
        let hosts = self.hosts;
        self.bits().map(move |(vm, bits)| (vm, CompatibleHosts { hosts, bits }))
    }

    pub(super) fn bits(&self) -> impl Iterator<Item = (VmUuid, &'a [[u8; 8]])> + use<'a> {
        let view = *self;
        (0..view.layout.vms).map_while(move |index| view.row(index))
    }

    fn row(&self, index: usize) -> Option<(VmUuid, &'a [[u8; 8]])> {
        let row = self.layout.row();
        let (uuid, bits) = self.rows.get(index * row..)?.get(..row)?.split_first_chunk()?;
        Some((VmUuid::from_bytes(*uuid), bits.as_chunks().0))
    }
}

impl Layout {
    /// Checks a whole file.
    pub(crate) fn check(file: &[u8], cluster: ClusterId, host: HostId) -> Result<Self, LocalFault> {
        let opened = open_file(LocalFile::VmMetadata, file, cluster, host)?;
        let Sealed { writer, content: (version, body), .. } = opened;
        let mut reader = Reader::new(body);
        let host_list = ConfigVersion::new(reader.u64("version of the host list")?);
        let hosts = count(reader.u32("hosts")?, HostList::MAX_HOSTS, "hosts")?;
        let vms = count(reader.u32("virtual machines")?, VmMetadata::MAX_VMS, "virtual machines")?;
        let layout = Self { writer, version, host_list, hosts, vms };
        // Bounded by both maxima, so none of this overflows.
        check(reader.rest().len() == table_len(hosts) + vms * layout.row(), "length")?;
        let padding = reader.rest().get(4 * hosts..table_len(hosts)).unwrap_or(&[]);
        check(padding.iter().all(|byte| *byte == 0), "padding")?;
        layout.view(file).check()?;
        Ok(layout)
    }

    /// The view of the file that was checked.
    pub(crate) fn view(self, file: &[u8]) -> VmMetadataView<'_> {
        let table = table_len(self.hosts);
        // The checked file has all of this; of another one nothing is seen.
        let body = file.get(PAYLOAD_AT + VmMetadata::FIXED..).unwrap_or(&[]);
        let (table, rows) = body.split_at_checked(table).unwrap_or((&[], &[]));
        let hosts = table.as_chunks().0;
        let hosts = hosts.get(..self.hosts).unwrap_or(&[]);
        VmMetadataView { layout: self, hosts, rows: rows.get(..self.vms * self.row()).unwrap_or(&[]) }
    }

    const fn row(&self) -> usize {
        VmMetadata::UUID + 8 * words(self.hosts)
    }
}

impl VmMetadataView<'_> {
    /// That hosts and machines ascend, so that they can be searched, and that no bit stands for no host.
    fn check(&self) -> Result<(), RecordFault> {
        check(self.hosts().is_sorted_by(|one, next| one < next), "order of hosts")?;
        check(self.bits().is_sorted_by(|(one, _), (next, _)| one < next), "order of virtual machines")?;
        let spare = self.layout.hosts % 64;
        let unused = if spare == 0 { 0 } else { u64::MAX << spare };
        let overhang =
            |bits: &[[u8; 8]]| bits.last().is_some_and(|word| u64::from_le_bytes(*word) & unused != 0);
        check(!self.bits().any(|(_, bits)| overhang(bits)), "bits without a host")
    }
}

impl fmt::Debug for VmMetadataView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmMetadataView").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// For people: the versions, then a line for each virtual machine.
impl fmt::Display for VmMetadataView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layout { version, host_list, hosts, vms, .. } = self.layout;
        write!(
            f,
            "compatibility, version {version}: {vms} virtual machines on {hosts} hosts of host list {host_list}"
        )?;
        self.iter().try_for_each(|(vm, hosts)| write!(f, "\n  {vm}  {hosts}"))
    }
}

fn count(number: u32, most: usize, field: &'static str) -> Result<usize, RecordFault> {
    let number = usize::try_from(number).map_err(|_| RecordFault::BadContent { field })?;
    check(number <= most, field)?;
    Ok(number)
}
