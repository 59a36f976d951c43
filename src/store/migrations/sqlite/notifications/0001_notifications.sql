-- message_id is what makes the handler's effect happen once. No addresses are kept here.
CREATE TABLE notifications (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    order_id   INTEGER NOT NULL,
    user_id    INTEGER NOT NULL,
    trace_id   TEXT,
    sent_at    TEXT NOT NULL
) STRICT;

CREATE INDEX notifications_order ON notifications (order_id, id);

-- Alertmanager repeats an alert until it is resolved: fingerprint and start name one alert.
CREATE TABLE alerts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL,
    starts_at   TEXT NOT NULL,
    ends_at     TEXT,
    status      TEXT NOT NULL,
    labels      TEXT NOT NULL,
    annotations TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    UNIQUE (fingerprint, starts_at)
) STRICT;
