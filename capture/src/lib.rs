//! Bytes on the wire become [`Exchange`]s.
//!
//! ```text
//! Packet → link → Segment → flow, reassembly → in-order bytes and Gaps → http1 → Exchange
//! ```
//!
//! The core ([`Tap`]) is sans-IO: it takes packets with their own timestamps, reads no clock and
//! opens nothing. The only doors to the outside are the sources in [`source`]: capture files and
//! live interfaces. What the wire does wrong is never an error here: it is noted as an
//! [`Anomaly`], and the flow it happened on degrades.
//!
//! Invariants:
//! - Every exchange that leaves carries an [`Evidence`] label; only [`Evidence::Complete`] says
//!   that nothing of it was missed, cut or guessed.
//! - Every buffer has a cap in [`Limits`]; reaching one is counted.
//! - Nothing here knows of pairs, comparisons or stores.

mod anomaly;
pub mod body;
mod connections;
mod context;
mod counters;
mod exchange;
mod flow;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod http1;
mod http2;
mod keylog;
mod limits;
mod link;
mod message;
mod reassembly;
mod session;
pub mod source;
mod tap;
mod target;
mod time;
mod tls;
#[cfg(test)]
mod wire;

pub use anomaly::{Anomalies, Anomaly};
pub use body::Body;
pub use counters::{Counters, Unread, UnreadConnections};
pub use exchange::{Evidence, Exchange, Protocol, Timing};
pub use limits::Limits;
pub use link::{LinkType, Packet};
pub use message::{Fields, FieldsBuilder, Request, Response, Version};
pub use tap::Tap;
pub use target::{AddressPattern, Leg, Origin, ParseAddressError, ServiceId, Target};
pub use time::Timestamp;
