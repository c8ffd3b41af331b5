//! `[[service.rule]]`: differences that are expected, and how arrays are compared.
//!
//! Owns the keys of a rule and their written form. What they mean, and which combinations make
//! sense, is `compare`'s to say.

use std::fmt::{Error, Write};
use std::ops::Range;

use capture::Timestamp;
use compare::{Action, ElementKey, Normaliser, Rule, RuleError, Scope, TextPattern, Tolerance};
use toml::Spanned;

use super::quoted;
use super::section::Section;

/// The keys of which a rule has one: what it does where.
const ACTIONS: [&str; 5] = ["ignore", "normalise", "tolerate", "sort", "key"];

/// What a rule is given besides its scope, each where it is in the file.
struct Given {
    pattern: Option<Spanned<String>>,
    replace: Option<Spanned<String>>,
    absolute: Option<String>,
    relative: Option<String>,
    within_ms: Option<u64>,
    by: Option<Vec<Spanned<String>>>,
    primary: Option<u16>,
    shadow: Option<u16>,
}

/// Reads a rule. What is wrong with it is noted, and `None` returned.
pub(super) fn read(mut section: Section<'_, '_>) -> Option<Rule> {
    let span = section.span();
    let name = section.string("name").map(Spanned::into_inner);
    let endpoint = section.string("endpoint").map(Spanned::into_inner);
    let has_until = section.has("until");
    let until = section.moment("until");
    let actions: Vec<(&'static str, Spanned<String>)> =
        ACTIONS.iter().filter_map(|&key| Some((key, section.string(key)?))).collect();
    let status = |section: &mut Section<'_, '_>, key| {
        section.has(key).then(|| section.integer(key, 0..=999, 200))
    };
    let given = Given {
        pattern: section.string("pattern"),
        replace: section.string("replace"),
        absolute: section.decimal("absolute"),
        relative: section.decimal("relative"),
        within_ms: section
            .has("within_ms")
            .then(|| section.integer("within_ms", 0..=u64::from(u32::MAX), 0)),
        by: section.string_or_strings("by"),
        primary: status(&mut section, "primary").and_then(|code| u16::try_from(code).ok()),
        shadow: status(&mut section, "shadow").and_then(|code| u16::try_from(code).ok()),
    };
    let rule = rule(&section, &span, name.as_deref(), &actions, &given);
    section.finish();
    let mut rule = rule.filter(|_| until.is_some() || !has_until)?;
    rule.endpoint = endpoint.as_deref().map(TextPattern::new);
    rule.until = until;
    Some(rule)
}

fn rule(
    section: &Section<'_, '_>,
    span: &Range<usize>,
    name: Option<&str>,
    actions: &[(&'static str, Spanned<String>)],
    given: &Given,
) -> Option<Rule> {
    let (key, written) = match actions {
        [one] => one,
        [] => {
            let text = "a rule needs to say what it does: ignore = \"body:/path\", or normalise, \
                        tolerate, sort or key";
            section.note(span, text.to_owned());
            return None;
        }
        [(one, _), (other, at), ..] => {
            let text = format!("a rule does one thing: '{one}' and '{other}' need a rule each");
            section.note(&at.span(), text);
            return None;
        }
    };
    if let Some((of, stray)) = given.strays(key).first() {
        section.note(span, format!("'{stray}' belongs to a rule with '{of}', not with '{key}'"));
        return None;
    }
    let scope: Scope = section.parse(key, written)?;
    let name = match (name, *key) {
        (Some(name), _) => name.to_owned(),
        // As `ignore = [...]` names it.
        (None, "ignore") => scope.to_string(),
        (None, key) => format!("{key} {scope}"),
    };
    let rule = given.action(key).and_then(|action| Rule::new(&name, scope, action));
    rule.map_err(|why| {
        let place = match why {
            RuleError::BadPattern(_) => given.pattern.as_ref().map_or(span.clone(), Spanned::span),
            _ => written.span(),
        };
        section.note(&place, why.to_string());
    })
    .ok()
}

impl Given {
    fn action(&self, key: &str) -> Result<Action, RuleError> {
        Ok(match key {
            "normalise" => {
                let text = |given: &Option<Spanned<String>>| {
                    given.as_ref().map(|text| text.get_ref().clone()).unwrap_or_default()
                };
                if self.pattern.is_none() {
                    return Err(RuleError::BadPattern(
                        "none is given; write pattern = '…'".to_owned(),
                    ));
                }
                Action::Normalise(Normaliser::new(&text(&self.pattern), &text(&self.replace))?)
            }
            "tolerate" => Action::Tolerate(Tolerance::new(
                self.absolute.as_deref(),
                self.relative.as_deref(),
                self.within_ms,
            )?),
            "sort" => Action::Sort,
            "key" => {
                let by = self.by.as_deref().unwrap_or_default();
                Action::Key(ElementKey::new(by.iter().map(|text| text.get_ref().as_str()))?)
            }
            _ => match (self.primary, self.shadow) {
                (Some(primary), Some(shadow)) => Action::IgnoreStatus { primary, shadow },
                (None, None) => Action::Ignore,
                _ => return Err(RuleError::StatusWithoutCodes),
            },
        })
    }

    /// Keys that are given and are not for `action`, with the action that they are for.
    fn strays(&self, action: &str) -> Vec<(&'static str, &'static str)> {
        let all = [
            ("normalise", "pattern", self.pattern.is_some()),
            ("normalise", "replace", self.replace.is_some()),
            ("tolerate", "absolute", self.absolute.is_some()),
            ("tolerate", "relative", self.relative.is_some()),
            ("tolerate", "within_ms", self.within_ms.is_some()),
            ("key", "by", self.by.is_some()),
            ("ignore", "primary", self.primary.is_some()),
            ("ignore", "shadow", self.shadow.is_some()),
        ];
        all.into_iter()
            .filter(|&(of, _, is_given)| is_given && of != action)
            .map(|(of, key, _)| (of, key))
            .collect()
    }
}

/// Writes a rule with every key that it has.
pub(super) fn write(out: &mut String, rule: &Rule) -> Result<(), Error> {
    writeln!(out, "\n[[service.rule]]")?;
    writeln!(out, "name = {}", quoted(&rule.name))?;
    if let Some(endpoint) = &rule.endpoint {
        writeln!(out, "endpoint = {}", quoted(&endpoint.to_string()))?;
    }
    if let Some(until) = rule.until {
        let time = jiff::Timestamp::from_nanosecond(until.as_nanos().into());
        writeln!(out, "until = {}", time.map_err(|_| Error)?)?;
    }
    let action = rule.action();
    writeln!(out, "{} = {}", action.as_str(), quoted(&rule.scope().to_string()))?;
    match action {
        Action::Ignore | Action::Sort => {}
        Action::IgnoreStatus { primary, shadow } => {
            writeln!(out, "primary = {primary}")?;
            writeln!(out, "shadow = {shadow}")?;
        }
        Action::Normalise(normaliser) => {
            writeln!(out, "pattern = {}", quoted(normaliser.pattern()))?;
            writeln!(out, "replace = {}", quoted(normaliser.replace()))?;
        }
        Action::Tolerate(tolerance) => {
            for (key, number) in
                [("absolute", tolerance.absolute()), ("relative", tolerance.relative())]
            {
                if let Some(number) = number {
                    // A whole number in TOML has a largest one.
                    let point = if number.contains('.') { "" } else { ".0" };
                    writeln!(out, "{key} = {number}{point}")?;
                }
            }
            if let Some(ms) = tolerance.within_ms() {
                writeln!(out, "within_ms = {ms}")?;
            }
        }
        Action::Key(key) => {
            let pointers: Vec<String> = key.pointers().map(str::to_owned).collect();
            writeln!(out, "by = {}", super::list(&pointers))?;
        }
    }
    Ok(())
}

/// A rule as it is written in a file.
pub(crate) fn text(rule: &Rule) -> String {
    let mut text = String::new();
    write(&mut text, rule).expect("writing to a string does not fail");
    text.trim_start().to_owned()
}

/// Reads `ignore`, and the rules that are written as `tables`, and notes what is wrong with them as
/// a whole.
pub(super) fn read_all(
    section: &mut Section<'_, '_>,
    tables: &'static str,
    now: Timestamp,
) -> Vec<Rule> {
    let (mut rules, mut at) = (Vec::new(), Vec::new());
    for text in section.strings("ignore").unwrap_or_default() {
        if let Some(rule) = section.parse("ignore", &text) {
            rules.push(rule);
            at.push(text.span());
        }
    }
    for table in section.tables("rule", tables) {
        let span = table.span();
        if let Some(rule) = read(table) {
            rules.push(rule);
            at.push(span);
        }
    }
    for fault in compare::audit(&rules, now) {
        let at = at.get(fault.rule).cloned().unwrap_or_else(|| section.span());
        if fault.what.is_error() {
            section.note(&at, fault.to_string());
        } else {
            section.warn(&at, fault.to_string());
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const SERVICE: &str = "[[service]]\nname = \"s\"\nprimary = [\":1\"]\nshadow = [\":2\"]\nignore = [\"header:x-a\"]\n";

    fn with(rules: &str) -> String {
        format!("{SERVICE}{rules}")
    }

    fn faults(rules: &str) -> String {
        Config::parse("c.toml", &with(rules)).unwrap_err().to_string()
    }

    #[test]
    fn every_action_is_read_and_written_back() {
        let text = with(
            r#"
[[service.rule]]
ignore = "trailer:x-*"
[[service.rule]]
name = "created is accepted"
ignore = "status"
primary = 200
shadow = 201
until = 2027-01-31
[[service.rule]]
name = "signed out"
ignore = "status"
primary = 0
shadow = 16
[[service.rule]]
name = "versions"
endpoint = "GET /api/*"
normalise = "body:/**/version"
pattern = '(\d+)\.\d+'
replace = "$1"
until = 2027-01-31T10:00:00+01:00
[[service.rule]]
tolerate = "body:/prices/*"
absolute = 0.10
relative = 1
within_ms = 1500
[[service.rule]]
sort = "body:/tags"
[[service.rule]]
key = "body:/items"
by = "/id"
[[service.rule]]
key = "body:/rows"
by = ["/a/b", "/c"]
until = "2027-01-31T09:00:00Z"
"#,
        );
        let config = Config::parse("c.toml", &text).unwrap();
        assert_eq!(config.warnings, [""; 0]);
        let rules = &config.services[0].rules;
        let names: Vec<&str> = rules.iter().map(|rule| &*rule.name).collect();
        assert_eq!(
            names,
            [
                "header:x-a",
                "trailer:x-*",
                "created is accepted",
                "signed out",
                "versions",
                "tolerate body:/prices/*",
                "sort body:/tags",
                "key body:/items",
                "key body:/rows"
            ]
        );
        let until = |i: usize| rules[i].until.unwrap().as_nanos() / 1_000_000_000;
        // A date lasts to its end.
        assert_eq!((until(2), until(4), until(8)), (1_801_439_999, 1_801_386_000, 1_801_386_000));
        let effective = config.effective();
        let again = Config::parse("effective.toml", &effective).unwrap();
        assert_eq!(again.services[0].rules, *rules, "{effective}");
        assert_eq!(again.effective(), effective);
    }

    #[test]
    fn the_example_shows_every_action() {
        let example = include_str!("../../systemd/config.toml");
        // A message needs a descriptor set, which is no file here.
        let (example, _) = example.split_once("#[[service.message]]").unwrap();
        let uncommented: String = example
            .lines()
            // What comes after it needs a descriptor set.
            .take_while(|line| !line.starts_with("# Which protobuf"))
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.starts_with("[[") => format!("{key}\n"),
                Some(key) if key.contains(" = ") && !key.starts_with(' ') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let config = Config::parse("config.toml", &uncommented).unwrap();
        assert_eq!(config.warnings, [""; 0]);
        let rules = config.services[0].rules.iter();
        let mut actions: Vec<&str> = rules.map(|rule| rule.action().as_str()).collect();
        actions.dedup();
        assert_eq!(actions, ["ignore", "normalise", "tolerate", "sort", "key"]);
    }

    #[test]
    fn a_rule_that_says_nothing_or_too_much_says_where_and_what_to_do() {
        for (rule, expected) in [
            ("name = \"x\"\n", "c.toml:6: a rule needs to say what it does: ignore = "),
            (
                "ignore = \"body:/a\"\nsort = \"body:/a\"\n",
                "c.toml:8: a rule does one thing: 'ignore' and 'sort' need a rule each",
            ),
            (
                "normalise = \"body:/a\"\npattern = \"a(\"\n",
                "c.toml:8: the pattern is no regular expression: unclosed group",
            ),
            ("normalise = \"body:/a\"\n", "c.toml:6: the pattern is no regular expression: none"),
            ("tolerate = \"body:/a\"\n", "c.toml:7: say how far values may be apart"),
            ("tolerate = \"body:/a\"\nabsolute = -1\n", "absolute = -1: a tolerance is a number"),
            ("tolerate = \"body:/a\"\nrelative = nan\n", "relative = nan: a tolerance is"),
            ("key = \"body:/a\"\n", "name where in an element its key is"),
            ("key = \"header:a\"\nby = \"/id\"\n", "'key' is not for 'header:a'"),
            ("sort = \"body:/a\"\nby = \"/id\"\n", "'by' belongs to a rule with 'key', not with"),
            ("ignore = \"status\"\n", "say which change of the status is expected"),
            ("ignore = \"status\"\nprimary = 200\n", "say which change of the status is expected"),
            (
                "ignore = \"status\"\nprimary = 20\nshadow = 200\n",
                "c.toml:7: primary = 20, shadow = 200: statuses are both HTTP's",
            ),
            ("ignore = \"status\"\nprimary = 1000\nshadow = 200\n", "must be from 0 to 999"),
            ("ignore = \"body:/a\"\nuntil = 2027-01-01T00:00:00\n", "say the zone"),
            ("ignore = \"body:/a\"\nuntil = \"soon\"\n", "'until' must be a date or a time"),
            ("ignore = \"body:/a\"\nunti = 2027-01-01\n", "did you mean 'until'?"),
            ("ignore = \"body:/**a\"\n", "a '*' that is meant is written '~2'"),
        ] {
            let said = faults(&format!("[[service.rule]]\n{rule}"));
            assert!(said.contains(expected), "{rule}: {said}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_rules_together_is_told_at_the_rule() {
        let rule = |text: &str| format!("[[service.rule]]\n{text}\n");
        let same = rule("name = \"header:x-a\"\nignore = \"body:/b\"");
        assert!(faults(&same).contains("c.toml:6: two rules are named 'header:x-a'"));
        let contradiction = rule("sort = \"body:/a\"") + &rule("key = \"body:/a\"\nby = \"/id\"");
        assert!(faults(&contradiction).contains("c.toml:8: the rule 'key body:/a' contradicts"));

        let warned = rule("ignore = \"header:X-A\"")
            + &rule("name = \"old\"\nignore = \"body:/a\"\nuntil = 2020-01-01")
            + &rule("name = \"all\"\nignore = \"body:\"");
        let config = Config::parse("c.toml", &with(&warned)).unwrap();
        assert_eq!(
            config.warnings,
            [
                "c.toml:6: the rule 'header:x-a' is never reached: 'header:x-a' before it covers the \
             same",
                "c.toml:8: the rule 'old' no longer holds: its time is over; remove it, or move its \
             'until'",
                "c.toml:12: the rule 'all' ignores whole bodies: no difference in one will be \
             reported; name the places that differ",
            ]
        );
    }
}
