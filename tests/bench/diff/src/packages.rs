//! npm and Python packages that compare JSON, each in a program of its own that reads the pairs,
//! warms up, and prints the CPU seconds of comparing all of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::documents::Pair;

/// A package that is here.
#[derive(Debug)]
pub(crate) struct Package {
    /// Name and version.
    pub(crate) name: String,
    program: PathBuf,
    arguments: Vec<PathBuf>,
}

const NODE: &str = include_str!("../packages.mjs");
const PYTHON: &str = include_str!("../packages.py");

/// Those that are installed below `directory` (`tests/install.sh bench-diff` does), with `pairs`
/// written where they read them.
///
/// # Errors
///
/// When files cannot be written.
pub(crate) fn found(directory: &Path, pairs: &[Pair]) -> Result<Vec<Package>> {
    let texts = directory.join("pairs.ndjson");
    let lines: Vec<String> = pairs
        .iter()
        .map(|pair| serde_json::json!([pair.primary, pair.shadow]).to_string())
        .collect();
    fs::write(&texts, lines.join("\n"))?;
    let (node, python) = (directory.join("packages.mjs"), directory.join("packages.py"));
    fs::write(&node, NODE)?;
    fs::write(&python, PYTHON)?;
    let mut found = Vec::new();
    for (program, script, package) in [
        (PathBuf::from("node"), &node, "microdiff"),
        (PathBuf::from("node"), &node, "fast-json-patch"),
        (PathBuf::from("node"), &node, "jsondiffpatch"),
        (directory.join("venv/bin/python"), &python, "deepdiff"),
    ] {
        let arguments = vec![script.clone(), package.into(), texts.clone()];
        let version = Command::new(&program).args(&arguments[..2]).output();
        match version {
            Ok(said) if said.status.success() => {
                let version = String::from_utf8_lossy(&said.stdout);
                let from = if package == "deepdiff" { "PyPI" } else { "npm" };
                let name = format!("{package} {} ({from})", version.trim());
                found.push(Package { name, program, arguments });
            }
            _ => println!("{package} is not here: tests/install.sh bench-diff installs it"),
        }
    }
    Ok(found)
}

impl Package {
    /// CPU seconds of comparing all pairs.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub(crate) fn run(&self) -> Result<f64> {
        let said = Command::new(&self.program).args(&self.arguments).output()?;
        if !said.status.success() {
            Err(format!("{}: {}", self.name, String::from_utf8_lossy(&said.stderr)))?;
        }
        Ok(String::from_utf8_lossy(&said.stdout).trim().parse()?)
    }
}
