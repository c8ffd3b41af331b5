use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use Direction::{ToClient, ToServer};

/// What a conversation gave, and whether it kept its promises.
#[derive(Default)]
struct Recorder {
    bytes: [Vec<u8>; 2],
    /// Offset of the first of `bytes`.
    starts_at: [u64; 2],
    /// `(offset, len, cause)`; the bytes of a gap stand in `bytes` as `_`.
    gaps: [Vec<(u64, u64, GapCause)>; 2],
    chunk_times: [Vec<u64>; 2],
    ended: [bool; 2],
    reset: Option<Direction>,
    retransmissions: u32,
    out_of_order: u32,
    notes: Vec<Anomaly>,
}

impl Recorder {
    fn text(&self, direction: Direction) -> String {
        String::from_utf8_lossy(&self.bytes[direction as usize]).into_owned()
    }

    fn given(&self, direction: Direction) -> u64 {
        self.starts_at[direction as usize] + self.bytes[direction as usize].len() as u64
    }
}

impl Sink for Recorder {
    fn chunk(&mut self, direction: Direction, chunk: Chunk<'_>) {
        assert!(!chunk.bytes.is_empty());
        assert_eq!(chunk.offset, self.given(direction), "chunks and gaps lie end to end");
        assert!(!self.ended[direction as usize], "nothing comes after the FIN");
        let peer_given = self.given(direction.reverse());
        assert!(chunk.peer_offset <= peer_given, "what was acknowledged was given before");
        self.bytes[direction as usize].extend_from_slice(chunk.bytes);
        self.chunk_times[direction as usize].push(chunk.at.as_nanos());
    }

    fn gap(&mut self, direction: Direction, gap: Gap) {
        assert!(gap.len > 0);
        assert_eq!(gap.offset, self.given(direction), "chunks and gaps lie end to end");
        assert!(!self.ended[direction as usize], "nothing comes after the FIN");
        // Junk may claim gaps too large to write out.
        let len = usize::try_from(gap.len.min(1 << 28)).unwrap();
        let bytes = &mut self.bytes[direction as usize];
        bytes.resize(bytes.len() + len, b'_');
        self.gaps[direction as usize].push((gap.offset, gap.len, gap.cause));
    }

    fn fin(&mut self, direction: Direction, _at: Timestamp) {
        assert!(!self.ended[direction as usize], "a direction ends once");
        self.ended[direction as usize] = true;
    }

    fn reset(&mut self, from: Direction, _at: Timestamp) {
        self.reset = Some(from);
    }

    fn retransmission(&mut self) {
        self.retransmissions += 1;
    }

    fn out_of_order(&mut self) {
        self.out_of_order += 1;
    }

    fn note(&mut self, anomaly: Anomaly) {
        self.notes.push(anomaly);
    }
}

/// A conversation, what it gave, and the caps it lives under.
struct Bench {
    conversation: Conversation,
    limits: Limits,
    held: usize,
    out: Recorder,
    course: Course,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Self {
            conversation: Conversation::default(),
            limits,
            held: 0,
            out: Recorder::default(),
            course: Course::Open,
        }
    }

    /// Both sides have greeted: the next sequence number is `CLIENT` there and `SERVER` here.
    fn greeted() -> Self {
        let mut bench = Self::new(Limits::default());
        bench.push(ToServer, Tcp::new(CLIENT - 1, 0).no_ack().syn());
        bench.push(ToClient, Tcp::new(SERVER - 1, CLIENT).syn());
        bench
    }

    fn push(&mut self, direction: Direction, tcp: Tcp<'_>) -> Course {
        let mut caps = Caps { limits: &self.limits, held: &mut self.held };
        self.course = self.conversation.push(direction, &tcp.segment(), &mut caps, &mut self.out);
        self.course
    }

    fn expire(&mut self, now: u64) {
        let mut caps = Caps { limits: &self.limits, held: &mut self.held };
        self.conversation.expire(Timestamp::from_nanos(now), &mut caps, &mut self.out);
    }

    fn finish(&mut self) {
        let mut caps = Caps { limits: &self.limits, held: &mut self.held };
        self.conversation.finish(Timestamp::ZERO, &mut caps, &mut self.out);
        assert_eq!(self.held, 0, "what was held was given");
    }
}

