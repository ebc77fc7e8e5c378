-- What operators say of a tenant, and do with it.

-- A JSON object of texts.
ALTER TABLE tenants ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
-- 1: its group was told to refuse all that is not the service's.
ALTER TABLE tenants ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;

CREATE INDEX tenants_by_age ON tenants (created_at_ms, id);
