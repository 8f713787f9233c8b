//! Points, their groups, what is to be where, and what is.

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::packages::name_key;
use super::{Db, hash32, signed, unsigned};
use crate::error::{Error, Result};
use crate::points::model::{
    Group, Kind, Point, Presence, Settings, Standing, State, Tally, priority_of,
};
use crate::points::window::{Priority, Windows};
use crate::time::Moment;

/// How many files of a revision are looked for in other packages.
const LARGE_FILES: i64 = 64;
/// When what a removed package has left comes up again, in microseconds.
const STRAY_AGAIN: i64 = 600_000_000;

/// Every point; conditions and order follow.
macro_rules! point_query {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, kind, target, mark, comment, time_zone, windows, rate, \
             packages_at_once, threads, timeout_seconds, maintenance, seen_at, created_at, \
             changed_at FROM point ",
            $rest
        )
    };
}

/// Every presence with its point's name; conditions and order follow.
macro_rules! presence_query {
    ($rest:literal) => {
        concat!(
            "SELECT pr.point_id, point.name, pr.package_id, pr.wanted, pr.held, pr.priority, \
             pr.state, pr.reason, pr.sent, pr.to_send, pr.retry_at, pr.validated_at, \
             pr.changed_at FROM presence pr JOIN point ON point.id = pr.point_id ",
            $rest
        )
    };
}

/// What is assigned of package `$2` to point `$point`: all that applies, the last made in front.
macro_rules! applying {
    ($what:literal, $point:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM assignment a WHERE a.package_id = $2 AND (a.point_id = ",
            $point,
            " OR a.group_id IN (SELECT group_id FROM point_member WHERE point_id = ",
            $point,
            ")) ORDER BY a.assigned_at DESC, a.id DESC LIMIT 1"
        )
    };
}

fn point_of(row: &AnyRow) -> Result<Point> {
    let windows: &str = row.get("windows");
    let windows: Windows = windows
        .parse()
        .map_err(|error| Error::damaged(format!("the database holds a point of which {error}")))?;
    Ok(Point {
        key: row.get("id"),
        name: row.get("name"),
        kind: Kind::from_word(row.get("kind"))?,
        target: row.get("target"),
        mark: row.get("mark"),
        settings: Settings {
            comment: row.get("comment"),
            time_zone: row.get("time_zone"),
            windows,
            rate: row.get("rate"),
            packages_at_once: row.get("packages_at_once"),
            threads: row.get("threads"),
            timeout_seconds: row.get("timeout_seconds"),
        },
        maintenance: row.get::<i64, _>("maintenance") != 0,
        seen_at: row.get::<Option<i64>, _>("seen_at").map(Moment),
        created_at: Moment(row.get("created_at")),
        changed_at: Moment(row.get("changed_at")),
    })
}

fn presence_of(row: &AnyRow) -> Result<Presence> {
    Ok(Presence {
        point: row.get("name"),
        package: row.get("package_id"),
        wanted: row.get("wanted"),
        held: row.get("held"),
        priority: priority_of(row.get("priority"))?,
        state: State::from_word(row.get("state"))?,
        reason: row.get("reason"),
        sent: unsigned(row.get("sent"))?,
        to_send: unsigned(row.get("to_send"))?,
        retry_at: row.get::<Option<i64>, _>("retry_at").map(Moment),
        validated_at: row.get::<Option<i64>, _>("validated_at").map(Moment),
        changed_at: Moment(row.get("changed_at")),
        point_key: row.get("point_id"),
    })
}

/// A point about to be added.
#[derive(Debug)]
pub(crate) struct NewPoint<'a> {
    pub name: &'a str,
    pub kind: Kind,
    pub target: &'a str,
    pub mark: &'a str,
    pub settings: &'a Settings,
}

/// Where content is assigned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// One point, by its key.
    Point(i64),
    /// All points of a group, by its key.
    Group(i64),
}

/// What applies to a package at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub number: i64,
    pub priority: Priority,
}

/// What became of a wish for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotAnswer {
    /// The slot is the caller's.
    Taken,
    /// The same package is being worked on at this point.
    SamePackage,
    /// As many packages are under way as the point takes.
    Full,
    /// The point is needed as a whole, by the caller or another.
    Whole,
}

