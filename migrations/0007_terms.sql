-- What the operator has set for a tenant, beside the defaults: a JSON object of numbers, by the names of the terms. The tenant's
-- group has the same in its log, and is what counts.
ALTER TABLE tenants ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
