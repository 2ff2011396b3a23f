//! Cron expressions of five fields, in UTC.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use thiserror::Error;

/// A field of a cron expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// 0–59.
    Minute,
    /// 0–23.
    Hour,
    /// 1–31.
    DayOfMonth,
    /// 1–12, or `jan`–`dec`.
    Month,
    /// 0–7, where 0 and 7 are Sunday, or `sun`–`sat`.
    DayOfWeek,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Field {
    /// The least and the greatest number.
    const fn range(self) -> (u8, u8) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// What one can look like.
    const fn example(self) -> &'static str {
        match self {
            Self::Minute => "0,30 or 10-50/5",
            Self::Hour => "6,18 or 8-20/2",
            Self::DayOfMonth => "1,15 or 1-31/7",
            Self::Month => "1-12/3 or JAN,JUL",
            Self::DayOfWeek => "1-5 or MON-FRI",
        }
    }

    /// Names for numbers, the first for the least of the range.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// Why a string is no cron expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// More or fewer than five fields.
    #[error(
        "must have five fields (minute, hour, day of month, month, day of week), such as */5 * * * *, and not {0}"
    )]
    FieldCount(usize),
    /// An `@` that no expression has.
    #[error(
        "must be five fields, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually"
    )]
    Nickname,
    /// A term that is no `*`, number, name, range or step.
    #[error("{0} must be *, or a list of numbers, ranges and steps, such as {example}", example = .0.example())]
    Syntax(Field),
    /// A number outside the field's range.
    #[error("{0} must be within {min}-{max}", min = .0.range().0, max = .0.range().1)]
    OutOfRange(Field),
    /// A range whose end comes before its start.
    #[error("{0} has a range whose end is before its start")]
    Reversed(Field),
    /// A step of nothing.
    #[error("{0} has a step of 0")]
    ZeroStep(Field),
}

/// A parsed cron expression: which minutes it names.
///
/// Where both the day of month and the day of week are restricted, either suffices, as in Vixie cron; a field that begins
/// with `*` restricts nothing, so with `*/2` in one of them both must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Schedule {
    minutes: Numbers,
    hours: Numbers,
    days_of_month: Numbers,
    months: Numbers,
    days_of_week: Numbers,
    either_day: bool,
}

impl Schedule {
    /// Whether the schedule names this minute.
    #[must_use]
    pub fn matches(&self, at: DateTime) -> bool {
        self.matches_date(at.date()) && self.hours.has(at.hour()) && self.minutes.has(at.minute())
    }

    fn matches_date(&self, date: Date) -> bool {
        let of_month = self.days_of_month.has(date.day());
        let of_week = self.days_of_week.has(date.weekday().to_sunday_zero_offset());
        self.months.has(date.month())
            && if self.either_day { of_month || of_week } else { of_month && of_week }
    }

    /// Whether no date ever matches, as with the 30th of February.
    #[must_use]
    pub fn never_fires(&self) -> bool {
        let longest = |month| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let has_day = |month| self.days_of_month.first_from(1).is_some_and(|day| day <= longest(month));
        // Within 400 years every date that exists falls on every day of the week.
        !self.either_day && !(1..=12).any(|month| self.months.has(month) && has_day(month))
    }

