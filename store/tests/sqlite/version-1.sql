-- What tapdiff wrote as schema version 1.
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

-- Matched pairs, packed: see store::block. The bytes begin with the list of endpoint ids that the
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
    endpoint INTEGER NOT NULL,
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
    count INTEGER NOT NULL,
    pairs INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (minute, signature)
) WITHOUT ROWID;
CREATE INDEX signature_minute_by_signature ON signature_minute (signature);

-- Both legs of a pair: JSON of store::ExchangeText.
CREATE TABLE example (
    pair INTEGER PRIMARY KEY,
    primary_exchange TEXT NOT NULL,
    shadow_exchange TEXT NOT NULL
);

CREATE TABLE signature_example (
    signature INTEGER NOT NULL,
    pair INTEGER NOT NULL,
    PRIMARY KEY (signature, pair)
) WITHOUT ROWID;

CREATE TABLE rollup (
    minute INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    matched INTEGER NOT NULL,
    diverged INTEGER NOT NULL,
    request_bodies_equal INTEGER NOT NULL,
    PRIMARY KEY (minute, endpoint)
) WITHOUT ROWID;

-- How exchanges ended.
CREATE TABLE account (
    minute INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    leg TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, endpoint, leg, outcome)
) WITHOUT ROWID;

-- Why pairs could not be judged.
CREATE TABLE incomparable (
    minute INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, endpoint, reason)
) WITHOUT ROWID;

-- Differences that rules explained.
CREATE TABLE suppressed (
    minute INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    rule TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, endpoint, rule)
) WITHOUT ROWID;

-- Latency in microseconds: HdrHistogram V2.
CREATE TABLE latency (
    minute INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    leg TEXT NOT NULL,
    measure TEXT NOT NULL,
    histogram BLOB NOT NULL,
    PRIMARY KEY (minute, endpoint, leg, measure)
) WITHOUT ROWID;
