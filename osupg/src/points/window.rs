//! When content may travel to a point: a priority for each hour of the week.
//!
//! Rules in words, separated by semicolons; where several speak of an hour, the last one counts,
//! and an hour of which none speaks is open:
//!
//! ```text
//! mon-fri 7-19 high; sat,sun closed
//! daily 22-6 open
//! ```
//!
//! `open` lets everything pass, `medium` what has medium or high priority, `high` only that, and
//! `closed` nothing. Hours are whole, from the first to before the last, in the point's time zone;
//! `22-6` ends in the morning of the next day.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::package;
use crate::time::Moment;

const HOURS: usize = 7 * 24;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Bytes that the rules of a point may have.
const MAX_RULES: usize = 1000;

/// How urgent content is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Goes when nothing else does.
    Low,
    /// The usual one.
    #[default]
    Medium,
    /// Goes first.
    High,
}

impl Priority {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl From<package::model::Priority> for Priority {
    fn from(priority: package::model::Priority) -> Self {
        match priority {
            package::model::Priority::Low => Self::Low,
            package::model::Priority::Medium => Self::Medium,
            package::model::Priority::High => Self::High,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Priority {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Low, Self::Medium, Self::High]
            .into_iter()
            .find(|one| one.word().eq_ignore_ascii_case(word))
            .ok_or_else(|| "a priority is low, medium or high".into())
    }
}

/// What an hour lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// This priority and those above it.
    From(Priority),
    Closed,
}

impl Gate {
    fn passes(self, priority: Priority) -> bool {
        match self {
            Self::From(least) => priority >= least,
            Self::Closed => false,
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "open" => Self::From(Priority::Low),
            "medium" => Self::From(Priority::Medium),
            "high" => Self::From(Priority::High),
            "closed" => Self::Closed,
            _ => return None,
        })
    }
}

/// Whether something may pass now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It may.
    Open,
    /// It may not before then; `None`: at no hour of the week.
    Closed {
        /// The start of the hour at which it may.
        until: Option<Moment>,
    },
}

/// The hours of the week at a point.
#[derive(Clone, PartialEq, Eq)]
pub struct Windows {
    /// As they were given.
    rules: String,
    /// From Monday's first hour.
    grid: [Gate; HOURS],
}

impl Default for Windows {
    fn default() -> Self {
        Self { rules: String::new(), grid: [Gate::From(Priority::Low); HOURS] }
    }
}

impl Windows {
    /// The rules as they were given; empty when every hour is open.
    #[must_use]
    pub fn rules(&self) -> &str {
        &self.rules
    }

    /// Whether content of this priority may travel at `now`, in the hours of `zone`.
    #[must_use]
    pub fn opening(&self, now: Moment, zone: &TimeZone, priority: Priority) -> Opening {
        let Ok(now) = Timestamp::from_microsecond(now.0) else { return Opening::Open };
        let now = now.to_zoned(zone.clone());
        if self.gate(&now).passes(priority) {
            return Opening::Open;
        }
        // A week, and one hour more for a day of 25 hours.
        let until = (1..=HOURS as i64 + 1).find_map(|hours| {
            let hour = start_of_hour(&now)?.checked_add(hours.hours()).ok()?;
            self.gate(&hour).passes(priority).then(|| Moment(hour.timestamp().as_microsecond()))
        });
        Opening::Closed { until }
    }

    fn gate(&self, at: &Zoned) -> Gate {
        let day = usize::from(at.weekday().to_monday_zero_offset().unsigned_abs());
        let hour = usize::from(at.hour().unsigned_abs());
        self.grid.get(day * 24 + hour).copied().unwrap_or(Gate::Closed)
    }
}

fn start_of_hour(at: &Zoned) -> Option<Zoned> {
    at.with().minute(0).second(0).subsec_nanosecond(0).build().ok()
}

impl FromStr for Windows {
    type Err = String;

    fn from_str(rules: &str) -> Result<Self, String> {
        let rules = rules.trim();
        if rules.len() > MAX_RULES {
            return Err(format!("the windows have more than {MAX_RULES} characters"));
        }
        let mut windows = Self { rules: rules.to_string(), ..Self::default() };
        for rule in rules.split(';').map(str::trim).filter(|rule| !rule.is_empty()) {
            let lower = rule.to_ascii_lowercase();
            let words: Vec<_> = lower.split_whitespace().collect();
            let bad = || {
                format!(
                    "{:?} is no window; write days, hours and one of open, medium, high and \
                     closed, such as \"mon-fri 7-19 high\" or \"sat,sun closed\"",
                    crate::text::clean(rule)
                )
            };
            let (days, hours, gate) = match words[..] {
                [days, gate] => (days, 0..24, gate),
                [days, hours, gate] => (days, parse_hours(hours).ok_or_else(bad)?, gate),
                _ => return Err(bad()),
            };
            let gate = Gate::of_word(gate).ok_or_else(bad)?;
            for day in parse_days(days).ok_or_else(bad)? {
                for hour in hours.clone() {
                    if let Some(slot) = windows.grid.get_mut((day * 24 + hour) % HOURS) {
                        *slot = gate;
                    }
                }
            }
        }
        Ok(windows)
    }
}

