-- Jobs: operations under way, to come and over. A row is all that is known of a job; whoever runs
-- it holds it by `attempts`, which grows with every start.
CREATE TABLE job (
    id              INTEGER PRIMARY KEY NOT NULL,
    -- Whoever submits the same key twice gets one job.
    submit_key      TEXT    UNIQUE,
    operation       TEXT    NOT NULL,
    request         TEXT    NOT NULL,
    -- The package it is about; empty for none.
    subject         TEXT    NOT NULL,
    submitted_by    TEXT    NOT NULL,
    -- 'worker' or 'command': who runs it.
    place           TEXT    NOT NULL,
    -- 'transfer' or 'work': which slots of a worker it takes.
    lane            TEXT    NOT NULL,
    priority        BIGINT  NOT NULL,
    state           TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    not_before      BIGINT  NOT NULL,
    attempts        BIGINT  NOT NULL,
    failures        BIGINT  NOT NULL,
    -- Who wants it cancelled; empty for nobody.
    cancel_by       TEXT    NOT NULL,
    worker          TEXT    NOT NULL,
    beat_at         BIGINT  NOT NULL,
    phase           TEXT    NOT NULL,
    done            BIGINT  NOT NULL,
    total           BIGINT  NOT NULL,
    created_at      BIGINT  NOT NULL,
    started_at      BIGINT,
    finished_at     BIGINT,
    outcome         TEXT,
    error           TEXT
);
-- Two jobs of one package never run at the same time, whoever starts them.
CREATE UNIQUE INDEX job_alone ON job (subject) WHERE state = 'running' AND subject <> '';
CREATE INDEX job_due ON job (lane, priority DESC, id) WHERE state IN ('queued', 'waiting');
CREATE INDEX job_beat ON job (beat_at) WHERE state = 'running';
CREATE INDEX job_subject ON job (subject, id);
CREATE INDEX job_state ON job (state, id);
CREATE INDEX job_finished ON job (finished_at);

-- What happened to a job, in plain words.
CREATE TABLE job_note (
    id              INTEGER PRIMARY KEY NOT NULL,
    job_id          BIGINT  NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    noted_at        BIGINT  NOT NULL,
    text            TEXT    NOT NULL
);
CREATE INDEX job_note_job ON job_note (job_id, id);

-- Workers that are there; one that has not been seen for long is gone.
CREATE TABLE worker (
    name            TEXT    PRIMARY KEY NOT NULL,
    started_at      BIGINT  NOT NULL,
    seen_at         BIGINT  NOT NULL
);
