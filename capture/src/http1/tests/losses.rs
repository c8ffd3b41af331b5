//! What Gaps, snap lengths and late joins cost, and that they cost no more: one rule of `resync` each.

use super::*;

#[test]
fn bytes_missing_from_a_body_of_known_length_cost_only_that_exchange() {
    let mut wire = Wire::new();
    wire.client(get("/1"))
        .server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
        .miss(ToClient, 3);
    wire.server("fghi").client(get("/2")).server(ok("2"));
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "/1 200 gap");
    assert_eq!((body_of(&exchange).len(), body_of(&exchange).missing()), (9, 3));
    assert_eq!(wire.left(), ["/2 200 complete"]);

    let mut wire = Wire::new();
    wire.client("POST /1 HTTP/1.1\r\nContent-Length: 9\r\n\r\nab").lose(
        ToServer,
        7,
        GapCause::SnapLen,
    );
    wire.server(ok("1")).client(get("/2")).server(ok("2"));
    assert_eq!(wire.left(), ["/1 200 truncated", "/2 200 complete"]);
}

#[test]
fn a_lost_response_head_does_not_move_responses_to_other_requests() {
    let mut wire = Wire::new();
    wire.client(get("/1")).miss(ToClient, 50).server("the rest of it");
    assert_eq!(wire.left(), ["/1 - gap"]);
    wire.client(get("/2")).server(ok("2")).client(get("/3")).server(ok("3"));
    assert_eq!(wire.left(), ["/2 200 complete", "/3 200 complete"]);
}

#[test]
fn the_response_to_a_lost_request_does_not_go_to_the_next_one() {
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok("1")).miss(ToServer, 40).server(ok("lost"));
    wire.client(get("/3")).server(ok("3"));
    assert_eq!(wire.left(), ["/1 200 complete", "- 200 gap", "/3 200 complete"]);
}

#[test]
fn both_directions_lost_come_back_with_the_next_turn() {
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok("1")).miss(ToServer, 40).miss(ToClient, 60);
    // What the server had received is not known for this one; from the next on it is.
    wire.client(get("/3")).server(ok("3")).client(get("/4")).server(ok("4"));
    assert_eq!(wire.left(), ["/1 200 complete", "/4 200 complete"]);
}

#[test]
fn a_pipeline_in_which_a_head_was_lost_is_given_up() {
    let mut wire = Wire::new();
    wire.client(get("/1") + &get("/2")).miss(ToClient, 60).server(ok("2"));
    wire.client(get("/3")).server(ok("3")).finish();
    assert_eq!(wire.left(), ["/1 - gap", "/2 - gap", "/3 - gap"]);
    // Two requests at once of which the first was lost: the response is the first one's.
    let mut wire = Wire::new();
    wire.miss(ToServer, 40).client(get("/2")).server(ok("1") + &ok("2")).finish();
    assert!(!wire.left().contains(&"/2 200 complete".into()));
}

#[test]
fn a_response_sent_before_the_server_saw_the_request_is_not_its_answer() {
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok("1"));
    let acked = wire.sent[0];
    // The idle timeout of the server crosses the client's next request.
    wire.client(get("/2"));
    wire.say_acking(ToClient, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n", acked);
    wire.fin(ToClient);
    assert_eq!(wire.left(), ["/1 200 complete", "/2 - reset"]);
    assert_eq!(wire.count(Anomaly::UnexpectedResponse), 1);
}

#[test]
fn a_response_that_the_client_had_before_it_asked_is_not_its_answer() {
    // The request reaches the parser first, as it may where a cap ended the wait for order.
    let early = "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n";
    let mut wire = Wire::new();
    wire.say_acking(ToServer, get("/1"), early.len() as u64).server(early).server(ok("1"));
    assert_eq!(wire.left(), ["/1 200 complete"]);
    assert_eq!(wire.count(Anomaly::UnexpectedResponse), 1);
}

#[test]
fn a_client_that_ever_asked_before_it_was_answered_is_not_trusted_after_a_loss() {
    let mut wire = Wire::new();
    let (first, second) = (ok("1"), ok("2"));
    wire.client(get("/1")).server(&first[..20]).client(get("/2")).server(&first[20..]);
    // From here two are in flight, each asked with more acknowledged than the one before.
    wire.client(get("/3")).miss(ToClient, second.len());
    wire.client(get("/4")).server(ok("3")).server(ok("4")).finish();
    assert_eq!(wire.left(), ["/1 200 complete", "/2 - gap", "/3 - gap", "/4 - gap"]);
}

#[test]
fn two_requests_that_acknowledge_the_same_after_a_loss_are_a_pipeline() {
    let mut wire = Wire::new();
    wire.client(get("/1")).miss(ToClient, 50).client(get("/2")).client(get("/3"));
    wire.server(ok("2") + &ok("3"));
    assert_eq!(wire.left(), ["/1 - gap", "/2 - gap", "/3 - gap"]);
}

