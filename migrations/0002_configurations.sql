-- What a tenant's group told of itself last, and how many replicas it can have had: whoever deletes the tenant wipes each of them.

-- Where in the group's log the configuration stands that `replicas` shows; 0: the one that it was made with. An older one never
-- takes the place of a newer one.
ALTER TABLE tenants ADD COLUMN configured_at INTEGER NOT NULL DEFAULT 0;
-- Of the next replica. Each lower number may be that of an object. It only rises.
ALTER TABLE tenants ADD COLUMN next_number INTEGER NOT NULL DEFAULT 1;

UPDATE tenants SET next_number =
  (SELECT coalesce(max(number), 0) + 1 FROM replicas WHERE tenant_id = tenants.id);