const CLIENT: u32 = 1_000;
const SERVER: u32 = 5_000;
const MS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Tcp<'a> {
    seq: u32,
    ack: Option<u32>,
    payload: &'a [u8],
    cut: u32,
    at: u64,
    syn: bool,
    fin: bool,
    rst: bool,
}

impl<'a> Tcp<'a> {
    fn new(seq: u32, ack: u32) -> Self {
        let (syn, fin, rst) = (false, false, false);
        Self { seq, ack: Some(ack), payload: b"", cut: 0, at: 0, syn, fin, rst }
    }

    fn data(self, payload: &'a str) -> Self {
        Self { payload: payload.as_bytes(), ..self }
    }

    fn cut(self, cut: u32) -> Self {
        Self { cut, ..self }
    }

    fn at(self, at: u64) -> Self {
        Self { at, ..self }
    }

    fn no_ack(self) -> Self {
        Self { ack: None, ..self }
    }

    fn syn(self) -> Self {
        Self { syn: true, ..self }
    }

    fn fin(self) -> Self {
        Self { fin: true, ..self }
    }

    fn rst(self) -> Self {
        Self { rst: true, ..self }
    }

    fn segment(self) -> Segment<'a> {
        let nobody: SocketAddr = "0.0.0.0:0".parse().unwrap();
        Segment {
            at: Timestamp::from_nanos(self.at),
            source: nobody,
            destination: nobody,
            seq: self.seq,
            ack: self.ack,
            syn: self.syn,
            fin: self.fin,
            rst: self.rst,
            payload: self.payload,
            cut: self.cut,
        }
    }
}

#[test]
fn segments_out_of_order_come_in_order_with_their_own_times() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT + 4, SERVER).data("efgh").at(2));
    bench.push(ToServer, Tcp::new(CLIENT + 8, SERVER).data("ij").at(3));
    assert_eq!(bench.out.text(ToServer), "");
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("abcd").at(4));
    assert_eq!(bench.out.text(ToServer), "abcdefghij");
    assert_eq!(bench.out.chunk_times[ToServer as usize], [4, 2, 3]);
    assert_eq!((bench.out.out_of_order, bench.out.retransmissions), (2, 0));
    assert_eq!(bench.held, 0);
}

#[test]
fn a_retransmission_is_counted_and_given_once() {
    let mut bench = Bench::greeted();
    for payload in ["abcd", "abcd", "abcdef"] {
        bench.push(ToServer, Tcp::new(CLIENT, SERVER).data(payload));
    }
    assert_eq!(bench.out.text(ToServer), "abcdef");
    assert_eq!(bench.out.retransmissions, 2);
}

#[test]
fn the_first_byte_wins_on_overlap_and_a_difference_is_noted() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT + 2, SERVER).data("CDE"));
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("abcdefg"));
    assert_eq!(bench.out.text(ToServer), "abCDEfg");
    assert_eq!(bench.out.notes, [Anomaly::OverlapDiffers]);

    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT + 4, SERVER).data("ef"));
    bench.push(ToServer, Tcp::new(CLIENT + 2, SERVER).data("cdefgh"));
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("ab"));
    assert_eq!(bench.out.text(ToServer), "abcdefgh");
    assert_eq!(bench.out.notes, []);
}

#[test]
fn sequence_numbers_wrap() {
    let mut bench = Bench::new(Limits::default());
    bench.push(ToServer, Tcp::new(u32::MAX - 2, 0).no_ack().syn());
    bench.push(ToServer, Tcp::new(0, SERVER).data("cd"));
    bench.push(ToServer, Tcp::new(u32::MAX - 1, SERVER).data("ab"));
    bench.push(ToServer, Tcp::new(2, SERVER).data("ef"));
    assert_eq!(bench.out.text(ToServer), "abcdef");
}

