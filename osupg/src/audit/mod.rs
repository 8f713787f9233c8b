//! Who did what: a line for everything that was changed, and for every request that was refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;
use crate::time::Moment;

/// A day in microseconds.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;
/// Bytes of a request that a line keeps, and of an error.
const LONGEST: usize = 4096;
/// Lines that one question may ask for.
const MOST: u32 = 1000;
/// Fields whose values are not written down, wherever they occur.
const SECRETS: [&str; 6] = ["password", "passphrase", "secret", "token", "key", "product-key"];

/// How long lines are kept: the section `[audit]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Days that lines are kept; 0 for ever.
    pub keep_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep_days: 3_650 }
    }
}

/// A line of the log. Once written, it is not changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Its number: greater than that of every line before.
    pub number: i64,
    /// When it was written.
    pub at: Moment,
    /// The account or token, or `local:` and the user of the system who ran the command.
    pub who: String,
    /// The address that the request came from; empty for the command line.
    pub address: String,
    /// Such as `package.add`.
    pub operation: String,
    /// The package it is about; empty where it is about none.
    pub subject: String,
    /// `done`, `accepted` (as a job), `failed` or `refused`.
    pub outcome: String,
    /// The error, or the job.
    pub detail: String,
    /// What was asked for, as JSON without its secrets; cut off at 4096 bytes.
    pub request: String,
}

/// What came of a request.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// It was done.
    Done,
    /// It will be done, as this job.
    Accepted(&'a str),
    /// It was not done, or not allowed.
    Failed(&'a Error),
}

/// What a line says beside the outcome.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// Who asked.
    pub who: &'a str,
    /// Where from; empty for the command line.
    pub address: &'a str,
    /// What for.
    pub operation: &'a str,
    /// The package it is about.
    pub subject: Option<&'a str>,
    /// What was asked.
    pub request: &'a Value,
}

/// Writes a line.
///
/// # Errors
/// When the database cannot be written.
pub async fn record(home: &Home, deed: &Deed<'_>, outcome: Outcome<'_>) -> Result<()> {
    let (word, detail) = match outcome {
        Outcome::Done => ("done", String::new()),
        Outcome::Accepted(job) => ("accepted", format!("job {job}")),
        Outcome::Failed(error) => match error.kind() {
            Kind::Unauthorised | Kind::Forbidden | Kind::Busy => ("refused", error.to_string()),
            _ => ("failed", error.to_string()),
        },
    };
    let line = Line {
        number: 0,
        at: Moment::now(),
        who: cut(deed.who.to_string()),
        address: deed.address.to_string(),
        operation: cut(deed.operation.to_string()),
        subject: cut(deed.subject.unwrap_or_default().to_string()),
        outcome: word.to_string(),
        detail: cut(detail),
        request: cut(without_secrets(deed.request.clone()).to_string()),
    };
    home.db.insert_audit(&line).await
}

/// Writes down what a command of this machine did, if it is something that changes anything.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep<O: Operation>(home: &Home, request: &O, done: &Result<O::Outcome>) -> Result<()> {
    if O::RIGHT <= Right::Read {
        return Ok(());
    }
    let deed = Deed {
        who: home.by(),
        address: "",
        operation: O::NAME,
        subject: request.subject(),
        request: &serde_json::to_value(request).unwrap_or_default(),
    };
    record(home, &deed, done.as_ref().map_or_else(Outcome::Failed, |_| Outcome::Done)).await
}

/// Forgets lines that are older than the configuration has them kept, and writes down that it did.
/// Says how many.
///
/// # Errors
/// When the database cannot be written.
pub async fn forget(home: &Home, now: Moment) -> Result<u64> {
    let days = i64::from(home.config().audit.keep_days);
    if days == 0 {
        return Ok(0);
    }
    let before = Moment(now.0.saturating_sub(days.saturating_mul(DAY)));
    let line = |forgotten: u64| Line {
        number: 0,
        at: now,
        who: home.by().to_string(),
        address: String::new(),
        operation: "audit.forget".into(),
        subject: String::new(),
        outcome: "done".into(),
        detail: format!("forgot {forgotten} lines from before {}", before.local()),
        request: format!("{{\"keep-days\":{days}}}"),
    };
    home.db.forget_audit(before, line).await
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    // PostgreSQL keeps no such character in a text.
    text.replace('\0', "\u{fffd}")
}

