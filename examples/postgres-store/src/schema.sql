-- Schema 1. The tenant comes first in every primary key; texts compare by their bytes; times are
-- microseconds since 1970; versions and tokens are 64 bits without a sign, stored as they are.
-- No sequences, triggers, foreign keys or functions of our own: the same statements run on
-- PostgreSQL's distributed kin.

CREATE TABLE tipstaff_records (
    tenant       TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    version      BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    due_at       BIGINT,
    channel      TEXT COLLATE "C",
    ready_at     BIGINT,
    lease_worker TEXT COLLATE "C",
    lease_nonce  TEXT COLLATE "C",
    lease_until  BIGINT,
    token        BIGINT NOT NULL,
    facets       TEXT NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, id),
    CHECK ((channel IS NULL) = (ready_at IS NULL)),
    CHECK ((lease_worker IS NULL) = (lease_until IS NULL)),
    CHECK ((lease_nonce IS NULL) = (lease_until IS NULL))
);

-- The log, page by page.
CREATE INDEX tipstaff_records_at ON tipstaff_records (tenant, kind, at, id);
-- Timers.
CREATE INDEX tipstaff_records_due ON tipstaff_records (tenant, due_at, kind, id) WHERE due_at IS NOT NULL;
-- What waits for a worker, tenant by tenant, as they take turns.
CREATE INDEX tipstaff_records_queue ON tipstaff_records (channel, tenant, ready_at, kind, id)
    WHERE channel IS NOT NULL;
-- A claim that is repeated.
CREATE INDEX tipstaff_records_nonce ON tipstaff_records (lease_nonce) WHERE lease_nonce IS NOT NULL;

-- One row a value of a facet, in the order of pages.
CREATE TABLE tipstaff_facets (
    tenant TEXT COLLATE "C" NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL,
    facet  TEXT COLLATE "C" NOT NULL,
    value  TEXT COLLATE "C" NOT NULL,
    at     BIGINT NOT NULL,
    id     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, kind, facet, value, at, id)
);

-- The commits that were applied, and when: a host may forget those whose repeats no longer come.
CREATE TABLE tipstaff_commits (
    tenant TEXT COLLATE "C" NOT NULL,
    id     TEXT COLLATE "C" NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- The audit log. `personal_of` is the user while the record holds personal values about them.
CREATE TABLE tipstaff_audit (
    tenant      TEXT COLLATE "C" NOT NULL,
    lane        INTEGER NOT NULL,
    seq         BIGINT NOT NULL,
    personal_of TEXT COLLATE "C",
    record      TEXT NOT NULL,
    PRIMARY KEY (tenant, lane, seq)
);

CREATE INDEX tipstaff_audit_personal ON tipstaff_audit (tenant, personal_of) WHERE personal_of IS NOT NULL;

-- Where each lane ends.
CREATE TABLE tipstaff_heads (
    tenant TEXT COLLATE "C" NOT NULL,
    lane   INTEGER NOT NULL,
    seq    BIGINT NOT NULL,
    hash   BYTEA NOT NULL,
    PRIMARY KEY (tenant, lane)
);