#[test]
fn offsets_go_on_past_32_bits() {
    let mut bench = Bench::greeted();
    let (mut given, mut seq) = (0_u64, CLIENT);
    // Each segment is one byte and a piece of 48 MiB that the snap length cut.
    while given <= 1 << 33 {
        let cut = (48 << 20) - 1;
        bench.push(ToServer, Tcp::new(seq, SERVER).data("x").cut(cut));
        bench.out.bytes[0].clear();
        given += u64::from(cut) + 1;
        seq = seq.wrapping_add(cut + 1);
        assert_eq!(bench.conversation.streams[0].next(), given);
        bench.out.starts_at[0] = given;
    }
    assert_eq!((bench.out.retransmissions, bench.out.out_of_order), (0, 0));
}

#[test]
fn keep_alive_probes_are_no_data() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("abc"));
    bench.push(ToServer, Tcp::new(CLIENT + 2, SERVER).data("\0"));
    bench.push(ToServer, Tcp::new(CLIENT + 2, SERVER));
    bench.push(ToServer, Tcp::new(CLIENT + 3, SERVER).data("d"));
    assert_eq!(bench.out.text(ToServer), "abcd");
    assert_eq!(bench.out.retransmissions, 0);
}

#[test]
fn a_response_waits_for_the_request_it_acknowledged() {
    let mut bench = Bench::greeted();
    bench.push(ToClient, Tcp::new(SERVER, CLIENT + 4).data("200").at(9));
    assert_eq!(bench.out.text(ToClient), "");
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("GET ").at(8));
    assert_eq!((bench.out.text(ToServer), bench.out.text(ToClient)), ("GET ".into(), "200".into()));
    assert_eq!(bench.out.gaps, [vec![], vec![]]);
    // It came early, but nothing before it in its own direction was missing.
    assert_eq!(bench.out.out_of_order, 0);
}

#[test]
fn acknowledged_bytes_that_stay_unseen_are_a_gap_after_the_grace_in_packets_and_in_time() {
    let mut bench = Bench::greeted();
    bench.push(ToClient, Tcp::new(SERVER, CLIENT + 4).data("200").at(0));
    // Long enough, but too few packets to be sure that they are not only late in the capture.
    for _ in 1..bench.limits.gap_grace_packets {
        bench.push(ToClient, Tcp::new(SERVER + 3, CLIENT + 4).at(900 * MS));
        assert_eq!(bench.out.gaps[0], []);
    }
    bench.push(ToClient, Tcp::new(SERVER + 3, CLIENT + 4).at(900 * MS));
    assert_eq!(bench.out.gaps[0], [(0, 4, GapCause::Missing)]);
    assert_eq!(bench.out.text(ToClient), "200");
    // Enough packets, but all at once.
    let mut bench = Bench::greeted();
    for _ in 0..=bench.limits.gap_grace_packets {
        bench.push(ToClient, Tcp::new(SERVER, CLIENT + 4).at(MS));
    }
    let deadline = bench.conversation.deadline(&bench.limits).unwrap().as_nanos();
    assert_eq!((deadline, bench.out.gaps[0].len()), (21 * MS, 0));
    bench.expire(deadline);
    assert_eq!(bench.out.gaps[0], [(0, 4, GapCause::Missing)]);
}

#[test]
fn acknowledged_bytes_that_stay_unseen_on_a_silent_flow_are_a_gap_after_the_timeout() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT + 4, SERVER).data("efgh").at(1));
    bench.push(ToClient, Tcp::new(SERVER, CLIENT + 8).at(MS));
    let deadline = bench.conversation.deadline(&bench.limits).unwrap().as_nanos();
    assert_eq!(deadline, 2_000 * MS + 1);
    bench.expire(deadline - 1);
    assert_eq!(bench.out.gaps[0], []);
    bench.expire(deadline);
    assert_eq!(bench.out.text(ToServer), "____efgh");
    assert_eq!(bench.conversation.deadline(&bench.limits), None);
}

