-- Schema 2. What is free to be claimed and what is held stand in indexes of their own: a claim reads
-- what it takes and one row a tenant, however much is held or lies in the future.

DROP INDEX tipstaff_records_queue;
-- What waits for a worker, tenant by tenant, as they take turns.
CREATE INDEX tipstaff_records_free ON tipstaff_records (channel, tenant, ready_at, kind, id)
    WHERE channel IS NOT NULL AND lease_until IS NULL;
-- What is held, by when the lease runs out.
CREATE INDEX tipstaff_records_lease ON tipstaff_records (lease_until, tenant, kind, id)
    WHERE lease_until IS NOT NULL;

-- The log, page by page. Tenant and kind stand here as one text: the planner, while it has no statistics,
-- would else take this index for the primary key's, and look for one record among all of its kind.
DROP INDEX tipstaff_records_at;
CREATE INDEX tipstaff_records_at ON tipstaff_records ((tenant || '/' || kind), at, id);
