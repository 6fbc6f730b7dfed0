//! Golden files: a size, then every line of 16 bytes that is not all zero.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The bytes of the golden file of that name.
pub(crate) fn load(name: &str) -> Vec<u8> {
    parse(&std::fs::read_to_string(path(name)).unwrap())
}

/// Every golden file, by its name without `.hex`.
pub(crate) fn all() -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let golden = paths.filter(|path| path.extension().is_some_and(|extension| extension == "hex"));
    golden
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .map(|name| (name.clone(), load(&name)))
        .collect()
}

/// Compares `file` with the golden file of that name, and gives back the golden bytes. `UPDATE_GOLDEN=1` writes
/// it anew, which is only right for a format that has never been released.
pub(crate) fn compare(name: &str, file: &[u8]) -> Vec<u8> {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path(name), dump(file)).unwrap();
    }
    let golden = load(name);
    assert_eq!(dump(file), dump(&golden), "{name}");
    golden
}

pub(crate) fn dump(file: &[u8]) -> String {
    let mut text = format!("size {}\n", file.len());
    for (line, bytes) in file.chunks(16).enumerate().filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0))
    {
        write!(text, "{:06x}:", line * 16).unwrap();
        for byte in bytes {
            write!(text, " {byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"))
}

fn parse(text: &str) -> Vec<u8> {
    let mut lines = text.lines();
    let size = lines.next().unwrap().strip_prefix("size ").unwrap().parse().unwrap();
    let mut file = vec![0; size];
    for line in lines {
        let (offset, bytes) = line.split_once(": ").unwrap();
        let offset = usize::from_str_radix(offset, 16).unwrap();
        for (index, byte) in bytes.split(' ').enumerate() {
            file[offset + index] = u8::from_str_radix(byte, 16).unwrap();
        }
    }
    file
}
