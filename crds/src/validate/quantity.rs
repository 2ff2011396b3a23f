//! Quantities of resources as Kubernetes writes them: `500m`, `1.5`, `128Mi`, `1e3`.

use std::str::FromStr;

use serde_json::Value;
use thiserror::Error;

/// Why a value is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum QuantityError {
    /// Not the grammar of a quantity.
    #[error("must be a quantity, such as 500m, 2 or 128Mi")]
    Syntax,
    /// A number with a suffix that quantities do not have.
    #[error("must have one of the suffixes n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi and Ei, or none")]
    Suffix,
    /// JSON that is neither a string nor an integer.
    #[error("must be a string or an integer")]
    Type,
}

/// An amount of a resource.
///
/// It is exact to 10⁻⁹; what is finer is rounded away from zero, as Kubernetes does it. Amounts beyond 10²⁹, far above
/// what Kubernetes itself tells apart, are held as one largest amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    /// The amount in 10⁻⁹.
    nanos: i128,
}

/// 10⁻⁹ in one.
const UNIT: u128 = 1_000_000_000;

impl Quantity {
    /// The amount of a JSON string, or of a JSON integer, which counts whole units.
    ///
    /// # Errors
    /// Where the value is of another type, or the string is no quantity.
    pub fn from_json(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::String(text) => text.parse(),
            Value::Number(number) => {
                // `2.0` is an integer to the API server as well.
                let whole = |float: &f64| float.fract() == 0.0;
                let float = || number.as_f64().filter(whole).map(|float| float as i128);
                let units = number.as_i128().or_else(float).ok_or(QuantityError::Type)?;
                let nanos = units.saturating_mul(1_000_000_000);
                Ok(Self { nanos })
            }
            _ => Err(QuantityError::Type),
        }
    }

    /// Whether the amount is below zero.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    /// Whether the amount is zero.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// The least number of whole units that covers the amount. `None` where it is negative or beyond 64 bits.
    #[must_use]
    pub fn to_u64_ceil(&self) -> Option<u64> {
        let nanos = u128::try_from(self.nanos).ok()?;
        u64::try_from(nanos.div_ceil(UNIT)).ok()
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    /// The grammar of `k8s.io/apimachinery/pkg/api/resource`.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(unsigned);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(QuantityError::Syntax);
        }
        let magnitude = match multiplier(suffix) {
            Some(nanos) => scaled(whole.bytes(), fraction.bytes(), nanos),
            None => {
                let shift = exponent(suffix).ok_or(QuantityError::Suffix)?;
                shifted(whole, fraction, shift)
            }
        };
        let magnitude = i128::try_from(magnitude).unwrap_or(i128::MAX);
        Ok(Self { nanos: if negative { -magnitude } else { magnitude } })
    }
}

/// What a suffix stands for, in 10⁻⁹.
fn multiplier(suffix: &str) -> Option<u128> {
    Some(match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => UNIT,
        "k" => UNIT * 1_000,
        "M" => UNIT * 1_000_000,
        "G" => UNIT * 1_000_000_000,
        "T" => UNIT * 1_000_000_000_000,
        "P" => UNIT * 1_000_000_000_000_000,
        "E" => UNIT * 1_000_000_000_000_000_000,
        "Ki" => UNIT << 10,
        "Mi" => UNIT << 20,
        "Gi" => UNIT << 30,
        "Ti" => UNIT << 40,
        "Pi" => UNIT << 50,
        "Ei" => UNIT << 60,
        _ => return None,
    })
}

/// The power of ten that a suffix such as `e3` or `E-3` stands for.
fn exponent(suffix: &str) -> Option<i64> {
    suffix.strip_prefix(['e', 'E'])?.parse().ok()
}

/// `WHOLE.FRACTION` times `nanos`, rounded up. Every digit is looked at once, whatever their number.
fn scaled(
    whole: impl Iterator<Item = u8>,
    fraction: impl DoubleEndedIterator<Item = u8>,
    nanos: u128,
) -> u128 {
    let whole = whole.fold(0_u128, |sum, digit| sum.saturating_mul(10).saturating_add(value_of(digit)));
    // From the last digit to the first: what is left of each division decides whether to round up.
    let (part, exact) = fraction.rev().fold((0_u128, true), |(part, exact), digit| {
        let sum = value_of(digit) * nanos + part;
        (sum / 10, exact && sum.is_multiple_of(10))
    });
    whole.saturating_mul(nanos).saturating_add(part).saturating_add(u128::from(!exact))
}

/// `WHOLE.FRACTION` units times 10^`shift`, rounded up: the point moves among the digits.
fn shifted(whole: &str, fraction: &str, shift: i64) -> u128 {
    /// Zeros beyond these change nothing: the amount is already too large, or too small, to be told apart.
    const MAX_ZEROS: usize = 40;
    let places = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
    let zeros = |count: usize| std::iter::repeat_n(b'0', count.min(MAX_ZEROS));
    if shift >= 0 {
        let at = places.min(fraction.len());
        let (moved, fraction) = fraction.split_at_checked(at).unwrap_or((fraction, ""));
        scaled(whole.bytes().chain(moved.bytes()).chain(zeros(places - at)), fraction.bytes(), UNIT)
    } else {
        let at = whole.len().saturating_sub(places);
        let (whole, moved) = whole.split_at_checked(at).unwrap_or(("", whole));
        let zeros: Vec<u8> = zeros(places - moved.len()).collect();
        scaled(whole.bytes(), zeros.into_iter().chain(moved.bytes()).chain(fraction.bytes()), UNIT)
    }
}

fn value_of(digit: u8) -> u128 {
    u128::from(digit - b'0')
}

