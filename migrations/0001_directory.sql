-- The directory: which tenants exist, where their replicas were placed, and what operators did. Never on the data path.

CREATE TABLE tenants (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  -- provisioning: its replicas are being made; ready; deleting: they are being wiped.
  state TEXT NOT NULL CHECK (state IN ('provisioning', 'ready', 'deleting')),
  created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE replicas (
  tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  -- The location hint it was placed with.
  location TEXT NOT NULL,
  PRIMARY KEY (tenant_id, number)
) STRICT;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  -- `operator`, or the id of the key that asked.
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_tenant ON audit (tenant_id, id);