impl Db {
    /// All points by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn points(&self) -> Result<Vec<Point>> {
        self.points_after("", i64::MAX).await
    }

    /// The points with names after this one, by name, no more than `most`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn points_after(&self, after: &str, most: i64) -> Result<Vec<Point>> {
        let rows = sqlx::query(point_query!("WHERE name_key > $1 ORDER BY name_key LIMIT $2"))
            .bind(name_key(after))
            .bind(most)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(point_of).collect()
    }

    /// The point with this name; capitals do not matter.
    ///
    /// # Errors
    /// When there is none, or the database cannot be read.
    pub async fn point(&self, name: &str) -> Result<Point> {
        self.point_if_any(name).await?.ok_or_else(|| {
            Error::not_found(format!("there is no point {:?}", crate::text::clean(name)))
                .advise("`osupg point list` shows the points there are")
        })
    }

    /// The point with this name, if there is one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn point_if_any(&self, name: &str) -> Result<Option<Point>> {
        let row = sqlx::query(point_query!("WHERE name_key = $1"))
            .bind(name_key(name))
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(point_of).transpose()
    }

    /// The point with this key.
    ///
    /// # Errors
    /// When there is none any more, or the database cannot be read.
    pub(crate) async fn point_by_key(&self, key: i64) -> Result<Point> {
        let row = sqlx::query(point_query!("WHERE id = $1"))
            .bind(key)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref()
            .map(point_of)
            .transpose()?
            .ok_or_else(|| Error::not_found("the point has been removed meanwhile"))
    }

    /// The point whose place carries this mark, if there is one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn point_marked(&self, mark: &str) -> Result<Option<Point>> {
        let row = sqlx::query(point_query!("WHERE mark = $1"))
            .bind(mark)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(point_of).transpose()
    }

    /// Adds a point; returns its key.
    ///
    /// # Errors
    /// When its name or target is taken, or the database cannot be written.
    pub(crate) async fn insert_point(&self, point: &NewPoint<'_>) -> Result<i64> {
        let settings = point.settings;
        let key: Option<i64> = sqlx::query_scalar(
            "INSERT INTO point (name, name_key, kind, target, mark, comment, time_zone, windows, \
             rate, packages_at_once, threads, timeout_seconds, maintenance, seen_at, created_at, \
             changed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, NULL, $13, $13) \
             ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(point.name)
        .bind(name_key(point.name))
        .bind(point.kind.word())
        .bind(point.target)
        .bind(point.mark)
        .bind(&settings.comment)
        .bind(&settings.time_zone)
        .bind(settings.windows.rules())
        .bind(settings.rate)
        .bind(settings.packages_at_once)
        .bind(settings.threads)
        .bind(settings.timeout_seconds)
        .bind(Moment::now().0)
        .fetch_optional(self.pool())
        .await?;
        key.ok_or_else(|| {
            Error::conflict(format!(
                "there is a point named {:?} or with this target already",
                crate::text::clean(point.name)
            ))
            .advise("`osupg point list` shows the points there are")
        })
    }

    /// Changes the fields of a point.
    ///
    /// # Errors
    /// When the new name is taken, or the database cannot be written.
    pub(crate) async fn edit_point(&self, key: i64, name: &str, settings: &Settings) -> Result<()> {
        let taken: Option<i64> =
            sqlx::query_scalar("SELECT id FROM point WHERE name_key = $1 AND id <> $2")
                .bind(name_key(name))
                .bind(key)
                .fetch_optional(self.pool())
                .await?;
        if taken.is_some() {
            return Err(Error::conflict(format!("there is a point named {name:?} already")));
        }
        sqlx::query(
            "UPDATE point SET name = $1, name_key = $2, comment = $3, time_zone = $4, \
             windows = $5, rate = $6, packages_at_once = $7, threads = $8, timeout_seconds = $9, \
             changed_at = $10 WHERE id = $11",
        )
        .bind(name)
        .bind(name_key(name))
        .bind(&settings.comment)
        .bind(&settings.time_zone)
        .bind(settings.windows.rules())
        .bind(settings.rate)
        .bind(settings.packages_at_once)
        .bind(settings.threads)
        .bind(settings.timeout_seconds)
        .bind(Moment::now().0)
        .bind(key)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Puts a point into maintenance, or ends that.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn set_maintenance(&self, key: i64, on: i64) -> Result<()> {
        sqlx::query("UPDATE point SET maintenance = $1, changed_at = $2 WHERE id = $3")
            .bind(on)
            .bind(Moment::now().0)
            .bind(key)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Notes that a point has answered.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn point_seen(&self, key: i64) -> Result<()> {
        sqlx::query("UPDATE point SET seen_at = $1 WHERE id = $2")
            .bind(Moment::now().0)
            .bind(key)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Takes every assignment to a point and its memberships back.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn drop_assignments(&self, point: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        for sql in [
            "DELETE FROM assignment WHERE point_id = $1",
            "DELETE FROM point_member WHERE point_id = $1",
        ] {
            sqlx::query(sql).bind(point).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Forgets a point with everything about it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn remove_point(&self, key: i64) -> Result<()> {
        sqlx::query("DELETE FROM point WHERE id = $1").bind(key).execute(self.pool()).await?;
        Ok(())
    }

    /// All groups by name, with the names of their points.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn groups(&self) -> Result<Vec<Group>> {
        let rows =
            sqlx::query("SELECT id, name, comment, created_at FROM point_group ORDER BY name_key")
                .fetch_all(self.pool())
                .await?;
        let mut groups: Vec<Group> = rows
            .iter()
            .map(|row| Group {
                key: row.get("id"),
                name: row.get("name"),
                comment: row.get("comment"),
                points: Vec::new(),
                created_at: Moment(row.get("created_at")),
            })
            .collect();
        let members = sqlx::query(
            "SELECT m.group_id, point.name FROM point_member m \
             JOIN point ON point.id = m.point_id ORDER BY point.name_key",
        )
        .fetch_all(self.pool())
        .await?;
        for row in &members {
            let key: i64 = row.get("group_id");
            if let Some(group) = groups.iter_mut().find(|group| group.key == key) {
                group.points.push(row.get("name"));
            }
        }
        Ok(groups)
    }

    /// The group with this name, if there is one; capitals do not matter.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn group_if_any(&self, name: &str) -> Result<Option<Group>> {
        let key = name_key(name);
        Ok(self.groups().await?.into_iter().find(|group| name_key(&group.name) == key))
    }

    /// The group with this name; capitals do not matter.
    ///
    /// # Errors
    /// When there is none, or the database cannot be read.
    pub async fn group(&self, name: &str) -> Result<Group> {
        self.group_if_any(name).await?.ok_or_else(|| {
            Error::not_found(format!("there is no group {:?}", crate::text::clean(name)))
                .advise("`osupg group list` shows the groups there are")
        })
    }

    /// Makes a group.
    ///
    /// # Errors
    /// When the name is taken, or the database cannot be written.
    pub(crate) async fn insert_group(&self, name: &str, comment: &str) -> Result<()> {
        let done = sqlx::query(
            "INSERT INTO point_group (name, name_key, comment, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (name_key) DO NOTHING",
        )
        .bind(name)
        .bind(name_key(name))
        .bind(comment)
        .bind(Moment::now().0)
        .execute(self.pool())
        .await?;
        if done.rows_affected() == 0 {
            return Err(Error::conflict(format!("there is a group named {name:?} already")));
        }
        Ok(())
    }

    /// Makes a point a member of a group.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn add_member(&self, group: i64, point: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO point_member (group_id, point_id, since) VALUES ($1, $2, $3) \
             ON CONFLICT (group_id, point_id) DO NOTHING",
        )
        .bind(group)
        .bind(point)
        .bind(Moment::now().0)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Takes a point out of a group. What the group has brought there stays, as assigned to the
    /// point itself.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn remove_member(&self, group: i64, point: i64) -> Result<bool> {
        let mut tx = self.begin().await?;
        keep_for_member(&mut tx, group, point).await?;
        let done = sqlx::query("DELETE FROM point_member WHERE group_id = $1 AND point_id = $2")
            .bind(group)
            .bind(point)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Dissolves a group. What it has brought to its points stays there, as assigned to each.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn remove_group(&self, group: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        let points: Vec<i64> =
            sqlx::query_scalar("SELECT point_id FROM point_member WHERE group_id = $1")
                .bind(group)
                .fetch_all(&mut *tx)
                .await?;
        for point in points {
            keep_for_member(&mut tx, group, point).await?;
        }
        sqlx::query("DELETE FROM point_group WHERE id = $1").bind(group).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The keys of the points of a group.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn members(&self, group: i64) -> Result<Vec<i64>> {
        Ok(sqlx::query_scalar("SELECT point_id FROM point_member WHERE group_id = $1")
            .bind(group)
            .fetch_all(self.pool())
            .await?)
    }

    /// The names of the groups through which a point gets a package.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn groups_giving(&self, point: i64, package: &str) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(
            "SELECT g.name FROM assignment a JOIN point_group g ON g.id = a.group_id \
             JOIN point_member m ON m.group_id = g.id \
             WHERE m.point_id = $1 AND a.package_id = $2 ORDER BY g.name_key",
        )
        .bind(point)
        .bind(package)
        .fetch_all(self.pool())
        .await?)
    }

    /// Assigns a revision to places, and says of every point concerned what is wanted there now.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn assign(
        &self,
        places: &[Place],
        package: &str,
        wanted: Wanted,
    ) -> Result<()> {
        let now = Moment::now();
        let mut tx = self.begin().await?;
        for place in places {
            let (point, group) = match place {
                Place::Point(key) => (Some(*key), None),
                Place::Group(key) => (None, Some(*key)),
            };
            unassign(&mut tx, *place, package).await?;
            sqlx::query(
                "INSERT INTO assignment (point_id, group_id, package_id, number, priority, \
                 assigned_at) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(point)
            .bind(group)
            .bind(package)
            .bind(wanted.number)
            .bind(wanted.priority.word())
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        }
        for place in places {
            settle(&mut tx, *place, package, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Takes assignments to places back; gives the points at which the package now has to leave.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn withdraw(&self, places: &[Place], package: &str) -> Result<Vec<i64>> {
        let now = Moment::now();
        let mut tx = self.begin().await?;
        for place in places {
            unassign(&mut tx, *place, package).await?;
        }
        let mut leaving = std::collections::BTreeSet::new();
        for place in places {
            settle(&mut tx, *place, package, now).await?;
            let (sql, key) = about(
                *place,
                concat!(
                    "SELECT point.id FROM point WHERE point.id {} AND NOT EXISTS (",
                    applying!("1", "point.id"),
                    ")"
                ),
            );
            let points: Vec<i64> =
                sqlx::query_scalar(sql).bind(key).bind(package).fetch_all(&mut *tx).await?;
            leaving.extend(points);
        }
        tx.commit().await?;
        Ok(leaving.into_iter().collect())
    }

    /// Brings what is wanted at a point in line with the assignments; gives the packages for which
    /// there is something to do.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn settle_point(&self, point: i64) -> Result<Vec<String>> {
        let now = Moment::now();
        let mut tx = self.begin().await?;
        let packages: Vec<String> = sqlx::query_scalar(
            "SELECT package_id FROM assignment WHERE point_id = $1 OR group_id IN \
             (SELECT group_id FROM point_member WHERE point_id = $1) \
             UNION SELECT package_id FROM presence WHERE point_id = $1 ORDER BY 1",
        )
        .bind(point)
        .fetch_all(&mut *tx)
        .await?;
        for package in &packages {
            settle(&mut tx, Place::Point(point), package, now).await?;
        }
        let open: Vec<String> = sqlx::query_scalar(
            "SELECT package_id FROM presence WHERE point_id = $1 AND state <> $2 \
             ORDER BY package_id",
        )
        .bind(point)
        .bind(State::Installed.word())
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(open)
    }

    /// How a package stands at a point; `None` when it has never been wanted there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn presence(&self, point: i64, package: &str) -> Result<Option<Presence>> {
        let row = sqlx::query(presence_query!("WHERE pr.point_id = $1 AND pr.package_id = $2"))
            .bind(point)
            .bind(package)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(presence_of).transpose()
    }

    /// The packages at a point, by id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn presences_at(&self, point: i64) -> Result<Vec<Presence>> {
        self.presences_at_after(point, "", i64::MAX).await
    }

    /// The packages at a point with ids after this one, by id, no more than `most`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn presences_at_after(
        &self,
        point: i64,
        after: &str,
        most: i64,
    ) -> Result<Vec<Presence>> {
        let rows = sqlx::query(presence_query!(
            "WHERE pr.point_id = $1 AND pr.package_id > $2 ORDER BY pr.package_id LIMIT $3"
        ))
        .bind(point)
        .bind(after)
        .bind(most)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(presence_of).collect()
    }

    /// The points of a package, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn presences_of(&self, package: &str) -> Result<Vec<Presence>> {
        self.presences_of_after(package, "", i64::MAX).await
    }

    /// The points of a package with names after this one, by name, no more than `most`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn presences_of_after(
        &self,
        package: &str,
        after: &str,
        most: i64,
    ) -> Result<Vec<Presence>> {
        let rows = sqlx::query(presence_query!(
            "WHERE pr.package_id = $1 AND point.name_key > $2 ORDER BY point.name_key LIMIT $3"
        ))
        .bind(package)
        .bind(name_key(after))
        .bind(most)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(presence_of).collect()
    }

    /// What is due to be tried again at `now`: point and package, the most urgent first. A transfer
    /// of which nobody has heard since `silent` was cut off.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn due(
        &self,
        now: Moment,
        silent: Moment,
        most: i64,
    ) -> Result<Vec<(String, String)>> {
        let rows = sqlx::query(
            "SELECT point.name, pr.package_id FROM \
             (SELECT point_id, package_id, priority, retry_at FROM presence \
             WHERE state IN ('waiting', 'pending', 'removing') AND retry_at <= $1 \
             UNION ALL SELECT point_id, package_id, priority, retry_at FROM presence cut \
             WHERE state = 'transferring' AND changed_at < $3 AND NOT EXISTS \
             (SELECT 1 FROM point_slot s WHERE s.point_id = cut.point_id \
             AND s.package_id = cut.package_id AND s.beat_at >= $3)) pr \
             JOIN point ON point.id = pr.point_id \
             WHERE point.kind <> 'node' AND point.maintenance = 0 \
             ORDER BY CASE pr.priority WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, \
             pr.retry_at LIMIT $2",
        )
        .bind(now.0)
        .bind(most)
        .bind(silent.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(|row| (row.get("name"), row.get("package_id"))).collect())
    }

    /// Makes everything at a point that waits due now.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn wake_point(&self, point: i64) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(
            "UPDATE presence SET retry_at = $1 WHERE point_id = $2 \
             AND state IN ('waiting', 'pending', 'removing') RETURNING package_id",
        )
        .bind(Moment::now().0)
        .bind(point)
        .fetch_all(self.pool())
        .await?)
    }

    /// Notes that deliveries to points have been handed on to workers: they are not due any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn handed_on(&self, points: &[i64], package: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        for point in points {
            sqlx::query(
                "UPDATE presence SET retry_at = NULL WHERE point_id = $1 AND package_id = $2 \
                 AND state IN ('waiting', 'pending', 'removing')",
            )
            .bind(point)
            .bind(package)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Takes a due delivery off the list of what is due, for whoever makes a job of it; `None` when
    /// another has been faster.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn claim_due(&self, point: i64, package: &str) -> Result<Option<Priority>> {
        let now = Moment::now();
        let row = sqlx::query(
            "UPDATE presence SET retry_at = NULL, changed_at = $1, \
             state = CASE WHEN state = 'transferring' THEN 'pending' ELSE state END \
             WHERE point_id = $2 AND package_id = $3 AND \
             ((state IN ('waiting', 'pending', 'removing') AND retry_at <= $1) OR \
             (state = 'transferring' AND changed_at < $1)) RETURNING priority",
        )
        .bind(now.0)
        .bind(point)
        .bind(package)
        .fetch_optional(self.pool())
        .await?;
        if let Some(row) = row {
            return priority_of(row.get("priority")).map(Some);
        }
        // What a removed package has left has no row any more. It comes up again later, should the
        // job fail for good.
        let stray = sqlx::query(
            "UPDATE stray SET since = $1 WHERE point_id = $2 AND package_id = $3 AND since <= $4",
        )
        .bind(now.0.saturating_add(STRAY_AGAIN))
        .bind(point)
        .bind(package)
        .bind(now.0)
        .execute(self.pool())
        .await?;
        if stray.rows_affected() == 0 {
            return Ok(None);
        }
        Ok(Some(Priority::Low))
    }

    /// Packages at a point that share content with a revision, those that share most first. The
    /// largest files decide: of the small ones, many are in every package.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn sharing(
        &self,
        point: i64,
        revision: i64,
        most: i64,
    ) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "SELECT pr.package_id, CAST(SUM(large.size) AS BIGINT) AS shared FROM \
             (SELECT DISTINCT content.id, content.size FROM entry \
             JOIN content ON content.id = entry.content_id \
             WHERE entry.revision_id = $2 ORDER BY content.size DESC LIMIT $4) large \
             CROSS JOIN entry e JOIN revision r ON r.id = e.revision_id \
             JOIN presence pr ON pr.package_id = r.package_id AND pr.held = r.number \
             WHERE e.content_id = large.id AND pr.point_id = $1 \
             GROUP BY pr.package_id ORDER BY shared DESC, pr.package_id LIMIT $3",
        )
        .bind(point)
        .bind(revision)
        .bind(most)
        .bind(LARGE_FILES)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(|row| row.get("package_id")).collect())
    }

    /// Points that hold a revision in which an object is, with the package; those seen last first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn points_holding(&self, object: &[u8; 32]) -> Result<Vec<(i64, String)>> {
        let rows = sqlx::query(
            "SELECT DISTINCT pr.point_id, pr.package_id, pr.changed_at FROM object o \
             JOIN content_piece cp ON cp.object_id = o.id \
             JOIN entry e ON e.content_id = cp.content_id \
             JOIN revision r ON r.id = e.revision_id \
             JOIN presence pr ON pr.package_id = r.package_id AND pr.held = r.number \
             WHERE o.hash = $1 ORDER BY pr.changed_at DESC",
        )
        .bind(&object[..])
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(|row| (row.get("point_id"), row.get("package_id"))).collect())
    }

    /// Sets how a package stands at a point.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn set_state(
        &self,
        point: i64,
        package: &str,
        state: State,
        reason: &str,
        retry_at: Option<Moment>,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE presence SET state = $1, standing = $2, reason = $3, retry_at = $4, \
             changed_at = $5 WHERE point_id = $6 AND package_id = $7",
        )
        .bind(state.word())
        .bind(state.standing().word())
        .bind(reason)
        .bind(retry_at.map(|at| at.0))
        .bind(Moment::now().0)
        .bind(point)
        .bind(package)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes how far a transfer is.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn set_sent(
        &self,
        point: i64,
        package: &str,
        sent: u64,
        to_send: u64,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE presence SET sent = $1, to_send = $2 WHERE point_id = $3 AND package_id = $4",
        )
        .bind(signed(sent)?)
        .bind(signed(to_send)?)
        .bind(point)
        .bind(package)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes that a revision is whole at a point, as seen at this moment.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn set_installed(&self, point: i64, package: &str, number: i64) -> Result<()> {
        let now = Moment::now();
        // Another revision may be wanted by now: then this one is held, and there is more to do.
        sqlx::query(
            "UPDATE presence SET held = $1, \
             state = CASE WHEN wanted = $1 THEN $2 ELSE $3 END, \
             standing = CASE WHEN wanted = $1 THEN $4 ELSE $5 END, \
             reason = '', retry_at = CASE WHEN wanted = $1 THEN NULL ELSE CAST($6 AS BIGINT) END, \
             validated_at = $6, changed_at = $6 WHERE point_id = $7 AND package_id = $8",
        )
        .bind(number)
        .bind(State::Installed.word())
        .bind(State::Pending.word())
        .bind(Standing::Success.word())
        .bind(Standing::Progress.word())
        .bind(now.0)
        .bind(point)
        .bind(package)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes that a point no longer holds a whole revision of a package.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn set_not_held(&self, point: i64, package: &str) -> Result<()> {
        sqlx::query("UPDATE presence SET held = NULL WHERE point_id = $1 AND package_id = $2")
            .bind(point)
            .bind(package)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Forgets a package at a point, unless it is wanted there again.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn forget_presence(&self, point: i64, package: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "DELETE FROM presence WHERE point_id = $1 AND package_id = $2 AND wanted IS NULL",
        )
        .bind(point)
        .bind(package)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM stray WHERE point_id = $1 AND package_id = $2")
            .bind(point)
            .bind(package)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Packages that were removed while points held them, as far as it is time to see to them at
    /// `now`: point's name and package.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn strays(&self, now: Moment) -> Result<Vec<(String, String)>> {
        let rows = sqlx::query(
            "SELECT point.name, stray.package_id FROM stray \
             JOIN point ON point.id = stray.point_id WHERE point.maintenance = 0 \
             AND stray.since <= $1 ORDER BY stray.package_id, point.name_key",
        )
        .bind(now.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(|row| (row.get("name"), row.get("package_id"))).collect())
    }

    /// Notes that nodes are to check what they hold of a package; `None` for all packages.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn ask_check(&self, point: i64, package: &str) -> Result<()> {
        sqlx::query(
            "UPDATE presence SET check_asked_at = $1 WHERE point_id = $2 AND package_id = $3",
        )
        .bind(Moment::now().0)
        .bind(point)
        .bind(package)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The packages that a node is asked to check: those not validated since somebody asked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn checks_asked(&self, point: i64) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(
            "SELECT package_id FROM presence WHERE point_id = $1 AND check_asked_at IS NOT NULL \
             AND (validated_at IS NULL OR validated_at < check_asked_at) ORDER BY package_id",
        )
        .bind(point)
        .fetch_all(self.pool())
        .await?)
    }

    /// How many packages stand how at the points with names after this one, by name, no more than
    /// `most` points: the point's key and its counts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn point_tallies(
        &self,
        after: &str,
        most: i64,
    ) -> Result<std::collections::HashMap<i64, Tally>> {
        let rows = sqlx::query(
            "SELECT point_id, standing, packages FROM point_tally WHERE point_id IN \
             (SELECT id FROM point WHERE name_key > $1 ORDER BY name_key LIMIT $2)",
        )
        .bind(name_key(after))
        .bind(most)
        .fetch_all(self.pool())
        .await?;
        let mut tallies = std::collections::HashMap::<i64, Tally>::new();
        for row in &rows {
            tallies
                .entry(row.get("point_id"))
                .or_default()
                .add(row.get("standing"), row.get("packages"));
        }
        Ok(tallies)
    }

    /// How many packages stand how at a point.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn point_tally(&self, point: i64) -> Result<Tally> {
        let rows = sqlx::query("SELECT standing, packages FROM point_tally WHERE point_id = $1")
            .bind(point)
            .fetch_all(self.pool())
            .await?;
        let mut tally = Tally::default();
        for row in &rows {
            tally.add(row.get("standing"), row.get("packages"));
        }
        Ok(tally)
    }

    /// At how many points the packages with ids after this one stand how, of those that are
    /// anywhere: id and counts, by id, no more than `most`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn package_tallies(&self, after: &str, most: i64) -> Result<Vec<(String, Tally)>> {
        let rows = sqlx::query(
            "SELECT package_id, \
             CAST(SUM(CASE standing WHEN 'success' THEN points ELSE 0 END) AS BIGINT) AS success, \
             CAST(SUM(CASE standing WHEN 'progress' THEN points ELSE 0 END) AS BIGINT) AS progress, \
             CAST(SUM(CASE standing WHEN 'error' THEN points ELSE 0 END) AS BIGINT) AS error, \
             CAST(SUM(CASE standing WHEN 'unknown' THEN points ELSE 0 END) AS BIGINT) AS unknown \
             FROM package_tally WHERE package_id > $1 AND points > 0 \
             GROUP BY package_id ORDER BY package_id LIMIT $2",
        )
        .bind(after)
        .bind(most)
        .fetch_all(self.pool())
        .await?;
        let tally = |row: &AnyRow| Tally {
            success: row.get("success"),
            progress: row.get("progress"),
            error: row.get("error"),
            unknown: row.get("unknown"),
        };
        Ok(rows.iter().map(|row| (row.get("package_id"), tally(row))).collect())
    }

    /// At how many points a package stands how.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn package_tally(&self, package: &str) -> Result<Tally> {
        let rows = sqlx::query("SELECT standing, points FROM package_tally WHERE package_id = $1")
            .bind(package)
            .fetch_all(self.pool())
            .await?;
        let mut tally = Tally::default();
        for row in &rows {
            tally.add(row.get("standing"), row.get("points"));
        }
        Ok(tally)
    }

    /// The digests of the revisions that are wanted at a point, by package.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn digests_wanted(
        &self,
        point: i64,
    ) -> Result<std::collections::HashMap<String, [u8; 32]>> {
        let rows = sqlx::query(
            "SELECT r.package_id, r.digest FROM presence pr \
             JOIN revision r ON r.package_id = pr.package_id AND r.number = pr.wanted \
             WHERE pr.point_id = $1",
        )
        .bind(point)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok((row.get("package_id"), hash32(row.get("digest"))?))).collect()
    }

    /// Takes a slot for work at a point; an empty `package` asks for the whole point. Slots whose
    /// holders `is_dead` says are gone make room.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn take_slot(
        &self,
        point: i64,
        package: &str,
        holder: &str,
        lanes: i64,
        is_dead: impl Fn(&str, Moment) -> bool + Send,
    ) -> Result<SlotAnswer> {
        let mut tx = self.begin().await?;
        // Locks the point's row, where the database has such locks: counting needs to be alone.
        sqlx::query("UPDATE point SET seen_at = seen_at WHERE id = $1")
            .bind(point)
            .execute(&mut *tx)
            .await?;
        let rows =
            sqlx::query("SELECT package_id, holder, beat_at FROM point_slot WHERE point_id = $1")
                .bind(point)
                .fetch_all(&mut *tx)
                .await?;
        let mut held: Vec<String> = Vec::new();
        for row in &rows {
            let (other, by): (String, String) = (row.get("package_id"), row.get("holder"));
            if is_dead(&by, Moment(row.get("beat_at"))) {
                release(&mut tx, point, &other, &by).await?;
            } else {
                held.push(other);
            }
        }
        let answer = if held.iter().any(|other| other == package) {
            SlotAnswer::SamePackage
        } else if held.iter().any(String::is_empty) || (package.is_empty() && !held.is_empty()) {
            SlotAnswer::Whole
        } else if held.len() as i64 >= lanes {
            SlotAnswer::Full
        } else {
            sqlx::query(
                "INSERT INTO point_slot (point_id, package_id, holder, beat_at) \
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(point)
            .bind(package)
            .bind(holder)
            .bind(Moment::now().0)
            .execute(&mut *tx)
            .await?;
            SlotAnswer::Taken
        };
        tx.commit().await?;
        Ok(answer)
    }

    /// Shows that the holder of a slot is alive; `false` when the slot is no longer its own.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn beat_slot(&self, point: i64, package: &str, holder: &str) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE point_slot SET beat_at = $1 \
             WHERE point_id = $2 AND package_id = $3 AND holder = $4",
        )
        .bind(Moment::now().0)
        .bind(point)
        .bind(package)
        .bind(holder)
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives a slot back.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn release_slot(&self, point: i64, package: &str, holder: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        release(&mut tx, point, package, holder).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The revision key of a package's revision, if it is still kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn revision_digest(
        &self,
        package: &str,
        number: i64,
    ) -> Result<Option<[u8; 32]>> {
        let digest: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT digest FROM revision WHERE package_id = $1 AND number = $2")
                .bind(package)
                .bind(number)
                .fetch_optional(self.pool())
                .await?;
        digest.as_deref().map(hash32).transpose()
    }
}

