//! Other programs that read HTTP from captures, for comparison only.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One program and how it is called.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where it is; `None` where it is not installed.
    pub(crate) program: Option<PathBuf>,
    /// What it is called with.
    pub(crate) arguments: Vec<OsString>,
}

/// Logs HTTP transactions and nothing else.
const SURICATA_CONFIG: &str = "%YAML 1.1
---
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - http
app-layer:
  protocols:
    http:
      enabled: yes
stream:
  midstream: true
";

/// All of them, set up to read `capture` and to write below `scratch`, which is emptied.
///
/// # Errors
///
/// When `scratch` cannot be made.
pub(crate) fn all(capture: &Path, scratch: &Path) -> io::Result<Vec<Peer>> {
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    fs::create_dir_all(scratch)?;
    let suricata_config = scratch.join("suricata.yaml");
    fs::write(&suricata_config, SURICATA_CONFIG)?;
    let candidates: [(&str, Vec<OsString>); 4] = [
        ("httpry", vec!["-q".into(), "-o".into(), scratch.join("httpry.log").into(), "-r".into()]),
        ("tcpflow", vec!["-o".into(), scratch.join("tcpflow").into(), "-r".into()]),
        (
            "suricata",
            vec![
                "-c".into(),
                suricata_config.into(),
                "-l".into(),
                scratch.into(),
                "--runmode".into(),
                "single".into(),
                "-S".into(),
                "/dev/null".into(),
                "-r".into(),
            ],
        ),
        (
            "tshark",
            ["-n", "-Y", "http", "-T", "fields", "-e", "http.request.uri", "-e"]
                .into_iter()
                .chain(["http.response.code", "-r"])
                .map(OsString::from)
                .collect(),
        ),
    ];
    Ok(candidates
        .into_iter()
        .map(|(name, mut arguments)| {
            arguments.push(capture.into());
            Peer { name, program: on_path(name), arguments }
        })
        .collect())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian puts httpry and suricata where only root's PATH may look.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