/// The digits that a text begins with, and what follows them.
fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn one_amount_has_many_spellings() {
        for (a, b) in [
            ("0", "-0.0Ki"),
            ("1", "1000m"),
            ("1", "+1."),
            ("0.5", ".5"),
            ("0.5", "500m"),
            ("1k", "1000"),
            ("1k", "1e3"),
            ("1k", "1E+3"),
            ("12.5", "0.00125e4"),
            ("12.5", "12500e-3"),
            ("0.0125", "125e-4"),
            ("1Ki", "1024"),
            ("1.5Mi", "1536Ki"),
            ("1Ei", "1152921504606846976"),
            ("2E", "2000P"),
            ("1u", "1000n"),
            ("0.1n", "1n"),
            ("1.00000000001", "1000000001n"),
            ("1e-400", "1n"),
            ("0e-400", "0"),
            ("0e400", "0"),
            ("007", "7"),
        ] {
            assert_eq!(quantity(a), quantity(b), "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_quantity() {
        use QuantityError::*;
        for (text, error) in [
            ("", Syntax),
            ("-", Syntax),
            (".", Syntax),
            ("m", Syntax),
            ("--1", Syntax),
            (" 1", Syntax),
            ("lots", Syntax),
            ("1 ", Suffix),
            ("1.1.1", Suffix),
            ("1K", Suffix),
            ("1ki", Suffix),
            ("1mi", Suffix),
            ("1i", Suffix),
            ("1Kib", Suffix),
            ("1e", Suffix),
            ("1e1.5", Suffix),
            ("1e3k", Suffix),
            ("1e99999999999999999999", Suffix),
            ("64MB", Suffix),
            ("1é", Suffix),
        ] {
            assert_eq!(text.parse::<Quantity>(), Err(error), "{text}");
        }
    }

    #[test]
    fn json_integers_are_quantities_too() {
        assert_eq!(Quantity::from_json(&json!(2)), Ok(quantity("2")));
        assert_eq!(Quantity::from_json(&json!(-2)), Ok(quantity("-2")));
        assert_eq!(Quantity::from_json(&json!(u64::MAX)), Ok(quantity("18446744073709551615")));
        assert_eq!(Quantity::from_json(&json!("2")), Ok(quantity("2")));
        assert_eq!(Quantity::from_json(&json!(2.0)), Ok(quantity("2")));
        for other in [json!(1.5), json!(true), json!([]), json!({})] {
            assert_eq!(Quantity::from_json(&other), Err(QuantityError::Type));
        }
    }

    #[test]
    fn signs() {
        assert!(quantity("-1n").is_negative() && !quantity("-0").is_negative());
        assert!(quantity("-0").is_zero() && !quantity("1n").is_zero());
        assert!(quantity("-2") < quantity("-1") && quantity("-1n") < quantity("0"));
    }

    #[test]
    fn whole_units_are_rounded_up() {
        assert_eq!(quantity("1Mi").to_u64_ceil(), Some(1 << 20));
        assert_eq!(quantity("1500m").to_u64_ceil(), Some(2));
        assert_eq!(quantity("1n").to_u64_ceil(), Some(1));
        assert_eq!(quantity("-1").to_u64_ceil(), None);
        assert_eq!(quantity("18446744073709551615").to_u64_ceil(), Some(u64::MAX));
        assert_eq!(quantity("18446744073709551615.1").to_u64_ceil(), None);
    }

    #[test]
    fn absurd_amounts_are_the_largest_one() {
        let digits = "9".repeat(100_000);
        assert_eq!(quantity(&digits), quantity("1e9223372036854775807"));
        assert_eq!(quantity(&format!("0.{digits}Ei")), quantity("1Ei"));
        assert!(quantity("100000E") < quantity(&digits));
    }

    /// A quantity's text, and its amount as a fraction.
    fn texts() -> impl Strategy<Value = (String, i128, i128)> {
        let suffixes: [(&str, i128, i128); 12] = [
            ("n", 1, 1_000_000_000),
            ("u", 1, 1_000_000),
            ("m", 1, 1_000),
            ("", 1, 1),
            ("k", 1_000, 1),
            ("M", 1_000_000, 1),
            ("e2", 100, 1),
            ("E-2", 1, 100),
            ("Ki", 1 << 10, 1),
            ("Mi", 1 << 20, 1),
            ("Gi", 1 << 30, 1),
            ("Ei", 1 << 60, 1),
        ];
        ("[+-]?", 0_i128..10_000, 0_i128..1000, prop::sample::select(suffixes.to_vec())).prop_map(
            |(sign, whole, fraction, (suffix, times, over))| {
                let value = (whole * 1000 + fraction) * if sign == "-" { -1 } else { 1 };
                (format!("{sign}{whole}.{fraction:03}{suffix}"), value * times, over * 1000)
            },
        )
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_fractions((a, a_over, a_under) in texts(), (b, b_over, b_under) in texts()) {
            let (a, b) = (quantity(&a), quantity(&b));
            // Below 10⁻⁹ two amounts may be rounded to one.
            match (a_over * b_under).cmp(&(b_over * a_under)) {
                std::cmp::Ordering::Less => prop_assert!(a <= b),
                std::cmp::Ordering::Equal => prop_assert!(a == b),
                std::cmp::Ordering::Greater => prop_assert!(a >= b),
            }
        }

        #[test]
        fn the_amount_is_the_fraction_rounded_away_from_zero((text, over, under) in texts()) {
            let nanos = (over.unsigned_abs() * UNIT).div_ceil(under.unsigned_abs()) as i128 * over.signum();
            prop_assert_eq!(quantity(&text).nanos, nanos);
        }

        #[test]
        fn anything_is_answered(text in "[-+0-9.eEinumkKMGTP é]{0,24}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
