//! Durations as Go writes them: `30s`, `1h15m30.918s`, `1.5h`.

use std::time::Duration;

use thiserror::Error;

/// Why a string is no duration, or not one that can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Not the grammar of a duration.
    #[error("must be a duration, such as 30s, 1m30s or 500ms")]
    Syntax,
    /// A number without a unit after it.
    #[error("must have a unit, such as 30s, 1m30s or 500ms")]
    MissingUnit,
    /// A unit that durations do not have.
    #[error("must have one of the units ns, us, ms, s, m and h")]
    UnknownUnit,
    /// More than 2⁶³ - 1 nanoseconds, which are about 292 years.
    #[error("must be at most 2562047h")]
    Overflow,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Zero, where that is not allowed.
    #[error("must be above zero")]
    Zero,
}

/// The most that a Go duration counts, one more than its largest positive value.
const LIMIT: u64 = 1 << 63;

/// A duration in exactly the grammar, and with exactly the arithmetic, of Go's `time.ParseDuration`.
///
/// # Errors
/// Where Go would refuse it, or where it is below zero.
pub fn parse_go_duration(text: &str) -> Result<Duration, DurationError> {
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    if unsigned.is_empty() {
        return Err(DurationError::Syntax);
    }
    let mut rest = unsigned;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (term, after) = parse_term(rest)?;
        total = total.checked_add(term).filter(|total| *total <= LIMIT).ok_or(DurationError::Overflow)?;
        rest = after;
    }
    match (negative, total) {
        (_, 0) => Ok(Duration::ZERO),
        (true, _) => Err(DurationError::Negative),
        (false, LIMIT) => Err(DurationError::Overflow),
        (false, nanoseconds) => Ok(Duration::from_nanos(nanoseconds)),
    }
}

/// As [`parse_go_duration`], and above zero.
///
/// # Errors
/// Where Go would refuse it, or where it is zero or below.
pub fn parse_positive_duration(text: &str) -> Result<Duration, DurationError> {
    match parse_go_duration(text)? {
        Duration::ZERO => Err(DurationError::Zero),
        duration => Ok(duration),
    }
}

/// One number with its unit, in nanoseconds, and what follows it.
fn parse_term(text: &str) -> Result<(u64, &str), DurationError> {
    let (whole, rest) = split_at_first(text, |c| !c.is_ascii_digit());
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_at_first(rest, |c| !c.is_ascii_digit()),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Syntax);
    }
    let (unit, rest) = split_at_first(rest, |c| c == '.' || c.is_ascii_digit());
    let unit = nanoseconds_in(unit)?;
    let whole = whole.bytes().try_fold(0_u64, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')).filter(|sum| *sum <= LIMIT)
    });
    let nanoseconds = whole
        .and_then(|whole| whole.checked_mul(unit)?.checked_add(nanoseconds_of(fraction, unit)))
        .filter(|sum| *sum <= LIMIT)
        .ok_or(DurationError::Overflow)?;
    Ok((nanoseconds, rest))
}

/// `0.FRACTION` of a unit, in floating point as Go does it: a third of an hour may come out as 20 minutes.
fn nanoseconds_of(fraction: &str, unit: u64) -> u64 {
    let (mut digits, mut scale) = (0_u64, 1_f64);
    for digit in fraction.bytes() {
        // Digits beyond what 63 bits hold do not matter, and are dropped.
        let more =
            digits.checked_mul(10).filter(|more| *more < LIMIT).map(|more| more + u64::from(digit - b'0'));
        let Some(more) = more.filter(|more| *more <= LIMIT) else { break };
        digits = more;
        scale *= 10.0;
    }
    (digits as f64 * (unit as f64 / scale)) as u64
}

fn nanoseconds_in(unit: &str) -> Result<u64, DurationError> {
    match unit {
        "" => Err(DurationError::MissingUnit),
        "ns" => Ok(1),
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => Ok(1_000),
        "ms" => Ok(1_000_000),
        "s" => Ok(1_000_000_000),
        "m" => Ok(60 * 1_000_000_000),
        "h" => Ok(3_600 * 1_000_000_000),
        _ => Err(DurationError::UnknownUnit),
    }
}

fn split_at_first(text: &str, end: fn(char) -> bool) -> (&str, &str) {
    text.find(end).and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_go_accepts() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("+0", 0),
            ("-0", 0),
            ("-0s", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("5.0s", 5_000_000_000),
            ("5.s", 5_000_000_000),
            (".5s", 500_000_000),
            ("1.0040s", 1_004_000_000),
            ("100.00100s", 100_001_000_000),
            ("10ns", 10),
            ("11us", 11_000),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("13ms", 13_000_000),
            ("15m", 900_000_000_000),
            ("16h", 57_600_000_000_000),
            ("3h30m", 12_600_000_000_000),
            ("10.5s4m", 250_500_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("39h9m14.425s", 140_954_425_000_000),
            ("52763797000ns", 52_763_797_000),
            ("0.3333333333333333333h", 1_200_000_000_000),
            ("9007199254740993ns", 9_007_199_254_740_993),
            ("9223372036854775807ns", i64::MAX as u64),
            ("9223372036854775.807us", i64::MAX as u64),
            ("9223372036s854ms775us807ns", i64::MAX as u64),
            ("0.100000000000000000000h", 360_000_000_000),
            ("0.830103483285477580700h", 2_988_372_539_827),
        ] {
            assert_eq!(parse_go_duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses() {
        use DurationError::*;
        for (text, error) in [
            ("", Syntax),
            ("-", Syntax),
            ("+", Syntax),
            (".", Syntax),
            (".s", Syntax),
            ("+.s", Syntax),
            ("s", Syntax),
            ("--5s", Syntax),
            (" 5s", Syntax),
            ("30", MissingUnit),
            ("1.5", MissingUnit),
            ("1h30", MissingUnit),
            ("00", MissingUnit),
            ("3d", UnknownUnit),
            ("5S", UnknownUnit),
            ("5s ", UnknownUnit),
            ("1 s", UnknownUnit),
            ("3000000h", Overflow),
            ("9223372036854775808ns", Overflow),
            ("9223372036854775.808us", Overflow),
            ("99999999999999999999s", Overflow),
            ("9223372036854ms775us808ns", Overflow),
            ("-1s", Negative),
            ("-9223372036854775808ns", Negative),
        ] {
            assert_eq!(parse_go_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_positive_duration_is_above_zero() {
        assert_eq!(parse_positive_duration("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(parse_positive_duration("0s"), Err(DurationError::Zero));
        assert_eq!(parse_positive_duration("-1s"), Err(DurationError::Negative));
        assert_eq!(parse_positive_duration("1"), Err(DurationError::MissingUnit));
    }

    proptest! {
        #[test]
        fn terms_add_up(terms in prop::collection::vec((0_u64..1_000_000, 0_usize..8), 1..6)) {
            let units = [("ns", 1), ("us", 1_000), ("µs", 1_000), ("μs", 1_000), ("ms", 1_000_000),
                ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000_u64)];
            let text: String = terms.iter().map(|(n, unit)| format!("{n}{}", units[*unit].0)).collect();
            let sum: u128 = terms.iter().map(|(n, unit)| u128::from(*n) * u128::from(units[*unit].1)).sum();
            let expected = u64::try_from(sum).ok().filter(|sum| *sum < LIMIT).map(Duration::from_nanos);
            prop_assert_eq!(parse_go_duration(&text).ok(), expected);
        }

        #[test]
        fn anything_is_answered(text in "[-+0-9.nuµmsh é]{0,24}") {
            let _ = parse_go_duration(&text);
        }
    }
}
