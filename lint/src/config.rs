//! `[workspace.metadata.asupersync-lint]` and the package's: levels and excluded paths.
//!
//! ```toml
//! [workspace.metadata.asupersync-lint]
//! exclude = ["benches/**"]
//! [workspace.metadata.asupersync-lint.levels]
//! AS301 = "allow"
//! unbounded_channel = "deny"
//! ```
//!
//! `tests = "warn"` is the highest level that rules about what a program leaves behind have in tests, examples and benchmarks, where
//! they are off otherwise ([`crate::rules::Heard::OutsideTests`]).
//! `handles = ["some_crate::Task"]` names types whose values stand for a running task: a call of a function of the linted crates that
//! returns one, and drops it, is AS104. `blocking = ["some_crate::read_all"]` names functions that hold the thread; it sets AS406 to warn unless `levels` says otherwise.
//! A wrong key is an error that names the right ones; the other keys still hold. The package's word beats the workspace's, and
//! the command line beats both.

use crate::finding::Level;
use crate::rules::{self, RULES, Rule};
use serde_json::Value;
use std::collections::BTreeMap;

/// The table's name under `metadata`.
pub(crate) const TABLE: &str = "asupersync-lint";

const KEYS: &[&str] = &["levels", "tests", "exclude", "blocking", "handles"];

/// The most similar of some words, if one is similar enough to have been meant.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|one| (strsim::osa_distance(word, one), one))
        .filter(|(distance, one)| *distance <= one.len() / 3)
        .min()
        .map(|(_, one)| one)
}

/// What to do about a name that is no key.
fn key_hint(key: &str) -> String {
    match nearest(key, KEYS.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys are {}", KEYS.join(", ")),
    }
}

/// What to do about a name that is no rule.
pub(crate) fn rule_hint(word: &str) -> String {
    let bare = word.strip_prefix("asupersync::").unwrap_or(word);
    // Codes differ in a digit from one another, so that every wrong one is similar to many.
    match nearest(bare, RULES.iter().map(|rule| rule.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`--explain` without a code lists them".to_owned(),
    }
}

/// What rules watch because the configuration says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    /// Functions that block.
    pub(crate) blocking: Vec<String>,
    /// Types of which a value is the handle of a task.
    pub(crate) handles: Vec<String>,
}

impl Named {
    /// Adds what another names.
    pub(crate) fn extend(&mut self, other: &Named) {
        self.blocking.extend_from_slice(&other.blocking);
        self.handles.extend_from_slice(&other.handles);
    }

    /// Whether a type is a handle by the user's word.
    pub(crate) fn is_handle(&self, path: &str) -> bool {
        self.handles.iter().any(|handle| handle == path)
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key that means nothing.
    #[error("{place}: unknown key `{key}`; {}", key_hint(key))]
    UnknownKey {
        /// Where.
        place: String,
        /// The key.
        key: String,
    },
    /// A level for a rule that does not exist.
    #[error("{place}: unknown rule `{rule}`; {}", rule_hint(rule))]
    UnknownRule {
        /// Where.
        place: String,
        /// The name.
        rule: String,
    },
    /// A level that does not exist.
    #[error("{place}: `{given}` is no level for `{rule}`; write \"allow\", \"warn\" or \"deny\"")]
    UnknownLevel {
        /// Where.
        place: String,
        /// The rule, or `tests`.
        rule: String,
        /// What was written.
        given: String,
    },
    /// A value of the wrong type.
    #[error("{place}: `{key}` must be {expected}")]
    WrongType {
        /// Where.
        place: String,
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
    },
}

/// Levels and exclusions in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    levels: BTreeMap<&'static str, Level>,
    in_tests: Option<Level>,
    exclude: Vec<String>,
    named: Named,
}

