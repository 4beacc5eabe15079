//! Everything a real process needs before it starts: arguments, environment, files, a kubeconfig.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::board::Board;
use super::environment::{ConfigProblem, expand, resolve};
use super::node::NamespaceLookup;
use super::process::{Program, base_environment};
use super::volumes::{materialise, rewrite};
use crate::registry::digest_of;

/// A program and the directory that lives as long as it runs.
#[derive(Debug)]
pub struct PreparedProgram {
    /// What to start.
    pub program: Program,
    /// What `imageID` shows: there is no registry behind it.
    pub image_id: String,
    _directory: TempDir,
}

/// Prepares the container `spec` to run the binary at `path`.
pub fn prepare(board: &Board, spec: &Value, path: PathBuf) -> Result<PreparedProgram, ConfigProblem> {
    let failed = |error: std::io::Error| {
        ConfigProblem(format!("unable to prepare the container's directory: {error}"))
    };
    let directory = tempfile::tempdir().map_err(failed)?;
    let node = &board.node;
    let lookup = NamespaceLookup {
        store: &node.store,
        namespace: board.namespace(),
    };
    let mounts = materialise(&board.pod, spec, directory.path(), &lookup)?;
    let own = resolve(&board.pod, spec, &lookup)?;
    let strings = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        list.map(|text| rewrite(&expand(text, &own), &mounts)).collect()
    };
    // The image's entrypoint is the program itself; a `command` replaces it, so only its arguments are left.
    let mut arguments: Vec<String> = strings(&spec["command"]).into_iter().skip(1).collect();
    arguments.extend(strings(&spec["args"]));
    let mut environment = base_environment(board.name(), directory.path());
    environment.extend(node.options.environment.clone());
    if let Some(hook) = &node.options.kubeconfig_for {
        let account = board.pod["spec"]["serviceAccountName"]
            .as_str()
            .unwrap_or("default");
        let file = directory.path().join("kubeconfig");
        fs::write(&file, hook.text(board.namespace(), account)).map_err(failed)?;
        environment.insert("KUBECONFIG".to_owned(), file.to_string_lossy().into_owned());
    }
    environment.extend(
        own.iter()
            .map(|(name, value)| (name.clone(), rewrite(value, &mounts))),
    );
    let image = spec["image"].as_str().unwrap_or_default();
    let digest = digest_of(image.as_bytes());
    let repository = super::image_name::ImageName::parse(image).map(|name| name.repository_name());
    Ok(PreparedProgram {
        program: Program {
            path,
            arguments,
            environment,
            directory: directory.path().to_owned(),
        },
        image_id: format!("{}@{digest}", repository.unwrap_or_default()),
        _directory: directory,
    })
}
