-- The operators of the service, beside the one who has the secret OPERATOR_TOKEN. Who was revoked is not here any more.

CREATE TABLE operators (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('read', 'provision', 'all')),
  created_at_ms INTEGER NOT NULL,
  -- NULL: never.
  expires_at_ms INTEGER,
  -- SHA-256 of the token, in hex.
  token_hash TEXT NOT NULL
) STRICT;