impl Config {
    /// Adds the table of one `metadata` value; what is wrong is returned and left out.
    pub(crate) fn add(&mut self, metadata: &Value, place: &str) -> Vec<ConfigError> {
        let mut wrong = Vec::new();
        let Some(table) = metadata.get(TABLE) else {
            return wrong;
        };
        let place = format!("{place} metadata.{TABLE}");
        let wrong_type = |key: &str, expected| ConfigError::WrongType {
            place: place.clone(),
            key: key.to_owned(),
            expected,
        };
        let Some(table) = table.as_object() else {
            return vec![wrong_type(TABLE, "a table")];
        };
        for (key, value) in table {
            match key.as_str() {
                "levels" => match value.as_object() {
                    Some(levels) => {
                        for (rule, level) in levels {
                            match self.level_entry(rule, level, &place) {
                                Ok((rule, level)) => {
                                    self.levels.insert(rule.code, level);
                                }
                                Err(error) => wrong.push(error),
                            }
                        }
                    }
                    None => wrong.push(wrong_type(key, "a table of rule = level")),
                },
                "tests" => match value.as_str().and_then(Level::parse) {
                    Some(level) => self.in_tests = Some(level),
                    None => wrong.push(ConfigError::UnknownLevel {
                        place: place.clone(),
                        rule: key.clone(),
                        given: value.to_string(),
                    }),
                },
                "exclude" => match texts(value) {
                    Some(patterns) => self.exclude.extend(patterns),
                    None => wrong.push(wrong_type(key, "a list of path patterns")),
                },
                "blocking" => match texts(value) {
                    Some(paths) => self.named.blocking.extend(paths),
                    None => wrong.push(wrong_type(key, "a list of paths of functions")),
                },
                "handles" => match texts(value) {
                    Some(paths) => self.named.handles.extend(paths),
                    None => wrong.push(wrong_type(key, "a list of paths of types")),
                },
                _ => wrong.push(ConfigError::UnknownKey {
                    place: place.clone(),
                    key: key.clone(),
                }),
            }
        }
        wrong
    }

    fn level_entry(
        &self,
        rule: &str,
        level: &Value,
        place: &str,
    ) -> Result<(&'static Rule, Level), ConfigError> {
        let found = rules::find(rule).ok_or_else(|| ConfigError::UnknownRule {
            place: place.to_owned(),
            rule: rule.to_owned(),
        })?;
        let level =
            level
                .as_str()
                .and_then(Level::parse)
                .ok_or_else(|| ConfigError::UnknownLevel {
                    place: place.to_owned(),
                    rule: rule.to_owned(),
                    given: level.to_string(),
                })?;
        Ok((found, level))
    }

    /// Applies one `-D`, `-W` or `-A` of the command line, in order: a rule, `all`, or `warnings` (what is at warn now).
    pub(crate) fn set(&mut self, word: &str, level: Level) -> Result<(), String> {
        match word {
            "all" => {
                for rule in RULES {
                    self.levels.insert(rule.code, level);
                }
            }
            "warnings" => {
                for rule in RULES {
                    if self.level(rule) == Level::Warn {
                        self.levels.insert(rule.code, level);
                    }
                }
            }
            word => {
                let rule = rules::find(word)
                    .ok_or_else(|| format!("unknown rule `{word}`; {}", rule_hint(word)))?;
                self.levels.insert(rule.code, level);
            }
        }
        Ok(())
    }

    /// The level of a rule.
    pub(crate) fn level(&self, rule: &Rule) -> Level {
        let asked_for = !self.named.blocking.is_empty() && *rule == *rules::blocking_configured();
        let default = if asked_for { Level::Warn } else { rule.level };
        self.levels.get(rule.code).copied().unwrap_or(default)
    }

    /// Whether somebody set a level for a rule.
    pub(crate) fn sets(&self, rule: &Rule) -> bool {
        self.levels.contains_key(rule.code)
    }

    /// The highest level, in test code, of rules that are [`crate::rules::Heard::OutsideTests`].
    pub(crate) fn in_tests(&self) -> Level {
        self.in_tests.unwrap_or(Level::Allow)
    }