#[test]
fn a_hole_that_nobody_acknowledged_waits_for_the_retransmission() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT + 4, SERVER).data("efgh").at(0));
    for n in 0..100 {
        bench.push(ToClient, Tcp::new(SERVER, CLIENT).at(n * MS));
    }
    assert_eq!(bench.out.gaps[0], []);
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("abcd").at(200 * MS));
    assert_eq!(bench.out.text(ToServer), "abcdefgh");
}

#[test]
fn a_hole_that_nobody_acknowledged_is_a_gap_after_the_timeout() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT + 4, SERVER).data("ef").at(0));
    bench.push(ToServer, Tcp::new(CLIENT + 8, SERVER).data("ij").at(MS));
    bench.expire(2_000 * MS);
    assert_eq!(bench.out.text(ToServer), "____ef");
    bench.expire(2_001 * MS);
    assert_eq!(bench.out.text(ToServer), "____ef__ij");
}

#[test]
fn bytes_cut_by_the_snap_length_are_a_gap_of_their_own() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("ab").cut(2));
    bench.push(ToServer, Tcp::new(CLIENT + 8, SERVER).data("ij").cut(2));
    bench.push(ToServer, Tcp::new(CLIENT + 4, SERVER).data("efgh"));
    assert_eq!(bench.out.text(ToServer), "ab__efghij__");
    let snapped = |offset| (offset, 2, GapCause::SnapLen);
    assert_eq!(bench.out.gaps[0], [snapped(2), snapped(10)]);
}

#[test]
fn the_fin_comes_after_the_last_byte_and_its_acknowledgement_is_no_byte() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT + 2, SERVER).data("cd").fin());
    assert_eq!(bench.out.ended, [false, false]);
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("ab"));
    assert_eq!(bench.out.ended, [true, false]);
    bench.push(ToClient, Tcp::new(SERVER, CLIENT + 5).data("200"));
    assert_eq!(bench.out.text(ToClient), "200");
    let course = bench.push(ToClient, Tcp::new(SERVER + 3, CLIENT + 5).fin());
    assert_eq!((course, bench.out.ended), (Course::Closed, [true, true]));
    assert_eq!(bench.out.gaps, [vec![], vec![]]);
}

#[test]
fn one_direction_goes_on_after_the_fin_of_the_other() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("GET").fin());
    for n in 0..40 {
        bench.push(ToClient, Tcp::new(SERVER + 2 * n, CLIENT + 4).data("xy"));
    }
    assert_eq!(bench.out.given(ToClient), 80);
    assert_eq!(bench.out.gaps, [vec![], vec![]]);
}

#[test]
fn a_fin_seen_after_its_acknowledgement_leaves_no_gap() {
    let mut bench = Bench::greeted();
    bench.push(ToClient, Tcp::new(SERVER, CLIENT + 1).fin());
    assert_eq!(bench.out.ended, [false, false]);
    let course = bench.push(ToServer, Tcp::new(CLIENT, SERVER).fin());
    assert_eq!((course, bench.out.ended), (Course::Closed, [true, true]));
    assert_eq!(bench.out.gaps, [vec![], vec![]]);
}

#[test]
fn bytes_held_before_the_fin_was_known_do_not_count_it_as_acknowledged() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("GET"));
    // It acknowledges the FIN; the recorder checks what it is given with.
    bench.push(ToClient, Tcp::new(SERVER, CLIENT + 4).data("200"));
    assert_eq!(bench.out.text(ToClient), "");
    bench.push(ToServer, Tcp::new(CLIENT + 3, SERVER).fin());
    assert_eq!(bench.out.text(ToClient), "200");
}

