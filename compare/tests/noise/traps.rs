//! What looks like noise and is none.

use std::time::Duration;

use capture::{Body, Exchange, FieldsBuilder, Leg, ServiceId, Timestamp};
use compare::{Change, Comparison, Judge, NoiseLayers};
use fastrand::Rng;

use crate::service::Service;
use crate::trial::{compared, judge};

/// One answer: what is asked for, when, and what is told.
#[derive(Clone, Copy)]
struct Turn<'t> {
    target: &'t str,
    at_ms: u64,
    primary: &'t str,
    shadow: &'t str,
}

/// A pair as the service makes them, with another target, time and JSON body.
fn pair(service: &mut Service, turn: Turn<'_>) -> (Exchange, Exchange) {
    let asked = service.ask(true);
    let one = |mut exchange: Exchange, leg: Leg, body: &str| {
        let at =
            Timestamp::from_nanos(1_795_246_953_000_000_000) + Duration::from_millis(turn.at_ms);
        let timing = &mut exchange.timing;
        let parts = [
            &mut timing.request_first,
            &mut timing.request_head,
            &mut timing.request_last,
            &mut timing.response_first,
            &mut timing.response_head,
            &mut timing.response_last,
        ];
        for part in parts {
            *part = Some(at);
        }
        let request = exchange.request.as_mut().unwrap();
        let mut fields = FieldsBuilder::new();
        fields.first_line(0, b"GET");
        fields.first_line(1, turn.target.as_bytes());
        for (name, value) in request.fields.iter() {
            fields.field(name, value);
        }
        (request.fields, request.body) = (fields.build(), Body::default());
        let response = exchange.response.as_mut().unwrap();
        let mut fields = FieldsBuilder::new();
        fields.field(b"content-type", b"application/json");
        (response.fields, response.body) = (fields.build(), Body::from_bytes(body.as_bytes()));
        assert_eq!(exchange.origin.map(|o| (o.service, o.leg)), Some((ServiceId(0), leg)));
        exchange
    };
    (one(asked.primary, Leg::Primary, turn.primary), one(asked.shadow, Leg::Shadow, turn.shadow))
}

struct Trap {
    service: Service,
    judge: Judge,
    random: Rng,
}

impl Trap {
    fn new(seed: u64) -> Self {
        let (service, judge) = (Service::new(seed), judge(NoiseLayers::ALL));
        Self { service, judge, random: Rng::with_seed(seed) }
    }

    fn turn(&mut self, turn: Turn<'_>) -> Comparison {
        let (primary, shadow) = pair(&mut self.service, turn);
        compared(&mut self.judge, primary, shadow, None)
    }

    fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.random.u64(..), self.random.u64(..))
    }
}

