//! Claims about pairing, on a pairer alone.

use super::*;
use crate::sample::Sample;

const WINDOW: Window = Window { time: Duration::from_secs(35), exchanges: 100, bytes: 1 << 20 };

/// A pairer, and what it came to in words: exchanges by leg and start in milliseconds.
struct Bench(Pairer);

impl Bench {
    fn new() -> Self {
        Self(Pairer::new(WINDOW))
    }

    fn push(&mut self, exchange: Exchange) {
        self.0.push(keyed(exchange));
    }

    fn came_to(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(paired) = self.0.poll() {
            all.push(match paired {
                Paired::Pair { primary, shadow } => {
                    format!("pair {} {}", name(&primary), name(&shadow))
                }
                Paired::Alone(keyed, outcome) => {
                    format!("{} {}", outcome.as_str(), name(&keyed))
                }
            });
        }
        all
    }

    fn at_end(&mut self) -> Vec<String> {
        self.0.finish();
        assert_eq!((self.0.waiting, self.0.bytes, self.0.groups.len()), (0, 0, 0));
        self.came_to()
    }
}

fn keyed(exchange: Exchange) -> Keyed {
    let request = exchange.request.as_ref().unwrap();
    let policy = crate::ServicePolicy::new("shop");
    let key = crate::key::Key::of(&policy, request).unwrap();
    let (digest, key) = (key.digest, key.shown());
    let capture::Origin { service, leg } = exchange.origin.unwrap();
    Keyed { exchange: exchange.into(), service, leg, digest, key }
}

fn name(keyed: &Keyed) -> String {
    let ms = keyed.exchange.timing.start().as_nanos() / 1_000_000;
    format!("{}{ms}", if keyed.leg == Leg::Primary { "P" } else { "S" })
}

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_millis(ms)
}

/// An exchange of the request `id` from `start` to `end`, in milliseconds.
fn sample(id: &str, start: u64, end: u64) -> Sample {
    Sample::new(id).at_us(start * 1000, (end - start) * 1000)
}

#[test]
fn two_legs_are_paired_when_the_second_comes_whichever_it_is() {
    let mut bench = Bench::new();
    bench.push(sample("a", 1, 5).primary());
    bench.push(sample("b", 2, 4).shadow());
    assert_eq!(bench.came_to(), [""; 0]);
    bench.push(sample("a", 1, 9).shadow());
    bench.push(sample("b", 1, 9).primary());
    assert_eq!(bench.came_to(), ["pair P1 S1", "pair P1 S2"]);
    assert_eq!(bench.at_end(), [""; 0]);
}

#[test]
fn what_finds_no_partner_ends_when_the_window_has_passed_since_its_end() {
    let mut bench = Bench::new();
    bench.push(sample("a", 1, 5).primary());
    bench.push(sample("b", 2, 6).shadow());
    bench.0.expire(at_ms(35_004));
    assert_eq!(bench.came_to(), [""; 0]);
    bench.0.expire(at_ms(35_005));
    assert_eq!(bench.came_to(), ["unmirrored P1"]);
    bench.0.expire(at_ms(35_006));
    assert_eq!(bench.came_to(), ["primary_missing S2"]);
}

#[test]
fn a_leg_that_comes_after_the_other_was_given_up_is_late() {
    let mut bench = Bench::new();
    bench.push(sample("a", 10, 20).primary());
    bench.push(sample("b", 10, 20).shadow());
    bench.0.expire(at_ms(40_000));
    assert_eq!(bench.came_to(), ["unmirrored P10", "primary_missing S10"]);
    bench.push(sample("a", 11, 41_000).shadow());
    bench.push(sample("b", 11, 41_000).primary());
    bench.push(sample("c", 11, 41_000).shadow());
    assert_eq!(bench.at_end(), ["late S11", "late P11", "primary_missing S11"]);
}

#[test]
fn of_calls_under_one_id_those_that_began_together_are_paired() {
    let mut bench = Bench::new();
    for start in [10, 20, 30] {
        bench.push(sample("a", start, start + 100).primary());
    }
    for start in [31, 11, 21] {
        bench.push(sample("a", start, start + 150).shadow());
    }
    assert_eq!(bench.came_to(), ["pair P30 S31", "pair P10 S11", "pair P20 S21"]);
}

