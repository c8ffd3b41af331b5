//! Path templates that were learned, handed back to a judge.

use std::sync::Arc;

use capture::ServiceId;
use compare::LearnedTemplate;
use rusqlite::Connection;

use super::row::{conversion, nanos};

/// Of the services that are named, in the order in which they were learned.
pub(super) fn all(
    connection: &Connection,
    services: &[Arc<str>],
) -> Result<Vec<LearnedTemplate>, rusqlite::Error> {
    let mut rows = connection.prepare_cached(
        "SELECT service.name, template, takes, since
         FROM template JOIN service ON service.id = template.service
         ORDER BY since, template, takes",
    )?;
    let mut rows = rows.query([])?;
    let mut templates = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let place = services.iter().position(|service| **service == *name);
        if let Some(service) = place.and_then(|place| u16::try_from(place).ok()) {
            templates.push(LearnedTemplate {
                service: ServiceId(service),
                template: row.get::<_, String>(1)?.into(),
                takes: row.get_ref(2)?.as_str()?.parse().map_err(conversion)?,
                since: nanos(row.get(3)?),
            });
        }
    }
    Ok(templates)
}
