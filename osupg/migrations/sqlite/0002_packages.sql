-- What people say of a package, beyond its name.
ALTER TABLE package ADD COLUMN manufacturer TEXT NOT NULL DEFAULT '';
ALTER TABLE package ADD COLUMN priority TEXT NOT NULL DEFAULT 'medium';
ALTER TABLE package ADD COLUMN persist_in_cache BIGINT NOT NULL DEFAULT 0;
-- A path of folders such as /Windows 11/Pro; / for none.
ALTER TABLE package ADD COLUMN folder TEXT NOT NULL DEFAULT '/';
-- Names of security scopes, one a line.
ALTER TABLE package ADD COLUMN scopes TEXT NOT NULL DEFAULT 'Default';
ALTER TABLE package ADD COLUMN licence_required BIGINT NOT NULL DEFAULT 0;
ALTER TABLE package ADD COLUMN licence_by TEXT NOT NULL DEFAULT '';
ALTER TABLE package ADD COLUMN licence_at BIGINT;
-- Which images of the source are kept, as JSON: a refresh chooses by it again.
ALTER TABLE package ADD COLUMN selection TEXT NOT NULL DEFAULT '"all"';
UPDATE package SET selection = '{"indexes":[' ||
    (SELECT SUBSTR(revision.selection, 7) FROM revision
     WHERE revision.package_id = package.id AND revision.number = package.current_revision) || ']}'
WHERE EXISTS (SELECT 1 FROM revision WHERE revision.package_id = package.id
    AND revision.number = package.current_revision AND revision.selection LIKE 'image %');
CREATE INDEX package_folder ON package (folder);

-- The number of the revision that a revision was made from. That one may have been pruned since,
-- so it is no reference, and parent_id is no longer used.
ALTER TABLE revision ADD COLUMN parent_number BIGINT;
UPDATE revision SET parent_number =
    (SELECT parent.number FROM revision parent WHERE parent.id = revision.parent_id);
UPDATE revision SET parent_id = NULL;
-- Who made it.
ALTER TABLE revision ADD COLUMN made_by TEXT NOT NULL DEFAULT '';

-- What was changed in the fields of packages, so that a stale edit can be told what it missed.
CREATE TABLE package_change (
    id          INTEGER PRIMARY KEY NOT NULL,
    package_id  TEXT    NOT NULL REFERENCES package (id) ON DELETE CASCADE,
    -- That of the package after the change.
    edit_count  BIGINT  NOT NULL,
    changed_at  BIGINT  NOT NULL,
    changed_by  TEXT    NOT NULL,
    field       TEXT    NOT NULL,
    old_value   TEXT    NOT NULL,
    new_value   TEXT    NOT NULL
);
CREATE INDEX package_change_package ON package_change (package_id, edit_count);

-- Who relies on the objects of a library that several machines share, and who collects there.
CREATE TABLE lease (
    id          TEXT    PRIMARY KEY NOT NULL,
    -- shared or exclusive.
    kind        TEXT    NOT NULL,
    holder      TEXT    NOT NULL,
    -- When the holder last said that it lives, by the clock of the database.
    beat_at     BIGINT  NOT NULL
);
