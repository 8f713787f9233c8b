-- Which runs wait for which tasks: several may wait for the same one. A row outlives its task, for then
-- the run must go on and have the work done anew.
CREATE TABLE servicing_wait (
    task_id     TEXT    NOT NULL,
    run_id      TEXT    NOT NULL REFERENCES servicing_run (id) ON DELETE CASCADE,
    since       BIGINT  NOT NULL,
    PRIMARY KEY (task_id, run_id)
);
CREATE INDEX servicing_wait_run ON servicing_wait (run_id);
INSERT INTO servicing_wait (task_id, run_id, since)
    SELECT t.id, t.run_id, t.changed_at FROM servicing_task t JOIN servicing_run r ON r.id = t.run_id
    WHERE r.state IN ('waiting', 'running') AND t.state IN ('waiting', 'claimed', 'reported', 'failed');

-- Who began the run, in whose name it goes on; empty for those from before this was kept.
ALTER TABLE servicing_run ADD COLUMN made_by TEXT NOT NULL DEFAULT '';
