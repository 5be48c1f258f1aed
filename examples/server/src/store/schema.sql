-- Everything that the relay keeps. It holds no key that opens an envelope or a chunk.
-- Times are Unix milliseconds.

CREATE TABLE users (
    name        TEXT PRIMARY KEY,
    password    TEXT NOT NULL,          -- Argon2id as a PHC string, or an imported bcrypt hash
    code_secret BLOB,                   -- of the one-time codes (RFC 6238)
    code_step   INTEGER,                -- the last step used with it
    proposal    BLOB                    -- a device list that waits for a listed device to sign it
) STRICT;

-- The current chain of each user's device lists.
CREATE TABLE lists (
    user  TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    hash  BLOB NOT NULL,
    list  BLOB NOT NULL,                -- signed, as it travels
    PRIMARY KEY (user, epoch)
) STRICT;

CREATE TABLE devices (
    identity BLOB PRIMARY KEY,
    user     TEXT NOT NULL,
    listed   INTEGER NOT NULL,          -- whether the user's current list names it
    since    INTEGER NOT NULL,          -- when it appeared or last left a list
    serial   BLOB,                      -- of the bundle: 8 bytes, big-endian
    bundle   BLOB                       -- signed, as it travels
) STRICT;
CREATE INDEX devices_by_user ON devices (user, listed, since, identity);

-- The highest id ever given to a one-time prekey of a kind.
CREATE TABLE prekey_kinds (
    identity BLOB NOT NULL REFERENCES devices ON DELETE CASCADE,
    kind     INTEGER NOT NULL,
    highest  INTEGER NOT NULL,
    PRIMARY KEY (identity, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE prekeys (
    identity  BLOB NOT NULL REFERENCES devices ON DELETE CASCADE,
    kind      INTEGER NOT NULL,
    id        INTEGER NOT NULL,
    published INTEGER NOT NULL,
    prekey    BLOB NOT NULL,            -- signed, as it travels
    PRIMARY KEY (identity, kind, id)
) STRICT;
CREATE INDEX prekeys_by_age ON prekeys (published);

-- A row outlives its envelope: its id is known for as long as a stored envelope may wait, so that a repeated send is
-- noticed (L1).
CREATE TABLE envelopes (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient BLOB NOT NULL,
    sender    BLOB NOT NULL,
    id        BLOB NOT NULL,
    user      TEXT NOT NULL,            -- the sender's
    sent_at   INTEGER NOT NULL,
    envelope  BLOB                      -- sealed end to end; null once it was acknowledged
) STRICT;
CREATE UNIQUE INDEX envelopes_by_id ON envelopes (recipient, sender, id);
CREATE INDEX envelopes_waiting ON envelopes (recipient, number) WHERE envelope IS NOT NULL;
CREATE INDEX envelopes_by_age ON envelopes (sent_at);

-- How much waits for each device. The triggers keep it true.
CREATE TABLE mailboxes (
    recipient BLOB PRIMARY KEY,
    envelopes INTEGER NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER envelope_stored AFTER INSERT ON envelopes WHEN new.envelope IS NOT NULL BEGIN
    INSERT INTO mailboxes VALUES (new.recipient, 1, length(new.envelope))
    ON CONFLICT DO UPDATE SET envelopes = envelopes + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER envelope_taken AFTER UPDATE OF envelope ON envelopes WHEN old.envelope IS NOT NULL BEGIN
    UPDATE mailboxes SET envelopes = envelopes - 1, bytes = bytes - length(old.envelope)
    WHERE recipient = old.recipient;
END;
CREATE TRIGGER envelope_expired AFTER DELETE ON envelopes WHEN old.envelope IS NOT NULL BEGIN
    UPDATE mailboxes SET envelopes = envelopes - 1, bytes = bytes - length(old.envelope)
    WHERE recipient = old.recipient;
END;

-- The chunks of a blob lie in the file blobs/NUMBER. Numbers are not used again.
CREATE TABLE blobs (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    id      BLOB NOT NULL UNIQUE,
    owner   TEXT NOT NULL,
    size    INTEGER NOT NULL,           -- of the file, in bytes
    chunks  INTEGER NOT NULL,           -- how many it has
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX blobs_by_owner ON blobs (owner, size);

-- Which chunks are there: from first to before last. Runs of one blob do not touch each other.
CREATE TABLE runs (
    blob  INTEGER NOT NULL REFERENCES blobs ON DELETE CASCADE,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    PRIMARY KEY (blob, first)
) STRICT, WITHOUT ROWID;
