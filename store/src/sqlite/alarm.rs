//! Rules that want a look: those that never fire, that have expired, or that silence a whole body.

use std::collections::BTreeMap;

use capture::Timestamp;

use crate::Settings;
use crate::glob::Glob;
use crate::report::Alarm;

/// Names of what is wrong.
const NEVER_FIRED: &str = "never_fired";
const EXPIRED: &str = "expired";
const SILENCES_BODY: &str = "silences_body";

/// The action that leaves out whatever is covered.
const IGNORE: &str = "ignore";

/// Scopes that cover every body.
const WHOLE_BODY: [&str; 3] = ["body:", "body:/**", "body:/*"];

/// The alarms of a service. `endpoints` are the names, compared pairs, and differences explained by
/// rule, of those that were seen; `now` is the moment as of which rules have expired.
pub(super) fn alarms<'a>(
    settings: &Settings,
    now: Option<Timestamp>,
    endpoints: impl Iterator<Item = (&'a str, u64, &'a BTreeMap<String, u64>)>,
) -> Vec<Alarm> {
    let endpoints: Vec<_> = endpoints.collect();
    let mut alarms = Vec::new();
    for setting in &settings.rules {
        let mut raise = |why: &str| {
            alarms.push(Alarm { rule: setting.rule.clone(), why: why.to_owned() });
        };
        let fired = endpoints.iter().any(|(_, _, by_rule)| by_rule.contains_key(&setting.rule));
        let glob = setting.endpoint.as_deref().map(Glob::new);
        let holds_for = |name: &str| glob.as_ref().is_none_or(|glob| glob.matches(name));
        let asked = endpoints.iter().any(|&(name, compared, _)| compared > 0 && holds_for(name));
        let until = setting.until.as_ref().and_then(|until| until.parse::<jiff::Timestamp>().ok());
        let now = now.and_then(|now| jiff::Timestamp::from_nanosecond(now.as_nanos().into()).ok());
        if until.zip(now).is_some_and(|(until, now)| until <= now) {
            raise(EXPIRED);
        } else if asked && !fired {
            raise(NEVER_FIRED);
        }
        if setting.action == IGNORE && WHOLE_BODY.contains(&setting.scope.as_str()) {
            raise(SILENCES_BODY);
        }
    }
    alarms
}
