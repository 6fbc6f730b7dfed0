//! A virtual machine's full name, for `#[serde(with = "vm_name")]`.

use ha_core::{DatastoreId, VmId, VmUuid};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text;

#[derive(Serialize, Deserialize)]
struct VmName<'a> {
    #[serde(with = "text")]
    uuid: VmUuid,
    #[serde(with = "text")]
    home: DatastoreId,
    config: alloc::borrow::Cow<'a, str>,
}

/// Writes uuid, home datastore and config path.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(vm: &VmId, serializer: S) -> Result<S::Ok, S::Error> {
    VmName { uuid: vm.uuid(), home: vm.home(), config: vm.config().into() }.serialize(serializer)
}

/// Reads uuid, home datastore and config path.
///
/// # Errors
///
/// Those of the deserializer; a config path of another form than [`VmId::new`] accepts.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VmId, D::Error> {
    let name = VmName::deserialize(deserializer)?;
    VmId::new(name.uuid, name.home, &name.config).map_err(D::Error::custom)
}
