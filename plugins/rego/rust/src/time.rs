//! Rego's builtins about time, less those that would ask a clock and those that read or write other formats than RFC 3339.
//!
//! A moment is a number of nanoseconds since 1970 UTC, from 1677 to 2262. `time.now_ns` is no part of this: it is added for
//! each decision, with the host's time of the decision.

use chrono::{DateTime, Datelike, Days, Months, TimeZone, Timelike};
use chrono_tz::Tz;
use regorus::Value;

/// A builtin: what it makes of its arguments, or why nothing.
pub(crate) type Builtin = fn(&[Value]) -> Result<Value, String>;

/// The one that is added for each decision.
pub(crate) const NOW: &str = "time.now_ns";

/// The others, each with the number of its arguments.
pub(crate) const BUILTINS: [(&str, u8, Builtin); 7] = [
    ("time.add_date", 4, add_date),
    ("time.clock", 1, clock),
    ("time.date", 1, date),
    ("time.diff", 2, diff),
    ("time.parse_duration_ns", 1, parse_duration),
    ("time.parse_rfc3339_ns", 1, parse_rfc3339),
    ("time.weekday", 1, weekday),
];

/// Units of durations, in nanoseconds; no one begins another that stands after it.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Digits after the point that count: a nanosecond is no more than a 10^13th of an hour.
const FRACTION_DIGITS_MAX: usize = 15;

/// The host's time of a decision, as Rego has it.
pub(crate) fn now(ms: u64) -> Value {
    Value::from(u128::from(ms) * 1_000_000)
}

fn clock(arguments: &[Value]) -> Result<Value, String> {
    let moment = moment(&arguments[0])?;
    Ok(numbers([moment.hour(), moment.minute(), moment.second()]))
}

fn date(arguments: &[Value]) -> Result<Value, String> {
    let moment = moment(&arguments[0])?;
    Ok(numbers([i64::from(moment.year()), i64::from(moment.month()), i64::from(moment.day())]))
}

fn weekday(arguments: &[Value]) -> Result<Value, String> {
    const NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let day = moment(&arguments[0])?.weekday().num_days_from_monday();
    Ok(Value::from(NAMES[day as usize % NAMES.len()]))
}

/// What overflows a month goes into the next, as OPA does it: a month after January 31 is March 3, or 2.
fn add_date(arguments: &[Value]) -> Result<Value, String> {
    let moment = moment(&arguments[0])?;
    let [years, months, days] = [1, 2, 3].map(|at| whole(&arguments[at]));
    let months = years?.checked_mul(12).zip(months.ok()).and_then(|(years, months)| years.checked_add(months));
    let beyond = || "that is beyond the calendar".to_owned();
    // From the first of the month, which every month has.
    let days = (i64::from(moment.day()) - 1).checked_add(days?).ok_or_else(beyond)?;
    let first = moment.date_naive().with_day(1).ok_or_else(beyond)?;
    let months = months.ok_or_else(beyond)?;
    let by = Months::new(u32::try_from(months.unsigned_abs()).map_err(|_| beyond())?);
    let month =
        if months < 0 { first.checked_sub_months(by) } else { first.checked_add_months(by) }.ok_or_else(beyond)?;
    let by = Days::new(days.unsigned_abs());
    let day = if days < 0 { month.checked_sub_days(by) } else { month.checked_add_days(by) }.ok_or_else(beyond)?;
    let local = day.and_time(moment.time());
    // An hour that the clocks leave out is the one after it.
    let zone = moment.timezone();
    let found = zone.from_local_datetime(&local).earliest();
    let found = found.or_else(|| zone.from_local_datetime(&(local + chrono::TimeDelta::hours(1))).earliest());
    nanoseconds(&found.ok_or_else(beyond)?)
}

