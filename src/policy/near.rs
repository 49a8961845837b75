//! The known word that a person may have meant.

/// The one of `known` that comes nearest to `word`, if one comes near.
pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known.filter_map(|one| Some((steps(word, one)?, one))).min().map(|(_, one)| one)
}

/// How many letters must be added, dropped or changed to turn `word` into `known`, in any case; `None` where it is more than a
/// third of them.
#[must_use]
pub fn steps(word: &str, known: &str) -> Option<usize> {
    let steps = strsim::levenshtein(&word.to_ascii_lowercase(), &known.to_ascii_lowercase());
    (steps <= word.len().div_ceil(3)).then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_word() {
        let known = || ["image-digest-pinned", "image-signed", "owners"].into_iter();
        assert_eq!(nearest("image-digest-pined", known()), Some("image-digest-pinned"));
        assert_eq!(nearest("Image-Singed", known()), Some("image-signed"));
        assert_eq!(nearest("ownres", known()), Some("owners"));
        assert_eq!(nearest("nonsense", known()), None);
        assert_eq!(nearest("", known()), None);
    }
}
