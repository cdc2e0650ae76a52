//! AM090: the manifest follows the code.
//!
//! * Formatting, comments and order of the file stay; only entries of `asupersync`, `asupersync-compat` and `tokio` change.
//! * Tokio goes only when no file of the package names it any more and no feature of the package does.

use crate::collect::TokioUse;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value, value};

/// How the rewritten code depends on the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// A version requirement.
    Version(String),
    /// A checkout that has the runtime under `asupersync` and the compatibility crate under `compat`.
    Path(PathBuf),
}

impl Default for Dependency {
    fn default() -> Self {
        Dependency::Version("0.1".to_owned())
    }
}

/// Why a manifest cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is no TOML.
    #[error("{} is not valid TOML: {source}", path.display())]
    Syntax {
        /// The manifest.
        path: PathBuf,
        /// What the parser said.
        source: toml_edit::TomlError,
    },
}

/// What the code of a package needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Library, binaries and build script name the runtime.
    pub(crate) runtime: bool,
    /// Only tests, examples and benchmarks do.
    pub(crate) runtime_for_tests: bool,
    pub(crate) compat: bool,
    pub(crate) compat_for_tests: bool,
    /// What still names tokio.
    pub(crate) tokio: TokioUse,
}

/// The manifest after the change; the same text where there is nothing to do.
pub(crate) fn rewrite(
    path: &Path,
    text: &str,
    needs: Needs,
    dependency: &Dependency,
) -> Result<String, ManifestError> {
    let mut document: DocumentMut = text.parse().map_err(|source| ManifestError::Syntax {
        path: path.to_owned(),
        source,
    })?;
    let mut changed = false;
    for (name, directory, always, tests) in [
        (
            "asupersync",
            "asupersync",
            needs.runtime,
            needs.runtime_for_tests,
        ),
        (
            "asupersync-compat",
            "compat",
            needs.compat,
            needs.compat_for_tests,
        ),
    ] {
        let section = match (always, tests) {
            (true, _) => "dependencies",
            (false, true) => "dev-dependencies",
            (false, false) => continue,
        };
        let present = ["dependencies", "dev-dependencies"].iter().any(|found| {
            (*found == section || *found == "dependencies")
                && document
                    .get(found)
                    .and_then(Item::as_table_like)
                    .is_some_and(|table| table.contains_key(name))
        });
        if present {
            continue;
        }
        let entry = match dependency {
            Dependency::Version(version) => value(version.as_str()),
            Dependency::Path(root) => {
                let mut table = InlineTable::new();
                table.insert(
                    "path",
                    Value::from(root.join(directory).display().to_string()),
                );
                value(table)
            }
        };
        let table = document
            .entry(section)
            .or_insert_with(|| Item::Table(Table::new()));
        if let Some(table) = table.as_table_like_mut() {
            table.insert(name, entry);
            changed = true;
        }
    }
    changed |= drop_tokio(&mut document, needs.tokio);
    Ok(if changed {
        document.to_string()
    } else {
        text.to_owned()
    })
}

/// Whether a manifest has features beside the default ones.
pub(crate) fn has_features(text: &str) -> bool {
    let Ok(document) = text.parse::<DocumentMut>() else {
        return false;
    };
    let named = document
        .get("features")
        .and_then(Item::as_table_like)
        .is_some_and(|features| features.iter().any(|(name, _)| name != "default"));
    let optional = |section: &str| {
        document
            .get(section)
            .and_then(Item::as_table_like)
            .is_some_and(|table| {
                table
                    .iter()
                    .any(|(_, entry)| entry.get("optional").and_then(Item::as_bool) == Some(true))
            })
    };
    named || optional("dependencies")
}

/// Removes tokio from the sections whose code no longer names it.
fn drop_tokio(document: &mut DocumentMut, left: TokioUse) -> bool {
    let named_by_feature = document
        .get("features")
        .and_then(Item::as_table_like)
        .is_some_and(|features| {
            features.iter().any(|(_, list)| {
                list.as_array().is_some_and(|list| {
                    list.iter().filter_map(Value::as_str).any(|entry| {
                        let entry = entry.strip_prefix("dep:").unwrap_or(entry);
                        let name = entry.split(['/', '?']).next().unwrap_or(entry);
                        name == "tokio"
                    })
                })
            })
        });
    if named_by_feature {
        return false;
    }
    let mut changed = false;
    if left == TokioUse::Nothing {
        changed |= remove(document, "dev-dependencies");
        changed |= remove(document, "dependencies");
    } else if left == TokioUse::OnlyTests
        && !has(document, "dev-dependencies")
        && let Some(entry) = document
            .get("dependencies")
            .and_then(|table| table.get("tokio"))
            .cloned()
    {
        let table = document
            .entry("dev-dependencies")
            .or_insert_with(|| Item::Table(Table::new()));
        if let Some(table) = table.as_table_like_mut() {
            table.insert("tokio", entry);
            remove(document, "dependencies");
            changed = true;
        }
    }
    changed
}

fn has(document: &DocumentMut, section: &str) -> bool {
    document
        .get(section)
        .and_then(Item::as_table_like)
        .is_some_and(|table| table.contains_key("tokio"))
}

fn remove(document: &mut DocumentMut, section: &str) -> bool {
    let Some(table) = document.get_mut(section).and_then(Item::as_table_like_mut) else {
        return false;
    };
    let removed = table.remove("tokio").is_some();
    if removed && table.is_empty() {
        document.remove(section);
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, needs: Needs, after: &str) {
        let path = Path::new("Cargo.toml");
        let got = rewrite(path, before, needs, &Dependency::default()).unwrap();
        assert_eq!(got, after);
        let again = rewrite(path, &got, needs, &Dependency::default()).unwrap();
        assert_eq!(again, got, "a second run changes nothing");
    }

    #[test]
    fn tokio_goes_when_nothing_names_it() {
        check(
            "[dependencies]\n# the runtime\ntokio = \"1\"\nbytes = \"1\" # buffers\n\n[dev-dependencies]\ntokio = { version = \"1\", features = [\"test-util\"] }\n",
            Needs {
                runtime: true,
                ..Needs::default()
            },
            "[dependencies]\nbytes = \"1\" # buffers\nasupersync = \"0.1\"\n",
        );
    }

    #[test]
    fn tokio_stays_for_what_is_left() {
        check(
            "[dependencies.tokio]\nversion = \"1\"\n",
            Needs {
                runtime: true,
                compat: true,
                tokio: TokioUse::Library,
                ..Needs::default()
            },
            "[dependencies]\nasupersync = \"0.1\"\nasupersync-compat = \"0.1\"\n[dependencies.tokio]\nversion = \"1\"\n",
        );
    }

    #[test]
    fn a_feature_that_names_tokio_keeps_it() {
        let text = "[features]\nrt = [\"dep:tokio\"]\n\n[dependencies]\ntokio = { version = \"1\", optional = true }\n";
        check(text, Needs::default(), text);
    }
}
