-- Schema 1. The tenant comes first in every key; times are microseconds since 1970, kinds
-- the library's words, which sort as the kinds do.

-- One row a record. Bodies run to kilobytes, so this is a rowid table ("Clustered Indexes and the
-- WITHOUT ROWID Optimization", sqlite.org: without rowid suits rows below a twentieth of a page).
CREATE TABLE records (
    tenant       TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    id           TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    due_at       INTEGER,
    channel      TEXT,
    ready_at     INTEGER,
    lease_worker TEXT,
    lease_nonce  TEXT,
    lease_until  INTEGER,
    token        INTEGER NOT NULL,
    facets       TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    PRIMARY KEY (tenant, kind, id),
    CHECK ((channel IS NULL) = (ready_at IS NULL)),
    CHECK ((lease_worker IS NULL) = (lease_until IS NULL)),
    CHECK ((lease_nonce IS NULL) = (lease_until IS NULL))
) STRICT;

-- The log, page by page.
CREATE INDEX records_at ON records (tenant, kind, at, id);
-- Timers.
CREATE INDEX records_due ON records (tenant, due_at, kind, id) WHERE due_at IS NOT NULL;
-- What waits for a worker, tenant by tenant, as they take turns. The lease stands in the index, so that what is held is passed over
-- without a look at the table.
CREATE INDEX records_queue ON records (channel, tenant, ready_at, kind, id, lease_until)
    WHERE channel IS NOT NULL;
-- A claim that is repeated.
CREATE INDEX records_nonce ON records (lease_nonce) WHERE lease_nonce IS NOT NULL;

-- One row a value of a facet, in the order of pages.
CREATE TABLE facets (
    tenant TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    facet  TEXT    NOT NULL,
    value  TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    id     TEXT    NOT NULL,
    PRIMARY KEY (tenant, kind, facet, value, at, id),
    FOREIGN KEY (tenant, kind, id) REFERENCES records (tenant, kind, id)
) STRICT, WITHOUT ROWID;

-- The commits that were applied, and when: a host may forget those whose repeats no longer come.
CREATE TABLE commits (
    tenant TEXT    NOT NULL,
    id     BLOB    NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- The audit log. `personal_of` is the user while the record holds personal values about them.
CREATE TABLE audit (
    tenant      TEXT    NOT NULL,
    lane        INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    personal_of TEXT,
    record      TEXT    NOT NULL,
    PRIMARY KEY (tenant, lane, seq)
) STRICT;

CREATE INDEX audit_personal ON audit (tenant, personal_of) WHERE personal_of IS NOT NULL;

-- Where each lane ends.
CREATE TABLE heads (
    tenant TEXT    NOT NULL,
    lane   INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    hash   BLOB    NOT NULL,
    PRIMARY KEY (tenant, lane)
) STRICT, WITHOUT ROWID;
