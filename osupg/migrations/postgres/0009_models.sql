-- The device models that a package is for, one a line; empty for all.
ALTER TABLE package ADD COLUMN models TEXT NOT NULL DEFAULT '';
