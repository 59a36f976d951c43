CREATE TABLE orders (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     BIGINT NOT NULL,
    items       TEXT NOT NULL,
    total_cents BIGINT NOT NULL CHECK (total_cents >= 0),
    status      TEXT NOT NULL CHECK (status IN ('pending', 'completed', 'failed', 'cancelled')),
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    -- Names the request that made the order, so that a repeated request makes no second one.
    idempotency_key TEXT UNIQUE
);

-- Messages stored with their order and not yet published; refused says why the transport never will.
CREATE TABLE outbox (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id  TEXT NOT NULL UNIQUE,
    message_key TEXT NOT NULL,
    headers     TEXT NOT NULL,
    body        BYTEA NOT NULL,
    refused     TEXT
);

CREATE INDEX outbox_waiting ON outbox (seq) WHERE refused IS NULL;

-- One row at most: who publishes, until when (milliseconds since the epoch, the database's clock).
CREATE TABLE outbox_lease (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    owner      TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
);
