//! Volumes of a real process: `ConfigMaps`, Secrets and empty directories become files in the pod's own directory.
//!
//! A process without a mount namespace cannot see them at their mount path, so paths in its arguments and
//! environment that begin with a mount path are rewritten.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::environment::{ConfigProblem, Kind, Lookup, entries};

/// Where a mount path really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// As the container's manifest has it.
    pub path: String,
    /// The directory or file on this machine.
    pub place: PathBuf,
}

/// Writes the volumes a container mounts below `root`.
pub fn materialise(
    pod: &Value,
    container: &Value,
    root: &Path,
    lookup: &dyn Lookup,
) -> Result<Vec<Mount>, ConfigProblem> {
    let mut mounts = Vec::new();
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let (Some(name), Some(path)) = (mount["name"].as_str(), mount["mountPath"].as_str()) else {
            continue;
        };
        let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        let Some(volume) = volumes.find(|volume| volume["name"] == name) else {
            continue;
        };
        let mut place = root.join("volumes").join(name);
        let failed = |error: io::Error| ConfigProblem(format!("unable to write volume {name:?}: {error}"));
        fs::create_dir_all(&place).map_err(failed)?;
        for (file, content) in files(volume, lookup)? {
            let target = place.join(file);
            if let Some(directory) = target.parent() {
                fs::create_dir_all(directory).map_err(failed)?;
            }
            fs::write(target, content).map_err(failed)?;
        }
        if let Some(part) = mount["subPath"].as_str() {
            place.push(part);
        }
        mounts.push(Mount {
            path: path.trim_end_matches('/').to_owned(),
            place,
        });
    }
    // The longest first, so that nested mounts win.
    mounts.sort_by_key(|mount| std::cmp::Reverse(mount.path.len()));
    Ok(mounts)
}

fn files(volume: &Value, lookup: &dyn Lookup) -> Result<BTreeMap<String, String>, ConfigProblem> {
    let mut found = BTreeMap::new();
    let whole = std::iter::once(volume);
    let projected = volume["projected"]["sources"].as_array().into_iter().flatten();
    for source in whole.chain(projected) {
        for (kind, field) in [(Kind::ConfigMap, "configMap"), (Kind::Secret, "secret")] {
            let reference = &source[field];
            if reference.is_null() {
                continue;
            }
            let Some(entries) = entries(lookup, kind, reference)? else {
                continue;
            };
            match reference["items"].as_array() {
                None => found.extend(entries),
                Some(items) => {
                    for item in items {
                        let (Some(key), Some(path)) = (item["key"].as_str(), item["path"].as_str()) else {
                            continue;
                        };
                        found.extend(entries.get(key).map(|content| (path.to_owned(), content.clone())));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Replaces mount paths where a path can begin: at the start, or after `=`, `:` or `,`.
pub fn rewrite(text: &str, mounts: &[Mount]) -> String {
    let mut rewritten = String::new();
    let mut rest = text;
    let mut begins = true;
    while let Some(letter) = rest.chars().next() {
        let ends = |after: &str| after.is_empty() || after.starts_with(['/', ':', ',']);
        let found = mounts.iter().filter(|_| begins).find_map(|mount| {
            let after = rest.strip_prefix(&mount.path)?;
            ends(after).then_some((mount, after))
        });
        if let Some((mount, after)) = found {
            rewritten.push_str(&mount.place.to_string_lossy());
            rest = after;
            begins = false;
        } else {
            rewritten.push(letter);
            rest = &rest[letter.len_utf8()..];
            begins = matches!(letter, '=' | ':' | ',');
        }
    }
    rewritten
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Lookup, Mount, materialise, rewrite};

    struct Objects;

    impl Lookup for Objects {
        fn config_map(&self, _name: &str) -> Option<Value> {
            Some(json!({"data":{"a.txt":"A","b.txt":"B"}}))
        }

        fn secret(&self, _name: &str) -> Option<Value> {
            Some(json!({"data":{"token":"c2VjcmV0"}}))
        }
    }

    #[test]
    fn config_maps_and_secrets_become_files() {
        let directory = tempfile::tempdir().unwrap();
        let pod = json!({"spec":{"volumes":[{"name":"c","configMap":{"name":"x","items":[{"key":"a.txt","path":"sub/a"}]}},
            {"name":"s","secret":{"secretName":"y"}},{"name":"e","emptyDir":{}}]}});
        let container = json!({"volumeMounts":[{"name":"c","mountPath":"/etc/c"},{"name":"s","mountPath":"/etc/s/"},
            {"name":"e","mountPath":"/tmp"}]});
        let mounts = materialise(&pod, &container, directory.path(), &Objects).unwrap();
        let read = |path: &str| std::fs::read_to_string(rewrite(path, &mounts)).unwrap();
        assert_eq!(read("/etc/c/sub/a"), "A");
        assert_eq!(read("/etc/s/token"), "secret");
        assert!(!std::path::Path::new(&rewrite("/etc/c/b.txt", &mounts)).exists());
        assert!(std::path::Path::new(&rewrite("/tmp", &mounts)).is_dir());
    }

    #[test]
    fn only_whole_paths_are_rewritten() {
        let mounts = [Mount {
            path: "/etc/c".into(),
            place: "/real".into(),
        }];
        let cases = [
            ("/etc/c/key", "/real/key"),
            ("--file=/etc/c", "--file=/real"),
            ("/etc/c:/etc/c/d", "/real:/real/d"),
            ("/etc/cache", "/etc/cache"),
            ("/my/etc/c/x", "/my/etc/c/x"),
        ];
        for (text, expected) in cases {
            assert_eq!(rewrite(text, &mounts), expected);
        }
    }
}
