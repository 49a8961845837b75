//! Reads figures in the text format of Prometheus, as far as it takes to see that they are there and move. Pure.

use std::collections::BTreeMap;

/// The sum of all samples of each name, as the bits of a floating-point number.
pub(super) type Sums = BTreeMap<String, u64>;

/// Names that are kept where none is required.
const KEPT: usize = 256;

/// The sums of the required names, or of the first ones where none is required; and the required names without a sample.
///
/// A required name is also found with the endings that histograms, summaries and counters have.
pub(super) fn sums(text: &str, required: &[String]) -> (Sums, Vec<String>) {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, rest)) = line.split_at_checked(line.find(['{', ' ', '\t']).unwrap_or(line.len()))
        else {
            continue;
        };
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
        if name.is_empty() || !name.chars().all(valid) {
            continue;
        }
        let wanted = if required.is_empty() {
            sums.contains_key(name) || sums.len() < KEPT
        } else {
            required.iter().any(|required| belongs(name, required))
        };
        if let Some(value) = value(rest).filter(|_| wanted) {
            *sums.entry(name).or_default() += value;
        }
    }
    let missing = required.iter().filter(|required| !sums.keys().any(|name| belongs(name, required)));
    let missing = missing.cloned().collect();
    (sums.into_iter().map(|(name, sum)| (name.to_owned(), sum.to_bits())).collect(), missing)
}

fn belongs(name: &str, required: &str) -> bool {
    name.strip_prefix(required)
        .is_some_and(|ending| matches!(ending, "" | "_total" | "_count" | "_sum" | "_bucket"))
}

/// The value after the labels. Labels may hold any character between quotes.
fn value(rest: &str) -> Option<f64> {
    let rest = if let Some(labels) = rest.strip_prefix('{') {
        let (mut quoted, mut escaped, mut end) = (false, false, None);
        for (at, c) in labels.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '}' if !quoted => {
                    end = Some(at + 1);
                    break;
                }
                _ => {}
            }
        }
        &labels[end?..]
    } else {
        rest
    };
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP requests_total n\n# TYPE requests_total counter\n\
        requests_total{path=\"/a } b\\\" \",code=\"200\"} 3 1700000000\nrequests_total{code=\"500\"} 1\n\
        latency_bucket{le=\"+Inf\"} 4\nlatency_sum 2.5\nlatency_count 4\nqueue NaN\nbroken{a=\"\n<html>\n other 1\n";

    #[test]
    fn required_names_are_found_and_summed() {
        let required = ["requests_total", "latency", "gone"].map(str::to_owned);
        let (sums, missing) = sums(PAGE, &required);
        assert_eq!(missing, ["gone"]);
        assert_eq!(f64::from_bits(sums["requests_total"]).to_string(), "4");
        assert!(sums.contains_key("latency_sum") && !sums.contains_key("queue"));
    }

    #[test]
    fn without_names_everything_counts_and_nonsense_does_not() {
        let (sums, missing) = sums(PAGE, &[]);
        assert!(missing.is_empty() && sums.contains_key("other") && sums.contains_key("queue"));
        assert!(super::sums("<html><body>no figures</body></html>", &[]).0.is_empty());
    }

    #[test]
    fn a_name_is_not_found_in_a_longer_one() {
        let (_, missing) = sums("requests_total_of_others 1\n", &["requests_total".to_owned()]);
        assert_eq!(missing, ["requests_total"]);
    }
}
