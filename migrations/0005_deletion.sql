-- A deleted tenant is kept for a while, and is then wiped by the schedule, which also finishes what broke off.

-- NULL: it is not to be wiped. In state 'ready': it was deleted, and refuses its callers until then. In state 'deleting':
-- when the schedule goes on with wiping it.
ALTER TABLE tenants ADD COLUMN wipe_at_ms INTEGER;
-- 1: its group refuses its callers because of that. The schedule wipes no other tenant.
ALTER TABLE tenants ADD COLUMN wipe_told INTEGER NOT NULL DEFAULT 0;

CREATE INDEX tenants_by_wipe ON tenants (wipe_at_ms) WHERE wipe_told = 1;

UPDATE tenants SET wipe_at_ms = 0, wipe_told = 1 WHERE state = 'deleting';
