-- Places that packages are sent to, or that fetch them.
CREATE TABLE point (
    id                  INTEGER PRIMARY KEY NOT NULL,
    name                TEXT    NOT NULL,
    name_key            TEXT    NOT NULL UNIQUE,
    kind                TEXT    NOT NULL,
    target              TEXT    NOT NULL UNIQUE,
    -- What the place was marked with when it became a point; empty for a node.
    mark                TEXT    NOT NULL,
    comment             TEXT    NOT NULL,
    time_zone           TEXT    NOT NULL,
    -- Rules for the hours of the week; empty: always open.
    windows             TEXT    NOT NULL,
    -- Bytes a second; 0 for no limit.
    rate                BIGINT  NOT NULL,
    packages_at_once    BIGINT  NOT NULL,
    threads             BIGINT  NOT NULL,
    timeout_seconds     BIGINT  NOT NULL,
    maintenance         BIGINT  NOT NULL,
    -- When it last answered, or a node last asked.
    seen_at             BIGINT,
    created_at          BIGINT  NOT NULL,
    changed_at          BIGINT  NOT NULL
);

CREATE TABLE point_group (
    id          INTEGER PRIMARY KEY NOT NULL,
    name        TEXT    NOT NULL,
    name_key    TEXT    NOT NULL UNIQUE,
    comment     TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL
);

CREATE TABLE point_member (
    group_id    BIGINT  NOT NULL REFERENCES point_group (id) ON DELETE CASCADE,
    point_id    BIGINT  NOT NULL REFERENCES point (id) ON DELETE CASCADE,
    since       BIGINT  NOT NULL,
    PRIMARY KEY (group_id, point_id)
);
CREATE INDEX point_member_point ON point_member (point_id);

-- What is to be where: at a point, or at every point of a group. Where several apply to a point,
-- the one made last does.
CREATE TABLE assignment (
    id          INTEGER PRIMARY KEY NOT NULL,
    point_id    BIGINT  REFERENCES point (id) ON DELETE CASCADE,
    group_id    BIGINT  REFERENCES point_group (id) ON DELETE CASCADE,
    package_id  TEXT    NOT NULL REFERENCES package (id) ON DELETE CASCADE,
    number      BIGINT  NOT NULL,
    priority    TEXT    NOT NULL,
    assigned_at BIGINT  NOT NULL,
    UNIQUE (point_id, package_id),
    UNIQUE (group_id, package_id)
);
CREATE INDEX assignment_package ON assignment (package_id);

-- What is where, and how it stands there.
CREATE TABLE presence (
    point_id        BIGINT  NOT NULL REFERENCES point (id) ON DELETE CASCADE,
    package_id      TEXT    NOT NULL REFERENCES package (id) ON DELETE CASCADE,
    -- The revision that is to be there; none when the package is to leave.
    wanted          BIGINT,
    -- The revision that is whole there.
    held            BIGINT,
    priority        TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    -- The state in one of four words, for roll-ups: success, progress, error, unknown.
    standing        TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    -- Bytes of the transfer at hand, or of the last one.
    sent            BIGINT  NOT NULL,
    to_send         BIGINT  NOT NULL,
    -- When it is worth trying again.
    retry_at        BIGINT,
    validated_at    BIGINT,
    -- When somebody asked a node to check what it holds.
    check_asked_at  BIGINT,
    changed_at      BIGINT  NOT NULL,
    PRIMARY KEY (point_id, package_id)
);
CREATE INDEX presence_package ON presence (package_id, standing);
CREATE INDEX presence_state ON presence (state);

-- Counts of presence rows, kept by the triggers below.
CREATE TABLE package_tally (
    package_id  TEXT    NOT NULL REFERENCES package (id) ON DELETE CASCADE,
    standing    TEXT    NOT NULL,
    points      BIGINT  NOT NULL,
    PRIMARY KEY (package_id, standing)
);
CREATE TABLE point_tally (
    point_id    BIGINT  NOT NULL REFERENCES point (id) ON DELETE CASCADE,
    standing    TEXT    NOT NULL,
    packages    BIGINT  NOT NULL,
    PRIMARY KEY (point_id, standing)
);

-- Packages that were removed while a point held them: no foreign key, for the package is gone.
CREATE TABLE stray (
    point_id    BIGINT  NOT NULL REFERENCES point (id) ON DELETE CASCADE,
    package_id  TEXT    NOT NULL,
    since       BIGINT  NOT NULL,
    PRIMARY KEY (point_id, package_id)
);

-- Transfers at work. An empty package id stands for work that needs the point for itself.
CREATE TABLE point_slot (
    point_id    BIGINT  NOT NULL REFERENCES point (id) ON DELETE CASCADE,
    package_id  TEXT    NOT NULL,
    holder      TEXT    NOT NULL,
    beat_at     BIGINT  NOT NULL,
    PRIMARY KEY (point_id, package_id)
);

CREATE TRIGGER presence_added AFTER INSERT ON presence BEGIN
    INSERT INTO package_tally (package_id, standing, points)
        VALUES (NEW.package_id, NEW.standing, 1)
        ON CONFLICT (package_id, standing) DO UPDATE SET points = package_tally.points + 1;
    INSERT INTO point_tally (point_id, standing, packages)
        VALUES (NEW.point_id, NEW.standing, 1)
        ON CONFLICT (point_id, standing) DO UPDATE SET packages = point_tally.packages + 1;
END;

CREATE TRIGGER presence_changed AFTER UPDATE OF standing ON presence
WHEN OLD.standing <> NEW.standing BEGIN
    UPDATE package_tally SET points = points - 1
        WHERE package_id = OLD.package_id AND standing = OLD.standing;
    UPDATE point_tally SET packages = packages - 1
        WHERE point_id = OLD.point_id AND standing = OLD.standing;
    INSERT INTO package_tally (package_id, standing, points)
        VALUES (NEW.package_id, NEW.standing, 1)
        ON CONFLICT (package_id, standing) DO UPDATE SET points = package_tally.points + 1;
    INSERT INTO point_tally (point_id, standing, packages)
        VALUES (NEW.point_id, NEW.standing, 1)
        ON CONFLICT (point_id, standing) DO UPDATE SET packages = point_tally.packages + 1;
END;

CREATE TRIGGER presence_gone AFTER DELETE ON presence BEGIN
    UPDATE package_tally SET points = points - 1
        WHERE package_id = OLD.package_id AND standing = OLD.standing;
    UPDATE point_tally SET packages = packages - 1
        WHERE point_id = OLD.point_id AND standing = OLD.standing;
END;

-- Before, for the rows of presence go with the package.
CREATE TRIGGER package_leaves_strays BEFORE DELETE ON package BEGIN
    INSERT INTO stray (point_id, package_id, since)
        SELECT point_id, package_id, changed_at FROM presence WHERE package_id = OLD.id
        ON CONFLICT (point_id, package_id) DO NOTHING;
END;