    /// The first minute of the schedule, in UTC, that begins after `after`. `None` where there is none before the year
    /// 9999 ends.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        if self.never_fires() {
            return None;
        }
        let after = TimeZone::UTC.to_datetime(after);
        let start = after.date().at(after.hour(), after.minute(), 0, 0).checked_add(1.minute()).ok()?;
        let (mut date, mut hour, mut minute) = (start.date(), start.hour(), start.minute());
        loop {
            if !self.months.has(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
            } else {
                let time = if self.matches_date(date) { self.time_from(hour, minute) } else { None };
                if let Some((hour, minute)) = time {
                    return TimeZone::UTC.to_timestamp(date.at(hour, minute, 0, 0)).ok();
                }
                date = date.tomorrow().ok()?;
            }
            (hour, minute) = (0, 0);
        }
    }

    /// The first time of a day that is not before the given one.
    fn time_from(&self, hour: i8, minute: i8) -> Option<(i8, i8)> {
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.first_from(minute)
        {
            return Some((hour, minute));
        }
        Some((self.hours.first_from(hour + 1)?, self.minutes.first_from(0)?))
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let text = match text.trim_ascii() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            text if text.starts_with('@') => return Err(ScheduleError::Nickname),
            text => text,
        };
        let mut fields = text.split_ascii_whitespace();
        let mut next =
            || fields.next().ok_or(ScheduleError::FieldCount(text.split_ascii_whitespace().count()));
        let (minute, hour, day_of_month, month, day_of_week) = (next()?, next()?, next()?, next()?, next()?);
        if fields.next().is_some() {
            return Err(ScheduleError::FieldCount(text.split_ascii_whitespace().count()));
        }
        let mut days_of_week = Numbers::parse(Field::DayOfWeek, day_of_week)?;
        if days_of_week.has(7) {
            days_of_week.insert(0);
        }
        Ok(Self {
            minutes: Numbers::parse(Field::Minute, minute)?,
            hours: Numbers::parse(Field::Hour, hour)?,
            days_of_month: Numbers::parse(Field::DayOfMonth, day_of_month)?,
            months: Numbers::parse(Field::Month, month)?,
            days_of_week,
            either_day: !day_of_month.starts_with('*') && !day_of_week.starts_with('*'),
        })
    }
}

/// A set of the numbers 0–63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Numbers(u64);

impl Numbers {
    fn parse(field: Field, text: &str) -> Result<Self, ScheduleError> {
        let mut numbers = Self(0);
        for term in text.split(',') {
            let (range, step) = match term.split_once('/') {
                Some((range, step)) => (range, Some(number(step).ok_or(ScheduleError::Syntax(field))?)),
                None => (term, None),
            };
            let (least, greatest) = field.range();
            // Sunday's second number is never a step's.
            let last = if field == Field::DayOfWeek { 6 } else { greatest };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (least, last),
                Some((from, to)) => (value(field, from)?, value(field, to)?),
                // As in Kubernetes' own CronJobs, 5/15 is 5-59/15.
                None if step.is_some() => (value(field, range)?, last),
                None => (value(field, range)?, value(field, range)?),
            };
            if to < from {
                return Err(ScheduleError::Reversed(field));
            }
            let step = step.unwrap_or(1);
            if step == 0 {
                return Err(ScheduleError::ZeroStep(field));
            }
            (from..=to).step_by(step).for_each(|number| numbers.insert(number));
        }
        Ok(numbers)
    }

    fn insert(&mut self, number: u8) {
        self.0 |= 1 << number;
    }

    fn has(self, number: i8) -> bool {
        self.first_from(number) == Some(number)
    }

    /// The least member that is not below `number`.
    fn first_from(self, number: i8) -> Option<i8> {
        let above = u32::try_from(number).ok().and_then(|number| u64::MAX.checked_shl(number))?;
        i8::try_from((self.0 & above).trailing_zeros()).ok().filter(|first| *first < 64)
    }
}

/// A number or a name of a field.
fn value(field: Field, text: &str) -> Result<u8, ScheduleError> {
    let (least, greatest) = field.range();
    if let Some(at) = field.names().iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return u8::try_from(at).map(|at| least + at).map_err(|_| ScheduleError::OutOfRange(field));
    }
    let number = number(text).ok_or(ScheduleError::Syntax(field))?;
    let number = u8::try_from(number).map_err(|_| ScheduleError::OutOfRange(field))?;
    if (least..=greatest).contains(&number) { Ok(number) } else { Err(ScheduleError::OutOfRange(field)) }
}

