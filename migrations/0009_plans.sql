-- Plans: what the operator sets for all tenants that name one. src/tenants/plans.ts has those that every service begins with.

CREATE TABLE plans (
  name TEXT PRIMARY KEY,
  -- As the column of the same name in tenants.
  terms TEXT NOT NULL
) STRICT;

ALTER TABLE tenants ADD COLUMN plan TEXT NOT NULL DEFAULT 'standard';
-- Counts the changes of what the tenant's group is to know: of its own terms, of its plan, and of what the plan says.
ALTER TABLE tenants ADD COLUMN terms_version INTEGER NOT NULL DEFAULT 0;
-- NULL: the group knows the newest. Otherwise the schedule tells it from this time on.
ALTER TABLE tenants ADD COLUMN tell_at_ms INTEGER;

CREATE INDEX tenants_to_tell ON tenants (tell_at_ms) WHERE tell_at_ms IS NOT NULL;
CREATE INDEX tenants_by_plan ON tenants (plan);
