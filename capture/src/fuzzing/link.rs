//! Packets of any link type, in any order.

use std::time::Duration;

use super::Input;
use crate::link::{Decoder, Refused, Segment};
use crate::{Anomalies, Limits, LinkType, Packet, Timestamp};

/// Numbers of link types; those that are not read are left out of a script.
const LINKS: [u32; 12] = [0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 10, 147];

/// What is left of a segment once its packet is gone.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Segment { head: String, payload: Vec<u8>, cut: u32 },
    Refused(Refused),
}

/// A script of packets: `link u8, cut u8, wait u8, len u16, bytes`. `cut`, times 16, is what the
/// snap length took; `wait` is in units of 250 ms.
pub fn link(data: &[u8]) {
    let (first, first_notes) = play(data);
    let (again, again_notes) = play(data);
    assert_eq!(first, again, "packets decode the same way each time");
    assert_eq!(first_notes, again_notes);
}

fn play(data: &[u8]) -> (Vec<Seen>, Anomalies) {
    let limits = Limits { fragment_bytes: 8_192, ..Limits::default() };
    let mut decoder = Decoder::default();
    let mut anomalies = Anomalies::default();
    let mut seen = Vec::new();
    let mut input = Input(data);
    let mut at = Timestamp::from_nanos(1_000_000_000);
    let mut pushed = 0;
    while !input.is_empty() {
        let link = LinkType::from_number(LINKS[usize::from(input.byte()) % LINKS.len()]);
        let cut = u32::from(input.byte()) * 16;
        at = at + Duration::from_millis(250) * u32::from(input.byte());
        let len = usize::from(input.u16());
        let data = input.bytes(len);
        pushed += data.len();
        let Some(link) = link else { continue };
        let original_len = data.len() as u32 + cut;
        let packet = Packet { at, link, data, original_len };
        let refused = match decoder.segment(&packet, &limits, &mut anomalies) {
            Ok(segment) => {
                assert!(segment.payload.len() <= pushed, "payload comes out of packets");
                seen.push(whole(&segment));
                continue;
            }
            Err(refused) => refused,
        };
        seen.push(Seen::Refused(refused));
    }
    let noted: u64 = anomalies.iter().map(|(_, count)| count).sum();
    assert!(noted <= 64 * (seen.len() as u64 + 1), "{noted} oddities of {} packets", seen.len());
    (seen, anomalies)
}

fn whole(segment: &Segment<'_>) -> Seen {
    let Segment { payload, cut, .. } = *segment;
    let head = format!("{:?}", Segment { payload: &[], ..*segment });
    Seen::Segment { head, payload: payload.to_vec(), cut }
}