/// Digits alone; more than fit are the largest number.
fn number(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn schedule(text: &str) -> Schedule {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn next(text: &str, after: &str) -> Option<String> {
        let after: Timestamp = after.parse().expect("a timestamp");
        schedule(text).next_after(after).map(|at| at.to_string())
    }

    #[test]
    fn what_is_a_schedule() {
        for text in [
            "* * * * *",
            "*/5 * * * *",
            "0,15,30-45/5 0-23 1,31 jan-Mar,DEC mon-fri",
            "5/15 * * * *",
            "0 0 * * 7",
            "0 0 * * 5-7",
            "0 0 * * 0-7",
            " 0  0\t* * * ",
            "05 00 01 01 *",
            "*/100 * * * *",
            "@hourly",
            "@daily",
            "@midnight",
            "@weekly",
            "@monthly",
            "@yearly",
            "@annually",
        ] {
            schedule(text);
        }
    }

    #[test]
    fn what_is_no_schedule() {
        use Field::*;
        use ScheduleError::*;
        for (text, error) in [
            ("", FieldCount(0)),
            ("* * * *", FieldCount(4)),
            ("0 */5 * * * *", FieldCount(6)),
            ("TZ=UTC * * * * *", FieldCount(6)),
            ("every 5 minutes", FieldCount(3)),
            ("@every 5m", Nickname),
            ("@reboot", Nickname),
            ("@Hourly", Nickname),
            ("60 * * * *", OutOfRange(Minute)),
            ("* 24 * * *", OutOfRange(Hour)),
            ("* * 0 * *", OutOfRange(DayOfMonth)),
            ("* * 32 * *", OutOfRange(DayOfMonth)),
            ("* * * 13 *", OutOfRange(Month)),
            ("* * * * 8", OutOfRange(DayOfWeek)),
            ("99999999999999999999999 * * * *", OutOfRange(Minute)),
            ("30-10 * * * *", Reversed(Minute)),
            ("* * * * fri-sun", Reversed(DayOfWeek)),
            ("*/0 * * * *", ZeroStep(Minute)),
            ("*/-5 * * * *", Syntax(Minute)),
            ("*5 * * * *", Syntax(Minute)),
            ("*-5 * * * *", Syntax(Minute)),
            ("1, * * * *", Syntax(Minute)),
            ("1-2-3 * * * *", Syntax(Minute)),
            ("1/2/3 * * * *", Syntax(Minute)),
            ("+1 * * * *", Syntax(Minute)),
            ("? * * * *", Syntax(Minute)),
            ("* * L * *", Syntax(DayOfMonth)),
            ("* * 15W * *", Syntax(DayOfMonth)),
            ("* * * monday *", Syntax(Month)),
            ("* * * * mon#2", Syntax(DayOfWeek)),
            ("jan * * * *", Syntax(Minute)),
        ] {
            assert_eq!(text.parse::<Schedule>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_next_minute_is_later_than_the_present_one() {
        assert_eq!(next("* * * * *", "2026-03-01T10:20:00Z").as_deref(), Some("2026-03-01T10:21:00Z"));
        assert_eq!(next("* * * * *", "2026-03-01T10:20:59.999Z").as_deref(), Some("2026-03-01T10:21:00Z"));
        assert_eq!(next("*/5 * * * *", "2026-12-31T23:57:00Z").as_deref(), Some("2027-01-01T00:00:00Z"));
        assert_eq!(next("0 0 29 2 *", "2096-03-01T00:00:00Z").as_deref(), Some("2104-02-29T00:00:00Z"));
    }

    #[test]
    fn restricted_days_suffice_singly_and_starred_ones_must_both_hold() {
        // The 13th of March 2026 is a Friday, the 6th another.
        assert_eq!(next("0 0 13 * fri", "2026-03-01T00:00:00Z").as_deref(), Some("2026-03-06T00:00:00Z"));
        assert_eq!(next("0 0 13 * *", "2026-03-01T00:00:00Z").as_deref(), Some("2026-03-13T00:00:00Z"));
        assert_eq!(next("0 0 * * fri", "2026-03-07T00:00:00Z").as_deref(), Some("2026-03-13T00:00:00Z"));
        assert_eq!(next("0 0 */2 * sat", "2026-03-08T00:00:00Z").as_deref(), Some("2026-03-21T00:00:00Z"));
        assert_eq!(next("0 0 29 2 */7", "2026-03-08T00:00:00Z").as_deref(), Some("2032-02-29T00:00:00Z"));
    }

    #[test]
    fn both_numbers_of_sunday_are_one() {
        assert_eq!(schedule("0 0 * * 7"), schedule("0 0 * * 7,0"));
        assert_eq!(next("0 0 * * 7", "2026-03-02T00:00:00Z"), next("0 0 * * 0", "2026-03-02T00:00:00Z"));
        assert_eq!(next("0 0 * * 1/5", "2026-03-02T00:00:00Z").as_deref(), Some("2026-03-07T00:00:00Z"));
    }

    #[test]
    fn a_date_that_does_not_exist_never_comes() {
        for text in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 30-31 feb */2"] {
            assert!(schedule(text).never_fires(), "{text}");
            assert_eq!(next(text, "2026-03-01T00:00:00Z"), None, "{text}");
        }
        for text in ["0 0 29 2 *", "0 0 31 1,2 *", "0 0 30 2 mon"] {
            assert!(!schedule(text).never_fires(), "{text}");
            assert!(next(text, "2026-03-01T00:00:00Z").is_some(), "{text}");
        }
        assert_eq!(next("@daily", "9999-12-30T00:00:00Z"), None);
    }

    /// A field's text, whether it begins with `*`, and the numbers that it names.
    fn fields(least: u8, greatest: u8) -> impl Strategy<Value = (String, bool, BTreeSet<u8>)> {
        let term =
            (least..=greatest, least..=greatest, 1_u8..20, 0_u8..4).prop_map(move |(a, b, step, form)| {
                let (from, to) = (a.min(b), a.max(b));
                match form {
                    0 => ("*".to_owned(), (least..=greatest).collect()),
                    1 => (format!("*/{step}"), (least..=greatest).step_by(usize::from(step)).collect()),
                    2 => (a.to_string(), BTreeSet::from([a])),
                    _ => (
                        format!("{from}-{to}/{step}"),
                        (from..=to).step_by(usize::from(step)).collect::<BTreeSet<u8>>(),
                    ),
                }
            });
        prop::collection::vec(term, 1..3).prop_map(|terms| {
            let text = terms.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(",");
            let starred = text.starts_with('*');
            (text, starred, terms.into_iter().flat_map(|(_, numbers)| numbers).collect())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn next_is_what_trying_every_minute_finds(
            fields in (fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6)),
            after in 0_i64..4_000_000_000,
        ) {
            let ((minute, _, minutes), (hour, _, hours), (day, any_day, days), (month, _, months), (weekday, any_weekday, weekdays)) = fields;
            let text = format!("{minute} {hour} {day} {month} {weekday}");
            let has = |set: &BTreeSet<u8>, number: i8| set.contains(&number.unsigned_abs());
            let named = |second: i64| {
                let at = TimeZone::UTC.to_datetime(Timestamp::from_second(second).expect("a timestamp"));
                let (of_month, of_week) = (has(&days, at.day()), has(&weekdays, at.weekday().to_sunday_zero_offset()));
                let of_date = if any_day || any_weekday { of_month && of_week } else { of_month || of_week };
                of_date && has(&months, at.month()) && has(&hours, at.hour()) && has(&minutes, at.minute())
            };
            let first = (after / 60 + 1) * 60;
            let found = (0..3 * 24 * 60).map(|minute| first + minute * 60).find(|second| named(*second));
            let next = schedule(&text).next_after(Timestamp::from_second(after).expect("a timestamp")).map(Timestamp::as_second);
            match found {
                Some(_) => prop_assert_eq!(next, found, "{}", text),
                None => prop_assert!(next.is_none_or(|next| next >= first + 3 * 24 * 3600 && named(next)), "{}", text),
            }
        }

        #[test]
        fn anything_is_answered(text in "[-0-9*/, @a-zé]{0,32}") {
            let _ = text.parse::<Schedule>();
        }
    }
}
