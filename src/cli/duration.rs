//! Durations on the command line, as Kubernetes' own flags take them: `15s`, `1h30m`, `500ms`.

use std::time::Duration;

/// Parses `15s`, `1h30m`, `500ms` or `0`.
///
/// # Errors
/// In words that follow `invalid value`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "must be a duration such as 500ms, 15s, 1h30m or 0";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(EXPECTED)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(EXPECTED.into()),
        };
        let term = number.checked_mul(milliseconds).map(Duration::from_millis);
        total = term.and_then(|term| total.checked_add(term)).ok_or("is too long")?;
        rest = tail;
    }
    if text.is_empty() { Err(EXPECTED.into()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_that_are_understood() {
        let parsed = |text| parse(text).unwrap();
        assert_eq!(parsed("15s"), Duration::from_secs(15));
        assert_eq!(parsed("500ms"), Duration::from_millis(500));
        assert_eq!(parsed("1h30m5s"), Duration::from_secs(5_405));
        assert_eq!(parsed("8760h"), Duration::from_secs(365 * 86_400));
        assert_eq!(parsed("0"), Duration::ZERO);
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "15", "s", "15 s", "-1s", "1.5h", "1d", "15s3", "99999999999999999999s"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(parse("18446744073709551615h"), Err("is too long".into()));
    }
}
