//! The SQLite schema: version 2.
//!
//! Times are nanoseconds since the epoch, `minute` is the start of one. 64-bit ids are stored as
//! SQLite's signed integers, bit for bit. Outcomes, reasons, legs, kinds and changes are stored by
//! name, so that a stored name keeps its meaning whatever is added to the code.
//!
//! What is counted is counted by slice: an endpoint as one pair of releases answers it.

/// `PRAGMA application_id`: "tapd".
pub(super) const APPLICATION_ID: i64 = 0x7461_7064;

/// `PRAGMA user_version`.
pub(super) const VERSION: i64 = 2;

/// Creates the schema, inside a transaction.
pub(super) const CREATE: &str = "
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    started INTEGER NOT NULL,
    host TEXT NOT NULL,
    version TEXT NOT NULL,
    config_digest TEXT NOT NULL,
    -- Earliest and latest moment that it tells of.
    first INTEGER,
    last INTEGER,
    -- Counters of its capture: JSON of store::AgentCounters.
    agent TEXT NOT NULL,
    examples_left_out INTEGER NOT NULL,
    signatures_folded INTEGER NOT NULL,
    -- What of its configuration reports speak of: JSON of store::Settings.
    settings TEXT NOT NULL DEFAULT '{}',
    UNIQUE (started, host)
);

CREATE TABLE service (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- Which runs watched which service.
CREATE TABLE run_service (
    run INTEGER NOT NULL,
    service INTEGER NOT NULL,
    PRIMARY KEY (run, service)
) WITHOUT ROWID;

CREATE TABLE endpoint (
    id INTEGER PRIMARY KEY,
    service INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (service, name)
);

-- Endpoints as the releases of the two legs answer them; empty: not known.
CREATE TABLE slice (
    id INTEGER PRIMARY KEY,
    endpoint INTEGER NOT NULL,
    primary_release TEXT NOT NULL,
    shadow_release TEXT NOT NULL,
    UNIQUE (endpoint, primary_release, shadow_release)
);

-- Matched pairs, packed: see store::block. The bytes begin with the list of slice ids that the
-- pairs refer to: varint count, then each as varint.
CREATE TABLE matched (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    pairs INTEGER NOT NULL,
    bytes BLOB NOT NULL
);

-- Pairs that did not match.
CREATE TABLE pair (
    id INTEGER PRIMARY KEY,
    pair INTEGER NOT NULL,
    run INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    start INTEGER NOT NULL,
    key TEXT NOT NULL,
    -- NULL: diverged.
    incomparable TEXT,
    primary_status INTEGER,
    primary_first_byte_us INTEGER,
    primary_total_us INTEGER,
    shadow_status INTEGER,
    shadow_first_byte_us INTEGER,
    shadow_total_us INTEGER
);
CREATE INDEX pair_by_id ON pair (pair);

-- Differences of a pair, in the order found.
CREATE TABLE divergence (
    pair INTEGER NOT NULL,
    n INTEGER NOT NULL,
    signature INTEGER NOT NULL,
    path TEXT NOT NULL,
    primary_value TEXT,
    shadow_value TEXT,
    PRIMARY KEY (pair, n)
) WITHOUT ROWID;

CREATE TABLE signature (
    id INTEGER PRIMARY KEY,
    endpoint INTEGER NOT NULL,
    kind TEXT NOT NULL,
    pattern TEXT NOT NULL,
    change TEXT NOT NULL
);

CREATE TABLE signature_minute (
    minute INTEGER NOT NULL,
    signature INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    count INTEGER NOT NULL,
    pairs INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (minute, signature, slice)
) WITHOUT ROWID;
CREATE INDEX signature_minute_by_signature ON signature_minute (signature);

-- Signatures that turned out to vary by themselves, and what was learned of their values.
CREATE TABLE noise (
    signature INTEGER PRIMARY KEY,
    service INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    kind TEXT NOT NULL,
    pattern TEXT NOT NULL,
    change TEXT NOT NULL,
    -- NULL: no longer noise.
    cause TEXT,
    at INTEGER NOT NULL,
    memory TEXT NOT NULL
);

-- Path templates that were learned: which names at a place are one of many.
CREATE TABLE template (
    service INTEGER NOT NULL,
    template TEXT NOT NULL,
    takes TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (service, template, takes)
) WITHOUT ROWID;

-- Signatures that are expected, and left out of the verdict.
CREATE TABLE acknowledged (
    signature INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- NULL: for good.
    until INTEGER
);

-- Both legs of a pair: JSON of store::ExchangeText.
CREATE TABLE example (
    pair INTEGER PRIMARY KEY,
    primary_exchange TEXT NOT NULL,
    shadow_exchange TEXT NOT NULL
);

-- See store::sample. Rank -1 is a signature's first pair.
CREATE TABLE signature_example (
    signature INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    pair INTEGER NOT NULL,
    PRIMARY KEY (signature, rank)
) WITHOUT ROWID;
CREATE INDEX signature_example_by_pair ON signature_example (pair);

CREATE TABLE rollup (
    minute INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    matched INTEGER NOT NULL,
    diverged INTEGER NOT NULL,
    request_bodies_equal INTEGER NOT NULL,
    -- Pairs by which legs erred.
    errors_neither INTEGER NOT NULL DEFAULT 0,
    errors_primary_only INTEGER NOT NULL DEFAULT 0,
    errors_shadow_only INTEGER NOT NULL DEFAULT 0,
    errors_both INTEGER NOT NULL DEFAULT 0,
    -- Response body bytes of compared pairs.
    primary_bytes INTEGER NOT NULL DEFAULT 0,
    shadow_bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, slice)
) WITHOUT ROWID;

-- How exchanges ended.
CREATE TABLE account (
    minute INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    leg TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, slice, leg, outcome)
) WITHOUT ROWID;

-- Why pairs could not be judged.
CREATE TABLE incomparable (
    minute INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, slice, reason)
) WITHOUT ROWID;

-- Differences that rules explained.
CREATE TABLE suppressed (
    minute INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    rule TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, slice, rule)
) WITHOUT ROWID;

-- Latency in microseconds: HdrHistogram V2. For the names of measures see store::sqlite::measure.
CREATE TABLE latency (
    minute INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    leg TEXT NOT NULL,
    measure TEXT NOT NULL,
    histogram BLOB NOT NULL,
    PRIMARY KEY (minute, slice, leg, measure)
) WITHOUT ROWID;
";
