//! `osupg worker`: does jobs until it is stopped.

use sd_notify::NotifyState;

use super::{Context, log};
use crate::error::Result;
use crate::home::Home;
use crate::jobs;

pub(super) async fn run(context: &Context) -> Result<u8> {
    log::start(context.output.json);
    let home = Home::open_with(context.config()?).await?;
    // Without systemd these do nothing.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let done = jobs::work(&home, &context.cancel).await;
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    home.close().await;
    done.map(|()| 0)
}