/// A number that is another for each pair of texts.
fn mixed(n: u64, salt: u64) -> String {
    let once = (n ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let twice = (once ^ once >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    format!("{once:016x}{twice:016x}")
}

#[test]
fn a_checksum_that_the_shadow_gets_wrong_is_reported_where_requests_repeat() {
    let mut trap = Trap::new(1);
    for round in 0..3_000_u64 {
        let n = trap.random.u64(..200);
        let primary = format!("{{\"sum\":\"{}\"}}", mixed(n, 1));
        let shadow = format!("{{\"sum\":\"{}\"}}", mixed(n, 2));
        let target = format!("/sums/{n}");
        let turn = Turn { target: &target, at_ms: round * 5, primary: &primary, shadow: &shadow };
        assert_eq!(trap.turn(turn).divergences.len(), 1, "{round}");
    }
}

#[test]
fn where_no_request_repeats_a_new_token_is_noise_and_its_form_is_not() {
    let mut trap = Trap::new(2);
    for round in 0..400_u64 {
        let (ours, theirs) = (trap.hex(), trap.hex());
        let theirs = match round % 50 {
            49 => theirs.to_uppercase(),
            // One that came just before.
            24 | 25 => mixed(round / 50, 3),
            _ => theirs,
        };
        let primary = format!("{{\"key\":\"{ours}\"}}");
        let shadow = format!("{{\"key\":\"{theirs}\"}}");
        let target = format!("/keys/{round}");
        let turn = Turn { target: &target, at_ms: round * 5, primary: &primary, shadow: &shadow };
        let found = trap.turn(turn).divergences;
        let (learning, fault) = (round < 33, matches!(round % 50, 25 | 49));
        assert_eq!(!found.is_empty(), learning || fault, "{round}: {found:?}");
        if fault && !learning {
            assert_eq!(found[0].change, Change::Format);
        }
    }
}

#[test]
fn an_id_that_was_asked_for_is_no_token() {
    let mut trap = Trap::new(3);
    for round in 0..200_u64 {
        let (asked, wrong) = (trap.hex(), trap.hex());
        let primary = format!("{{\"id\":\"{asked}\"}}");
        let shadow = format!("{{\"id\":\"{wrong}\"}}");
        let target = format!("/things/{asked}");
        let turn = Turn { target: &target, at_ms: round * 5, primary: &primary, shadow: &shadow };
        assert_eq!(trap.turn(turn).divergences.len(), 1, "{round}");
    }
}

/// Prices that change for both legs from time to time, and a shadow that gets some wrong from pair
/// `wrong_from` on. How many of those were reported.
fn prices(seed: u64, changes_in_ms: u64, wrong_from: u64, wrong_in: u64) -> (u64, u64) {
    let mut trap = Trap::new(seed);
    let (mut wrong, mut found) = (0, 0);
    for round in 0..6_000_u64 {
        let at_ms = round * 10;
        let n = trap.random.u64(..100);
        // Each item's price changes at times of its own.
        let price = 100 + n + (at_ms + n * 977) / changes_in_ms;
        let is_wrong = round >= wrong_from && n.is_multiple_of(wrong_in);
        let primary = format!("{{\"price\":{price}}}");
        let shadow = format!("{{\"price\":{}}}", price + u64::from(is_wrong));
        let target = format!("/prices/{n}");
        let turn = Turn { target: &target, at_ms, primary: &primary, shadow: &shadow };
        let reported = !trap.turn(turn).divergences.is_empty();
        assert!(is_wrong || !reported);
        (wrong, found) = (wrong + u64::from(is_wrong), found + u64::from(is_wrong && reported));
    }
    (wrong, found)
}

#[test]
fn a_price_that_changes_seldom_is_not_noise() {
    // From the beginning: every one, where it hardly ever changes between two answers.
    assert_eq!(prices(4, 600_000, 0, 3).1, prices(4, 600_000, 0, 3).0);
    // Where it changes between one in five answers to the same request and the next, most.
    let (wrong, found) = prices(5, 5_000, 0, 3);
    assert!(found * 10 > wrong * 9, "{found} of {wrong}");
}

#[test]
fn a_fault_in_what_changes_seldom_comes_through_after_some_pairs() {
    let (wrong, found) = prices(6, 20_000, 3_000, 2);
    assert!(found + 60 > wrong, "{found} of {wrong}");
}

#[test]
fn a_counter_that_the_shadow_freezes_cannot_be_told_from_one_that_counts() {
    let mut trap = Trap::new(7);
    let mut last = 0;
    for round in 0..500_u64 {
        let primary = format!("{{\"count\":{}}}", 1_000 + round);
        let shadow = "{\"count\":77}";
        let target = format!("/counts/{}", round % 10);
        let turn = Turn { target: &target, at_ms: round * 10, primary: &primary, shadow };
        if !trap.turn(turn).divergences.is_empty() {
            last = round;
        }
    }
    assert!(last < 60, "{last}");
}

#[test]
fn nothing_is_noise_where_nothing_is_to_be() {
    let mut service = Service::new(8);
    let mut judge = judge(NoiseLayers::NONE);
    for _ in 0..50 {
        let asked = service.ask(true);
        let comparison = compared(&mut judge, asked.primary, asked.shadow, None);
        assert!(comparison.suppressed.is_empty());
    }
}

#[test]
fn what_the_primary_repeats_is_no_token_however_late_it_does() {
    let mut trap = Trap::new(9);
    for round in 0..400_u64 {
        // Each comes again after more values than are remembered.
        let n = round % 100;
        let primary = format!("{{\"sum\":\"{}\"}}", mixed(n, 1));
        let shadow = format!("{{\"sum\":\"{}\"}}", mixed(round, 2));
        let target = format!("/sums/{n}");
        let turn = Turn { target: &target, at_ms: round * 5, primary: &primary, shadow: &shadow };
        let reported = !trap.turn(turn).divergences.is_empty();
        assert_eq!(reported, !(32..109).contains(&round), "{round}");
    }
}
