-- What is due to be tried again, and transfers that may have been cut off, whatever else there is.
DROP INDEX presence_state;
CREATE INDEX presence_due ON presence (state, retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX presence_under_way ON presence (changed_at) WHERE state = 'transferring';

-- Counts are brought up to date once a statement, not once a row: one that publishes a package to a
-- thousand points would change the same count a thousand times, and leave as many dead rows.
DROP TRIGGER presence_tally ON presence;
DROP FUNCTION tally_presence();
CREATE FUNCTION tally_presence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Each statement locks counts in the order of their keys, so that two of them wait for each other
    -- and not in a circle. Old and new standings go into one sum for the same reason.
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO package_tally (package_id, standing, points)
            SELECT package_id, standing, SUM(change) FROM
                (SELECT package_id, standing, -1 AS change FROM gone
                 UNION ALL SELECT package_id, standing, 1 FROM added) changed
            GROUP BY package_id, standing HAVING SUM(change) <> 0 ORDER BY package_id, standing
            ON CONFLICT (package_id, standing)
            DO UPDATE SET points = package_tally.points + excluded.points;
        INSERT INTO point_tally (point_id, standing, packages)
            SELECT point_id, standing, SUM(change) FROM
                (SELECT point_id, standing, -1 AS change FROM gone
                 UNION ALL SELECT point_id, standing, 1 FROM added) changed
            GROUP BY point_id, standing HAVING SUM(change) <> 0 ORDER BY point_id, standing
            ON CONFLICT (point_id, standing)
            DO UPDATE SET packages = point_tally.packages + excluded.packages;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO package_tally (package_id, standing, points)
            SELECT package_id, standing, COUNT(*) FROM added
            GROUP BY package_id, standing ORDER BY package_id, standing
            ON CONFLICT (package_id, standing)
            DO UPDATE SET points = package_tally.points + excluded.points;
        INSERT INTO point_tally (point_id, standing, packages)
            SELECT point_id, standing, COUNT(*) FROM added
            GROUP BY point_id, standing ORDER BY point_id, standing
            ON CONFLICT (point_id, standing)
            DO UPDATE SET packages = point_tally.packages + excluded.packages;
    ELSE
        -- What goes with its package or point may find its counts gone before it.
        PERFORM 1 FROM package_tally WHERE (package_id, standing) IN
            (SELECT package_id, standing FROM gone) ORDER BY package_id, standing FOR UPDATE;
        UPDATE package_tally SET points = points - counted.rows FROM
            (SELECT package_id, standing, COUNT(*) AS rows FROM gone
             GROUP BY package_id, standing) counted
            WHERE package_tally.package_id = counted.package_id
            AND package_tally.standing = counted.standing;
        PERFORM 1 FROM point_tally WHERE (point_id, standing) IN
            (SELECT point_id, standing FROM gone) ORDER BY point_id, standing FOR UPDATE;
        UPDATE point_tally SET packages = packages - counted.rows FROM
            (SELECT point_id, standing, COUNT(*) AS rows FROM gone
             GROUP BY point_id, standing) counted
            WHERE point_tally.point_id = counted.point_id
            AND point_tally.standing = counted.standing;
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER presence_added AFTER INSERT ON presence
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tally_presence();
CREATE TRIGGER presence_changed AFTER UPDATE ON presence
    REFERENCING OLD TABLE AS gone NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tally_presence();
CREATE TRIGGER presence_gone AFTER DELETE ON presence
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION tally_presence();
