//! SIGTERM while packets are still in the kernel's buffer.

use std::net::{IpAddr, Ipv4Addr};

use crate::support::backend::{Backend, Speaks};
use crate::support::client::{Ask, drive};
use crate::support::place::Place;
use crate::support::report::{assert_accounts_close, number};
use crate::support::shop::Version;
use crate::support::tapdiff::Daemon;

#[test]
fn what_was_captured_before_sigterm_is_stored() {
    const REQUESTS: usize = 200;
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let primary = Backend::start(Version::Primary, &Place::Host, ip);
    let shadow = Backend::start(Version::Shadow, &Place::Host, ip);
    let asks: Vec<Ask> = (0..REQUESTS).map(|n| Ask::get(format!("/api/v3/items/{n}"))).collect();
    // Where a stop happens to fall within the kernel's block is chance: several are tried.
    for _ in 0..5 {
        let (to, copy) = (primary.address(), shadow.address());
        let daemon = Daemon::start(&Place::Host, &["lo"], "", to, copy);
        let answers = drive(&Place::Host, to, Speaks::Http1, &asks, 8).answers;
        let report = daemon.stop().plain_report();
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_accounts_close(&report);
        assert_eq!(number(&report, "/accounts/primary/seen"), REQUESTS as u64);
    }
}
