-- The audit is read by tenant, by actor and by time, and has the calls that were refused.

-- NULL: it was done. Otherwise the name of the problem that was answered.
ALTER TABLE audit ADD COLUMN refused TEXT;

CREATE INDEX audit_by_actor ON audit (actor, id);
