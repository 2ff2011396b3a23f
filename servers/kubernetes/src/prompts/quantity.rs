//! Quantities as numbers, to compare them.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A quantity's value: cores, or bytes. Nothing where it is none.
pub(super) fn value(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.trim();
    let suffix_at = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-'));
    let (number, suffix) = text.split_at(suffix_at.unwrap_or(text.len()));
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_numbers() {
        for (text, expected) in [
            ("100m", Some(0.1)),
            ("2", Some(2.0)),
            ("1.5", Some(1.5)),
            ("128Mi", Some(134_217_728.0)),
            ("1G", Some(1e9)),
            ("2e3", Some(2000.0)),
            ("1E", Some(1e18)),
            ("", None),
            ("big", None),
            ("1X", None),
        ] {
            let found = value(&Quantity(text.to_owned()));
            let close = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() <= expected * 1e-9,
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(close, "{text}: {found:?}");
        }
    }
}
