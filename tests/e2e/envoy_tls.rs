//! Envoy speaks TLS to both backends and writes its key log; the tap reads the log as it grows.

use std::time::Duration;

use crate::routes;
use crate::support::backend::Speaks;
use crate::support::stage::Stage;

/// After this long Envoy gives a request up.
const TIMEOUT: Duration = Duration::from_secs(15);

#[test]
fn mirrored_traffic_over_tls_1_3_is_reported_as_if_it_were_plain() {
    routes::play_and_check(Stage::on_loopback_tls("TLSv1_3", Speaks::Http1, TIMEOUT));
}

#[test]
fn mirrored_traffic_over_tls_1_2_is_reported_as_if_it_were_plain() {
    routes::play_and_check(Stage::on_loopback_tls("TLSv1_2", Speaks::Http1, TIMEOUT));
}

#[test]
fn http_2_inside_tls_is_reported_as_if_it_were_plain() {
    routes::play_and_check(Stage::on_loopback_tls("TLSv1_3", Speaks::H2c, TIMEOUT));
}
