//! Image references by the OCI grammar, and the patterns that trust rules compare them with. Pure, and cheap enough
//! for every container of every admission request.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The registry that a reference without a host means.
const DOCKER_HUB: &str = "docker.io";
/// An older name of the same registry; container runtimes rewrite it before they pull.
const DOCKER_HUB_LEGACY: &str = "index.docker.io";
/// Where Docker Hub keeps repositories of one component.
const DOCKER_HUB_OFFICIAL: &str = "library";

const MAX_REFERENCE: usize = 1024;
const MAX_HOST: usize = 253;
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// An image reference in its one canonical spelling.
///
/// Guarantees: the registry is there and lower case, Docker Hub is always `docker.io` and its official images are
/// under `library/`, the digest (if any) is lower case hexadecimal of the length its algorithm has. Two references to
/// the same place are equal. A missing tag stays missing: `latest` is never made up.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef {
    text: Box<str>,
    registry_end: u16,
    repository_end: u16,
    tag_end: u16,
}

/// Why a string is no image reference. The text completes the sentence `"..." is not an image reference: `.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
    /// Longer than any reference that a registry could serve.
    #[error("it is longer than {MAX_REFERENCE} characters")]
    TooLong,
    /// The part before the first slash is no host name with an optional port.
    #[error("the registry is not a host name or address with an optional port")]
    Registry,
    /// A repository component breaks the grammar.
    #[error("the repository is not made of lower case words joined by \".\", \"_\", \"__\" or \"-\"")]
    Repository,
    /// The repository has capital letters, the most frequent slip.
    #[error("the repository has upper case letters")]
    UpperCase,
    /// A bare 64 digit hexadecimal word, which runtimes read as an image id and not as a name.
    #[error("it is a bare image id")]
    BareId,
    /// What follows the colon is no tag.
    #[error("the tag is not made of at most {MAX_TAG} letters, digits, \".\", \"_\" or \"-\"")]
    Tag,
    /// What follows the at sign is no digest.
    #[error("the digest is not \"sha256:\" and 64 lower case hexadecimal digits (or sha384, sha512)")]
    Digest,
}

impl ImageRef {
    /// Reads a reference as container runtimes do, and brings it into its canonical spelling.
    ///
    /// # Errors
    /// A [`RefError`] that names the part at fault. What a runtime would refuse to pull (a trailing dot after the
    /// host, upper case in the repository, a scheme) is an error here and never silently repaired.
    pub fn parse(reference: &str) -> Result<Self, RefError> {
        if reference.is_empty() {
            return Err(RefError::Empty);
        }
        if reference.len() > MAX_REFERENCE {
            return Err(RefError::TooLong);
        }
        if is_lower_hex(reference, 64) {
            return Err(RefError::BareId);
        }
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (reference, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(RefError::Digest);
        }
        // A colon before the last slash belongs to a port or an IPv6 address.
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last..].find(':') {
            Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(RefError::Tag);
        }
        let (registry, repository) = split_name(name)?;
        let registry = normalise_registry(registry)?;
        let official = registry == DOCKER_HUB && !repository.contains('/');
        check_repository(repository)?;
        if repository.len() > MAX_REPOSITORY {
            return Err(RefError::TooLong);
        }

        let mut text =
            String::with_capacity(reference.len() + DOCKER_HUB.len() + DOCKER_HUB_OFFICIAL.len() + 2);
        text.push_str(&registry);
        let registry_end = offset(text.len())?;
        text.push('/');
        if official {
            text.push_str(DOCKER_HUB_OFFICIAL);
            text.push('/');
        }
        text.push_str(repository);
        let repository_end = offset(text.len())?;
        if let Some(tag) = tag {
            text.push(':');
            text.push_str(tag);
        }
        let tag_end = offset(text.len())?;
        if let Some(digest) = digest {
            text.push('@');
            text.push_str(digest);
        }
        Ok(Self { text: text.into_boxed_str(), registry_end, repository_end, tag_end })
    }

    /// The registry's host and optional port, lower case.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.text[..usize::from(self.registry_end)]
    }

    /// The repository within the registry, without a leading slash.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.text[usize::from(self.registry_end) + 1..usize::from(self.repository_end)]
    }

    /// Registry and repository, `registry.example/team/app`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[..usize::from(self.repository_end)]
    }

    /// The tag as written, if there is one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        (self.tag_end > self.repository_end)
            .then(|| &self.text[usize::from(self.repository_end) + 1..usize::from(self.tag_end)])
    }

    /// The digest with its algorithm, `sha256:<64 hex digits>`, if there is one.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.text.get(usize::from(self.tag_end) + 1..)
    }

    /// The whole canonical reference.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageRef({:?})", self.text)
    }
}

/// Brings a registry's `host[:port]` into the spelling that [`ImageRef::registry`] has, so that both can be compared.
///
/// # Errors
/// [`RefError::Registry`] where the string is no host with an optional port.
pub fn normalise_registry(registry: &str) -> Result<String, RefError> {
    let (host, port) = split_port(registry)?;
    if let Some(port) = port
        && (port.is_empty()
            || port.len() > 5
            || !port.bytes().all(|b| b.is_ascii_digit())
            || port.parse::<u16>().is_err())
    {
        return Err(RefError::Registry);
    }
    let mut text = if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(RefError::Registry)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| RefError::Registry)?;
        format!("[{address}]")
    } else {
        if host.len() > MAX_HOST || !host.split('.').all(is_host_label) {
            return Err(RefError::Registry);
        }
        // Resolvers and URL parsers read `127.1`, `0x7f.1` or `2130706433` as addresses; a name never ends like that.
        let last = host.rsplit('.').next().unwrap_or_default();
        let numeric =
            last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X");
        if numeric && host.parse::<Ipv4Addr>().is_err() {
            return Err(RefError::Registry);
        }
        host.to_ascii_lowercase()
    };
    if let Some(port) = port {
        text.push(':');
        text.push_str(port);
    }
    Ok(if text == DOCKER_HUB_LEGACY { DOCKER_HUB.to_owned() } else { text })
}

