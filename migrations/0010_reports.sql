-- What the replicas of a tenant told of themselves last, what they served, and what tenants that are gone have left in the sums.

CREATE TABLE reports (
  tenant_id TEXT NOT NULL,
  replica INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  -- 1: it led its group when it told this.
  leads INTEGER NOT NULL,
  -- A JSON object (src/model/told-report.ts, ToldState).
  state TEXT NOT NULL,
  -- A JSON object of numbers that only rise.
  totals TEXT NOT NULL,
  -- NULL: none. Otherwise the names of what is wrong, with blanks between them.
  troubles TEXT,
  PRIMARY KEY (tenant_id, replica)
) STRICT, WITHOUT ROWID;

CREATE INDEX reports_of_trouble ON reports (tenant_id) WHERE troubles IS NOT NULL;

-- What a replica served in one hour, as far as it has told. It stays when the tenant is gone.
CREATE TABLE usage (
  tenant_id TEXT NOT NULL,
  -- Hours since 1970.
  hour INTEGER NOT NULL,
  replica INTEGER NOT NULL,
  -- The plan that the tenant had when this was told.
  plan TEXT NOT NULL,
  counts TEXT NOT NULL,
  PRIMARY KEY (hour, tenant_id, replica)
) STRICT, WITHOUT ROWID;

-- Sums over the tenants of a plan only rise, also when a tenant goes, or takes another plan: what it had counted in its
-- former plan stays there, and is taken from its new one.
CREATE TABLE carried (
  plan TEXT NOT NULL,
  name TEXT NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (plan, name)
) STRICT, WITHOUT ROWID;
