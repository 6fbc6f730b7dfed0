//! No I/O.
#![no_std]
#![cfg_attr(not(feature = "fs"), forbid(unsafe_code))]
