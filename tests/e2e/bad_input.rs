//! Bad input: one clear sentence that says what to do, the right exit status, and no store left
//! half written.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::report;
use crate::support::shop::IGNORE;
use crate::support::tapdiff::{BINARY, tapdiff};
use crate::support::workspace_root;

#[test]
fn a_file_that_is_no_capture_is_named_with_what_it_starts_with() {
    let dir = TempDir::new().unwrap();
    let orders = write(&dir, "orders.txt", b"GET /api/v1/items/1 HTTP/1.1\r\n\r\n");
    refuses_capture(&orders, &["orders.txt", "no", "capture"]);
}

#[test]
fn an_empty_file_is_no_capture() {
    let dir = TempDir::new().unwrap();
    refuses_capture(&write(&dir, "nothing.pcap", b""), &["nothing.pcap", "empty"]);
}

#[test]
fn a_capture_that_does_not_exist_is_named() {
    refuses_capture(Path::new("/nowhere/edge.pcap"), &["/nowhere/edge.pcap"]);
}

#[test]
fn an_unknown_link_type_is_named_by_its_number() {
    let dir = TempDir::new().unwrap();
    let mut capture = std::fs::read(sample()).unwrap();
    // The link type is the last field of the file header; 147 is the first for private use.
    capture[20..24].copy_from_slice(&147_u32.to_le_bytes());
    refuses_capture(&write(&dir, "private.pcap", &capture), &["private.pcap", "147"]);
}

#[test]
fn a_capture_cut_in_the_middle_yields_its_whole_exchanges_and_says_that_it_was_cut() {
    let dir = TempDir::new().unwrap();
    let whole = std::fs::read(sample()).unwrap();
    let boundary = last_packet_end(&whole[..whole.len() / 2]);
    let cut = write(&dir, "cut.pcap", &whole[..boundary + 40]);
    let output = analyze(&cut, &[]).output().unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("cut.pcap") && said.contains("cut"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report::assert_accounts_close(&report);
    assert!(report::number(&report, "/pairs/compared") > 30);

    // The same as from a file that ends with its last whole packet, of which nothing is said.
    let shorter = write(&dir, "shorter.pcap", &whole[..boundary]);
    let output = analyze(&shorter, &[]).output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(report, serde_json::from_slice::<Value>(&output.stdout).unwrap());

    // So is one with nonsense in place of its next record.
    let damaged = [&whole[..boundary], &[0xff; 4_000]].concat();
    let damaged = write(&dir, "damaged.pcap", &damaged);
    let store = dir.path().join("tapdiff.db");
    let output = analyze(&damaged, &[&store]).output().unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("not readable from byte {boundary} on")), "{said}");
    assert_eq!(report, serde_json::from_slice::<Value>(&output.stdout).unwrap());
}

#[test]
fn an_interface_that_does_not_exist_is_named() {
    let dir = TempDir::new().unwrap();
    let store = dir.path().join("tapdiff.db");
    let config = config(&dir, &store, "");
    let output =
        tapdiff().arg("run").arg("--config").arg(config).args(["--interface", "eth99"]).output();
    refused(&output.unwrap(), 4, &["eth99", "lo"]);
    assert!(!store.exists(), "no store is made before capture is possible");
}

