//! Other programs that read HTTP from captures, for comparison only.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::speech::Carriage;

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
        - http2
app-layer:
  protocols:
    http:
      enabled: yes
    http2:
      enabled: yes
stream:
  midstream: true
";

/// Those that read what `carriage` carries, set up to read `capture` and to write below `scratch`,
/// which is emptied. None of them reads TLS as it passes.
///
/// # Errors
///
/// When `scratch` cannot be made.
pub(crate) fn for_capture(
    capture: &Path,
    carriage: Carriage,
    scratch: &Path,
) -> io::Result<Vec<Peer>> {
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    fs::create_dir_all(scratch)?;
    let suricata_config = scratch.join("suricata.yaml");
    fs::write(&suricata_config, SURICATA_CONFIG)?;
    let (names, tshark): (&[&str], _) = match carriage {
        Carriage::Http1 => (
            &["httpry", "tcpflow", "suricata", "tshark"],
            ["http", "http.request.uri", "http.response.code"],
        ),
        Carriage::H2c => {
            (&["suricata", "tshark"], ["http2", "http2.headers.path", "http2.headers.status"])
        }
        Carriage::Tls(_) => (&[], [""; 3]),
    };
    let [filter, path, status] = tshark;
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
            ["-n", "-Y", filter, "-T", "fields", "-e", path, "-e", status, "-r"]
                .into_iter()
                .map(OsString::from)
                .collect(),
        ),
    ];
    Ok(candidates
        .into_iter()
        .filter(|(name, _)| names.contains(name))
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
