//! What the tests play with: where things run, the backends, Envoy, the client, and tapdiff itself.

pub(crate) mod backend;
pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod envoy;
pub(crate) mod expected;
pub(crate) mod grpc;
pub(crate) mod netns;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod shop;
pub(crate) mod stage;
pub(crate) mod tapdiff;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The workspace's root.
pub(crate) fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of captures with ground truth: `TAPDIFF_CORPUS`, or beside the workspace.
pub(crate) fn corpus() -> PathBuf {
    let path = std::env::var_os("TAPDIFF_CORPUS")
        .map_or_else(|| workspace_root().join("../shared/corpus"), PathBuf::from);
    assert!(
        path.join("check.py").is_file(),
        "the corpus is not at {}: set TAPDIFF_CORPUS to the folder that holds check.py",
        path.display()
    );
    path
}

/// Ends the test with a clear sentence where it has no rights to capture.
pub(crate) fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test captures packets and makes network namespaces: run it as root"
    );
}

/// Asks `probe` until it answers, for as long as a machine under load may take. `what` ends the
/// sentence "gave up waiting for …".
pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    // Only a bound on how long a broken test hangs: nothing is concluded from time.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "gave up waiting for {what}");
        // Another process has no event to wait for: it is asked again.
        std::thread::sleep(Duration::from_millis(10));
    }
}
