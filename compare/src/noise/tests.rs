//! Claims about what is told of single differences, and about what is learned, through the differ.

use super::*;
use crate::differ::Differ;
use crate::sample::{Sample, written};
use capture::Leg;
use proptest::prelude::*;

const START_US: u64 = 1_795_246_953_000_000;

fn sample(body: &str) -> Sample {
    Sample::new("id-123456").at_us(START_US, 4_000).content("application/json", body)
}

fn text(body: &str) -> Sample {
    Sample::new("1").at_us(START_US, 4_000).content("text/plain", body)
}

/// What is reported of a pair, and what is not and why.
fn told(differ: &mut Differ, primary: Sample, shadow: Sample) -> (Vec<String>, Vec<String>) {
    let policy = ServicePolicy::new("shop");
    let found = differ.compare(&policy, "GET /", &primary.primary(), &shadow.shadow());
    let quiet = found.suppressed.iter().map(|s| format!("{} {}", s.rule, s.count)).collect();
    (written(&found.divergences), quiet)
}

fn alone(primary: Sample, shadow: Sample) -> (Vec<String>, Vec<String>) {
    told(&mut Differ::default(), primary, shadow)
}

fn observe(differ: &mut Differ, leg: Leg, pair: u64, sample: Sample) {
    differ.observe(&ServicePolicy::new("shop"), "GET /", pair, &sample.on(leg));
}

