//! Client, Envoy and backends in namespaces of their own, joined by veth pairs; the tap runs
//! beside Envoy.

use std::time::Duration;

use crate::routes;
use crate::support::netns::Network;
use crate::support::stage::Stage;

#[test]
fn three_routes_across_namespaces_are_reported_from_two_interfaces() {
    let interfaces = Network::UPSTREAM_INTERFACES;
    routes::play_and_check(Stage::across_namespaces(&interfaces, Duration::from_secs(15)));
}

#[test]
fn three_routes_across_namespaces_are_reported_from_any() {
    routes::play_and_check(Stage::across_namespaces(&["any"], Duration::from_secs(15)));
}