#[test]
fn of_calls_under_one_id_those_that_ask_the_same_are_paired() {
    let mut bench = Bench::new();
    let call = |body, start| sample("a", start, start + 9).method("POST").request_body(body);
    bench.push(call("one", 10).primary());
    bench.push(call("two", 20).primary());
    bench.push(call("two", 11).shadow());
    bench.push(call("one", 21).shadow());
    assert_eq!(bench.came_to(), ["pair P20 S11", "pair P10 S21"]);
    let query = |q: &str, start| sample("b", start, start + 9).target(&format!("/?q={q}"));
    bench.push(query("1", 10).primary());
    bench.push(query("2", 12).shadow());
    assert_eq!(bench.came_to(), [""; 0], "it may have a better partner");
    bench.push(query("2", 13).primary());
    bench.push(query("1", 14).shadow());
    assert_eq!(bench.came_to(), ["pair P13 S12", "pair P10 S14"]);
}

#[test]
fn requests_that_differ_are_paired_when_nothing_better_has_come() {
    let mut bench = Bench::new();
    bench.push(sample("a", 10, 15).target("/?q=1").primary());
    bench.push(sample("a", 11, 16).target("/?q=changed").shadow());
    assert_eq!(bench.came_to(), [""; 0]);
    bench.0.expire(at_ms(40_000));
    assert_eq!(bench.came_to(), ["pair P10 S11"]);
}

#[test]
fn legs_that_began_far_apart_wait_for_nearer_ones() {
    let mut bench = Bench::new();
    bench.push(sample("a", 1_000, 1_010).primary());
    bench.push(sample("a", 5_000, 5_010).shadow());
    assert_eq!(bench.came_to(), [""; 0]);
    bench.push(sample("a", 4_999, 5_020).primary());
    assert_eq!(bench.came_to(), ["pair P4999 S5000"]);
    assert_eq!(bench.at_end(), ["unmirrored P1000"]);
    bench.push(sample("b", 1_000, 1_010).primary());
    bench.push(sample("b", 5_000, 5_010).shadow());
    assert_eq!(bench.at_end(), ["pair P1000 S5000"]);
}

#[test]
fn a_copy_that_starts_after_a_long_upload_is_paired_at_once() {
    let mut bench = Bench::new();
    // The request is a tenth of the exchange: from 1 s to 3 s.
    bench.push(sample("a", 1_000, 21_000).primary());
    bench.push(sample("a", 3_500, 22_000).shadow());
    assert_eq!(bench.came_to(), ["pair P1000 S3500"]);
}

#[test]
fn the_pair_takes_the_last_attempt_of_a_retried_primary() {
    let mut bench = Bench::new();
    bench.push(sample("a", 10, 20).status(503).primary());
    bench.push(sample("a", 11, 30).shadow());
    bench.push(sample("a", 40, 50).unanswered(Evidence::Reset).primary());
    bench.push(sample("a", 60, 70).primary());
    assert_eq!(bench.came_to(), [""; 0], "a copy of the last may be on its way");
    bench.0.expire(at_ms(40_000));
    assert_eq!(bench.came_to(), ["retried P10", "retried P40", "pair P60 S11"]);
}

#[test]
fn a_status_that_proxies_try_again_waits_for_the_attempt_after_it() {
    for status in [409, 429, 500] {
        let mut bench = Bench::new();
        bench.push(sample("a", 10, 20).status(status).primary());
        bench.push(sample("a", 11, 30).shadow());
        assert_eq!(bench.came_to(), [""; 0], "{status}");
        bench.push(sample("a", 40, 50).primary());
        assert_eq!(bench.at_end(), ["retried P10", "pair P40 S11"], "{status}");
    }
    let mut bench = Bench::new();
    bench.push(sample("a", 10, 20).status(404).primary());
    bench.push(sample("a", 11, 30).shadow());
    assert_eq!(bench.came_to(), ["pair P10 S11"]);
}

#[test]
fn a_grpc_status_that_proxies_try_again_waits_for_the_attempt_after_it() {
    let call =
        |start, end| sample("a", start, end).method("POST").content("application/grpc+proto", "");
    // CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE.
    for status in ["1", "4", "8", "13", "14"] {
        let in_header = call(10, 20).response_header("grpc-status", status);
        let in_trailers = call(10, 20).trailer("grpc-status", status);
        for failed in [in_header, in_trailers] {
            let mut bench = Bench::new();
            bench.push(failed.primary());
            bench.push(call(11, 30).trailer("grpc-status", "0").shadow());
            assert_eq!(bench.came_to(), [""; 0], "{status}");
            bench.push(call(40, 50).trailer("grpc-status", "0").primary());
            assert_eq!(bench.at_end(), ["retried P10", "pair P40 S11"], "{status}");
        }
    }
    // OK, NOT_FOUND, and what is no gRPC.
    let other = sample("a", 10, 20).content("application/json", "{}");
    for answer in [
        call(10, 20).trailer("grpc-status", "0"),
        call(10, 20).trailer("grpc-status", "5"),
        other.method("POST").response_header("grpc-status", "14"),
    ] {
        let mut bench = Bench::new();
        bench.push(answer.primary());
        bench.push(call(11, 30).shadow());
        assert_eq!(bench.came_to(), ["pair P10 S11"]);
    }
}

