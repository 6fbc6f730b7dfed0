//! Answers as the kernel is to take them.

use core::time::Duration;

use fuser::{Errno, FileAttr, FopenFlags, Generation, ReplyAttr, ReplyEmpty, ReplyEntry};

/// Nothing is remembered by the kernel, so that changes cross mounts at once.
pub(crate) const FORGOTTEN: Duration = Duration::ZERO;

/// The same for content.
pub(crate) const UNCACHED: FopenFlags = FopenFlags::FOPEN_DIRECT_IO;

/// Inodes are held by descriptors while the kernel knows them, so their numbers are not used again.
pub(crate) const ONLY_GENERATION: Generation = Generation(0);

pub(crate) fn entry(reply: ReplyEntry, outcome: Result<FileAttr, Errno>) {
    match outcome {
        Ok(attributes) => reply.entry(&FORGOTTEN, &attributes, ONLY_GENERATION),
        Err(error) => reply.error(error),
    }
}

pub(crate) fn attributes(reply: ReplyAttr, outcome: Result<FileAttr, Errno>) {
    match outcome {
        Ok(attributes) => reply.attr(&FORGOTTEN, &attributes),
        Err(error) => reply.error(error),
    }
}

pub(crate) fn done(reply: ReplyEmpty, outcome: Result<(), Errno>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}