/// The value with everything secret replaced.
fn without_secrets(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let name = name.replace('_', "-");
                *field = if SECRETS.contains(&&*name) && !field.is_null() {
                    Value::from("(secret)")
                } else {
                    without_secrets(field.take())
                };
            }
        }
        Value::Array(items) => {
            for item in items.iter_mut() {
                *item = without_secrets(item.take());
            }
        }
        _ => {}
    }
    value
}

/// Which lines to list: those that fit everything that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Of this account, token or user.
    #[serde(default)]
    pub who: Option<String>,
    /// About this package, as it was named then.
    #[serde(default)]
    pub subject: Option<String>,
    /// Of this operation.
    #[serde(default)]
    pub operation: Option<String>,
    /// With this outcome: `done`, `accepted`, `failed` or `refused`.
    #[serde(default)]
    pub outcome: Option<String>,
    /// From then on.
    #[serde(default)]
    pub since: Option<Moment>,
    /// With a smaller number: for going on where a list ended.
    #[serde(default)]
    pub before: Option<i64>,
    /// How many, 1 to 1000.
    #[serde(default = "usual_limit")]
    pub limit: u32,
}

const fn usual_limit() -> u32 {
    100
}

impl Operation for Query {
    type Outcome = Vec<Line>;
    const NAME: &'static str = "audit.list";
    const RIGHT: Right = Right::Administer;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Line>> {
        if !(1..=MOST).contains(&self.limit) {
            return Err(Error::usage(format!("a list has 1 to {MOST} lines")));
        }
        home.db.audit(self).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn old_lines_are_forgotten_and_that_is_written_down() {
        crate::home::tests::each(Default::default(), async |home| {
            let now = Moment::now();
            let kept = i64::from(home.config().audit.keep_days);
            for age in [0, kept - 1, kept + 1, kept + 2] {
                let deed = Deed {
                    who: "anna",
                    address: "",
                    operation: &format!("x.{age}"),
                    subject: None,
                    request: &Value::Null,
                };
                record(&home, &deed, Outcome::Done).await.unwrap();
                home.db.age_audit(&format!("x.{age}"), Moment(now.0 - age * DAY)).await;
            }
            assert_eq!(forget(&home, now).await.unwrap(), 2);
            assert_eq!(forget(&home, now).await.unwrap(), 0, "and nothing more is written down");
            let query: Query = serde_json::from_value(json!({})).unwrap();
            let lines = home.db.audit(&query).await.unwrap();
            let said: Vec<_> = lines.iter().map(|line| &*line.operation).collect();
            assert_eq!(said, ["audit.forget", &format!("x.{}", kept - 1), "x.0"]);
            assert!(lines[0].detail.starts_with("forgot 2 lines"), "{}", lines[0].detail);
        })
        .await;
    }

    /// So many days are more microseconds than a number holds.
    #[tokio::test(flavor = "multi_thread")]
    async fn lines_that_are_kept_for_longer_than_time_goes_are_kept() {
        for keep_days in [106_751_992, u32::MAX] {
            let folder = tempfile::tempdir().unwrap();
            let config = crate::config::Config {
                home: Some(folder.path().join("home")),
                audit: Settings { keep_days },
                ..Default::default()
            };
            let home = Home::open_with(config).await.unwrap();
            let deed = Deed {
                who: "anna",
                address: "",
                operation: "x.kept",
                subject: None,
                request: &Value::Null,
            };
            record(&home, &deed, Outcome::Done).await.unwrap();
            assert_eq!(forget(&home, Moment::now()).await.unwrap(), 0, "{keep_days}");
            home.close().await;
        }
    }

    #[test]
    fn secrets_are_not_written_down() {
        let request = json!({
            "name": "anna", "password": "hunter2",
            "in": [{ "product_key": "AAAAA-BBBBB", "passphrase": null, "token": {"x": 1} }],
        });
        let kept = without_secrets(request).to_string();
        assert!(kept.contains("anna") && !kept.contains("hunter2"), "{kept}");
        assert!(!kept.contains("AAAAA") && !kept.contains("\"x\""), "{kept}");
        assert!(kept.contains("\"passphrase\":null"), "{kept}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = cut("ä".repeat(5000));
        assert!(text.len() <= LONGEST + '…'.len_utf8() && text.ends_with('…'));
        assert_eq!(cut("short\0".into()), "short\u{fffd}");
    }
}