/// Which repositories a rule is about. Whole components are compared, never parts of them.
///
/// `registry.example/team/app` is that repository alone; `registry.example/team/*` is everything below `team`, at any
/// depth, but not `team` itself nor `team-two/app`; a `*` in between stands for exactly one component; `*` alone is
/// every repository of every registry that is allowed at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryPattern {
    /// `None` matches everything.
    parts: Option<PatternParts>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PatternParts {
    registry: String,
    components: Vec<PatternComponent>,
    below: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum PatternComponent {
    One(String),
    Any,
}

/// Why a string is no repository pattern. The text completes the sentence `"..." is not a repository pattern: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `team-*`, `*.example/x`: a star may only stand for whole components of the path.
    #[error("\"*\" may only stand for a whole component after the registry")]
    PartialWildcard,
    /// A tag or a digest has no place in it.
    #[error("it names a tag or a digest")]
    NotARepository,
    /// The rest of the grammar is that of a reference.
    #[error(transparent)]
    Reference(#[from] RefError),
}

impl RepositoryPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A [`PatternError`]; a pattern that could be misread is refused instead of guessed at.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let text = pattern.to_owned();
        if pattern.is_empty() {
            return Err(RefError::Empty.into());
        }
        if pattern.len() > MAX_REFERENCE {
            return Err(RefError::TooLong.into());
        }
        if pattern == "*" {
            return Ok(Self { parts: None, text });
        }
        let path_start = pattern.find('/').map_or(0, |slash| slash + 1);
        if pattern.contains('@') || pattern[path_start..].contains(':') {
            return Err(PatternError::NotARepository);
        }
        let (registry, path) = split_name(pattern)?;
        if registry.contains('*') {
            return Err(PatternError::PartialWildcard);
        }
        let registry = normalise_registry(registry)?;
        let (path, below) = match path.strip_suffix("/*") {
            _ if path == "*" => (None, true),
            Some(path) => (Some(path), true),
            None => (Some(path), false),
        };
        let mut components = Vec::new();
        if registry == DOCKER_HUB && !below && path.is_some_and(|path| !path.contains('/')) {
            components.push(PatternComponent::One(DOCKER_HUB_OFFICIAL.to_owned()));
        }
        for component in path.into_iter().flat_map(|path| path.split('/')) {
            if component == "*" {
                components.push(PatternComponent::Any);
            } else if component.contains('*') {
                return Err(PatternError::PartialWildcard);
            } else {
                check_repository(component)?;
                components.push(PatternComponent::One(component.to_owned()));
            }
        }
        Ok(Self { parts: Some(PatternParts { registry, components, below }), text })
    }

    /// Whether the image's repository is one that the pattern is about.
    #[must_use]
    pub fn matches(&self, image: &ImageRef) -> bool {
        let Some(parts) = &self.parts else { return true };
        if parts.registry != image.registry() {
            return false;
        }
        let mut rest = image.repository().split('/');
        for component in &parts.components {
            match (component, rest.next()) {
                (_, None) => return false,
                (PatternComponent::One(wanted), Some(found)) if wanted != found => return false,
                _ => {}
            }
        }
        rest.next().is_some() == parts.below
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Splits a name into registry and repository by the runtimes' rule: the first component is a host if it could not be
/// a path component of Docker Hub.
fn split_name(name: &str) -> Result<(&str, &str), RefError> {
    let Some((host, path)) = name.split_once('/') else { return Ok((DOCKER_HUB, name)) };
    if host == "localhost" || host.bytes().any(|b| matches!(b, b'.' | b':' | b'[')) {
        Ok((host, path))
    } else if host.is_empty() || host.bytes().any(|b| b.is_ascii_uppercase()) {
        // Runtimes take `HOST/app` for a registry and `host/app` for Docker Hub. Such a name has no safe spelling.
        Err(RefError::Registry)
    } else {
        Ok((DOCKER_HUB, name))
    }
}

fn split_port(registry: &str) -> Result<(&str, Option<&str>), RefError> {
    if registry.starts_with('[') {
        let end = registry.find(']').ok_or(RefError::Registry)? + 1;
        return match registry[end..].strip_prefix(':') {
            Some(port) => Ok((&registry[..end], Some(port))),
            None if end == registry.len() => Ok((registry, None)),
            None => Err(RefError::Registry),
        };
    }
    Ok(match registry.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (registry, None),
    })
}

fn is_host_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

fn check_repository(repository: &str) -> Result<(), RefError> {
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(RefError::UpperCase);
    }
    if repository.split('/').all(is_path_component) { Ok(()) } else { Err(RefError::Repository) }
}

/// Words of lower case letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_path_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends_are_words = matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if is_word(*first) && is_word(*last));
    ends_are_words
        && bytes
            .split(|b| is_word(*b))
            .filter(|separator| !separator.is_empty())
            .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    match digest.split_once(':') {
        Some(("sha256", hex)) => is_lower_hex(hex, 64),
        Some(("sha384", hex)) => is_lower_hex(hex, 96),
        Some(("sha512", hex)) => is_lower_hex(hex, 128),
        _ => false,
    }
}

fn is_lower_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

fn offset(length: usize) -> Result<u16, RefError> {
    u16::try_from(length).map_err(|_| RefError::TooLong)
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
