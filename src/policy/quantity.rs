//! Amounts as Kubernetes writes them, such as `500m`, `2Gi` or `1e3`, so that two can be compared.

/// The amount in thousandths, rounded up; `None` where the text is no amount. Amounts beyond the range count as its end.
#[must_use]
pub fn thousandths(text: &str) -> Option<i128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && part.is_empty()) || part.contains('.') || whole.len() > 24 {
        return None;
    }
    let part = &part[..part.len().min(9)];
    let digits: i128 = format!("0{whole}{part}").parse().ok()?;
    let scale = 10_i128.pow(u32::try_from(part.len()).ok()?);
    let (times, over) = factor(suffix)?;
    let amount = digits.saturating_mul(times).saturating_mul(1000);
    let per = scale.saturating_mul(over);
    Some(sign * (amount.saturating_add(per - 1) / per))
}

/// What a suffix multiplies with, and divides by.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let decimal = |power: u32| Some((10_i128.pow(power), 1));
    let binary = |power: u32| Some((1_i128 << (10 * power), 1));
    match suffix {
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "" => Some((1, 1)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = 10_i128.pow(power.unsigned_abs().min(18));
            Some(if power < 0 { (1, size) } else { (size, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        for (text, wanted) in [
            ("1", 1000),
            ("+1.5", 1500),
            ("500m", 500),
            ("1u", 1),
            ("0", 0),
            ("0.0001", 1),
            ("-2", -2000),
            ("1k", 1_000_000),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("1e3", 1_000_000),
            ("1E", 1_000_000_000_000_000_000_000),
            ("12E-1", 1200),
            (".5", 500),
        ] {
            assert_eq!(thousandths(text), Some(wanted), "{text}");
        }
        for text in ["", "Gi", "1.2.3", "1Xi", "e3", "1e", "one", "1 Gi", "9999999999999999999999999"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
