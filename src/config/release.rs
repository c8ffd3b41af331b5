//! Which versions a service runs, and how much of its traffic the proxy is said to mirror.

use std::fmt::{self, Write};

use compare::{ReleaseSource, Releases};

use super::quoted;
use super::section::{Number, Section};

const SHARE: Number = Number { valid: |x| (0.0..=1.0).contains(&x), meant: "between 0 and 1" };

/// How much the proxy is said to mirror.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MirrorShare {
    /// The endpoints it holds for; `None`: all that no other names.
    pub(crate) endpoint: Option<String>,
    pub(crate) share: f64,
}

/// Reads `release` and `release_header`.
pub(super) fn read(section: &mut Section<'_, '_>) -> ReleaseSource {
    let span = section.span();
    let header = section.string("release_header");
    if !section.has("release") {
        return header.map_or(ReleaseSource::Unknown, |name| {
            let lower = name.get_ref().to_ascii_lowercase();
            // RFC 9110 §5.6.2: what a token is made of.
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if lower.is_empty() || !lower.bytes().all(token) {
                let why = format!("release_header = '{lower}': no name of a header field");
                section.note(&name.span(), why);
            }
            ReleaseSource::Header(lower.into())
        });
    }
    if header.is_some() {
        let why = "'release' and 'release_header' say the same in two ways: keep one";
        section.note(&span, why.into());
    }
    let mut table = section.table("release", "release = { primary = \"…\", shadow = \"…\" }");
    let mut name = |key| table.string(key).map(toml::Spanned::into_inner).unwrap_or_default();
    let releases = Releases::new(&name("primary"), &name("shadow"));
    table.finish();
    ReleaseSource::Configured(releases)
}

/// Reads `mirror_share`: a number for all endpoints, or tables for some.
pub(super) fn read_shares(section: &mut Section<'_, '_>) -> Vec<MirrorShare> {
    if !section.is_array("mirror_share") {
        let share = section.number("mirror_share", SHARE);
        return share.map(|share| MirrorShare { endpoint: None, share }).into_iter().collect();
    }
    let mut shares: Vec<MirrorShare> = Vec::new();
    for mut table in section.tables("mirror_share", "[[service.mirror_share]]") {
        let endpoint = table.string("endpoint").map(toml::Spanned::into_inner);
        let span = table.span();
        if !table.has("share") {
            table.note(&span, "a mirror_share needs its share: share = 0.5".into());
        }
        if shares.iter().any(|other| other.endpoint == endpoint) {
            table.note(&span, "two shares are given for the same endpoints".into());
        }
        if let Some(share) = table.number("share", SHARE) {
            shares.push(MirrorShare { endpoint, share });
        }
        table.finish();
    }
    shares
}

/// Writes what was said, as keys of `[[service]]`.
pub(super) fn write(out: &mut String, release: &ReleaseSource) -> fmt::Result {
    match release {
        ReleaseSource::Unknown => Ok(()),
        ReleaseSource::Configured(Releases { primary, shadow }) => {
            let (primary, shadow) = (quoted(primary), quoted(shadow));
            writeln!(out, "release = {{ primary = {primary}, shadow = {shadow} }}")
        }
        ReleaseSource::Header(name) => writeln!(out, "release_header = {}", quoted(name)),
    }
}

/// Writes them as tables below `[[service]]`.
pub(super) fn write_shares(out: &mut String, shares: &[MirrorShare]) -> fmt::Result {
    for MirrorShare { endpoint, share } in shares {
        writeln!(out, "\n[[service.mirror_share]]")?;
        if let Some(endpoint) = endpoint {
            writeln!(out, "endpoint = {}", quoted(endpoint))?;
        }
        writeln!(out, "share = {share:?}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Service};

    fn service(keys: &str) -> Result<Service, String> {
        let text =
            format!("[[service]]\nname = \"s\"\nprimary = [\":1\"]\nshadow = [\":2\"]\n{keys}");
        let config = Config::parse("c.toml", &text).map_err(|faults| faults.to_string())?;
        let again = Config::parse("c.toml", &config.effective()).unwrap();
        assert_eq!(again.effective(), config.effective());
        Ok(config.services.into_iter().next().unwrap())
    }

    #[test]
    fn releases_are_told_or_read_from_a_header() {
        let told = service("release = { primary = \"v1\", shadow = \"v2\" }").unwrap().release;
        let ReleaseSource::Configured(releases) = told else { panic!("{told:?}") };
        assert_eq!(releases.to_string(), "v1..v2");
        let read = service("release_header = \"X-Version\"").unwrap().release;
        assert!(matches!(&read, ReleaseSource::Header(name) if **name == *"x-version"), "{read:?}");
        assert!(matches!(service("").unwrap().release, ReleaseSource::Unknown));
    }

    #[test]
    fn a_share_is_one_for_all_or_by_endpoint() {
        let shares = |keys| service(keys).unwrap().mirror_shares;
        assert_eq!(shares("mirror_share = 0.5"), [MirrorShare { endpoint: None, share: 0.5 }]);
        let two = shares(
            "[[service.mirror_share]]\nendpoint = \"GET /x*\"\nshare = 0.1\n\
             [[service.mirror_share]]\nshare = 1\n",
        );
        assert_eq!(two[0], MirrorShare { endpoint: Some("GET /x*".into()), share: 0.1 });
        assert_eq!(two[1], MirrorShare { endpoint: None, share: 1.0 });
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        for (keys, expected) in [
            ("mirror_share = 50", "c.toml:5: 'mirror_share' must be between 0 and 1, not 50"),
            (
                "[[service.mirror_share]]\nendpoint = \"GET /\"",
                "c.toml:5: a mirror_share needs its share",
            ),
            (
                "release_header = \"a b\"",
                "c.toml:5: release_header = 'a b': no name of a header field",
            ),
            ("release = \"v1\"", "c.toml:5: 'release' must be a table"),
            ("release_header = \"v\"\nrelease = { shadow = \"2\" }", "keep one"),
        ] {
            let said = service(keys).unwrap_err();
            assert!(said.contains(expected), "{keys}:\n{said}");
        }
    }
}
