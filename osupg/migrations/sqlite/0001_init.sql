-- Times are microseconds since 1970 UTC, except a file's own times, which are kept whole as
-- seconds and nanoseconds. Hashes are raw bytes: BLAKE3 names an object, SHA-256 names a content.

-- The next package number of each site code. Numbers are never given twice.
CREATE TABLE counter (
    site        TEXT    PRIMARY KEY NOT NULL,
    next        BIGINT  NOT NULL
);

-- What lies in the content library.
CREATE TABLE object (
    id          INTEGER PRIMARY KEY NOT NULL,
    hash        BLOB    NOT NULL UNIQUE,
    size        BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL
);

-- Objects that nothing refers to any more; their bytes go when no import is running.
CREATE TABLE doomed (
    hash        BLOB    PRIMARY KEY NOT NULL,
    size        BIGINT  NOT NULL,
    doomed_at   BIGINT  NOT NULL
);

-- The bytes of a file, whatever it is called and however many revisions hold it.
CREATE TABLE content (
    id          INTEGER PRIMARY KEY NOT NULL,
    sha256      BLOB    NOT NULL UNIQUE,
    size        BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL
);

CREATE TABLE content_piece (
    content_id  BIGINT  NOT NULL REFERENCES content (id) ON DELETE CASCADE,
    seq         BIGINT  NOT NULL,
    object_id   BIGINT  NOT NULL REFERENCES object (id),
    PRIMARY KEY (content_id, seq)
);
CREATE INDEX content_piece_object ON content_piece (object_id);

CREATE TABLE package (
    id                  TEXT    PRIMARY KEY NOT NULL,
    name                TEXT    NOT NULL,
    name_key            TEXT    NOT NULL UNIQUE,
    version             TEXT    NOT NULL,
    comment             TEXT    NOT NULL,
    architecture        TEXT    NOT NULL,
    architecture_by     TEXT    NOT NULL,
    language            TEXT    NOT NULL,
    language_by         TEXT    NOT NULL,
    source_kind         TEXT    NOT NULL,
    source_path         TEXT    NOT NULL,
    current_revision    BIGINT  NOT NULL,
    created_at          BIGINT  NOT NULL,
    changed_at          BIGINT  NOT NULL,
    -- Grows with every change; an edit names the value it has seen.
    edit_count          BIGINT  NOT NULL
);

-- A revision is never changed once it is committed.
CREATE TABLE revision (
    id          INTEGER PRIMARY KEY NOT NULL,
    package_id  TEXT    NOT NULL REFERENCES package (id) ON DELETE CASCADE,
    number      BIGINT  NOT NULL,
    parent_id   BIGINT  REFERENCES revision (id),
    cause       TEXT    NOT NULL,
    selection   TEXT    NOT NULL,
    -- Of the images of its install WIM, so that lists need not look at every image.
    editions    TEXT    NOT NULL,
    builds      TEXT    NOT NULL,
    digest      BLOB    NOT NULL,
    -- The time of the media's top folder.
    root_s      BIGINT  NOT NULL,
    root_ns     BIGINT  NOT NULL,
    file_count  BIGINT  NOT NULL,
    total_size  BIGINT  NOT NULL,
    new_size    BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    UNIQUE (package_id, number)
);

-- The manifest of a revision: its folders (no content) and files.
CREATE TABLE entry (
    revision_id BIGINT  NOT NULL REFERENCES revision (id) ON DELETE CASCADE,
    path        TEXT    NOT NULL,
    content_id  BIGINT  REFERENCES content (id),
    mtime_s     BIGINT  NOT NULL,
    mtime_ns    BIGINT  NOT NULL,
    PRIMARY KEY (revision_id, path)
);
CREATE INDEX entry_content ON entry (content_id);

-- The images inside the WIM files of a revision, as their XML describes them.
CREATE TABLE image (
    revision_id         BIGINT  NOT NULL REFERENCES revision (id) ON DELETE CASCADE,
    path                TEXT    NOT NULL,
    image_index         BIGINT  NOT NULL,
    facts               TEXT    NOT NULL,
    xml                 TEXT    NOT NULL,
    PRIMARY KEY (revision_id, path, image_index)
);

-- Imports under way, or cut off: what they have stored so far belongs to nobody yet.
CREATE TABLE import (
    id          TEXT    PRIMARY KEY NOT NULL,
    source      TEXT    NOT NULL,
    process     BIGINT  NOT NULL,
    started_at  BIGINT  NOT NULL
);

-- What a source file held when it was last read, so that an unchanged one need not be read again.
CREATE TABLE source_file (
    path        TEXT    NOT NULL,
    selection   TEXT    NOT NULL,
    size        BIGINT  NOT NULL,
    mtime_s     BIGINT  NOT NULL,
    mtime_ns    BIGINT  NOT NULL,
    ctime_s     BIGINT  NOT NULL,
    ctime_ns    BIGINT  NOT NULL,
    device      BIGINT  NOT NULL,
    inode       BIGINT  NOT NULL,
    content_id  BIGINT  NOT NULL REFERENCES content (id) ON DELETE CASCADE,
    seen_at     BIGINT  NOT NULL,
    PRIMARY KEY (path, selection)
);
CREATE INDEX source_file_content ON source_file (content_id);
