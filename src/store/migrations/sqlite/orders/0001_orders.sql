CREATE TABLE orders (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id     INTEGER NOT NULL,
    items       TEXT NOT NULL,
    total_cents INTEGER NOT NULL CHECK (total_cents >= 0),
    status      TEXT NOT NULL CHECK (status IN ('pending', 'completed', 'failed', 'cancelled')),
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    -- Names the request that made the order, so that a repeated request makes no second one.
    idempotency_key TEXT UNIQUE
) STRICT;

-- Messages stored with their order and not yet published; refused says why the transport never will.
CREATE TABLE outbox (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id  TEXT NOT NULL UNIQUE,
    message_key TEXT NOT NULL,
    headers     TEXT NOT NULL,
    body        BLOB NOT NULL,
    refused     TEXT
) STRICT;

CREATE INDEX outbox_waiting ON outbox (seq) WHERE refused IS NULL;

-- One row at most: who publishes, until when (milliseconds since the epoch, the database's clock).
CREATE TABLE outbox_lease (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    owner      TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
