//! Groups of points.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::manage::{deliver_one, point_name};
use super::model::Group;
use super::publish::{Assigned, Carrier};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Reach, Right};
use crate::package::fields;
use crate::progress::Watch;

/// A group to make.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The name: 1 to 50 characters, unique among groups.
    pub name: String,
    /// A comment: up to 127 characters.
    #[serde(default)]
    pub comment: String,
    /// The names of its first points.
    #[serde(default)]
    pub points: Vec<String>,
}

impl Operation for Add {
    type Outcome = Group;
    const NAME: &'static str = "group.add";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Group> {
        let name = point_name(&self.name)?;
        let comment = fields::comment(&self.comment)?;
        let mut points = Vec::new();
        for point in &self.points {
            points.push(home.db.point(point).await?);
        }
        home.db.insert_group(&name, &comment).await?;
        let group = home.db.group(&name).await?;
        for point in points {
            home.db.add_member(group.key, point.key).await?;
        }
        home.db.group(&name).await
    }
}

/// All groups, by name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {}

impl Operation for List {
    type Outcome = Vec<Group>;
    const NAME: &'static str = "group.list";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Group>> {
        home.db.groups().await
    }
}

/// A point that is to join a group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// The group's name.
    pub group: String,
    /// The point's name.
    pub point: String,
    /// Who carries what the group gives the point.
    #[serde(default)]
    pub carrier: Carrier,
}

/// A point that is to leave a group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveMember {
    /// The group's name.
    pub group: String,
    /// The point's name.
    pub point: String,
}

/// Which group to dissolve.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// Its name.
    pub group: String,
}

/// What has become of a group, and what is to be delivered now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The group.
    #[serde(flatten)]
    pub group: Group,
    /// Packages that are to be delivered to the point that has joined.
    pub deliveries: Vec<Assigned>,
}

impl Operation for AddMember {
    type Outcome = Changed;
    const NAME: &'static str = "group.add-member";
    const RIGHT: Right = Right::Operate;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Changed> {
        let group = home.db.group(&self.group).await?;
        let point = home.db.point(&self.point).await?;
        home.db.add_member(group.key, point.key).await?;
        let mut deliveries = Vec::new();
        for package in home.db.settle_point(point.key).await? {
            deliveries.push(deliver_one(home, point.key, package, self.carrier).await?);
        }
        Ok(Changed { group: home.db.group(&self.group).await?, deliveries })
    }
}

impl Operation for RemoveMember {
    type Outcome = Group;
    const NAME: &'static str = "group.remove-member";
    const RIGHT: Right = Right::Operate;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Group> {
        let group = home.db.group(&self.group).await?;
        let point = home.db.point(&self.point).await?;
        if !home.db.remove_member(group.key, point.key).await? {
            return Err(Error::not_found(format!(
                "{} is no point of the group {}",
                point.name, group.name
            )));
        }
        home.db.group(&self.group).await
    }
}

impl Operation for Remove {
    type Outcome = Group;
    const NAME: &'static str = "group.remove";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Group> {
        let group = home.db.group(&self.group).await?;
        home.db.remove_group(group.key).await?;
        Ok(group)
    }
}
