//! What `tapdiff analyze` made of a capture: the rows that it stored.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use serde_json::Value;

use crate::quote::descriptor_set;

/// What was stored.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Kind, path and change of each difference of the pairs that diverged, by request id.
    pub(crate) diverged: BTreeMap<String, Vec<(String, String, String)>>,
    /// The reasons of those that could not be judged.
    pub(crate) incomparable: BTreeMap<String, String>,
    /// The report's only service.
    pub(crate) report: Value,
}

impl Judged {
    /// Analyses `capture` under `config`.
    pub(crate) fn of(capture: &[u8], config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("edge.pcap"), capture).unwrap();
        std::fs::write(path("config.toml"), config).unwrap();
        std::fs::write(path("shop.pb"), descriptor_set()).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_tapdiff"))
            .args(["analyze", "--format", "json", "--config"])
            .arg(path("config.toml"))
            .arg("--store")
            .arg(path("store.db"))
            .arg(path("edge.pcap"))
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let report: Value = serde_json::from_slice(&run.stdout).unwrap();
        let mut judged = Self {
            diverged: BTreeMap::new(),
            incomparable: BTreeMap::new(),
            report: report["services"][0].clone(),
        };
        judged.read(&path("store.db"));
        judged
    }

    fn read(&mut self, store: &Path) {
        let store = Connection::open(store).unwrap();
        let mut rows = store
            .prepare(
                "SELECT key, incomparable, kind, path, change FROM pair
                 LEFT JOIN divergence ON divergence.pair = pair.id
                 LEFT JOIN signature ON signature.id = divergence.signature ORDER BY pair.id, n",
            )
            .unwrap();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let key: String = row.get(0).unwrap();
            match row.get::<_, Option<String>>(1).unwrap() {
                Some(reason) => {
                    self.incomparable.insert(key, reason);
                }
                None => {
                    let found = [2, 3, 4].map(|column| row.get::<_, String>(column).unwrap());
                    self.diverged.entry(key).or_default().push(found.into());
                }
            }
        }
    }
}
