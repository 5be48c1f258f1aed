-- Groups: what each comes to, its log of signed entries, and who is a member.

CREATE TABLE rosters (
    number   INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order in which they were made
    id       BLOB NOT NULL UNIQUE,
    open     INTEGER NOT NULL,          -- whether users add themselves
    sequence INTEGER NOT NULL,          -- the number of the newest entry
    hash     BLOB NOT NULL,             -- its hash
    roster   BLOB NOT NULL              -- what all entries come to
) STRICT;
CREATE INDEX open_rosters ON rosters (number) WHERE open;

CREATE TABLE entries (
    roster BLOB NOT NULL REFERENCES rosters (id) ON DELETE CASCADE,
    place  INTEGER NOT NULL,
    entry  BLOB NOT NULL,               -- signed, as it travels
    PRIMARY KEY (roster, place)
) STRICT;

-- Whoever was a member once.
CREATE TABLE members (
    roster BLOB NOT NULL REFERENCES rosters (id) ON DELETE CASCADE,
    user   TEXT NOT NULL,
    member INTEGER NOT NULL,            -- whether they are now
    PRIMARY KEY (roster, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships ON members (user, roster) WHERE member;
