-- `head` marks the first message of its key, the only one that may be given out. The triggers keep
-- it so whatever inserts or deletes, and a receive never has to look at the ones behind.
CREATE TABLE messages (
    seq     INTEGER PRIMARY KEY,
    queue   TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    headers TEXT    NOT NULL,           -- a JSON object of strings
    body    BLOB    NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, -- how often it was given out
    due     INTEGER NOT NULL DEFAULT 0, -- not given out before; milliseconds since the Unix epoch
    receipt TEXT,                       -- of the latest delivery, until it is settled
    head    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX messages_by_key ON messages (queue, key, seq);
CREATE INDEX messages_heads ON messages (queue, seq, due) WHERE head = 1;

CREATE TRIGGER messages_enter AFTER INSERT ON messages
WHEN NOT EXISTS (
    SELECT 1 FROM messages WHERE queue = NEW.queue AND key = NEW.key AND seq < NEW.seq
)
BEGIN
    UPDATE messages SET head = 1 WHERE seq = NEW.seq;
END;

CREATE TRIGGER messages_leave AFTER DELETE ON messages WHEN OLD.head = 1
BEGIN
    UPDATE messages SET head = 1 WHERE seq = (
        SELECT seq FROM messages WHERE queue = OLD.queue AND key = OLD.key ORDER BY seq LIMIT 1
    );
END;

CREATE TABLE dead_letters (
    seq      INTEGER PRIMARY KEY,
    queue    TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    headers  TEXT    NOT NULL,
    body     BLOB    NOT NULL,
    reason   TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    died_at  INTEGER NOT NULL           -- milliseconds since the Unix epoch
);
CREATE INDEX dead_letters_by_queue ON dead_letters (queue);

PRAGMA user_version = 1;