#[test]
fn points_in_time_near_their_exchange_are_explained_wherever_they_are() {
    let pairs = [
        (sample(r#"{"at":"2026-11-21T07:42:33Z"}"#), sample(r#"{"at":"2026-11-21T07:42:34Z"}"#)),
        (sample(r#"{"at":1795246953123}"#), sample(r#"{"at":1795246953124}"#)),
        (
            sample("{}").response_header("last-seen", "Sat, 21 Nov 2026 07:42:33 GMT"),
            sample("{}").response_header("last-seen", "Sat, 21 Nov 2026 07:42:36 GMT"),
        ),
        (
            Sample::new("1")
                .at_us(START_US, 9)
                .content("application/x-www-form-urlencoded", "at=2026-11-21+07%3A42%3A33.5&x=1"),
            Sample::new("1")
                .at_us(START_US, 9)
                .content("application/x-www-form-urlencoded", "x=1&at=2026-11-21+07%3A42%3A33.7"),
        ),
        (text("a\nmade at 1795246953, ok\n"), text("a\nmade at 1795246954, ok\n")),
    ];
    for (primary, shadow) in pairs {
        assert_eq!(alone(primary, shadow), (vec![], vec!["class:timestamp 1".to_owned()]));
    }
}

#[test]
fn another_time_form_or_text_around_it_is_reported() {
    for (primary, shadow, expected) in [
        // Another hour.
        (r#""2026-11-21T07:42:33Z""#, r#""2026-11-21T08:42:33Z""#, "value"),
        // Another form of the right time.
        (r#""2026-11-21T07:42:33Z""#, r#""2026-11-21T08:42:33+01:00""#, "format"),
        (r#""2026-11-21T07:42:33Z""#, r#""2026-11-21T07:42:33.250Z""#, "format"),
        ("1795246953", "1795246953250", "format"),
        (r#""1795246953""#, r#""2026-11-21T07:42:33Z""#, "format"),
        // Something else differs too.
        (r#""a 2026-11-21T07:42:33Z""#, r#""b 2026-11-21T07:42:34Z""#, "value"),
        (r#""2026-11-21T07:42:33Z""#, r#""2026-11-21T07:42:34Z!""#, "value"),
        (r#""at 2026-11-21T07:42:33Z""#, r#""at 2026-11-21 07:42:33Z""#, "value"),
        (r#""2026-11-21T07:42:33Z""#, "1795246953", "type"),
    ] {
        let body = |value: &str| sample(&format!("{{\"at\":{value}}}"));
        let (reported, quiet) = alone(body(primary), body(shadow));
        assert_eq!(reported, [format!("body /at {expected}: {primary} -> {shadow}")]);
        assert!(quiet.is_empty());
    }
}

#[test]
fn zeros_left_out_are_no_other_precision_but_fewer_digits_every_time_are() {
    let at = |digits: &str| sample(&format!("{{\"at\":\"2026-11-21T07:42:33.{digits}Z\"}}"));
    let mut differ = Differ::default();
    let mut reported = |ours: &str, theirs: &str| told(&mut differ, at(ours), at(theirs)).0.len();
    assert_eq!(reported("123456789", "123456"), 1, "nothing says that zeros are left out");
    for round in 0..1_000 {
        assert_eq!(reported("123456789", "12345678"), 0);
        // One in a hundred is more than chance has it.
        if round % 100 == 99 {
            assert_eq!(reported("123456789", "123456"), 0);
        }
    }
    let told: Vec<usize> = (0..20).map(|_| reported("123456789", "123456")).collect();
    assert_eq!(told[10..], [1; 10]);
    // Not even where the primary does it itself is it noise by name.
    learn(&mut differ, 50, |round| at(if round % 2 == 0 { "123456" } else { "123456789" }));
    assert!(std::iter::from_fn(|| differ.news()).all(|news| news.change != Change::Format));
}

#[test]
fn what_its_own_request_is_called_is_explained() {
    let with = |span: &str, echo: &str| {
        sample(&format!("{{\"trace\":\"span {echo}!\"}}")).header("X-Span-Id", span)
    };
    assert_eq!(
        alone(with("00f067aa", "00f067aa"), with("e457b5a2", "e457b5a2")),
        (vec![], vec!["class:own-request-id 1".to_owned()])
    );
    for (ours, theirs) in [("00f067aa", "00f067aa"), ("e457b5a2", "00f067aa")] {
        let found = alone(with("00f067aa", ours), with("e457b5a2", theirs));
        assert_eq!(found.0.len(), usize::from(ours != theirs));
    }
    // A field that selects the answer is no name of it.
    let of = |user: &str| sample(&format!("{{\"user\":\"{user}\"}}")).header("x-user", user);
    assert_eq!(alone(of("user-one"), of("user-two")).0.len(), 1);
}

/// Lets the primary answer one request this often, ten milliseconds apart.
fn learn(differ: &mut Differ, times: u64, answer: impl Fn(u64) -> Sample) {
    for at in 0..times {
        observe(differ, Leg::Primary, at, answer(at).at_us(START_US + at * 10_000, 4_000));
    }
}

#[test]
fn what_the_primary_answers_otherwise_is_noise_after_three_times() {
    let answer = |at: u64| sample(&format!("{{\"dice\":{},\"fix\":1}}", at % 6));
    for (times, noise) in [(4, false), (6, true)] {
        let mut differ = Differ::default();
        told(&mut differ, answer(1), answer(2));
        learn(&mut differ, times, answer);
        // Half the answers were kept to be compared with the other half.
        told(&mut differ, answer(1), answer(2));
        let (reported, quiet) = told(&mut differ, answer(1), answer(3));
        assert_eq!(reported.is_empty(), noise, "{times}: {reported:?}");
        assert_eq!(quiet.contains(&"noise:self 1".to_owned()), noise);
        let (reported, _) = told(&mut differ, answer(1), sample(r#"{"dice":2,"fix":2}"#));
        assert!(reported.contains(&"body /fix value: 1 -> 2".to_owned()), "{reported:?}");
    }
}

#[test]
fn other_requests_and_old_answers_teach_nothing() {
    let mut differ = Differ::default();
    learn(&mut differ, 100, |at| sample(&format!("{{\"n\":{at}}}")).target(&format!("/{at}")));
    for at in 0..100_u64 {
        let answer = sample(&format!("{{\"n\":{at}}}")).at_us(START_US + at * 61_000_000, 4_000);
        observe(&mut differ, Leg::Primary, at, answer);
    }
    learn(&mut differ, 100, |at| {
        sample(&format!("{{\"n\":{at}}}")).status(if at % 2 == 0 { 200 } else { 404 })
    });
    assert_eq!(told(&mut differ, sample(r#"{"n":1}"#), sample(r#"{"n":2}"#)).0.len(), 1);
}

#[test]
fn the_second_copy_teaches_in_whatever_order_it_comes() {
    let answer = |n: u64| sample(&format!("{{\"n\":{n}}}"));
    let mut differ = Differ::default();
    observe(&mut differ, Leg::Secondary, 0, answer(0));
    for pair in 1..6 {
        let both = [(Leg::Primary, pair), (Leg::Secondary, pair + 100)];
        let (first, second) = if pair % 2 == 0 { (0, 1) } else { (1, 0) };
        for (leg, n) in [both[first], both[second]] {
            observe(&mut differ, leg, pair, answer(n));
        }
        told(&mut differ, answer(pair), answer(pair + 100));
    }
    let (reported, quiet) = told(&mut differ, answer(7), answer(8));
    assert_eq!((reported.len(), quiet), (0, vec!["noise:secondary 1".to_owned()]));
}

#[test]
fn the_second_copy_s_answer_to_another_request_teaches_nothing() {
    let answer = |n: u64| sample(&format!("{{\"n\":{n}}}"));
    let mut differ = Differ::default();
    for pair in 0..50 {
        observe(&mut differ, Leg::Secondary, pair, answer(pair).target("/other"));
        let policy = ServicePolicy {
            noise: [NoiseLayer::Secondary].into_iter().collect(),
            ..ServicePolicy::new("shop")
        };
        differ.observe(&policy, "GET /", pair, &answer(pair + 1).primary());
    }
    assert_eq!(told(&mut differ, answer(7), answer(8)).0.len(), 1);
}

#[test]
fn a_status_is_never_noise() {
    let mut differ = Differ::default();
    learn(&mut differ, 200, |at| sample("{}").status(if at % 3 == 0 { 500 } else { 200 }));
    let (reported, _) = told(&mut differ, sample("{}"), sample("{}").status(500));
    assert_eq!(reported, ["status  value: 200 -> 500"]);
}

#[test]
fn answers_of_other_statuses_are_no_comparison() {
    // What differs in every comparison of the primary with itself, where few are one.
    let mut differ = Differ::default();
    let answer = |at: u64| sample(&format!("{{\"n\":{at}}}"));
    learn(&mut differ, 320, |at| {
        answer(at).status(if at % 32 < 2 || at % 2 == 0 { 200 } else { 404 })
    });
    let reported = |differ: &mut Differ, at: u64| told(differ, answer(at), answer(at + 1)).0.len();
    assert_eq!((0..40).map(|at| reported(&mut differ, at)).sum::<usize>(), 0);

    // And what differs in every pair, where half are none, and by itself in two of five.
    let mut differ = Differ::default();
    reported(&mut differ, 0);
    learn(&mut differ, 400, |at| answer(if at % 10 < 4 { at } else { 0 }));
    for at in 0..200 {
        reported(&mut differ, at);
        told(&mut differ, answer(0).status(500), answer(0));
    }
    assert_eq!(reported(&mut differ, 7), 1);
}

#[test]
fn a_place_that_differs_twice_in_one_answer_differs_once() {
    let answer = |a: u64, b: u64| sample(&format!("[{{\"v\":{a}}},{{\"v\":{b}}}]"));
    let mut differ = Differ::default();
    told(&mut differ, answer(0, 0), answer(0, 1));
    learn(&mut differ, 800, |at| answer(u64::from(at % 20 == 0), u64::from(at % 20 == 0)));
    for at in 0..400 {
        told(&mut differ, answer(0, 0), answer(0, u64::from(at % 3 == 0)));
    }
    assert_eq!(told(&mut differ, answer(0, 0), answer(0, 1)).0.len(), 1);
}

#[test]
fn a_line_that_varies_hides_no_other() {
    let page = |took: u64, sum: u64, word: &str| {
        text(&format!("report\n{word} took {took} ms, sum {sum}\nlimit 10\n"))
    };
    let mut differ = Differ::default();
    told(&mut differ, page(1, 7, "it"), page(2, 7, "it"));
    learn(&mut differ, 60, |at| page(at + 10, 7, "it"));
    let mut reported = |primary: Sample, shadow: Sample| told(&mut differ, primary, shadow).0.len();
    assert_eq!(reported(page(1, 7, "it"), page(2, 7, "it")), 0);
    assert_eq!(reported(page(1, 7, "it"), page(2, 8, "it")), 1);
    assert_eq!(reported(page(1, 7, "it"), page(2, 7, "she")), 1);
    assert_eq!(reported(page(1, 7, "it"), text("report\nit took 5 ms, sum 7\nlimit 20\n")), 1);
    assert_eq!(reported(page(1, 7, "it"), text("report\nit took 5.5 ms, sum 7\nlimit 10\n")), 1);
}

#[test]
fn places_are_bounded_and_what_was_forgotten_is_told() {
    let mut noise = Noise::default();
    let name: Arc<str> = "shop".into();
    let slot = noise.endpoint(ServiceId(0), &name, "GET /").unwrap();
    let first = noise.place(slot, Kind::Body, "/0", Change::Value);
    noise.places.get_mut(&first).unwrap().known.noise = Some(NoiseCause::Itself);
    for at in 1..40_000 {
        noise.comparisons += 1;
        noise.place(slot, Kind::Body, &format!("/{at}"), Change::Value);
        assert!(noise.places.len() <= PLACES);
    }
    let news = noise.poll().unwrap();
    assert_eq!((&*news.pattern, news.cause), ("/0", None));
    assert!(noise.poll().is_none());
}

#[test]
fn what_is_undone_in_a_comparison_is_not_counted() {
    // Of arrays of other lengths that have nothing in common, the length alone is told.
    let answer = |from: u64, len: u64| {
        let all: Vec<String> = (from..from + len).map(|n| n.to_string()).collect();
        sample(&format!("{{\"a\":[{}]}}", all.join(",")))
    };
    let mut differ = Differ::default();
    learn(&mut differ, 100, |at| answer(at * 10, 3 + at % 2));
    let (reported, quiet) = told(&mut differ, answer(1, 3), answer(50, 4));
    assert_eq!((reported.len(), quiet), (0, vec!["noise:self 1".to_owned()]));
    let (reported, _) = told(&mut differ, answer(1, 3), answer(20, 3));
    assert_eq!(reported.len(), 3, "elements were never compared");
}

#[test]
fn news_of_another_version_or_of_no_sense_is_passed_over() {
    let mut noise = Noise::default();
    let mut news = NoiseNews {
        signature: SignatureId(1),
        service: ServiceId(0),
        endpoint: "GET /".into(),
        kind: Kind::Body,
        pattern: "/a".into(),
        change: Change::Value,
        cause: Some(NoiseCause::Itself),
        at: Timestamp::ZERO,
        memory: "9 nothing".into(),
    };
    noise.learn(&"shop".into(), &news);
    assert!(noise.places.is_empty());
    news.memory = "1 5 9 5 9 3 3 0 0 0 0 1 1 0".into();
    noise.learn(&"shop".into(), &news);
    assert_eq!(noise.places.len(), 1);
}

proptest! {
    /// Whatever two legs answer: what is reported and what is not are all the differences there are.
    #[test]
    fn each_difference_is_reported_or_counted(
        bodies in prop::collection::vec(
            prop::collection::vec("[0-9a-f]{1,3}|2026-11-21T07:42:3[0-9]Z|[a-z ]{0,6}", 6),
            2..40,
        ),
    ) {
        let mut differ = Differ::default();
        let none = ServicePolicy { noise: NoiseLayers::NONE, ..ServicePolicy::new("shop") };
        for (at, two) in (0..).zip(bodies.windows(2)) {
            let body = |values: &[String]| {
                let all: Vec<String> =
                    values.iter().zip('a'..).map(|(v, name)| format!("\"{name}\":\"{v}\"")).collect();
                sample(&format!("{{{}}}", all.join(","))).at_us(START_US + at * 1_000, 900)
            };
            let (primary, shadow) = (body(&two[0]), body(&two[1]));
            let plain = Differ::default().compare(
                &none,
                "GET /",
                &primary.clone().primary(),
                &shadow.clone().shadow(),
            );
            observe(&mut differ, Leg::Primary, at, primary.clone());
            let policy = ServicePolicy::new("shop");
            let found = differ.compare(&policy, "GET /", &primary.primary(), &shadow.shadow());
            let quiet: u32 = found.suppressed.iter().map(|suppressed| suppressed.count).sum();
            prop_assert_eq!(plain.divergences.len(), found.divergences.len() + quiet as usize);
        }
    }
}
