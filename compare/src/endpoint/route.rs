//! Routes: path templates that the configuration names.

use std::fmt;
use std::str::FromStr;

/// Bytes of a route. Longer ones would be cut as names of endpoints.
const ROUTE_BYTES: usize = 200;

/// A path template, for one method or all.
///
/// Written `/posts/{slug}`, `GET /posts/{slug}/comments` or `/files/**`: `{name}` stands for one
/// segment that is not empty, `**` at the end for any number of segments, also none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    method: Option<Box<str>>,
    /// As written, from the first slash.
    path: Box<str>,
}

/// A segment of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment<'r> {
    Name(&'r str),
    AnyOne,
    Rest,
}

impl Route {
    /// The path template, which is the endpoint's name behind the method.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether a request of this method for this path is of it.
    pub(crate) fn takes(&self, method: &[u8], path: &[u8]) -> bool {
        if self.method.as_ref().is_some_and(|of| of.as_bytes() != method) {
            return false;
        }
        let mut sent = path.split(|&b| b == b'/');
        for segment in self.segments() {
            match (segment, sent.next()) {
                (Segment::Rest, _) => return true,
                (Segment::Name(name), Some(sent)) if name.as_bytes() == sent => {}
                (Segment::AnyOne, Some(sent)) if !sent.is_empty() => {}
                _ => return false,
            }
        }
        sent.next().is_none()
    }

    /// Whether it takes all that `other` takes.
    fn covers(&self, other: &Self) -> bool {
        if self.method.is_some() && self.method != other.method {
            return false;
        }
        let (mut ours, mut theirs) = (self.segments(), other.segments());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(Segment::Rest), _) | (None, None) => return true,
                (Some(Segment::AnyOne), Some(Segment::AnyOne)) => {}
                (Some(Segment::AnyOne), Some(Segment::Name(name))) if !name.is_empty() => {}
                (Some(Segment::Name(one)), Some(Segment::Name(other))) if one == other => {}
                _ => return false,
            }
        }
    }

    fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.path.split('/').map(|segment| match segment {
            "**" => Segment::Rest,
            name if name.starts_with('{') => Segment::AnyOne,
            name => Segment::Name(name),
        })
    }
}

/// For each route that can never be reached, its index and that of the one before it that takes
/// all it takes.
#[must_use]
pub fn unreached(routes: &[Route]) -> Vec<(usize, usize)> {
    let before = |at: usize| routes[..at].iter().position(|route| route.covers(&routes[at]));
    (0..routes.len()).filter_map(|at| Some((at, before(at)?))).collect()
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        f.write_str(&self.path)
    }
}

impl FromStr for Route {
    type Err = ParseRouteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > ROUTE_BYTES {
            return Err(ParseRouteError::TooLong);
        }
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method), path.trim_start()),
            None => (None, text),
        };
        if let Some(method) = method
            && (method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-'))
        {
            return Err(ParseRouteError::Method(method.to_owned()));
        }
        if !path.starts_with('/') {
            return Err(ParseRouteError::NoSlash(path.to_owned()));
        }
        if !path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#')) {
            return Err(ParseRouteError::NoPath(path.to_owned()));
        }
        let segments: Vec<&str> = path.split('/').collect();
        for (at, segment) in segments.iter().enumerate() {
            let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            let is_name = |name: &str| {
                !name.is_empty()
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            };
            match (*segment, name) {
                ("**", _) if at + 1 == segments.len() => {}
                ("**", _) => return Err(ParseRouteError::RestNotLast),
                (_, Some(name)) if is_name(name) => {}
                (text, _) if text.contains(['{', '}', '*']) => {
                    return Err(ParseRouteError::Segment(text.to_owned()));
                }
                _ => {}
            }
        }
        Ok(Self { method: method.map(Into::into), path: path.into() })
    }
}

/// Why a text is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseRouteError {
    /// It is longer than 200 bytes.
    TooLong,
    /// What is before the space is no method.
    Method(String),
    /// The path does not begin with a slash.
    NoSlash(String),
    /// There is a query, a fragment or what no path has.
    NoPath(String),
    /// Something is behind `**`.
    RestNotLast,
    /// A segment that is a name or a placeholder only in part.
    Segment(String),
}

impl fmt::Display for ParseRouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "is longer than {ROUTE_BYTES} bytes"),
            Self::Method(method) => {
                write!(f, "'{method}' is no method; write GET /path, or /path for all methods")
            }
            Self::NoSlash(path) => write!(f, "'{path}' is no path; did you mean '/{path}'?"),
            Self::NoPath(path) => {
                write!(f, "'{path}' is no path: without query, fragment, spaces; others in %XX")
            }
            Self::RestNotLast => {
                write!(f, "'**' stands for the rest of a path: nothing follows it")
            }
            Self::Segment(segment) => write!(
                f,
                "'{segment}' is no segment; write a name, '{{name}}' for any one, or '**' at the end"
            ),
        }
    }
}

impl std::error::Error for ParseRouteError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(text: &str) -> Route {
        text.parse().unwrap()
    }

    #[test]
    fn a_route_takes_what_it_says() {
        for (text, taken, not) in [
            (
                "/posts/{slug}",
                &["GET /posts/a", "PUT /posts/a%20b"][..],
                &["GET /posts", "GET /posts/", "GET /posts/a/b", "GET /posts/a/"][..],
            ),
            ("GET /posts/{slug}/x", &["GET /posts/a/x"], &["POST /posts/a/x", "GET /posts/a/y"]),
            (
                "/files/**",
                &["GET /files", "GET /files/", "GET /files/a/b"],
                &["GET /file", "GET /filesystem"],
            ),
            ("/**", &["GET /", "GET /a"], &[]),
            ("/", &["GET /"], &["GET /a"]),
        ] {
            for (requests, expected) in [(taken, true), (not, false)] {
                for request in requests {
                    let (method, path) = request.split_once(' ').unwrap();
                    let takes = route(text).takes(method.as_bytes(), path.as_bytes());
                    assert_eq!(takes, expected, "{text}: {request}");
                }
            }
            assert_eq!(route(text).to_string(), text);
        }
    }

    #[test]
    fn a_route_behind_one_that_takes_all_it_takes_is_never_reached() {
        let unreached =
            |all: &[&str]| unreached(&all.iter().map(|text| route(text)).collect::<Vec<_>>());
        assert_eq!(unreached(&["/a/{x}", "GET /a/b", "/a/{y}"]), [(1, 0), (2, 0)]);
        assert_eq!(unreached(&["GET /a/**", "/a/b", "GET /a/{x}/c"]), [(2, 0)]);
        assert_eq!(unreached(&["/a/b", "/a/{x}", "/a/**", "/{x}/b", "/a/"]), [(4, 2)]);
        assert_eq!(unreached(&["/**", "/"]), [(1, 0)]);
    }

    #[test]
    fn what_is_no_route_says_what_to_write() {
        let said = |text: &str| text.parse::<Route>().unwrap_err().to_string();
        assert_eq!(said("posts"), "'posts' is no path; did you mean '/posts'?");
        assert_eq!(
            said("get /posts"),
            "'get' is no method; write GET /path, or /path for all methods"
        );
        assert!(said("/a/**/b").contains("nothing follows it"));
        for segment in ["*", "{slug}.png", "{}", "{a b}", "a{b}", "{a"] {
            assert!(said(&format!("/x/{segment}")).contains("is no "), "{segment}");
        }
        assert!(said("/a?b=1").contains("without query"));
        assert!(said(&format!("/{}", "a".repeat(300))).contains("longer"));
    }
}