#[test]
fn a_reset_gives_what_the_peer_has_and_drops_the_rest() {
    let mut bench = Bench::greeted();
    bench.push(ToClient, Tcp::new(SERVER + 2, CLIENT).data("cd"));
    bench.push(ToClient, Tcp::new(SERVER + 6, CLIENT).data("gh"));
    let course = bench.push(ToServer, Tcp::new(CLIENT, SERVER + 4).rst());
    assert_eq!((course, bench.out.reset), (Course::Closed, Some(ToServer)));
    assert_eq!(bench.out.text(ToClient), "__cd");
    assert_eq!(bench.held, 0);
}

#[test]
fn a_reset_far_outside_the_window_is_not_believed() {
    let mut bench = Bench::greeted();
    let course = bench.push(ToServer, Tcp::new(CLIENT.wrapping_add(1 << 30), SERVER).rst());
    assert_eq!((course, bench.out.reset), (Course::Open, None));
    assert_eq!(bench.out.notes, [Anomaly::SequenceOutOfWindow]);
}

#[test]
fn a_refused_connection_is_reset_with_sequence_number_0() {
    let mut bench = Bench::new(Limits::default());
    bench.push(ToServer, Tcp::new(u32::MAX / 2, 0).no_ack().syn());
    let course = bench.push(ToClient, Tcp::new(0, u32::MAX / 2 + 1).rst());
    assert_eq!((course, bench.out.reset), (Course::Closed, Some(ToClient)));
}

#[test]
fn a_syn_with_another_number_supersedes_and_the_same_again_does_not() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("abc"));
    let again = bench.push(ToServer, Tcp::new(CLIENT - 1, 0).no_ack().syn());
    assert_eq!(again, Course::Open);
    let again = bench.push(ToClient, Tcp::new(SERVER - 1, CLIENT).syn());
    assert_eq!(again, Course::Open);
    let other = bench.push(ToServer, Tcp::new(CLIENT + 77, 0).no_ack().syn());
    assert_eq!(other, Course::Superseded);
    let other = bench.push(ToClient, Tcp::new(SERVER - 1, CLIENT + 900_000).syn());
    assert_eq!(other, Course::Superseded);
}

#[test]
fn many_segments_outside_the_window_are_another_connection_and_a_few_are_not() {
    let mut bench = Bench::greeted();
    let far = CLIENT.wrapping_add(1 << 29);
    for _ in 1..STRAYS {
        assert_eq!(bench.push(ToServer, Tcp::new(far, SERVER).data("x")), Course::Open);
    }
    assert_eq!(bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("a")), Course::Open);
    for _ in 1..STRAYS {
        assert_eq!(bench.push(ToServer, Tcp::new(far, SERVER).data("x")), Course::Open);
    }
    assert_eq!(bench.push(ToServer, Tcp::new(far, SERVER).data("x")), Course::Superseded);
    assert_eq!(bench.out.text(ToServer), "a");
}

#[test]
fn a_conversation_joined_late_begins_at_its_first_segment_in_both_directions() {
    let mut bench = Bench::new(Limits::default());
    bench.push(ToServer, Tcp::new(70_000, 90_000).data("abc"));
    bench.push(ToClient, Tcp::new(90_000, 70_003).data("xyz"));
    assert_eq!((bench.out.text(ToServer), bench.out.text(ToClient)), ("abc".into(), "xyz".into()));
    assert_eq!(bench.out.gaps, [vec![], vec![]]);
}

#[test]
fn early_bytes_above_the_cap_declare_the_hole_before_them() {
    let mut bench = Bench::greeted();
    bench.limits.reorder_bytes_per_flow = 1_000;
    let piece = "x".repeat(100);
    let mut seq = CLIENT + 10;
    while bench.out.notes.is_empty() {
        bench.push(ToServer, Tcp::new(seq, SERVER).data(&piece));
        seq += 100;
        assert!(bench.held <= 1_000);
    }
    assert_eq!(bench.out.notes, [Anomaly::ReorderCapReached]);
    assert_eq!(bench.out.gaps[0], [(0, 10, GapCause::Missing)]);
    assert_eq!(bench.out.given(ToServer), u64::from(seq - CLIENT));
    assert_eq!(bench.held, 0);
}