    /// See [`Config::in_tests`].
    pub(crate) fn set_in_tests(&mut self, level: Level) {
        self.in_tests = Some(level);
    }

    /// What rules watch besides what they know themselves.
    pub(crate) fn named(&self) -> &Named {
        &self.named
    }

    /// Whether a path, relative to the workspace or package with `/` between its parts, is left out.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        self.exclude.iter().any(|pattern| matches(pattern, path))
    }
}

/// A list of texts, if that is what it is.
fn texts(value: &Value) -> Option<Vec<String>> {
    let list = value.as_array()?;
    list.iter()
        .map(|one| one.as_str().map(str::to_owned))
        .collect()
}

/// Whether a pattern names a path or a directory above it: `*` within one part, `**` across parts, `?` one character.
fn matches(pattern: &str, path: &str) -> bool {
    fn part(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => {
                part(&pattern[1..], text) || (!text.is_empty() && part(pattern, &text[1..]))
            }
            (Some(b'?'), Some(_)) => part(&pattern[1..], &text[1..]),
            (Some(wanted), Some(found)) if wanted == found => part(&pattern[1..], &text[1..]),
            _ => false,
        }
    }
    fn parts(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.first(), path.first()) {
            // The whole pattern matched a directory above the path.
            (None, _) => true,
            (Some(&"**"), _) => {
                parts(&pattern[1..], path) || (!path.is_empty() && parts(pattern, &path[1..]))
            }
            (Some(wanted), Some(found)) => {
                part(wanted.as_bytes(), found.as_bytes()) && parts(&pattern[1..], &path[1..])
            }
            (Some(_), None) => false,
        }
    }
    let pattern: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let path: Vec<&str> = path.split('/').collect();
    parts(&pattern, &path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("tests", "tests/a.rs", true),
            ("tests/**", "tests/deep/a.rs", true),
            ("tests/*.rs", "tests/a.rs", true),
            ("tests/*.rs", "tests/deep/a.rs", false),
            ("**/gen.rs", "src/a/gen.rs", true),
            ("src/?.rs", "src/a.rs", true),
            ("src/?.rs", "src/ab.rs", false),
            ("test", "tests/a.rs", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn wrong_keys_are_named_and_the_rest_holds() {
        let mut config = Config::default();
        let wrong = config.add(
            &json!({ TABLE: {
                "level": {},
                "exclude": "tests",
                "tests": "loud",
                "levels": { "AS101": "warn", "AS999": "warn", "ambient_time": "loud" },
            }}),
            "workspace",
        );
        let texts: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 5, "{texts:?}");
        assert!(
            texts
                .iter()
                .any(|text| text.contains("unknown key `level`; did you mean `levels`?"))
        );
        assert!(
            texts
                .iter()
                .any(|text| text.contains("unknown rule `AS999`"))
        );
        assert!(
            texts
                .iter()
                .any(|text| text.contains("no level for `ambient_time`"))
        );
        assert!(texts.iter().any(|text| text.contains("`exclude` must be")));
        assert!(
            texts
                .iter()
                .any(|text| text.contains("no level for `tests`"))
        );
        assert_eq!(config.in_tests(), Level::Allow);
        assert!(
            config
                .add(&json!({ TABLE: { "tests": "warn" }}), "workspace")
                .is_empty()
        );
        assert_eq!(config.in_tests(), Level::Warn);
        assert_eq!(
            rule_hint("detached_spwan"),
            "did you mean `detached_spawn`?"
        );
        assert!(rule_hint("AS999").contains("--explain"));
        let rule = rules::find("detached_spawn").unwrap();
        assert_eq!(config.level(rule), Level::Warn);
        config.set("warnings", Level::Deny).unwrap();
        assert_eq!(config.level(rule), Level::Deny);
    }
}
