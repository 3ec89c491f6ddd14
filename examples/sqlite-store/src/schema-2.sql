-- Schema 2. What is free to be claimed and what is held stand in indexes of their own: a claim reads
-- what it takes and one row a tenant, however much is held or lies in the future. And the rows of facets,
-- the most numerous, are half as long, and compare by a number first.

DROP INDEX records_queue;
-- What waits for a worker, tenant by tenant, as they take turns. `lease_until` is never a value here;
-- it stands in the index so that no look at the table is needed to know it.
CREATE INDEX records_free ON records (channel, tenant, ready_at, kind, id, lease_until)
    WHERE channel IS NOT NULL AND lease_until IS NULL;
-- What is held, by when the lease runs out.
CREATE INDEX records_lease ON records (lease_until, tenant, kind, id, ready_at, channel)
    WHERE lease_until IS NOT NULL;

-- What a facet's rows begin with, under a number.
CREATE TABLE facet_lanes (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    kind   TEXT NOT NULL,
    facet  TEXT NOT NULL,
    UNIQUE (tenant, kind, facet)
) STRICT;
INSERT INTO facet_lanes (tenant, kind, facet) SELECT DISTINCT tenant, kind, facet FROM facets;

-- One row a value of a facet, in the order of pages.
CREATE TABLE facets_2 (
    lane  INTEGER NOT NULL,
    value TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    id    TEXT    NOT NULL,
    PRIMARY KEY (lane, value, at, id)
) STRICT, WITHOUT ROWID;
INSERT INTO facets_2 SELECT l.number, f.value, f.at, f.id
    FROM facets AS f JOIN facet_lanes AS l USING (tenant, kind, facet);
DROP TABLE facets;
ALTER TABLE facets_2 RENAME TO facets;