#[test]
fn tiny_early_segments_pay_for_their_overhead() {
    let mut bench = Bench::greeted();
    bench.limits.reorder_bytes_per_flow = 10_000;
    for n in 0..200 {
        bench.push(ToServer, Tcp::new(CLIENT + 10 + 2 * n, SERVER).data("x"));
    }
    assert!(bench.out.notes.contains(&Anomaly::ReorderCapReached));
}

#[test]
fn data_after_the_fin_is_dropped_and_noted() {
    let mut bench = Bench::greeted();
    bench.push(ToServer, Tcp::new(CLIENT, SERVER).data("ab").fin());
    bench.push(ToServer, Tcp::new(CLIENT + 2, SERVER).data("xyz"));
    assert_eq!(bench.out.text(ToServer), "ab");
    assert_eq!(bench.out.notes, [Anomaly::SequenceOutOfWindow]);
}

/// A dialogue as both hosts saw it: what each says, cut into segments, each acknowledging all that
/// the other had said.
fn dialogue(turns: &[(Vec<u8>, usize)], client: u32, server: u32) -> Vec<(Direction, OwnedTcp)> {
    let mut next = [client, server];
    let mut packets = Vec::new();
    for (turn, (said, segment_len)) in turns.iter().enumerate() {
        let direction = Direction::BOTH[turn % 2];
        let (mine, other) = (direction as usize, direction.reverse() as usize);
        for payload in said.chunks(*segment_len) {
            packets.push((
                direction,
                OwnedTcp { seq: next[mine], ack: next[other], payload: payload.to_vec() },
            ));
            next[mine] = next[mine].wrapping_add(payload.len() as u32);
        }
    }
    packets
}

#[derive(Clone, Debug)]
struct OwnedTcp {
    seq: u32,
    ack: u32,
    payload: Vec<u8>,
}

fn turns() -> impl Strategy<Value = Vec<(Vec<u8>, usize)>> {
    prop::collection::vec((prop::collection::vec(any::<u8>(), 1..60), 1usize..20), 1..8)
}

/// A conversation that has greeted with these first sequence numbers.
fn greeted_at(client: u32, server: u32) -> Bench {
    let mut bench = Bench::new(Limits::default());
    bench.push(ToServer, Tcp::new(client.wrapping_sub(1), 0).no_ack().syn());
    bench.push(ToClient, Tcp::new(server.wrapping_sub(1), client).syn());
    bench
}

fn said(turns: &[(Vec<u8>, usize)], direction: Direction) -> Vec<u8> {
    turns.iter().skip(direction as usize).step_by(2).flat_map(|(said, _)| said.clone()).collect()
}

