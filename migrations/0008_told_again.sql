-- wipe_told is 2 where the group was told of the wipe and may have served its callers since, because its level may have
-- fallen. The schedule tells it anew before it wipes the tenant, so it looks at these too.
DROP INDEX tenants_by_wipe;
CREATE INDEX tenants_by_wipe ON tenants (wipe_at_ms) WHERE wipe_told > 0;
