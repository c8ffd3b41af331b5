//! Where packets come from: capture files and live interfaces; and the key logs that open them.
//!
//! The only rooms of this crate that open anything. Both hand out packets that borrow the
//! source's own buffer, so that a packet's bytes are copied by nobody on their way to the
//! parsers.

pub mod file;
pub mod keylog;
pub mod live;
