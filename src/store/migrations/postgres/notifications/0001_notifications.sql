-- message_id is what makes the handler's effect happen once. No addresses are kept here.
CREATE TABLE notifications (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    order_id   BIGINT NOT NULL,
    user_id    BIGINT NOT NULL,
    trace_id   TEXT,
    sent_at    TEXT NOT NULL
);

CREATE INDEX notifications_order ON notifications (order_id, id);

-- Alertmanager repeats an alert until it is resolved: fingerprint and start name one alert.
CREATE TABLE alerts (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    starts_at   TEXT NOT NULL,
    ends_at     TEXT,
    status      TEXT NOT NULL,
    labels      TEXT NOT NULL,
    annotations TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    UNIQUE (fingerprint, starts_at)
);