/// Days as numbers from Monday's 0.
fn parse_days(text: &str) -> Option<Vec<usize>> {
    if matches!(text, "daily" | "always") {
        return Some((0..7).collect());
    }
    let number = |day: &str| DAYS.iter().position(|name| day.starts_with(name) && day.len() <= 9);
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => days.push(number(part)?),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                days.extend((0..=(last + 7 - first) % 7).map(|after| (first + after) % 7));
            }
        }
    }
    Some(days)
}

/// Hours from a day's midnight; beyond 24 for those of the next day.
fn parse_hours(text: &str) -> Option<std::ops::Range<usize>> {
    let hour = |text: &str| {
        let digits = text.strip_suffix(":00").unwrap_or(text);
        let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|hour: &usize| plain && *hour <= 24)
    };
    let (first, last) = text.split_once('-')?;
    let (first, last) = (hour(first)?, hour(last)?);
    match first {
        24 => None,
        _ if first < last => Some(first..last),
        _ if first > last => Some(first..last + 24),
        _ => None,
    }
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Windows({:?})", self.rules)
    }
}

impl Serialize for Windows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rules)
    }
}

impl<'de> Deserialize<'de> for Windows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Windows {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Windows".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Rules for the hours of the week: mon-fri 7-19 high; sat,sun closed."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment(text.parse::<Zoned>().unwrap().timestamp().as_microsecond())
    }

    fn until(windows: &str, now: &str, zone: &str, priority: Priority) -> Option<String> {
        let windows: Windows = windows.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        match windows.opening(at(now), &zone, priority) {
            Opening::Open => Some("open".into()),
            Opening::Closed { until: None } => None,
            Opening::Closed { until: Some(until) } => Some(
                Timestamp::from_microsecond(until.0)
                    .unwrap()
                    .to_zoned(zone)
                    .strftime("%a %H:%M")
                    .to_string(),
            ),
        }
    }

    #[test]
    fn the_gate_of_the_hour_decides() {
        use Priority::{High, Low, Medium};
        let rules = "mon-fri 7-19 high; sat,sun closed; sun 20-22 medium";
        let zone = "Europe/Amsterdam";
        for (now, priority, expected) in [
            // A Monday.
            ("2025-01-13T06:59[Europe/Amsterdam]", Low, Some("open")),
            ("2025-01-13T07:00[Europe/Amsterdam]", Medium, Some("Mon 19:00")),
            ("2025-01-13T07:00[Europe/Amsterdam]", High, Some("open")),
            ("2025-01-18T12:30[Europe/Amsterdam]", Low, Some("Mon 00:00")),
            ("2025-01-18T12:30[Europe/Amsterdam]", Medium, Some("Sun 20:00")),
            // The same moment as 06:30 in Amsterdam.
            ("2025-01-13T14:30[Asia/Tokyo]", Low, Some("open")),
        ] {
            assert_eq!(until(rules, now, zone, priority).as_deref(), expected, "{now} {priority}");
        }
        assert_eq!(until("daily closed", "2025-01-13T07:00[UTC]", "UTC", High), None);
        assert_eq!(until("", "2025-01-13T07:00[UTC]", "UTC", Low).as_deref(), Some("open"));
    }

    #[test]
    fn windows_that_pass_midnight_end_the_next_day() {
        let rules = "daily closed; fri 22-6 open";
        for (now, expected) in [
            ("2025-01-17T21:59[UTC]", "Fri 22:00"),
            ("2025-01-17T22:00[UTC]", "open"),
            ("2025-01-18T05:59[UTC]", "open"),
            ("2025-01-18T06:00[UTC]", "Fri 22:00"),
        ] {
            assert_eq!(until(rules, now, "UTC", Priority::Low).as_deref(), Some(expected), "{now}");
        }
        // Sunday's ends on Monday, which is at the other end of the grid.
        let rules = "daily closed; sun 22-6 open";
        assert_eq!(
            until(rules, "2025-01-13T05:00[UTC]", "UTC", Priority::Low).as_deref(),
            Some("open")
        );
    }

    #[test]
    fn hours_are_those_of_the_clock_on_the_wall_when_it_is_changed() {
        let rules = "daily closed; daily 3-4 open";
        // 2025-03-30: the hour from 2 to 3 is left out in Amsterdam.
        let zone = "Europe/Amsterdam";
        let now = "2025-03-30T01:30[Europe/Amsterdam]";
        let windows: Windows = rules.parse().unwrap();
        let opening = windows.opening(at(now), &TimeZone::get(zone).unwrap(), Priority::Low);
        assert_eq!(
            opening,
            Opening::Closed { until: Some(at("2025-03-30T03:00[Europe/Amsterdam]")) }
        );
        assert_eq!(at("2025-03-30T03:00[Europe/Amsterdam]").0 - at(now).0, 30 * 60 * 1_000_000);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for bad in [
            "mon",
            "mon 7-19",
            "mon 7-19 ajar",
            "mon 19-19 open",
            "mon 7-25 open",
            "mon 7:30-9 open",
            "mon 24-3 open",
            "noday open",
            "mon-noday open",
            "mon 7-8 9-10 open",
            &"mon open;".repeat(200),
        ] {
            assert!(bad.parse::<Windows>().is_err(), "{bad}");
        }
        let windows: Windows = " Monday-Friday 07:00-19:00 HIGH ".parse().unwrap();
        let json = serde_json::to_string(&windows).unwrap();
        assert_eq!(serde_json::from_str::<Windows>(&json).unwrap(), windows);
    }
}
