//! Patterns of resources, segment by segment.
//!
//! Matching takes at most (segments of the pattern × segments of the resource)
//! steps, whatever the pattern: on a mismatch only the last `**` is retried.

/// Whether `resource` matches `pattern`; see [`Caveat::Resource`](super::Caveat::Resource).
pub(super) fn matches(pattern: &str, resource: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let resource: Vec<&str> = resource.split('/').collect();
    // What a file system would resolve to something else is nobody's resource.
    if resource.iter().any(|s| matches!(*s, "" | "." | "..")) {
        return false;
    }
    let (mut p, mut r) = (0, 0);
    // The last `**`, and how far it reaches.
    let mut any: Option<(usize, usize)> = None;
    while r < resource.len() {
        match pattern.get(p) {
            Some(&"**") => {
                any = Some((p, r));
                p += 1;
            }
            Some(segment) if *segment == "*" || *segment == resource[r] => {
                p += 1;
                r += 1;
            }
            _ => {
                let Some((at, reach)) = any else {
                    return false;
                };
                any = Some((at, reach + 1));
                (p, r) = (at + 1, reach + 1);
            }
        }
    }
    pattern[p..].iter().all(|segment| *segment == "**")
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    #[test]
    fn patterns_mean_what_the_documentation_says() {
        for (pattern, yes, no) in [
            ("a/b", &["a/b"][..], &["a", "a/b/c", "a/c", "A/b"][..]),
            ("a/*", &["a/b"], &["a", "a/b/c", "b/b"]),
            ("a/**", &["a", "a/b", "a/b/c"], &["b", "ab/c"]),
            ("**/z", &["z", "a/z", "a/z/z"], &["a", "z/a"]),
            (
                "a/**/b/*/c",
                &["a/b/x/c", "a/b/x/b/y/c"],
                &["a/b/c", "a/x/c"],
            ),
            ("*.txt", &["*.txt"], &["a.txt"]),
            (
                "**",
                &["a", "a/b"],
                &["", "a//b", "a/../b", "./a", "/a", "a/"],
            ),
        ] {
            for r in yes {
                assert!(matches(pattern, r), "{pattern} {r}");
            }
            for r in no {
                assert!(!matches(pattern, r), "{pattern} {r}");
            }
        }
    }

    /// The definition, without regard to time.
    fn slow(p: &[&str], r: &[&str]) -> bool {
        match (p.split_first(), r.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) if slow(rest, r) => true,
            (Some((&"**", _)), Some((_, after))) => slow(p, after),
            (Some((&s, rest)), Some((&t, after))) => (s == "*" || s == t) && slow(rest, after),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_its_definition(
            p in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "**"]), 1..7),
            r in prop::collection::vec(prop::sample::select(vec!["a", "b"]), 1..7),
        ) {
            prop_assert_eq!(matches(&p.join("/"), &r.join("/")), slow(&p, &r));
        }
    }

    #[test]
    fn hostile_patterns_take_no_longer() {
        let pattern = vec!["**/a"; 100].join("/") + "/b";
        let resource = vec!["a"; 2_000].join("/");
        assert!(!matches(&pattern, &resource));
    }
}
