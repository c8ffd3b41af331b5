//! What is known of noise, handed back to a judge.

use std::sync::Arc;

use capture::ServiceId;
use compare::{Change, Kind, NoiseCause, NoiseNews, SignatureId};
use rusqlite::{Connection, Row};

use super::row::{conversion, id, nanos};

/// By the moment it was found, then by signature.
pub(super) fn all(
    connection: &Connection,
    services: &[Arc<str>],
) -> Result<Vec<NoiseNews>, rusqlite::Error> {
    let mut rows = connection.prepare_cached(
        "SELECT signature, service.name, endpoint, kind, pattern, change, cause, at, memory
         FROM noise JOIN service ON service.id = noise.service ORDER BY at, signature",
    )?;
    let mut rows = rows.query([])?;
    let mut news = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let place = services.iter().position(|service| **service == *name);
        if let Some(service) = place.and_then(|place| u16::try_from(place).ok()) {
            news.push(read(row, ServiceId(service))?);
        }
    }
    Ok(news)
}

fn read(row: &Row<'_>, service: ServiceId) -> Result<NoiseNews, rusqlite::Error> {
    let cause: Option<String> = row.get(6)?;
    let cause = cause.map(|name| named(NoiseCause::ALL, NoiseCause::as_str, &name)).transpose()?;
    Ok(NoiseNews {
        signature: SignatureId(id(row, 0)?),
        service,
        endpoint: row.get::<_, String>(2)?.into(),
        kind: named(Kind::ALL, Kind::as_str, row.get_ref(3)?.as_str()?)?,
        pattern: row.get::<_, String>(4)?.into(),
        change: named(Change::ALL, Change::as_str, row.get_ref(5)?.as_str()?)?,
        cause,
        at: nanos(row.get(7)?),
        memory: row.get::<_, String>(8)?.into(),
    })
}

/// The one of `all` that is stored under `name`.
fn named<T: Copy, const N: usize>(
    all: [T; N],
    name_of: fn(T) -> &'static str,
    name: &str,
) -> Result<T, rusqlite::Error> {
    let found = all.into_iter().find(|&one| name_of(one) == name);
    found.ok_or_else(|| conversion(UnknownName(name.to_owned())))
}

/// A name that no version up to this one stores.
#[derive(Debug)]
struct UnknownName(String);

impl std::fmt::Display for UnknownName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(name) = self;
        write!(f, "'{name}' is no name that is known")
    }
}

impl std::error::Error for UnknownName {}
