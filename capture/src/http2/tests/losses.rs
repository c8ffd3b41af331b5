//! What was not seen: Gaps, cuts, and connections joined in their middle.

use super::*;

/// A request whose field `x: 1` refers to the newest entry of the table.
fn get_with_newest(stream: u32, path: &str) -> Vec<u8> {
    let fields = [&get_block(path)[..], &[0xbe]].concat();
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, fields)
}

fn get_inserting(stream: u32, path: &str, field: (&str, &str)) -> Vec<u8> {
    let fields = [get_block(path), inserting(&[field])].concat();
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, fields)
}

#[test]
fn bytes_missing_inside_data_blemish_their_stream_only() {
    let mut wire = Wire::new();
    let body = last_data(1, "0123456789");
    wire.client([get_inserting(1, "/1", ("x", "1")), get(3, "/3")].concat())
        .server([ok(1), ok(3)].concat())
        .server(&body[..12])
        .miss(ToClient, 4)
        .server(&body[16..])
        .server(last_data(3, "abc"))
        .client(get_with_newest(5, "/5"))
        .server(ok_empty(5));
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "1 /1 200 gap");
    assert_eq!((response(&exchange).body.len(), response(&exchange).body.missing()), (10, 4));
    assert_eq!(wire.left(), ["3 /3 200 complete", "5 /5 200 complete"]);
}

#[test]
fn a_frame_whose_end_is_missing_ends_where_it_must() {
    let mut wire = Wire::new();
    let body = last_data(1, "0123456789");
    wire.client(get(1, "/1")).server(ok(1)).server(&body[..12]).miss(ToClient, 7);
    assert_eq!(wire.left(), ["1 /1 200 gap"]);
    wire.client(get(3, "/3")).server(ok_empty(3));
    assert_eq!(wire.left(), ["3 /3 200 complete"]);
}

#[test]
fn padding_that_is_missing_is_no_body() {
    let mut wire = Wire::new();
    let body = frame(kind::DATA, PADDED | END_STREAM, 1, [&[4][..], b"body", &[0; 4]].concat());
    wire.client(get(1, "/1"))
        .server(ok(1))
        .server(&body[..12])
        .miss(ToClient, 4)
        .server(&body[16..]);
    let exchange = wire.next();
    assert_eq!((response(&exchange).body.len(), response(&exchange).body.missing()), (4, 2));
}

#[test]
fn a_loss_elsewhere_blemishes_what_was_open_and_the_next_frames_are_found() {
    let mut wire = Wire::new();
    wire.client([get(1, "/1"), get(3, "/3"), get(5, "/5")].concat())
        .server(ok_empty(1))
        .server([ok(3), data(3, "ab")].concat())
        .miss(ToClient, 30)
        .server(ok_empty(5))
        .client(get(7, "/7"))
        .server(ok_empty(7));
    assert_eq!(
        wire.left(),
        ["1 /1 200 complete", "3 /3 200 gap", "5 /5 200 gap", "7 /7 200 complete"]
    );
}

#[test]
fn after_a_gap_the_table_is_unknown_until_it_is_filled_anew() {
    let mut wire = Wire::new();
    wire.client(get_inserting(1, "/1", ("x", "1")))
        .server(ok_empty(1))
        .client(get_with_newest(3, "/3"))
        .server(ok_empty(3))
        .miss(ToServer, 40)
        .client(get_with_newest(7, "/7"))
        .server(ok_empty(7))
        .client(get_inserting(9, "/9", ("y", "2")))
        .server(ok_empty(9))
        .client(get_with_newest(11, "/11"))
        .server(ok_empty(11));
    let exchanges: Vec<_> = wire.out.drain(..).collect();
    let all: Vec<_> = exchanges.iter().map(|exchange| summary(exchange)).collect();
    assert_eq!(
        all,
        [
            "1 /1 200 complete",
            "3 /3 200 complete",
            "7 /7 200 gap",
            "9 /9 200 complete",
            "11 /11 200 complete"
        ]
    );
    let request = |n: usize| exchanges[n].request.as_ref().unwrap();
    assert!(request(2).fields.is_empty(), "the field whose bytes were not seen is left out");
    assert_eq!(exchanges[2].timing.request_head, None, "its head is not whole");
    assert_eq!(request(4).fields.get(b"y"), Some(&b"2"[..]));
    assert_eq!(wire.count(Anomaly::UnknownField), 1);
}

#[test]
fn a_response_on_a_stream_that_was_opened_in_a_gap_is_a_half_and_those_before_it_are_none() {
    let mut wire = Wire::new();
    wire.client([get(1, "/1"), get(3, "/3")].concat())
        .client(rst(1, 8))
        .server(ok_empty(3))
        .miss(ToServer, 40)
        .server(ok_empty(1))
        .server(ok_empty(5))
        .client(get(7, "/7"))
        .server(ok_empty(7));
    assert_eq!(
        wire.left(),
        ["1 /1 - proxy_aborted", "3 /3 200 complete", "5 - 200 gap", "7 /7 200 complete"]
    );
    assert_eq!(wire.count(Anomaly::LateResponse), 1);
}

#[test]
fn after_a_gap_a_late_answer_to_a_stream_that_was_seen_is_for_nobody() {
    let mut wire = Wire::new();
    wire.miss(ToServer, 40).client(get(5, "/5")).client(rst(5, 8)).server(ok_empty(5));
    assert_eq!(wire.finish().left(), ["5 /5 - proxy_aborted"]);
    assert_eq!(wire.count(Anomaly::LateResponse), 1);
}

