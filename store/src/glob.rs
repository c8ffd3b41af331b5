//! Patterns of endpoints, as rules and mirror shares write them: `*` stands for any text.

use regex::Regex;

/// A pattern.
pub(crate) struct Glob(Option<Regex>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
        // Fails only for patterns of megabytes: those name nothing.
        Self(Regex::new(&format!("(?s)^{}$", parts.join(".*"))).ok())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_all_else_is_itself() {
        for (pattern, text, expected) in [
            ("GET /x", "GET /x", true),
            ("GET /x", "GET /xy", false),
            ("GET /x*", "GET /x/{id}/y", true),
            ("* /x/*/y", "POST /x/{id}/y", true),
            ("GET /x/{id}", "GET /x/{id}", true),
            ("GET /x.", "GET /xx", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
