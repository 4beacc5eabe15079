//! The real binaries, built as they are shipped, for the kubelet to start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where each of our binaries is, by its name; builds them on first use. A test run has built everything they depend on.
///
/// # Panics
/// When they do not compile.
pub fn programs() -> &'static BTreeMap<String, PathBuf> {
    static PROGRAMS: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    PROGRAMS.get_or_init(build)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a folder of the workspace")
}

/// All packages at once: the same set of features as in `cargo test --workspace`, so that nothing is compiled twice.
fn build() -> BTreeMap<String, PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--workspace",
        "--bins",
        "--message-format=json",
    ]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // Cargo tells a test which package it is of. Build scripts of others ask for the same names, and ran again for it here, and in the
    // next test run again, each time with all that is built upon them.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let output = command
        .current_dir(workspace())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "kubefresh-scanner and kubefresh-updater do not compile"
    );
    let programs: BTreeMap<String, PathBuf> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(executable)
        .collect();
    for name in ["kubefresh-scanner", "kubefresh-updater"] {
        assert!(
            programs.contains_key(name),
            "cargo did not say where it built {name}"
        );
    }
    programs
}

/// The name and path of the binary that one line of cargo's messages reports.
fn executable(line: &[u8]) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_slice(line).ok()?;
    let path = PathBuf::from(message["executable"].as_str()?);
    Some((message["target"]["name"].as_str()?.to_owned(), path))
}
