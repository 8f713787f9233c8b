//! Takes away what nobody refers to, looking at the whole library.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::package::prune;
use crate::progress::Watch;
use crate::store::sweep::{Depth, Litter, Swept};

/// What to collect.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What became unused less than so many hours ago stays; that of the configuration when left
    /// out.
    #[serde(default)]
    pub grace_hours: Option<u32>,
    /// Whether only to say what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Collected {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Whether an import is running: then nothing can be told apart, and nothing goes.
    pub busy: bool,
    /// What went.
    #[serde(flatten)]
    pub swept: Swept,
}

impl Operation for Request {
    type Outcome = Collected;
    const NAME: &'static str = "library.gc";
    const RIGHT: Right = Right::Administer;
    const LENGTH: Length = Length::Long;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Collected> {
        let grace = self.grace_hours.map_or_else(|| home.config().retention.grace(), prune::hours);
        let Some(lease) = home.try_exclusive_lease().await? else {
            return Ok(Collected { dry_run: self.dry_run, busy: true, swept: Swept::default() });
        };
        let litter = Litter::find(&home.db, &home.library, grace, Depth::Everything).await?;
        let swept = if self.dry_run {
            litter.swept()
        } else {
            litter.remove(&home.db, &home.library, &lease).await?
        };
        lease.release().await;
        Ok(Collected { dry_run: self.dry_run, busy: false, swept })
    }
}
