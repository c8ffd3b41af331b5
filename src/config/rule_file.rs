//! A file of rules to be tried: a configuration, or only the part of it that has rules.
//!
//! | file | its rules are for |
//! |---|---|
//! | with `[[service]]` | the services of those names; their addresses may be left out |
//! | with `ignore` and `[[rule]]` at its top | the one service that is asked about |

use std::path::Path;

use compare::ServicePolicy;

use super::fault::Faults;
use super::section::Section;
use super::{Asks, Service, parse, read_config, rule, text_of};

/// Rules, and whom they are for.
#[derive(Clone, Debug)]
pub(crate) struct RuleFile {
    owner: Owner,
    /// What is allowed and was hardly meant, with file and line.
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone, Debug)]
enum Owner {
    Named(Vec<Service>),
    /// Whichever is asked about.
    Any(Box<Service>),
}

impl RuleFile {
    /// Reads and checks a file.
    pub(crate) fn load(path: &Path) -> Result<Self, Faults> {
        let (file, text) = text_of(path)?;
        Self::parse(&file, &text)
    }

    fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        let (owner, warnings) = parse(file, text, |mut top: Section<'_, '_>, dir, now| {
            if !top.has("ignore") && !top.has("rule") {
                return Owner::Named(read_config(top, dir, now, Asks::Rules).services);
            }
            if top.has("service") {
                let span = top.span();
                let text = "rules stand in a [[service]], or at the top of a file without one";
                top.note(&span, text.to_owned());
                top.tables("service", "[[service]]");
            }
            let mut any = Service::new("");
            any.rules = rule::read_all(&mut top, "[[rule]]", now);
            top.finish();
            Owner::Any(Box::new(any))
        })?;
        Ok(Self { owner, warnings })
    }

    /// How the service of this name is compared under the rules; `None` where there are none for
    /// it.
    pub(crate) fn policy(&self, name: &str) -> Option<ServicePolicy> {
        match &self.owner {
            Owner::Named(services) => {
                services.iter().find(|service| *service.name == *name).map(Service::policy)
            }
            Owner::Any(service) => Some(ServicePolicy { name: name.into(), ..service.policy() }),
        }
    }

    /// The services that it names; `None`: it holds for any one.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        match &self.owner {
            Owner::Named(services) => Some(services.iter().map(|s| &*s.name).collect()),
            Owner::Any(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str, service: &str) -> Option<Vec<String>> {
        let file = RuleFile::parse("r.toml", text).unwrap();
        let policy = file.policy(service)?;
        assert_eq!(&*policy.name, service);
        Some(policy.rules.iter().map(|rule| rule.name.to_string()).collect())
    }

    #[test]
    fn rules_are_read_from_a_configuration_from_a_part_of_it_and_alone() {
        let whole = "[capture]\nsnaplen_bytes = 9000\n[[service]]\nname = \"s\"\nprimary = [\"nowhere.invalid:1\"]\n\
             shadow = [\":2\"]\nignore = [\"header:a\"]\n";
        assert_eq!(rules(whole, "s"), Some(vec!["header:a".into()]));
        assert_eq!(rules(whole, "other"), None);
        let part = "[[service]]\nname = \"s\"\n[[service.rule]]\nsort = \"body:/a\"\n";
        assert_eq!(rules(part, "s"), Some(vec!["sort body:/a".into()]));
        let alone = "ignore = [\"header:a\"]\n[[rule]]\nname = \"x\"\nsort = \"body:/a\"\n";
        assert_eq!(rules(alone, "any"), Some(vec!["header:a".into(), "x".into()]));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_line() {
        let faults = |text: &str| RuleFile::parse("r.toml", text).unwrap_err().to_string();
        assert!(faults("x").starts_with("r.toml:1: "));
        assert!(faults("").starts_with("r.toml:1: no [[service]]"));
        let sort = "[[rule]]\nsort = \"body:/a\"\n";
        let key = "[[rule]]\nkey = \"body:/a\"\nby = \"/id\"\n";
        assert!(faults(&format!("{sort}{key}")).starts_with("r.toml:3: the rule 'key body:/a'"));
        assert!(faults(&format!("{sort}[[service]]\nname = \"s\"\n")).contains("or at the top"));
        assert!(faults(&format!("rules = 1\n{sort}")).contains("did you mean 'rule'?"));
    }
}