/// Years, months, days, hours, minutes and seconds between two moments, in the zone of the first.
fn diff(arguments: &[Value]) -> Result<Value, String> {
    let one = moment(&arguments[0])?;
    let other = moment(&arguments[1])?.with_timezone(&one.timezone());
    let (from, to) = if one <= other { (one, other) } else { (other, one) };
    let parts = |at: &DateTime<Tz>| {
        [i64::from(at.year()), i64::from(at.month()), i64::from(at.day())]
            .into_iter()
            .chain([at.hour(), at.minute(), at.second()].map(i64::from))
            .collect::<Vec<_>>()
    };
    let mut difference: Vec<i64> = parts(&to).iter().zip(parts(&from)).map(|(to, from)| to - from).collect();
    // Borrowed from the part before; of days there are as many as the month has in which it began.
    let days = days_of_month(from.year(), from.month());
    for (at, span) in [(5, 60), (4, 60), (3, 24), (2, days), (1, 12)] {
        if difference[at] < 0 {
            difference[at] += span;
            difference[at - 1] -= 1;
        }
    }
    Ok(numbers(difference))
}

fn days_of_month(year: i32, month: u32) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn parse_rfc3339(arguments: &[Value]) -> Result<Value, String> {
    let text = text(&arguments[0])?;
    let moment = DateTime::parse_from_rfc3339(text).map_err(|error| format!("`{text}` is no time: {error}"))?;
    nanoseconds(&moment)
}

/// A duration as Go writes it: `1h30m`, `1.5s`, `-300ms`.
fn parse_duration(arguments: &[Value]) -> Result<Value, String> {
    let text = text(&arguments[0])?;
    let odd = || format!("`{text}` is no duration, such as `1h30m`");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Value::from(0_i64));
    }
    if rest.is_empty() {
        return Err(odd());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(odd)?;
        let (number, after) = rest.split_at(end);
        let (unit, scale) = UNITS.iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(odd)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || whole.len() > 20 {
            return Err(odd());
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| odd())? };
        let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
        let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| odd())? };
        let digits = u32::try_from(fraction.len()).unwrap_or(0);
        total += whole * scale + part * scale / 10_i128.pow(digits);
        rest = &after[unit.len()..];
    }
    i64::try_from(sign * total).map(Value::from).map_err(|_| odd())
}

/// A number of nanoseconds, or `[nanoseconds, zone]`.
fn moment(value: &Value) -> Result<DateTime<Tz>, String> {
    let (ns, zone) = match value {
        Value::Array(parts) if (1..=3).contains(&parts.len()) => {
            let mut parts = parts.iter();
            (parts.next().unwrap_or(value), parts.next().map(text).transpose()?.unwrap_or_default())
        }
        value => (value, ""),
    };
    let zone: Tz = match zone {
        "" => Tz::UTC,
        name => name.parse().map_err(|_| format!("`{name}` is no time zone, such as `Europe/Berlin`"))?,
    };
    Ok(zone.timestamp_nanos(whole(ns)?))
}

fn nanoseconds<Z: TimeZone>(moment: &DateTime<Z>) -> Result<Value, String> {
    moment.timestamp_nanos_opt().map(Value::from).ok_or_else(|| "that is before 1677 or after 2262".to_owned())
}

fn whole(value: &Value) -> Result<i64, String> {
    value.as_i64().map_err(|_| format!("{value} is no whole number of 64 bits"))
}

pub(crate) fn text(value: &Value) -> Result<&str, String> {
    value.as_string().map(|text| &**text).map_err(|_| format!("{value} is no string"))
}