#[test]
fn a_request_body_that_was_cut_leaves_with_its_response() {
    let mut wire = Wire::new();
    wire.client([post(1, "/1"), data(1, "abc")].concat())
        .miss(ToServer, 1_000)
        .client(last_data(1, "xyz"))
        .server(ok_empty(1));
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "1 /1 200 gap");
    assert_eq!(exchange.request.unwrap().body.kept(), b"abc");
}

#[test]
fn of_a_head_that_was_cut_what_was_seen_is_told() {
    let mut wire = Wire::new();
    let head = [get_block("/cut"), block(&[("a", "1"), ("b", "2")])].concat();
    let request = frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, head);
    let seen = request.len() - 4;
    wire.client(&request[..seen]).lose(ToServer, 4, GapCause::SnapLen);
    let answer = frame(kind::HEADERS, END_HEADERS, 1, block(&[(":status", "404"), ("a", "1")]));
    wire.server(&answer[..answer.len() - 2]).lose(ToClient, 2, GapCause::SnapLen);
    let exchange = wire.finish().next();
    assert_eq!(summary(&exchange), "1 /cut 404 truncated");
    assert_eq!(exchange.timing.request_head, None);
    assert_eq!(exchange.timing.response_head, None);
    assert_eq!(exchange.request.unwrap().fields.len(), 1);
}

#[test]
fn a_gap_of_estimated_length_ends_the_sync_wherever_it_is() {
    let mut wire = Wire::new();
    let body = last_data(1, [b'x'; 100]);
    wire.client(get(1, "/1")).server([ok(1), body[..20].to_vec()].concat());
    let (offset, at) = (wire.sent[1], wire.now);
    let gap = Gap { offset, len: 10, at, cause: GapCause::Missing, extent: Extent::Estimated };
    wire.run(|c, cx| c.gap(ToClient, gap, cx));
    assert_eq!(wire.left(), ["1 /1 200 gap"]);
    wire.client(get(3, "/3")).server(ok_empty(3));
    assert_eq!(wire.left(), ["3 /3 200 complete"]);
}

#[test]
fn joined_late_what_needs_no_table_is_complete_and_what_does_is_late_join() {
    let mut wire = Wire::late();
    wire.client(b"the end of some body").server(b"and of another");
    wire.client(get(101, "/101"))
        .server(ok_empty(101))
        .client(get_with_newest(103, "/103"))
        .server(ok_empty(103))
        .client(get_inserting(105, "/105", ("x", "1")))
        .server(ok_empty(105))
        .client(get_with_newest(107, "/107"))
        .server(ok_empty(107));
    assert_eq!(
        wire.left(),
        [
            "101 /101 200 complete",
            "103 /103 200 late_join",
            "105 /105 200 complete",
            "107 /107 200 complete"
        ]
    );
}

#[test]
fn joined_late_a_request_whose_path_is_unknown_is_not_told() {
    let mut wire = Wire::late();
    // `:path` by the name of an entry that was not seen.
    let head = [&[0x82, 0x86][..], &[0x7e, 2, b'/', b'a']].concat();
    wire.client(frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, head))
        .client(get(3, "/3"))
        .server(ok_empty(1))
        .finish();
    assert_eq!(wire.left(), ["1 - 200 late_join", "3 /3 - truncated"]);
}

#[test]
fn joined_right_before_the_preface_all_is_known() {
    let mut wire = Wire::late();
    wire.client(&PREFACE[..10]).client(&PREFACE[10..]).client(settings(&[(3, 100)]));
    wire.server(settings(&[])).client(get_inserting(1, "/1", ("x", "1")));
    wire.server([frame(kind::SETTINGS, flag::ACK, 0, []), ok_empty(1)].concat());
    wire.client(get_with_newest(3, "/3")).server(ok_empty(3));
    assert_eq!(wire.left(), ["1 /1 200 complete", "3 /3 200 complete"]);
    assert_eq!(wire.anomalies.iter().count(), 0);
}

#[test]
fn a_preface_in_the_middle_is_content() {
    let mut wire = Wire::new();
    wire.client(get_inserting(1, "/1", ("x", "1"))).server(ok_empty(1)).miss(ToServer, 10);
    wire.client(PREFACE).client(get_with_newest(3, "/3")).server(ok_empty(3));
    assert_eq!(wire.left(), ["1 /1 200 complete", "3 /3 200 gap"]);
}

#[test]
fn trailers_and_data_of_a_response_whose_head_was_lost_are_no_response() {
    let mut wire = Wire::new();
    wire.client([get(1, "/1"), get(3, "/3")].concat())
        .miss(ToClient, 30)
        .server([trailers(1, &[("grpc-status", "0")]), ok_empty(3)].concat());
    assert_eq!(wire.left(), ["1 /1 - gap", "3 /3 200 gap"]);
    let mut wire = Wire::new();
    wire.client([get(1, "/1"), get(3, "/3")].concat())
        .miss(ToClient, 30)
        .server([ok_empty(3), last_data(1, "rest")].concat());
    assert_eq!(wire.left(), ["3 /3 200 gap", "1 /1 - gap"]);
    assert_eq!(wire.count(Anomaly::BadFrame), 0);
}