#[test]
fn of_a_hedged_primary_the_pair_takes_the_attempt_that_the_client_got() {
    let cut = |start, end| sample("a", start, end).unanswered(Evidence::Reset).primary();
    // The second attempt answers first: the first is reset, and ends before or after the pair.
    let mut bench = Bench::new();
    bench.push(sample("a", 11, 90).shadow());
    bench.push(cut(10, 70));
    bench.push(sample("a", 40, 70).primary());
    assert_eq!(bench.at_end(), ["retried P10", "pair P40 S11"]);
    let mut bench = Bench::new();
    bench.push(sample("a", 11, 60).shadow());
    bench.push(sample("a", 40, 70).primary());
    assert_eq!(bench.came_to(), ["pair P40 S11"]);
    bench.push(cut(10, 71));
    assert_eq!(bench.at_end(), ["retried P10"]);
    // The first attempt answers after all.
    let mut bench = Bench::new();
    bench.push(sample("a", 11, 60).shadow());
    bench.push(cut(40, 70));
    bench.push(sample("a", 10, 70).primary());
    assert_eq!(bench.at_end(), ["retried P40", "pair P10 S11"]);
}

#[test]
fn a_call_that_was_cut_off_on_its_own_is_no_loser_of_a_hedge() {
    let mut bench = Bench::new();
    bench.push(sample("a", 10, 20).primary());
    bench.push(sample("a", 11, 21).shadow());
    bench.push(sample("a", 60, 70).unanswered(Evidence::Reset).primary());
    assert_eq!(bench.at_end(), ["pair P10 S11", "unmirrored P60"]);
}

#[test]
fn attempts_that_all_fail_leave_the_last_for_the_pair() {
    let mut bench = Bench::new();
    bench.push(sample("a", 11, 15).status(503).shadow());
    for start in [10, 40, 60] {
        bench.push(sample("a", start, start + 10).status(503).primary());
    }
    assert_eq!(bench.at_end(), ["retried P10", "retried P40", "pair P60 S11"]);
}

#[test]
fn failures_that_were_each_mirrored_are_pairs_of_their_own() {
    let mut bench = Bench::new();
    for start in [10, 40] {
        bench.push(sample("a", start, start + 10).status(503).primary());
        bench.push(sample("a", start + 1, start + 12).status(503).shadow());
    }
    assert_eq!(bench.at_end(), ["pair P10 S11", "pair P40 S41"]);
}

#[test]
fn a_failure_is_retried_only_by_the_same_request_after_it() {
    let mut bench = Bench::new();
    let post = |body, start, end| sample("a", start, end).method("POST").request_body(body);
    bench.push(post("one", 10, 20).status(503).primary());
    bench.push(post("two", 40, 50).primary());
    assert_eq!(bench.at_end(), ["unmirrored P10", "unmirrored P40"]);
    bench.push(sample("b", 10, 50).status(503).primary());
    bench.push(sample("b", 40, 60).primary());
    assert_eq!(bench.at_end(), ["unmirrored P10", "unmirrored P40"]);
    bench.push(sample("c", 10, 20).status(503).primary());
    bench.push(sample("c", 40, 60).primary());
    assert_eq!(bench.at_end(), ["retried P10", "unmirrored P40"]);
}

#[test]
fn what_comes_after_the_pair_was_made_is_told_from_what_never_had_a_partner() {
    let mut bench = Bench::new();
    bench.push(sample("a", 100, 110).primary());
    bench.push(sample("a", 101, 111).shadow());
    assert_eq!(bench.came_to(), ["pair P100 S101"]);
    bench.0.expire(at_ms(30_000));
    // An extra copy; the same primary seen again; an attempt before it; another call.
    bench.push(sample("a", 102, 30_000).shadow());
    bench.0.expire(at_ms(65_000));
    assert_eq!(bench.came_to(), ["duplicate S102"]);
    bench.push(sample("a", 100, 110).primary());
    bench.push(sample("a", 10, 20).status(503).primary());
    bench.push(sample("a", 500, 510).primary());
    assert_eq!(bench.at_end(), ["retried P10", "duplicate P100", "unmirrored P500"]);
}

