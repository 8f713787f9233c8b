-- Workers on other machines: who holds a task, and the pieces of the WIM that it brings.

-- What a holder proves itself by; another one each time that the task is claimed.
ALTER TABLE servicing_task ADD COLUMN claim TEXT NOT NULL DEFAULT '';
-- The account or token that claimed it.
ALTER TABLE servicing_task ADD COLUMN held_by TEXT NOT NULL DEFAULT '';
-- The new WIM as the worker reported it, until it has been read.
ALTER TABLE servicing_task ADD COLUMN output_size BIGINT;
ALTER TABLE servicing_task ADD COLUMN output_sha256 BLOB;
CREATE INDEX servicing_task_claim ON servicing_task (claim);

-- The new WIM of a task, piece by piece, while it is on its way. Its objects are kept meanwhile.
CREATE TABLE servicing_piece (
    task_id     TEXT    NOT NULL REFERENCES servicing_task (id) ON DELETE CASCADE,
    seq         BIGINT  NOT NULL,
    hash        BLOB    NOT NULL,
    size        BIGINT  NOT NULL,
    PRIMARY KEY (task_id, seq)
);
CREATE INDEX servicing_piece_hash ON servicing_piece (hash);
