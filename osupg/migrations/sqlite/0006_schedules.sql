-- What is done again and again, or once at a time that is set.
CREATE TABLE schedule (
    id          INTEGER PRIMARY KEY NOT NULL,
    name        TEXT    NOT NULL,
    name_key    TEXT    NOT NULL UNIQUE,
    -- Cron text or words, with the time zone.
    timing      TEXT    NOT NULL,
    operation   TEXT    NOT NULL,
    request     TEXT    NOT NULL,
    -- The package that the operation is about: the schedule goes with it.
    package_id  TEXT    REFERENCES package (id) ON DELETE CASCADE,
    -- What becomes of runs that were due while nobody worked: once or skip.
    missed      TEXT    NOT NULL,
    -- active, paused or done.
    state       TEXT    NOT NULL,
    next_at     BIGINT,
    created_by  TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL
);
CREATE INDEX schedule_due ON schedule (state, next_at);
CREATE INDEX schedule_package ON schedule (package_id);

-- What became of a schedule each time it was due.
CREATE TABLE schedule_run (
    -- Also the key of its job, so that submitting it twice makes one job.
    id          TEXT    PRIMARY KEY NOT NULL,
    schedule_id BIGINT  NOT NULL REFERENCES schedule (id) ON DELETE CASCADE,
    due_at      BIGINT  NOT NULL,
    -- When a worker took it up; one that died before the job was there is taken up again.
    claimed_at  BIGINT  NOT NULL,
    -- claimed, submitted, skipped or failed.
    state       TEXT    NOT NULL,
    job         TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    UNIQUE (schedule_id, due_at)
);
CREATE INDEX schedule_run_state ON schedule_run (state, claimed_at);