#[test]
fn a_client_that_asks_in_the_middle_of_a_response_is_found_out() {
    let mut wire = Wire::new();
    wire.client(get("/1")).miss(ToClient, 50).server("first half, ").client(get("/2"));
    wire.server("second half").server(ok("2")).client(get("/3")).server(ok("3")).finish();
    assert_eq!(wire.left(), ["/1 - gap", "/2 - gap", "/3 - gap"]);
    assert_eq!(wire.count(Anomaly::BadStatusLine), 0);
}

#[test]
fn after_a_loss_too_a_response_sent_before_the_request_came_is_not_its_answer() {
    let mut wire = Wire::new();
    wire.client(get("/1")).miss(ToClient, 50);
    let acked = wire.sent[0];
    wire.client(get("/2"));
    wire.say_acking(ToClient, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n", acked).finish();
    assert_eq!(wire.left(), ["/1 - gap", "/2 - gap"]);
}

#[test]
fn a_gap_before_the_place_where_a_response_begins_does_not_cost_it() {
    let mut wire = Wire::new();
    wire.client(get("/1")).miss(ToClient, 50);
    wire.say_acking(ToServer, get("/2"), 80).miss(ToClient, 30).server(ok("2"));
    assert_eq!(wire.left(), ["/1 - gap", "/2 200 complete"]);
}

#[test]
fn a_request_line_in_a_body_after_100_continue_is_not_a_request() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    // The head that expects it is lost, responses are in sync.
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok("1")).miss(ToServer, 60).server(interim);
    wire.client(get("/inside")).server(ok("2")).client(get("/3")).server(ok("3"));
    assert_eq!(wire.left(), ["/1 200 complete", "- 200 gap", "/3 200 complete"]);
    // Both directions are lost.
    let mut wire = Wire::new();
    wire.client(get("/1")).miss(ToClient, 50).miss(ToServer, 60).server(interim);
    wire.client(get("/inside")).server(ok("2")).client(get("/3")).server(ok("3"));
    assert_eq!(wire.left(), ["/1 - gap", "/3 200 complete"]);
    // The interim response is still coming in.
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok("1")).miss(ToServer, 60).server(&interim[..20]);
    wire.client(get("/inside")).server(&interim[20..]).server(ok("2"));
    wire.client(get("/3")).server(ok("3"));
    assert_eq!(wire.left(), ["/1 200 complete", "- 200 gap", "/3 200 complete"]);
}

#[test]
fn an_answer_to_half_a_head_is_not_the_answer_to_the_next_request() {
    let mut wire = Wire::new();
    wire.client("GET /1 HTTP/1.1\r\nHost: ").server(ok("too slow")).client("a\r\n\r\n");
    wire.client(get("/2")).server(ok("2"));
    assert_eq!(wire.left(), ["/1 - malformed", "/2 200 complete"]);
}

#[test]
fn heads_cut_by_the_snap_length_are_reported_as_far_as_they_were_seen() {
    let mut wire = Wire::new();
    for n in ["/1", "/2"] {
        wire.client(format!("GET {n} HTTP/1.1\r\nHost: a\r\nX-Req")).lose(
            ToServer,
            90,
            GapCause::SnapLen,
        );
        wire.server("HTTP/1.1 200 OK\r\nServer: b\r\nConte").lose(ToClient, 300, GapCause::SnapLen);
    }
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "/1 200 truncated");
    assert_eq!(exchange.request.unwrap().fields.len(), 1);
    assert_eq!(exchange.response.unwrap().fields.len(), 1);
    assert_eq!(wire.left(), ["/2 200 truncated"]);
}

#[test]
fn a_connection_joined_late_begins_with_a_turn_that_can_be_shown() {
    // In the middle of a response.
    let mut wire = Wire::late();
    wire.server("rest of a body").client(get("/1")).server(ok("1"));
    assert_eq!(wire.left(), ["/1 200 complete"]);
    // Right before a response.
    let mut wire = Wire::late();
    wire.server(ok("0")).client(get("/1")).server(ok("1"));
    assert_eq!(wire.left(), ["- 200 late_join", "/1 200 complete"]);
    // Right before a request.
    let mut wire = Wire::late();
    wire.client(get("/1")).server(ok("1"));
    assert_eq!(wire.left(), ["/1 200 complete"]);
    // In the middle of a request, which is not guessed at.
    let mut wire = Wire::late();
    wire.client("Host: a\r\n\r\n").server(ok("0")).client(get("/1")).server(ok("1"));
    assert_eq!(wire.left(), ["- 200 late_join", "/1 200 complete"]);
    // An answer to a HEAD that was not seen: its length says nothing.
    let mut wire = Wire::late();
    wire.server("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n").client(get("/1")).server(ok("1"));
    assert_eq!(wire.left(), ["- 200 late_join", "/1 200 complete"]);
}

#[test]
fn a_request_line_inside_a_body_joined_late_is_not_a_request() {
    let mut wire = Wire::late();
    wire.client("upload ").client(get("/inside")).server(ok("0")).client(get("/1")).server(ok("1"));
    assert_eq!(wire.left(), ["- 200 late_join", "/1 200 complete"]);
}