fn numbers<N: Into<Value>>(all: impl IntoIterator<Item = N>) -> Value {
    Value::from(all.into_iter().map(Into::into).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn called(builtin: Builtin, arguments: serde_json::Value) -> Result<String, String> {
        let serde_json::Value::Array(arguments) = arguments else { panic!("no arguments") };
        let arguments: Vec<Value> = arguments.into_iter().map(Value::from).collect();
        builtin(&arguments).map(|value| value.to_string())
    }

    // Monday, 2026-01-05T09:00:00Z.
    const NS: i64 = 1_767_603_600_000_000_000;
    const DAY: i64 = 86_400_000_000_000;

    #[test]
    fn what_is_no_moment_is_refused() {
        for (argument, problem) in [
            (json!("2026"), "is no whole number"),
            (json!(0.5), "is no whole number"),
            (json!(1e30), "is no whole number"),
            (json!(null), "is no whole number"),
            (json!([]), "is no whole number"),
            (json!([NS, 7]), "is no string"),
            (json!([NS, "Local"]), "`Local` is no time zone"),
            (json!([NS, "Berlin"]), "`Berlin` is no time zone"),
        ] {
            let error = called(clock, json!([argument])).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        for (text, problem) in
            [("", "is no time"), ("2026-01-05", "is no time"), ("2300-01-01T00:00:00Z", "after 2262")]
        {
            let error = called(parse_rfc3339, json!([text])).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        for text in ["", "-", "1", "h", "1x", "1h30", ".s", "1.2.3s", "1e3s", "99999999999999h", " 1s"] {
            let error = called(parse_duration, json!([text])).unwrap_err();
            assert!(error.contains("is no duration"), "{text}: {error}");
        }
        for arguments in [json!([NS, 1e18, 0, 0]), json!([NS, 0, i64::MAX, 0]), json!([NS, 0, 0, i64::MIN])] {
            assert!(called(add_date, arguments).is_err());
        }
        assert_eq!(called(add_date, json!([NS, 300, 0, 0])).unwrap_err(), "that is before 1677 or after 2262");
    }

    #[test]
    fn moments_are_those_of_the_calendar_and_the_zone() {
        assert_eq!(called(clock, json!([NS])).unwrap(), "[9,0,0]");
        assert_eq!(called(clock, json!([[NS, "America/New_York"]])).unwrap(), "[4,0,0]");
        assert_eq!(called(date, json!([[NS, "Pacific/Auckland"]])).unwrap(), "[2026,1,5]");
        assert_eq!(called(date, json!([-1])).unwrap(), "[1969,12,31]");
        assert_eq!(called(weekday, json!([NS])).unwrap(), "\"Monday\"");
        assert_eq!(called(weekday, json!([[NS - DAY, ""]])).unwrap(), "\"Sunday\"");
        assert_eq!(called(parse_rfc3339, json!(["2026-01-05T10:00:00+01:00"])).unwrap(), NS.to_string());
        assert_eq!(now(1_767_603_600_000).to_string(), NS.to_string());
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, ns) in [
            ("0", 0_i64),
            ("1ns", 1),
            ("1.5us", 1_500),
            ("2µs", 2_000),
            ("300ms", 300_000_000),
            ("-1.5h", -5_400_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("+1h0m0.000000001s", 3_600_000_000_001),
        ] {
            assert_eq!(called(parse_duration, json!([text])).unwrap(), ns.to_string(), "{text}");
        }
    }

    #[test]
    fn dates_are_added_and_subtracted_as_opa_does() {
        let at = |text: &str| called(parse_rfc3339, json!([text])).unwrap().parse::<i64>().unwrap();
        for (from, [years, months, days], to) in [
            ("2026-01-31T09:00:00Z", [0, 1, 0], "2026-03-03T09:00:00Z"),
            ("2024-02-29T09:00:00Z", [1, 0, 0], "2025-03-01T09:00:00Z"),
            ("2026-01-05T09:00:00Z", [0, -1, -5], "2025-11-30T09:00:00Z"),
            ("2026-01-05T09:00:00Z", [-1, 13, 31], "2026-03-08T09:00:00Z"),
        ] {
            let sum = called(add_date, json!([at(from), years, months, days])).unwrap();
            assert_eq!(sum, at(to).to_string(), "{from}");
        }
        // The clocks go on an hour in the night to 2026-03-29.
        let sum = called(add_date, json!([[at("2026-03-28T01:30:00Z"), "Europe/Berlin"], 0, 0, 1])).unwrap();
        assert_eq!(sum, at("2026-03-29T01:30:00Z").to_string());
        for (from, to, difference) in [
            ("2026-01-31T09:00:00Z", "2026-03-01T08:59:59Z", "[0,1,0,23,59,59]"),
            ("2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "[0,0,0,0,0,1]"),
            ("2026-01-05T09:00:00Z", "2020-01-05T09:00:00Z", "[6,0,0,0,0,0]"),
        ] {
            assert_eq!(called(diff, json!([at(from), at(to)])).unwrap(), difference, "{from}");
        }
    }
}
