//! When something happens, in cron text or in words.
//!
//! ```text
//! 0 22 * * TUE#2 Europe/Amsterdam         cron: minute, hour, day, month, weekday; # and L as usual
//! every day 03:00                         daily 03:00, 15:00
//! every Monday, Thursday 22:00            every weekday 20:00
//! every 15 minutes                        every 6 hours; must divide the hour or the day
//! second Tuesday + 3 days 22:00           of every month; also last Friday 21:30
//! Patch Tuesday + 5 days 22:00            Patch Tuesday is the second Tuesday
//! day 15 06:00                            last day 23:00; months without such a day are left out
//! in 2 hours                              once; also now
//! 2026-12-01 22:00                        once
//! ```
//!
//! A time zone may follow; without one it is that of this machine. Where clocks change, a time of
//! day that does not exist is moved on by what the clocks skip (02:30 becomes 03:30), and one that
//! comes twice counts the first time. A cron text whose minute or hour is a `*` follows the clock
//! through both hours instead, as cron does.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::error::{Error, Result};
use crate::text;
use crate::time::Moment;

/// Bytes in such a text.
const MAX_TEXT: usize = 200;
/// Times of day that one text may list.
const MAX_TIMES: usize = 24;
/// Days that may be added to or taken from a day of the month.
const MAX_SHIFT: i64 = 31;
/// Months that are looked at for the next one with such a day: a fifth Tuesday is at most three
/// months away.
const MONTHS_AHEAD: i64 = 14;

/// A moment or a rule for moments.
#[derive(Debug, Clone)]
pub struct When {
    /// As it is kept: with its zone, and with a moment in place of "in 2 hours".
    text: String,
    zone: TimeZone,
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    Once(Timestamp),
    Cron(Box<Cron>),
    Days { days: Days, shift: i64, times: Vec<Time> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    Every,
    Weekdays(Vec<Weekday>),
    /// The nth weekday of the month, from 1; −1 for the last.
    Nth(i8, Weekday),
    /// The day of the month, from 1; −1 for the last.
    OfMonth(i8),
}

impl When {
    /// Reads a text; `now` is what "in 2 hours" counts from.
    ///
    /// # Errors
    /// When it is neither cron text nor words that are known, or stands for no moment at all.
    pub fn parse(given: &str, now: Moment) -> Result<Self> {
        Self::parse_in(given, now, &TimeZone::system())
    }

    /// Reads a text that, where it names no zone, is meant in this one.
    ///
    /// # Errors
    /// As [`When::parse`].
    pub fn parse_in(given: &str, now: Moment, zone: &TimeZone) -> Result<Self> {
        let given = given.trim();
        if given.len() > MAX_TEXT || given.chars().any(char::is_control) {
            return Err(bad(given, "it is too long or holds control characters"));
        }
        let now = timestamp(now)?;
        if let Ok(exact) = given.parse::<Zoned>() {
            let zone = exact.time_zone().clone();
            return Self::once(exact.timestamp(), zone);
        }
        let mut words: Vec<&str> = given.split_whitespace().collect();
        let zone = match words.last().and_then(|last| zone_named(last)) {
            Some(zone) => {
                words.pop();
                zone
            }
            None => named(zone),
        };
        let rule = rule(given, &words, now, &zone)?;
        if let Rule::Once(at) = rule {
            return Self::once(at, zone);
        }
        let name = zone.iana_name().unwrap_or("UTC").to_string();
        let when = Self { text: format!("{} {name}", words.join(" ")), zone, rule };
        if when.next(Moment(now.as_microsecond())).is_none() {
            return Err(bad(given, "there is no such day in any year"));
        }
        Ok(when)
    }

    fn once(at: Timestamp, zone: TimeZone) -> Result<Self> {
        let text = at.to_zoned(zone.clone()).to_string();
        Ok(Self { text, zone, rule: Rule::Once(at) })
    }

    /// The text that is kept: read again it means the same, wherever and whenever.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it happens once only.
    #[must_use]
    pub fn is_once(&self) -> bool {
        matches!(self.rule, Rule::Once(_))
    }