#[test]
fn above_the_window_s_count_the_oldest_is_shed_and_its_partner_with_it() {
    let mut bench = Bench::new();
    for i in 0..=WINDOW.exchanges {
        bench.push(sample(&i.to_string(), i as u64, i as u64 + 5).primary());
    }
    assert_eq!(bench.came_to(), ["shed_window_count P0"]);
    assert_eq!(bench.0.waiting, WINDOW.exchanges);
    bench.push(sample("0", 0, 200).shadow());
    bench.push(sample("1", 1, 200).shadow());
    assert_eq!(bench.came_to(), ["shed_window_count S0", "pair P1 S1"]);
}

#[test]
fn above_the_window_s_bytes_the_oldest_is_shed() {
    let mut bench = Bench::new();
    for i in 0..5 {
        bench.push(sample(&i.to_string(), i, i + 5).body(vec![b'x'; 300 << 10]).primary());
    }
    assert_eq!(bench.came_to(), ["shed_window_bytes P0", "shed_window_bytes P1"]);
    assert!(bench.0.bytes <= WINDOW.bytes);
}

#[test]
fn under_pressure_a_held_pair_is_settled_and_not_shed() {
    let mut bench = Bench::new();
    bench.push(sample("a", 1, 2).status(500).primary());
    bench.push(sample("a", 1, 3).status(500).shadow());
    for i in 0..WINDOW.exchanges {
        bench.push(sample(&i.to_string(), 4, 5).primary());
    }
    assert_eq!(bench.came_to(), ["pair P1 S1"]);
}

#[test]
fn a_notice_sheds_the_partner_that_waits_and_the_one_that_comes() {
    let mut bench = Bench::new();
    bench.push(sample("a", 1, 2).primary());
    let hash = |id| keyed(sample(id, 1, 2).primary()).digest.hash();
    bench.0.push_shed(hash("a"), ShedReason::QueueFull);
    bench.0.push_shed(hash("b"), ShedReason::QueueFull);
    assert_eq!(bench.came_to(), ["shed_queue_full P1"]);
    bench.push(sample("b", 2, 3).shadow());
    bench.push(sample("c", 3, 4).shadow());
    assert_eq!(bench.came_to(), ["shed_queue_full S2"]);
    assert_eq!(bench.at_end(), ["primary_missing S3"]);
    bench.0.expire(at_ms(1));
    for turn in 1..=4 {
        bench.0.expire(at_ms(turn * 36_000));
    }
    bench.push(sample("b", 200_000, 200_001).shadow());
    assert_eq!(bench.at_end(), ["primary_missing S200000"], "notices are forgotten");
}

#[test]
fn one_key_cannot_fill_the_window() {
    let mut bench = Bench::new();
    for i in 0..50 {
        bench.push(sample("a", i * 2000, i * 2000 + 5).primary());
    }
    assert_eq!(bench.0.waiting, PER_KEY);
    assert_eq!(bench.came_to().len(), 50 - PER_KEY);
    bench.push(sample("a", 98_000, 98_005).shadow());
    assert_eq!(bench.came_to(), ["pair P98000 S98000"], "the key itself is not shed");
}

#[test]
fn a_clock_set_back_ends_what_waits() {
    let mut bench = Bench::new();
    bench.0.expire(at_ms(1_000_000));
    bench.push(sample("a", 1_000_000, 1_000_001).primary());
    bench.0.expire(at_ms(970_000));
    assert_eq!(bench.came_to(), [""; 0], "within the window it may be disorder");
    bench.0.expire(at_ms(500_000));
    assert_eq!(bench.came_to(), ["unmirrored P1000000"]);
    bench.push(sample("b", 500_000, 500_001).primary());
    bench.0.expire(at_ms(535_001));
    assert_eq!(bench.came_to(), ["unmirrored P500000"]);
}

#[test]
fn one_that_waits_does_not_keep_the_places_of_all_that_left() {
    let mut bench = Bench::new();
    bench.push(Sample::new("waits").at_us(1_000_000, 100).on(Leg::Primary));
    for n in 0..10_000 {
        let id = n.to_string();
        bench.push(Sample::new(&id).at_us(1_000_000 + n, 100).on(Leg::Primary));
        bench.push(Sample::new(&id).at_us(1_000_000 + n, 100).on(Leg::Shadow));
    }
    assert_eq!(bench.0.waiting, 1);
    assert!(bench.0.queue.len() <= 2 + QUEUE_SLACK, "{}", bench.0.queue.len());
    assert_eq!(bench.at_end().last().unwrap(), "unmirrored P1000");
}
