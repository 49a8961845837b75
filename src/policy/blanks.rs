//! Blanks that printed fixes leave for people, and that nobody filled in.

/// Whether `text` states nothing: it is empty, or still one word in capital letters such as `REASON` or `WHY-NONE`, or an
/// address of such a word.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    let text = text.trim();
    let word = text.strip_prefix("https://").unwrap_or(text);
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
    let capitals = word.starts_with(|c: char| c.is_ascii_uppercase());
    word.is_empty() || (capitals && word.len() > 2 && word.chars().all(part))
}

#[cfg(test)]
mod tests {
    use super::is_blank;

    #[test]
    fn words_to_fill_in_state_nothing() {
        for text in [
            "",
            " ",
            "REASON",
            "WHY-NONE",
            "https://DOCUMENT",
            "https://PLAN",
            "USE",
            "NEED-IN-AT-LEAST-40-CHARACTERS",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in
            ["it adds numbers", "https://wiki/PLAN", "https://docs.example/d", "GDPR Art. 6", "EU", "仅翻译"]
        {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
