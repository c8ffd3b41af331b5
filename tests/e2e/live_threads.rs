//! Capture by several threads of one interface: the same report as by one.

use std::time::Duration;

use crate::live_equals_file::{differences, shape};
use crate::support::client::{Ask, Payload};
use crate::support::place::Place;
use crate::support::report::{assert_accounts_close, assert_nothing_lost, number};
use crate::support::stage::Stage;
use crate::support::tapdiff::Daemon;

#[test]
fn two_threads_see_the_same_traffic_as_one_and_report_the_same() {
    let mut stage = Stage::on_loopback(Duration::from_secs(15));
    let (primary, shadow) = (stage.primary.address(), stage.shadow.address());
    let spread = Daemon::start(&Place::Host, &["lo"], "threads = 2\n", primary, shadow);
    let asks: Vec<Ask> = (1..=600)
        .map(|n| match n % 4 {
            0 => Ask::get(format!("/api/v1/gz/{n}")),
            1 => Ask::post(format!("/api/v1/echo/{n}"), Payload::Chunked(vec![b'x'; 9_000].into())),
            _ => Ask::get(format!("/api/v1/items/{n}")),
        })
        .collect();
    // Connections to the backends stay open: those of one wave may happen to lie on one thread.
    for wave in asks.chunks(60) {
        stage.primary.go_down();
        stage.shadow.go_down();
        stage.primary.come_back();
        stage.shadow.come_back();
        stage.play(wave);
    }
    let (store, said) = spread.stop_and_say();
    let by_two = store.plain_report();
    let by_one = stage.finish().report;

    let packets: Vec<u64> = said
        .lines()
        .filter(|line| line.contains("capture thread ended"))
        .map(|line| {
            let count = line.split("packets=").nth(1).and_then(|rest| rest.split(' ').next());
            count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{line}"))
        })
        .collect();
    assert!(packets.len() == 2 && packets.iter().all(|&count| count > 0), "{packets:?}\n{said}");
    assert_eq!(packets.iter().sum::<u64>(), number(&by_one, "/capture/packets"), "each once");

    assert_accounts_close(&by_two);
    assert_nothing_lost(&by_two);
    let mut differing = Vec::new();
    differences("", &shape(&by_one), &shape(&by_two), &mut differing);
    assert!(differing.is_empty(), "by one thread, by two:\n{}", differing.join("\n"));
    assert_eq!(number(&by_one, "/pairs/compared"), asks.len() as u64);
    assert!(number(&by_one, "/pairs/diverged") > 0, "there is something to compare");
}