#[test]
fn an_address_that_does_not_parse_is_quoted() {
    for (address, wanted) in [
        ("10.0.0.1", "port"),
        ("10.0.0.1:http", "'http'"),
        ("10.0.0.1:0", "'0'"),
        ("10.0.0.300:80", "10.0.0.300"),
        ("10.0.0.0/40:80", "'/40'"),
    ] {
        let mut command = tapdiff();
        command.args(["analyze", "--primary", address, "--shadow", ":1"]).arg(sample());
        let output = command.output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{address}: {said}");
        assert!(said.contains(address) && said.contains(wanted), "{address}: {said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn unknown_configuration_keys_are_refused_with_line_and_suggestion() {
    let dir = TempDir::new().unwrap();
    let store = dir.path().join("tapdiff.db");
    let path = config(&dir, &store, "ignroe = []\n");
    let wanted = ["tapdiff.toml:9", "unknown key 'ignroe'", "[[service]]", "did you mean 'ignore'"];
    refused(&tapdiff().arg("run").arg("--config").arg(&path).output().unwrap(), 2, &wanted);
    refused(&tapdiff().arg("check-config").arg(&path).output().unwrap(), 1, &wanted);
    assert!(!store.exists());
}

#[test]
fn a_store_that_cannot_be_written_is_named_and_nothing_is_left() {
    let dir = TempDir::new().unwrap();
    let file = write(&dir, "file", b"not a folder");
    for path in [file.join("tapdiff.db"), dir.path().join("no/such/folder/tapdiff.db")] {
        let output = analyze(&sample(), &[&path]).output().unwrap();
        refused(&output, 4, &[path.to_str().unwrap()]);
        assert!(!path.exists());
    }
}

#[test]
fn a_store_that_is_no_store_is_left_as_it_was() {
    let dir = TempDir::new().unwrap();
    let path = write(&dir, "notes.db", b"my notes, not a database: keep them\n");
    for output in [
        analyze(&sample(), &[&path]).output().unwrap(),
        tapdiff().arg("report").arg("--store").arg(&path).output().unwrap(),
    ] {
        refused(&output, 4, &["notes.db"]);
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"my notes, not a database: keep them\n");
    assert_eq!(files(&dir), ["notes.db"], "nothing is left beside it");
}

#[test]
fn a_store_of_another_version_or_another_program_is_left_as_it_was() {
    let dir = TempDir::new().unwrap();
    let made = dir.path().join("made.db");
    assert!(analyze(&sample(), &[&made]).output().unwrap().status.success());
    let good = std::fs::read(&made).unwrap();
    std::fs::remove_file(&made).unwrap();
    // Of the database header (https://www.sqlite.org/fileformat2.html#the_database_header):
    // the user version at offset 60, the application id at offset 68, both big-endian.
    for (offset, name, wanted) in [(60, "newer.db", "99"), (68, "other.db", "other.db")] {
        let mut bytes = good.clone();
        bytes[offset..offset + 4].copy_from_slice(&99_u32.to_be_bytes());
        let path = write(&dir, name, &bytes);
        for output in [
            analyze(&sample(), &[&path]).output().unwrap(),
            tapdiff().arg("report").arg("--store").arg(&path).output().unwrap(),
        ] {
            refused(&output, 4, &[name, wanted]);
        }
        assert!(std::fs::read(&path).unwrap() == bytes, "{name} was changed");
    }
}

#[test]
fn a_report_of_a_store_that_does_not_exist_says_how_to_make_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("tapdiff.db");
    let output = tapdiff().arg("report").arg("--store").arg(&path).output().unwrap();
    refused(&output, 4, &[path.to_str().unwrap(), "tapdiff run"]);
    assert!(!path.exists());
}

#[test]
fn a_second_daemon_on_one_store_is_refused() {
    crate::support::require_root();
    let dir = TempDir::new().unwrap();
    let store = dir.path().join("tapdiff.db");
    let path = config(&dir, &store, "");
    let mut first = crate::support::process::Process::start(
        "tapdiff run",
        tapdiff().arg("run").arg("--config").arg(&path),
    );
    first.wait_for_line("capturing");
    let output = tapdiff().arg("run").arg("--config").arg(&path).output().unwrap();
    refused(&output, 4, &[store.to_str().unwrap()]);
    let (status, said) = first.stop(rustix::process::Signal::TERM);
    assert!(status.success(), "{said}");
}

#[test]
fn without_the_right_to_capture_the_message_says_what_to_do() {
    crate::support::require_root();
    // Where a user without rights can read it.
    let dir = TempDir::new().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let binary = dir.path().join("tapdiff");
    std::fs::copy(BINARY, &binary).unwrap();
    let store = dir.path().join("tapdiff.db");
    let path = config(&dir, &store, "");
    for arguments in [&["run", "--config", path.to_str().unwrap()][..], &["demo"]] {
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"])
            .args(["--inh-caps=-all"])
            .arg(&binary)
            .args(arguments)
            .output()
            .unwrap_or_else(|e| panic!("cannot run setpriv: {e}"));
        let setcap = format!("setcap cap_net_raw+ep {}", binary.display());
        refused(&output, 4, &["capture on lo not permitted", "root", &setcap]);
    }
    assert!(!store.exists(), "no store is made before capture is possible");
}

/// `tapdiff analyze` of `capture` refuses with status 2 and leaves no store.
fn refuses_capture(capture: &Path, wanted: &[&str]) {
    let dir = TempDir::new().unwrap();
    let store = dir.path().join("tapdiff.db");
    refused(&analyze(capture, &[&store]).output().unwrap(), 2, wanted);
    assert!(files(&dir).is_empty(), "{:?} is left", files(&dir));
    let output = tapdiff().arg("exchanges").arg(capture).output().unwrap();
    refused(&output, 2, wanted);
}

/// The command ended with `code`, printed nothing, and said one sentence with all of `wanted`.
fn refused(output: &Output, code: i32, wanted: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(said.trim_end().lines().count(), 1, "one sentence:\n{said}");
    for text in wanted {
        assert!(said.contains(text), "no '{text}' in: {said}");
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn analyze(capture: &Path, store: &[&Path]) -> Command {
    let mut command = tapdiff();
    command.args(["analyze", "--primary", "10.9.1.11:8080", "--shadow", "10.9.1.12:8080"]);
    for rule in IGNORE {
        command.args(["--ignore", rule]);
    }
    for path in store {
        command.arg("--store").arg(path);
    }
    command.args(["--format", "json"]).arg(capture);
    command
}

fn sample() -> PathBuf {
    workspace_root().join("tests/pcaps/envoy/pcaps/h1_mix.pcap")
}

/// Where the last packet ends that lies wholly in `capture` (little-endian pcap: a file header of
/// 24 bytes; before each packet 16 bytes, of which the third word is its length in the file).
fn last_packet_end(capture: &[u8]) -> usize {
    let mut end = 24;
    while let Some(length) = capture.get(end + 8..end + 12) {
        let next = end + 16 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        if next > capture.len() {
            break;
        }
        end = next;
    }
    end
}

/// A configuration that is right but for `extra`, which stands at line 9, in its service.
fn config(dir: &TempDir, store: &Path, extra: &str) -> PathBuf {
    let text = format!(
        "[capture]\ninterfaces = [\"lo\"]\n[store]\npath = {store:?}\n[[service]]\n\
         name = \"shop\"\nprimary = [\"127.0.0.1:1\"]\nshadow = [\"127.0.0.1:2\"]\n{extra}\
         [http]\nlisten = \"\"\n"
    );
    let path = write(dir, "tapdiff.toml", text.as_bytes());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    path
}

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn files(dir: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path()).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}