async fn release(
    tx: &mut Transaction<'static, Any>,
    point: i64,
    package: &str,
    holder: &str,
) -> Result<()> {
    sqlx::query("DELETE FROM point_slot WHERE point_id = $1 AND package_id = $2 AND holder = $3")
        .bind(point)
        .bind(package)
        .bind(holder)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn unassign(tx: &mut Transaction<'static, Any>, place: Place, package: &str) -> Result<()> {
    let (sql, key) = match place {
        Place::Point(key) => {
            ("DELETE FROM assignment WHERE point_id = $1 AND package_id = $2", key)
        }
        Place::Group(key) => {
            ("DELETE FROM assignment WHERE group_id = $1 AND package_id = $2", key)
        }
    };
    sqlx::query(sql).bind(key).bind(package).execute(&mut **tx).await?;
    Ok(())
}

/// A statement about the points of a place: `$1` is its key, and `{}` stands for the condition.
fn about(place: Place, statement: &str) -> (sqlx::AssertSqlSafe<String>, i64) {
    let (condition, key) = match place {
        Place::Point(key) => ("= $1", key),
        Place::Group(key) => ("IN (SELECT point_id FROM point_member WHERE group_id = $1)", key),
    };
    (sqlx::AssertSqlSafe(statement.replace("{}", condition)), key)
}

/// Makes presence at the points of a place say what the assignments of a package want.
async fn settle(
    tx: &mut Transaction<'static, Any>,
    place: Place,
    package: &str,
    now: Moment,
) -> Result<()> {
    let (sql, key) = about(
        place,
        concat!(
            "UPDATE presence SET wanted = NULL, state = $3, standing = $4, reason = '', \
             retry_at = $5, changed_at = $5 \
             WHERE package_id = $2 AND wanted IS NOT NULL AND point_id {} AND NOT EXISTS (",
            applying!("1", "presence.point_id"),
            ")"
        ),
    );
    sqlx::query(sql)
        .bind(key)
        .bind(package)
        .bind(State::Removing.word())
        .bind(State::Removing.standing().word())
        .bind(now.0)
        .execute(&mut **tx)
        .await?;
    // What is installed as wanted, or on its way, stays so; anything else is tried again.
    let (sql, key) = about(
        place,
        concat!(
            "INSERT INTO presence (point_id, package_id, wanted, held, priority, state, standing, \
             reason, sent, to_send, retry_at, validated_at, check_asked_at, changed_at) \
             SELECT point.id, wanted.package_id, wanted.number, NULL, wanted.priority, \
             CAST($3 AS TEXT), CAST($4 AS TEXT), '', 0, 0, CAST($5 AS BIGINT), NULL, NULL, \
             CAST($5 AS BIGINT) FROM point JOIN assignment wanted ON wanted.id = (",
            applying!("a.id", "point.id"),
            ") WHERE point.id {} \
             ON CONFLICT (point_id, package_id) DO UPDATE SET wanted = excluded.wanted, \
             priority = excluded.priority, \
             state = CASE WHEN presence.wanted = excluded.wanted AND presence.state IN ($6, $7) \
                 THEN presence.state ELSE excluded.state END, \
             standing = CASE WHEN presence.wanted = excluded.wanted AND presence.state IN ($6, $7) \
                 THEN presence.standing ELSE excluded.standing END, \
             reason = CASE WHEN presence.wanted = excluded.wanted AND presence.state IN ($6, $7) \
                 THEN presence.reason ELSE '' END, \
             retry_at = CASE WHEN presence.wanted = excluded.wanted AND presence.state IN ($6, $7) \
                 THEN presence.retry_at ELSE excluded.retry_at END, \
             changed_at = excluded.changed_at"
        ),
    );
    sqlx::query(sql)
        .bind(key)
        .bind(package)
        .bind(State::Pending.word())
        .bind(State::Pending.standing().word())
        .bind(now.0)
        .bind(State::Installed.word())
        .bind(State::Transferring.word())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Assigns to a member itself what a group gives it, unless it has an assignment of its own that
/// was made later.
async fn keep_for_member(tx: &mut Transaction<'static, Any>, group: i64, point: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO assignment (point_id, group_id, package_id, number, priority, assigned_at) \
         SELECT CAST($1 AS BIGINT), NULL, a.package_id, a.number, a.priority, a.assigned_at \
         FROM assignment a JOIN point_member m ON m.group_id = a.group_id \
         WHERE a.group_id = $2 AND m.point_id = $1 \
         ON CONFLICT (point_id, package_id) DO UPDATE SET number = excluded.number, \
         priority = excluded.priority, assigned_at = excluded.assigned_at \
         WHERE assignment.assigned_at < excluded.assigned_at",
    )
    .bind(point)
    .bind(group)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
