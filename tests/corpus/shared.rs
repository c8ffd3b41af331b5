//! The corpus, `tapdiff exchanges`, and the checker's verdict.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The captures, where they are there.
pub(crate) struct Corpus {
    pub(crate) root: PathBuf,
}

/// One line of an index.
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) agreed: bool,
    pub(crate) bytes: u64,
    pub(crate) required: u64,
    pub(crate) kinds: Vec<String>,
    pub(crate) keylog: Option<PathBuf>,
}

/// What the checker says of a set of files.
pub(crate) struct Verdict {
    /// By file name.
    pub(crate) files: BTreeMap<String, Value>,
    pub(crate) totals: Value,
}

impl Corpus {
    /// The corpus; `None`, and a word about it, where there is none.
    pub(crate) fn find() -> Option<Self> {
        let root = std::env::var_os("TAPDIFF_CORPUS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
            PathBuf::from,
        );
        if root.join("check.py").is_file() {
            return Some(Self { root });
        }
        eprintln!(
            "NOT CHECKED: no captures in {} (TAPDIFF_CORPUS names their folder)",
            root.display()
        );
        None
    }

    /// The files of a part (`public`, `envoy`).
    pub(crate) fn entries(&self, part: &str) -> Vec<Entry> {
        let text = std::fs::read_to_string(self.root.join(part).join("index.csv")).unwrap();
        let mut lines = text.lines().map(columns);
        let heads = lines.next().unwrap();
        let column = |row: &[String], name: &str| {
            row[heads.iter().position(|head| head == name).unwrap()].clone()
        };
        lines
            .map(|row| {
                let path = self.root.join(part).join(column(&row, "file"));
                // Or it says that the keys are inside the capture.
                let keylog = self.root.join(part).join(column(&row, "keylog"));
                Entry {
                    name: path.file_name().unwrap().to_string_lossy().into_owned(),
                    agreed: column(&row, "status") == "agreed",
                    bytes: column(&row, "bytes").parse().unwrap(),
                    required: column(&row, "required").parse().unwrap(),
                    kinds: column(&row, "kinds").split(' ').map(str::to_owned).collect(),
                    keylog: keylog.is_file().then_some(keylog),
                    path,
                }
            })
            .collect()
    }

    /// `tapdiff exchanges` on captures, into a file. No capture makes it fail, but one of a link
    /// type that is not read.
    pub(crate) fn exchanges(&self, arguments: &[&Path], into: &Path) {
        let output = Command::new(env!("CARGO_BIN_EXE_tapdiff"))
            .arg("exchanges")
            .args(arguments)
            .stdout(File::options().append(true).create(true).open(into).unwrap())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let read = output.status.success() || said.contains("is not read");
        assert!(read, "{arguments:?}: {}: {said}", output.status);
    }

    /// The checker's verdict on exchanges of the files called `names`.
    pub(crate) fn check(
        &self,
        parts: &[&str],
        exchanges: &Path,
        names: &[&str],
        options: &[&str],
    ) -> Verdict {
        let folder = exchanges.parent().unwrap();
        let (truth, list) = (folder.join("truth.jsonl"), folder.join("names"));
        let texts = parts.iter().map(|part| self.root.join(part).join("truth.jsonl"));
        let texts: Vec<String> = texts.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        std::fs::write(&truth, texts.concat()).unwrap();
        std::fs::write(&list, names.join("\n")).unwrap();
        let result = folder.join("result.json");
        let output = Command::new("python3")
            .arg(self.root.join("check.py"))
            .args([&truth, exchanges])
            .arg("--files")
            .arg(format!("@{}", list.display()))
            .arg("-q")
            .arg("--json")
            .arg(&result)
            .args(options)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code < 2), "the checker runs: {said}");
        let result: Value = serde_json::from_slice(&std::fs::read(result).unwrap()).unwrap();
        let files = result["files"].as_array().unwrap().iter();
        let named = files.map(|file| (file["file"].as_str().unwrap().to_owned(), file.clone()));
        Verdict { files: named.collect(), totals: result["totals"].clone() }
    }
}

/// The columns of a line of CSV; quotes hold commas.
fn columns(line: &str) -> Vec<String> {
    let mut columns = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => columns.push(String::new()),
            other => columns.last_mut().unwrap().push(other),
        }
    }
    columns
}