proptest! {
    /// Any order within the grace, any duplication, any segmentation of retransmissions.
    #[test]
    fn bytes_come_out_as_they_were_said_whatever_the_order_of_arrival(
        turns in turns(),
        client in any::<u32>(),
        server in any::<u32>(),
        shifts in prop::collection::vec((0usize..8, prop::bool::weighted(0.2), 0usize..6), 400),
    ) {
        let packets = dialogue(&turns, client, server);
        let mut arrivals: Vec<(usize, Direction, OwnedTcp)> = Vec::new();
        for (index, (direction, tcp)) in packets.iter().enumerate() {
            let (shift, twice, trim) = shifts[index % shifts.len()];
            arrivals.push((index + shift, *direction, tcp.clone()));
            if twice {
                // Sent again, with another beginning: the first bytes left out.
                let trim = trim.min(tcp.payload.len() - 1);
                let again = OwnedTcp {
                    seq: tcp.seq.wrapping_add(trim as u32),
                    ack: tcp.ack,
                    payload: tcp.payload[trim..].to_vec(),
                };
                arrivals.push((index + shift / 2, *direction, again));
            }
        }
        arrivals.sort_by_key(|&(place, ..)| place);
        let mut bench = greeted_at(client, server);
        bench.limits.gap_grace_packets = 64;
        for (_, direction, tcp) in &arrivals {
            let ack = Some(tcp.ack);
            bench.push(*direction, Tcp { ack, payload: &tcp.payload, ..Tcp::new(tcp.seq, 0) });
        }
        prop_assert_eq!(&bench.out.bytes[0], &said(&turns, ToServer));
        prop_assert_eq!(&bench.out.bytes[1], &said(&turns, ToClient));
        prop_assert_eq!(&bench.out.gaps, &[vec![], vec![]]);
        prop_assert_eq!(bench.held, 0);
    }

    /// Whatever the tap loses: what is given stands at its place, and the rest is Gap.
    #[test]
    fn lost_packets_become_gaps_and_nothing_else_changes(
        turns in turns(),
        lost in prop::collection::vec(prop::bool::weighted(0.2), 400),
        finish_early in any::<bool>(),
    ) {
        let packets = dialogue(&turns, CLIENT, SERVER);
        let mut bench = greeted_at(CLIENT, SERVER);
        for (index, (direction, tcp)) in packets.iter().enumerate() {
            if lost[index % lost.len()] {
                continue;
            }
            let at = index as u64 * MS;
            let ack = Some(tcp.ack);
            bench.push(*direction, Tcp { ack, at, payload: &tcp.payload, ..Tcp::new(tcp.seq, 0) });
        }
        if !finish_early {
            bench.expire(60_000 * MS);
        }
        bench.finish();
        for direction in Direction::BOTH {
            let whole = said(&turns, direction);
            let given = &bench.out.bytes[direction as usize];
            prop_assert!(given.len() <= whole.len());
            let gaps = &bench.out.gaps[direction as usize];
            for (offset, (given, said)) in given.iter().zip(&whole).enumerate() {
                let in_gap = gaps.iter().any(|&(from, len, _)| {
                    (from..from + len).contains(&(offset as u64))
                });
                prop_assert!(in_gap || given == said, "byte {offset} of {direction:?}");
            }
        }
    }

    /// Junk: no panic, no skipped offset (the recorder checks), nothing held at the end.
    #[test]
    fn any_segments_at_all_leave_the_invariants_standing(
        segments in prop::collection::vec(
            (any::<bool>(), 0u8..32, -40i32..200, -40i32..200, 0usize..50, 0u32..30, 0u64..40),
            0..120,
        ),
        cap in 0usize..2_000,
    ) {
        let mut bench = greeted_at(CLIENT, SERVER);
        bench.limits.reorder_bytes_per_flow = cap;
        let mut now = 0;
        for (to_server, flags, seq, ack, len, cut, wait) in segments {
            now += wait * MS;
            let (direction, mine, other) = if to_server {
                (ToServer, CLIENT, SERVER)
            } else {
                (ToClient, SERVER, CLIENT)
            };
            let payload = vec![flags; len];
            let course = bench.push(direction, Tcp {
                seq: mine.wrapping_add_signed(seq),
                ack: (flags & 1 == 0).then(|| other.wrapping_add_signed(ack)),
                payload: &payload,
                cut,
                at: now,
                syn: flags == 7,
                fin: flags == 15,
                rst: flags == 31 && wait > 30,
            });
            prop_assert!(bench.held <= 2 * cap, "the cap holds for each direction");
            if course != Course::Open {
                break;
            }
            if let Some(deadline) = bench.conversation.deadline(&bench.limits) {
                prop_assert!(deadline.as_nanos() > now || wait == 0);
            }
        }
        if bench.course != Course::Closed {
            bench.finish();
        }
        prop_assert_eq!(bench.held, 0);
    }
}
