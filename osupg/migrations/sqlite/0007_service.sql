-- Updates that servicing can put into images and media. `facts` is what they say about themselves.
CREATE TABLE servicing_update (
    id          INTEGER PRIMARY KEY NOT NULL,
    kb          TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    facts       TEXT    NOT NULL,
    file        TEXT    NOT NULL,
    size        BIGINT  NOT NULL,
    sha256      BLOB    NOT NULL UNIQUE,
    imported_at BIGINT  NOT NULL
);
CREATE INDEX servicing_update_kb ON servicing_update (kb);

CREATE TABLE servicing_update_file (
    update_id   BIGINT  NOT NULL REFERENCES servicing_update (id) ON DELETE CASCADE,
    path        TEXT    NOT NULL,
    content_id  BIGINT  NOT NULL REFERENCES content (id),
    PRIMARY KEY (update_id, path)
);
CREATE INDEX servicing_update_file_content ON servicing_update_file (content_id);

-- What the images of a WIM hold, by the SHA-256 of the WIM and the rules by which it was read.
CREATE TABLE servicing_inventory (
    sha256      BLOB    NOT NULL,
    rules       BIGINT  NOT NULL,
    images      TEXT    NOT NULL,
    PRIMARY KEY (sha256, rules)
);

-- Runs: those under way, and the history.
CREATE TABLE servicing_run (
    id          TEXT    PRIMARY KEY NOT NULL,
    package_id  TEXT    NOT NULL REFERENCES package (id) ON DELETE CASCADE,
    base        BIGINT  NOT NULL,
    request     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    -- The revision that it made.
    revision    BIGINT,
    report      TEXT    NOT NULL,
    started_at  BIGINT  NOT NULL,
    ended_at    BIGINT
);
CREATE INDEX servicing_run_package ON servicing_run (package_id, started_at);
CREATE INDEX servicing_run_state ON servicing_run (state, started_at);

-- Work for the servicing stack of a Windows host. The key is a hash of all that the result depends
-- on, so that the same work is done once.
CREATE TABLE servicing_task (
    id          TEXT    PRIMARY KEY NOT NULL,
    run_id      TEXT    NOT NULL REFERENCES servicing_run (id) ON DELETE CASCADE,
    state       TEXT    NOT NULL,
    task        TEXT    NOT NULL,
    input_id    BIGINT  NOT NULL REFERENCES content (id),
    worker      TEXT    NOT NULL,
    lease_until BIGINT  NOT NULL,
    attempts    BIGINT  NOT NULL,
    result      TEXT    NOT NULL,
    output_id   BIGINT  REFERENCES content (id),
    changed_at  BIGINT  NOT NULL
);
CREATE INDEX servicing_task_state ON servicing_task (state, changed_at);
CREATE INDEX servicing_task_run ON servicing_task (run_id);
CREATE INDEX servicing_task_input ON servicing_task (input_id);
CREATE INDEX servicing_task_output ON servicing_task (output_id);

-- Workers that have asked for work.
CREATE TABLE servicing_worker (
    name        TEXT    PRIMARY KEY NOT NULL,
    facts       TEXT    NOT NULL,
    seen_at     BIGINT  NOT NULL
);