    /// The first moment after `after`; `None` when there is none any more.
    #[must_use]
    pub fn next(&self, after: Moment) -> Option<Moment> {
        let after = timestamp(after).ok()?;
        let next = match &self.rule {
            Rule::Once(at) => (*at > after).then_some(*at),
            Rule::Cron(cron) => {
                let after = after.to_zoned(self.zone.clone());
                cron.find_next_occurrence(&after, false).ok().map(|next| next.timestamp())
            }
            Rule::Days { days, shift, times } => self.next_day(days, *shift, times, after),
        };
        // A rule never gives the same moment twice, whatever the clocks do.
        next.filter(|next| *next > after).map(|next| Moment(next.as_microsecond()))
    }

    /// The first moments after `after`, at most `count`.
    #[must_use]
    pub fn upcoming(&self, after: Moment, count: usize) -> Vec<Moment> {
        std::iter::successors(self.next(after), |last| self.next(*last)).take(count).collect()
    }

    /// A moment on the clocks of this text's zone, such as `Tue 2026-12-08 22:00 +01:00`.
    #[must_use]
    pub fn there(&self, moment: Moment) -> String {
        timestamp(moment).map_or_else(
            |_| "?".to_string(),
            |at| at.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M %:z").to_string(),
        )
    }

    fn next_day(
        &self,
        days: &Days,
        shift: i64,
        times: &[Time],
        after: Timestamp,
    ) -> Option<Timestamp> {
        let today = after.to_zoned(self.zone.clone()).date();
        // A day before, for clocks that went back over midnight.
        let start = today.checked_sub((shift + 1).days()).ok()?;
        let at = |date: Date| {
            let date = date.checked_add(shift.days()).ok()?;
            let moments = times.iter().filter_map(|time| {
                let there = self.zone.to_ambiguous_zoned(DateTime::from_parts(date, *time));
                there.compatible().ok().map(|zoned| zoned.timestamp())
            });
            moments.filter(|moment| *moment > after).min()
        };
        match days {
            Days::Every => (0..4).find_map(|ahead| at(start.checked_add(ahead.days()).ok()?)),
            Days::Weekdays(chosen) => (0..12).find_map(|ahead| {
                let date = start.checked_add(ahead.days()).ok()?;
                chosen.contains(&date.weekday()).then(|| at(date)).flatten()
            }),
            Days::Nth(nth, weekday) => months(start)
                .find_map(|month| at(month.nth_weekday_of_month(*nth, *weekday).ok()?)),
            Days::OfMonth(-1) => months(start).find_map(|month| at(month.last_of_month())),
            Days::OfMonth(day) => {
                months(start).find_map(|month| at(month.with().day(*day).build().ok()?))
            }
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The first day of this month and of those after it.
fn months(start: Date) -> impl Iterator<Item = Date> {
    let first = start.first_of_month();
    (0..MONTHS_AHEAD).map_while(move |ahead| first.checked_add(ahead.months()).ok())
}

fn timestamp(moment: Moment) -> Result<Timestamp> {
    Timestamp::from_microsecond(moment.0)
        .map_err(|_| Error::usage("this time is beyond what calendars can hold"))
}

fn bad(given: &str, why: &str) -> Error {
    Error::usage(format!("{:?} does not say when: {why}", text::clean(given))).advise(
        "say it as in \"every day 03:00\", \"second Tuesday + 3 days 22:00 Europe/Amsterdam\", \
         \"in 2 hours\", \"2026-12-01 22:00\", or in cron text such as \"0 22 * * TUE#2\"",
    )
}

/// The zone of this name; only names that cannot be anything else.
fn zone_named(word: &str) -> Option<TimeZone> {
    let like_a_zone = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && (word.contains('/') || word.eq_ignore_ascii_case("UTC"));
    like_a_zone.then(|| TimeZone::get(word).ok()).flatten()
}

/// A zone that has a name which other machines know.
fn named(zone: &TimeZone) -> TimeZone {
    if zone.iana_name().is_some() { zone.clone() } else { TimeZone::UTC }
}

fn rule(given: &str, words: &[&str], now: Timestamp, zone: &TimeZone) -> Result<Rule> {
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    match lower[..] {
        [] => Err(bad(given, "it is empty")),
        ["now"] | ["as", "soon", "as", "possible"] => Ok(Rule::Once(now)),
        ["in", count, unit] => soon(given, count, unit, now, zone),
        ["hourly"] | ["every", "hour"] => cron(given, "0 * * * *"),
        ["every", count, "minutes"] => Ok(step(given, count, 60, |n| format!("*/{n} * * * *"))?),
        ["every", count, "hours"] => Ok(step(given, count, 24, |n| format!("0 */{n} * * *"))?),
        [first, ..] if first.starts_with('*') || first.starts_with('@') => {
            cron(given, &words.join(" "))
        }
        [date, ref rest @ ..] if date.len() >= 10 && date.as_bytes().get(4) == Some(&b'-') => {
            moment(given, date, rest, zone)
        }
        [first, ..]
            if ordinal(first).is_none() && first.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            cron(given, &words.join(" "))
        }
        _ => days(given, &lower),
    }
}

fn cron(given: &str, pattern: &str) -> Result<Rule> {
    let fields = pattern.split(' ').count();
    if fields != 5 && !pattern.starts_with('@') {
        let why = "cron text has five fields: minute, hour, day, month, weekday";
        return Err(bad(given, why));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = parser.parse(pattern).map_err(|error| bad(given, &error.to_string()))?;
    Ok(Rule::Cron(Box::new(cron)))
}

/// A step that divides `whole`, so that it means the same every hour or every day.
fn step(given: &str, count: &str, whole: u32, pattern: impl Fn(u32) -> String) -> Result<Rule> {
    match count.parse::<u32>() {
        Ok(n) if n > 0 && n < whole && whole.is_multiple_of(n) => cron(given, &pattern(n)),
        _ => Err(bad(given, &format!("the number must divide {whole} and be smaller"))),
    }
}

fn soon(given: &str, count: &str, unit: &str, now: Timestamp, zone: &TimeZone) -> Result<Rule> {
    let count: i64 = match count {
        "a" | "an" | "one" => 1,
        digits => digits
            .parse()
            .ok()
            .filter(|count| (0..=10_000).contains(count))
            .ok_or_else(|| bad(given, "the number must be from 0 to 10000"))?,
    };
    let span = match unit.trim_end_matches('s') {
        "minute" | "min" => count.minutes(),
        "hour" => count.hours(),
        "day" => count.days(),
        "week" => count.weeks(),
        _ => return Err(bad(given, "count in minutes, hours, days or weeks")),
    };
    let then = now.to_zoned(zone.clone()).checked_add(span);
    then.map(|then| Rule::Once(then.timestamp())).map_err(|_| bad(given, "that is too far away"))
}

fn moment(given: &str, date: &str, rest: &[&str], zone: &TimeZone) -> Result<Rule> {
    let whole = match rest {
        [] => date.to_string(),
        [time] | ["at", time] => format!("{date}T{time}"),
        _ => return Err(bad(given, "a date is followed by a time and nothing else")),
    };
    if let Ok(exact) = whole.to_ascii_uppercase().parse::<Timestamp>() {
        return Ok(Rule::Once(exact));
    }
    let there: DateTime = whole
        .to_ascii_uppercase()
        .parse()
        .map_err(|_| bad(given, "there is no such date and time"))?;
    if !whole.contains(':') {
        return Err(bad(given, "say the time too, such as 22:00"));
    }
    let there = zone.to_ambiguous_zoned(there).compatible();
    there
        .map(|there| Rule::Once(there.timestamp()))
        .map_err(|_| bad(given, "there is no such date and time"))
}

fn days(given: &str, words: &[&str]) -> Result<Rule> {
    const FILLERS: [&str; 6] = ["at", "on", "the", "of", "month", "and"];
    let mut words: Vec<&str> = words
        .iter()
        .flat_map(|word| word.split(','))
        .filter(|word| !word.is_empty() && !FILLERS.contains(word))
        .collect();
    let times = take_times(given, &mut words)?;
    let shift = take_shift(given, &mut words)?;
    let days = match words[..] {
        ["every", "day"] | ["daily"] => Days::Every,
        ["every", "weekday"] | ["weekdays"] => Days::Weekdays(vec![
            Weekday::Monday,
            Weekday::Tuesday,
            Weekday::Wednesday,
            Weekday::Thursday,
            Weekday::Friday,
        ]),
        ["every", nth, name] if ordinal(nth).is_some() && weekday(name).is_some() => {
            return Err(bad(
                given,
                "\"every second Tuesday\" can be understood in two ways; for that of the month \
                 leave out \"every\"",
            ));
        }
        ["every", ref names @ ..] if !names.is_empty() => Days::Weekdays(
            names
                .iter()
                .map(|name| weekday(name).ok_or_else(|| unknown(given, name)))
                .collect::<Result<_>>()?,
        ),
        ["patch", "tuesday"] => Days::Nth(2, Weekday::Tuesday),
        ["last", "day"] => Days::OfMonth(-1),
        ["day", number] => match number.parse() {
            Ok(day @ 1..=31) => Days::OfMonth(day),
            _ => return Err(bad(given, "a day of the month is from 1 to 31")),
        },
        [nth, name] => match (ordinal(nth), weekday(name)) {
            (Some(nth), Some(weekday)) => Days::Nth(nth, weekday),
            (None, _) => return Err(unknown(given, nth)),
            (_, None) => return Err(unknown(given, name)),
        },
        [] => return Err(bad(given, "it says at what time, but not on which days")),
        [word, ..] => return Err(unknown(given, word)),
    };
    if shift != 0 && matches!(days, Days::Every | Days::Weekdays(_)) {
        return Err(bad(given, "days can be added to a day of the month only"));
    }
    Ok(Rule::Days { days, shift, times })
}

fn unknown(given: &str, word: &str) -> Error {
    bad(given, &format!("{:?} is not understood", text::clean(word)))
}

/// Takes the times of day off the end.
fn take_times(given: &str, words: &mut Vec<&str>) -> Result<Vec<Time>> {
    let is_time = |word: &&str| word.contains(':') || ["noon", "midnight"].contains(word);
    let first = words.iter().position(is_time).unwrap_or(words.len());
    let mut times = Vec::new();
    for word in words.drain(first..) {
        times.push(time_of_day(word).ok_or_else(|| unknown(given, word))?);
    }
    times.sort();
    times.dedup();
    match times.len() {
        0 => Err(bad(given, "say at what time, such as 22:00")),
        1..=MAX_TIMES => Ok(times),
        _ => Err(bad(given, &format!("it lists more than {MAX_TIMES} times"))),
    }
}

fn time_of_day(word: &str) -> Option<Time> {
    match word {
        "noon" => return Some(Time::constant(12, 0, 0, 0)),
        "midnight" => return Some(Time::midnight()),
        _ => {}
    }
    let (hour, minute) = word.split_once(':')?;
    let number = |digits: &str| {
        let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<i8>().ok()).flatten()
    };
    Time::new(number(hour)?, number(minute).filter(|_| minute.len() == 2)?, 0, 0).ok()
}

/// Takes `+ 3 days` off the end; days that are taken away are negative.
fn take_shift(given: &str, words: &mut Vec<&str>) -> Result<i64> {
    let Some(at) = words.iter().position(|word| word.starts_with(['+', '-'])) else { return Ok(0) };
    let tail: Vec<&str> = words.drain(at..).collect();
    let joined = tail.concat();
    let (sign, count) = match joined.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, joined.strip_prefix('-').unwrap_or_default()),
    };
    let count = count.strip_suffix("days").or_else(|| count.strip_suffix("day"));
    match count.and_then(|count| count.parse::<i64>().ok()) {
        Some(count) if (0..=MAX_SHIFT).contains(&count) => Ok(sign * count),
        _ => Err(bad(given, &format!("say it as in + 3 days; {MAX_SHIFT} days are the most"))),
    }
}

fn ordinal(word: &str) -> Option<i8> {
    Some(match word {
        "first" | "1st" => 1,
        "second" | "2nd" => 2,
        "third" | "3rd" => 3,
        "fourth" | "4th" => 4,
        "fifth" | "5th" => 5,
        "last" => -1,
        _ => return None,
    })
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word.strip_suffix('s').filter(|w| w.ends_with("day")).unwrap_or(word) {
        "monday" | "mon" => Weekday::Monday,
        "tuesday" | "tue" => Weekday::Tuesday,
        "wednesday" | "wed" => Weekday::Wednesday,
        "thursday" | "thu" => Weekday::Thursday,
        "friday" | "fri" => Weekday::Friday,
        "saturday" | "sat" => Weekday::Saturday,
        "sunday" | "sun" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Moment {
        Moment(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn when(text: &str, now: &str) -> When {
        When::parse_in(text, at(now), &TimeZone::UTC).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The next moments of a text, in its zone.
    fn next(text: &str, now: &str, count: usize) -> Vec<String> {
        let when = when(text, now);
        let shown = |moment: Moment| {
            timestamp(moment).unwrap().to_zoned(when.zone.clone()).strftime("%F %R %z").to_string()
        };
        when.upcoming(at(now), count).into_iter().map(shown).collect()
    }

    #[test]
    fn words_and_cron_give_the_same_days() {
        let now = "2026-11-28T12:00:00Z";
        let tuesdays = ["2026-12-08 22:00 +0000", "2027-01-12 22:00 +0000"];
        for text in [
            "second Tuesday 22:00",
            "2nd tue 22:00 UTC",
            "on the second Tuesday of the month at 22:00",
            "Patch Tuesday 22:00",
            "0 22 * * TUE#2",
            "0 22 * * 2#2 UTC",
        ] {
            assert_eq!(next(text, now, 2), tuesdays, "{text}");
        }
        assert_eq!(
            next("second Tuesday + 3 days 22:00", now, 2),
            ["2026-12-11 22:00 +0000", "2027-01-15 22:00 +0000"]
        );
        assert_eq!(next("second Tuesday +3 days 22:00", now, 1), ["2026-12-11 22:00 +0000"]);
        assert_eq!(next("last Friday 21:30", now, 1), ["2026-12-25 21:30 +0000"]);
        assert_eq!(next("0 3 * * FRI#L", now, 1), ["2026-12-25 03:00 +0000"]);
        assert_eq!(
            next("every Monday and Thursday 6:00, noon", now, 4),
            [
                "2026-11-30 06:00 +0000",
                "2026-11-30 12:00 +0000",
                "2026-12-03 06:00 +0000",
                "2026-12-03 12:00 +0000"
            ]
        );
        assert_eq!(next("every weekday 20:00", now, 1), ["2026-11-30 20:00 +0000"]);
        assert_eq!(next("every 15 minutes", now, 1), ["2026-11-28 12:15 +0000"]);
        assert_eq!(next("@daily", now, 1), ["2026-11-29 00:00 +0000"]);
    }

    #[test]
    fn a_shift_reaches_into_the_next_month_and_back() {
        let now = "2026-11-01T00:00:00Z";
        // The last Friday of October 2026 is the 30th.
        assert_eq!(next("last Friday + 5 days 01:00", now, 1), ["2026-11-04 01:00 +0000"]);
        assert_eq!(next("first Sunday - 2 days 01:00", now, 1), ["2026-12-04 01:00 +0000"]);
        assert_eq!(
            next("last day + 1 day 00:00", "2026-11-30T23:00:00Z", 1),
            ["2026-12-01 00:00 +0000"]
        );
    }

    #[test]
    fn days_that_a_month_lacks_are_left_out() {
        let now = "2027-01-31T12:00:00Z";
        assert_eq!(
            next("day 31 06:00", now, 2),
            ["2027-03-31 06:00 +0000", "2027-05-31 06:00 +0000"]
        );
        assert_eq!(next("last day 06:00", now, 1), ["2027-02-28 06:00 +0000"]);
        assert_eq!(next("fifth Tuesday 06:00", now, 1), ["2027-03-30 06:00 +0000"]);
        let never = When::parse_in("0 0 30 2 *", at(now), &TimeZone::UTC);
        assert!(never.unwrap_err().to_string().contains("no such day"));
    }

    /// Amsterdam skips 02:00–03:00 on 29 March 2026 and has it twice on 25 October.
    #[test]
    fn times_that_do_not_exist_or_come_twice_happen_once() {
        let spring = "2026-03-28T12:00:00Z";
        assert_eq!(
            next("every day 02:30 Europe/Amsterdam", spring, 2),
            ["2026-03-29 03:30 +0200", "2026-03-30 02:30 +0200"]
        );
        assert_eq!(
            next("2026-03-29 02:30 Europe/Amsterdam", spring, 2),
            ["2026-03-29 03:30 +0200"]
        );
        let autumn = "2026-10-24T12:00:00Z";
        assert_eq!(
            next("every day 02:30 Europe/Amsterdam", autumn, 2),
            ["2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"]
        );
        assert_eq!(
            next("30 2 * * * Europe/Amsterdam", autumn, 2),
            ["2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"]
        );
        let spring = next("30 2 * * * Europe/Amsterdam", spring, 2);
        assert_eq!(spring.len(), 2, "{spring:?}");
        assert!(spring[0].starts_with("2026-03-29 03:") && spring[1].starts_with("2026-03-30"));
        // 23 and 25 hours: a step through the day follows the clock.
        let day = |now| {
            let when = when("every hour Europe/Amsterdam", now);
            let end = at(now).0 + 25 * 3_600_000_000;
            when.upcoming(at(now), 40).into_iter().filter(|moment| moment.0 <= end).count()
        };
        assert_eq!((day("2026-03-28T22:59:59Z"), day("2026-10-24T21:59:59Z")), (25, 25));
    }

    #[test]
    fn once_is_once_and_keeps_its_moment() {
        let now = "2026-11-28T12:00:00Z";
        for (text, then) in [
            ("in 2 hours", "2026-11-28T14:00:00Z"),
            ("in a week", "2026-12-05T12:00:00Z"),
            ("2026-12-01 22:00", "2026-12-01T22:00:00Z"),
            ("2026-12-01T22:00 Europe/Amsterdam", "2026-12-01T21:00:00Z"),
            ("2026-12-01T22:00:00+05:00", "2026-12-01T17:00:00Z"),
        ] {
            let parsed = when(text, now);
            assert!(parsed.is_once());
            assert_eq!(parsed.upcoming(at(now), 3), [at(then)], "{text}");
            // What is kept means the same later on, and elsewhere.
            let later = at("2026-11-28T13:00:00Z");
            let again = When::parse_in(parsed.text(), later, &TimeZone::UTC).unwrap();
            assert_eq!(again.next(later), Some(at(then)), "{text}");
            assert_eq!(again.next(at(then)), None);
        }
    }

    #[test]
    fn what_is_kept_names_its_zone() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let now = at("2026-11-28T12:00:00Z");
        let when = When::parse_in("Every day 03:00", now, &zone).unwrap();
        assert_eq!(when.text(), "Every day 03:00 America/New_York");
        let again = When::parse_in(when.text(), now, &TimeZone::UTC).unwrap();
        assert_eq!(again.next(now), when.next(now));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let long = "x".repeat(MAX_TEXT + 1);
        for text in [
            "",
            "22:00",
            "every day",
            "every day 24:00",
            "every day 2:5",
            "every blue day 03:00",
            "every second Tuesday 03:00",
            "sixth Tuesday 03:00",
            "day 32 03:00",
            "day 0 03:00",
            "every day + 2 days 03:00",
            "second Tuesday + 99 days 03:00",
            "second Tuesday + x 03:00",
            "every 7 minutes",
            "every 0 hours",
            "in 99999 hours",
            "in two moons",
            "2026-02-30 10:00",
            "2026-12-01",
            "second Tuesday 22:00 Europe/Atlantis",
            "* * * *",
            "0 0 22 * * TUE",
            "61 * * * *",
            "every day 03:00\n",
            "every day\u{7}03:00",
            &long,
        ] {
            let parsed = When::parse_in(text, Moment(0), &TimeZone::UTC);
            // Blanks at the ends are nobody's mistake.
            assert_eq!(parsed.is_ok(), text == "every day 03:00\n", "{text:?}");
        }
    }

    proptest! {
        /// Whatever the text: no panic, and moments that only ever go forward.
        #[test]
        fn moments_go_forward(text in "[a-zA-Z0-9*/#:+, -]{0,40}", now in 0_i64..4_000_000_000) {
            let now = Moment(now * 1_000_000);
            if let Ok(when) = When::parse_in(&text, now, &TimeZone::UTC) {
                let moments = when.upcoming(now, 5);
                prop_assert!(moments.first().is_none_or(|first| *first > now));
                prop_assert!(moments.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}
