//! Table driven and property tests of image references and repository patterns.

use proptest::prelude::*;

use super::*;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn canonical(reference: &str) -> String {
    ImageRef::parse(reference).map_or_else(|error| format!("error: {error}"), |image| image.to_string())
}

#[test]
fn abuse_044_every_spelling_becomes_the_canonical_one() {
    let digest = format!("sha256:{HEX}");
    for (written, wanted) in [
        ("nginx".to_owned(), "docker.io/library/nginx".to_owned()),
        ("nginx:1.2".to_owned(), "docker.io/library/nginx:1.2".to_owned()),
        ("team/app".to_owned(), "docker.io/team/app".to_owned()),
        ("docker.io/nginx".to_owned(), "docker.io/library/nginx".to_owned()),
        ("index.docker.io/library/nginx".to_owned(), "docker.io/library/nginx".to_owned()),
        ("INDEX.docker.IO/team/app".to_owned(), "docker.io/team/app".to_owned()),
        ("Registry.Example/team/app".to_owned(), "registry.example/team/app".to_owned()),
        ("registry.example:443/app".to_owned(), "registry.example:443/app".to_owned()),
        ("localhost/app".to_owned(), "localhost/app".to_owned()),
        ("localhost:5000/app:v1".to_owned(), "localhost:5000/app:v1".to_owned()),
        ("[0:0:0:0:0:0:0:1]:5000/app".to_owned(), "[::1]:5000/app".to_owned()),
        (format!("registry.example/app:v2@{digest}"), format!("registry.example/app:v2@{digest}")),
        (format!("app@{digest}"), format!("docker.io/library/app@{digest}")),
        ("r.example/a/b/c__d/e---f.g_h".to_owned(), "r.example/a/b/c__d/e---f.g_h".to_owned()),
    ] {
        assert_eq!(canonical(&written), wanted, "{written}");
    }
}

#[test]
fn parts_are_those_of_the_reference() {
    let image = ImageRef::parse(&format!("Registry.Example:5000/team/app:v2@sha256:{HEX}")).unwrap();
    assert_eq!(image.registry(), "registry.example:5000");
    assert_eq!(image.repository(), "team/app");
    assert_eq!(image.name(), "registry.example:5000/team/app");
    assert_eq!(image.tag(), Some("v2"));
    assert_eq!(image.digest(), Some(format!("sha256:{HEX}").as_str()));
    let bare = ImageRef::parse("registry.example/app").unwrap();
    assert_eq!((bare.tag(), bare.digest()), (None, None));
    let tagged = ImageRef::parse("registry.example/app:v1").unwrap();
    assert_eq!((tagged.tag(), tagged.digest()), (Some("v1"), None));
    let pinned = ImageRef::parse(&format!("registry.example/app@sha256:{HEX}")).unwrap();
    assert_eq!((pinned.tag(), pinned.digest().map(str::len)), (None, Some(71)));
}

#[test]
fn abuse_044_what_a_runtime_refuses_is_refused_with_the_part_at_fault() {
    for (written, error) in [
        (String::new(), RefError::Empty),
        ("a".repeat(MAX_REFERENCE + 1), RefError::TooLong),
        (format!("r.example/{}", "a".repeat(MAX_REPOSITORY + 1)), RefError::TooLong),
        (HEX.to_owned(), RefError::BareId),
        ("registry.example./app".to_owned(), RefError::Registry),
        (".registry.example/app".to_owned(), RefError::Registry),
        ("registry..example/app".to_owned(), RefError::Registry),
        ("/app".to_owned(), RefError::Registry),
        ("HOST/app".to_owned(), RefError::Registry),
        ("localhosT/app".to_owned(), RefError::Registry),
        ("registry.example:/app".to_owned(), RefError::Registry),
        ("registry.example:99999/app".to_owned(), RefError::Registry),
        ("registry.example:+80/app".to_owned(), RefError::Registry),
        ("user@registry.example/app".to_owned(), RefError::Digest),
        ("[::1/app".to_owned(), RefError::Registry),
        ("[::1%25eth0]/app".to_owned(), RefError::Registry),
        ("127.1/app".to_owned(), RefError::Registry),
        ("0x7f.1/app".to_owned(), RefError::Registry),
        ("0x7F000001:80/app".to_owned(), RefError::Registry),
        ("2130706433:80/app".to_owned(), RefError::Registry),
        ("http://registry.example/app".to_owned(), RefError::Registry),
        ("../../app".to_owned(), RefError::Registry),
        ("registry.example//app".to_owned(), RefError::Repository),
        ("registry.example/app/".to_owned(), RefError::Repository),
        ("registry.example/".to_owned(), RefError::Repository),
        ("registry.example/a/../b".to_owned(), RefError::Repository),
        ("registry.example/a..b".to_owned(), RefError::Repository),
        ("registry.example/a___b".to_owned(), RefError::Repository),
        ("registry.example/a%2fb".to_owned(), RefError::Repository),
        ("registry.example/a b".to_owned(), RefError::Repository),
        ("registry.example/a?b".to_owned(), RefError::Repository),
        ("registry.example/\u{0430}pp".to_owned(), RefError::Repository),
        ("registry.example/Team/app".to_owned(), RefError::UpperCase),
        ("App".to_owned(), RefError::UpperCase),
        ("registry.example/app:".to_owned(), RefError::Tag),
        ("registry.example/app:-v".to_owned(), RefError::Tag),
        ("registry.example/app:a:b".to_owned(), RefError::Tag),
        (format!("registry.example/app:{}", "v".repeat(129)), RefError::Tag),
        ("registry.example/app@".to_owned(), RefError::Digest),
        ("registry.example/app@sha256:abc".to_owned(), RefError::Digest),
        (format!("registry.example/app@sha256:{}", HEX.to_uppercase()), RefError::Digest),
        (format!("registry.example/app@md5:{}", &HEX[..32]), RefError::Digest),
        (format!("registry.example/app@sha256:{HEX}@sha256:{HEX}"), RefError::Digest),
    ] {
        assert_eq!(ImageRef::parse(&written), Err(error), "{written}");
    }
}

#[test]
fn patterns_compare_whole_components() {
    for (pattern, image, wanted) in [
        ("registry.example/team/*", "registry.example/team/app", true),
        ("registry.example/team/*", "registry.example/team/sub/app", true),
        ("registry.example/team/*", "registry.example/team", false),
        ("registry.example/team/*", "registry.example/team-two/app", false),
        ("registry.example/team/*", "registry.example.evil/team/app", false),
        ("registry.example/team/*", "evil.example/registry.example/team/app", false),
        ("registry.example/team/*", "registry.example:443/team/app", false),
        ("Registry.Example/team/*", "registry.EXAMPLE/team/app", true),
        ("registry.example/*", "registry.example/a/b/c", true),
        ("registry.example/team/app", "registry.example/team/app:v1", true),
        ("registry.example/team/app", "registry.example/team/app/sub", false),
        ("registry.example/team/app", "registry.example/team/app2", false),
        ("registry.example/*/app", "registry.example/a/app", true),
        ("registry.example/*/app", "registry.example/a/b/app", false),
        ("registry.example/*/app", "registry.example/app", false),
        ("nginx", "docker.io/library/nginx", true),
        ("docker.io/nginx", "index.docker.io/library/nginx", true),
        ("docker.io/*", "nginx", true),
        ("library/*", "nginx", true),
        ("*", "any.example/x", true),
    ] {
        let parsed = RepositoryPattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(&ImageRef::parse(image).unwrap()), wanted, "{pattern} on {image}");
    }
}

#[test]
fn patterns_that_could_be_misread_are_refused() {
    for (pattern, error) in [
        ("registry.example/team-*", PatternError::PartialWildcard),
        ("*.example/app", PatternError::PartialWildcard),
        ("registry.example/*app", PatternError::PartialWildcard),
        ("registry.example/app:v1", PatternError::NotARepository),
        ("registry.example/app@sha256:00", PatternError::NotARepository),
        ("registry.example./*", PatternError::Reference(RefError::Registry)),
        ("registry.example/Team/*", PatternError::Reference(RefError::UpperCase)),
        ("registry.example//*", PatternError::Reference(RefError::Repository)),
        ("", PatternError::Reference(RefError::Empty)),
    ] {
        assert_eq!(RepositoryPattern::parse(pattern), Err(error), "{pattern}");
    }
}

#[test]
fn the_slow_grammar_of_the_specification_agrees() {
    // The regular expression of oci-spec is the reference; it knows no IPv6 and splits hosts by the same rule.
    for reference in
        ["nginx", "a/b", "r.example:5000/a/b:v1", "localhost/x", "index.docker.io/x", "a.b/c.d/e_f"]
    {
        let wanted: oci_spec::distribution::Reference = reference.parse().unwrap();
        let image = ImageRef::parse(reference).unwrap();
        assert_eq!(image.registry(), wanted.registry().to_ascii_lowercase(), "{reference}");
        assert_eq!(image.repository(), wanted.repository(), "{reference}");
    }
}

proptest! {
    #[test]
    fn abuse_044_canonical_references_are_fixed_points(
        reference in "([A-Za-z0-9.:\\[\\]-]{0,12}/)?[a-zA-Z0-9._/-]{0,20}(:[a-z0-9._-]{0,6})?(@sha256:[0-9a-f]{64})?"
    ) {
        if let Ok(image) = ImageRef::parse(&reference) {
            prop_assert_eq!(ImageRef::parse(image.as_str()), Ok(image.clone()));
            let mut joined = format!("{}/{}", image.registry(), image.repository());
            if let Some(tag) = image.tag() { joined.push(':'); joined.push_str(tag); }
            if let Some(digest) = image.digest() { joined.push('@'); joined.push_str(digest); }
            prop_assert_eq!(joined.as_str(), image.as_str());
        }
    }

    #[test]
    fn abuse_044_any_text_is_answered_without_a_panic(reference in "\\PC{0,80}") {
        let _ = ImageRef::parse(&reference);
        let _ = RepositoryPattern::parse(&reference);
    }

    #[test]
    fn whatever_is_accepted_the_specification_accepts(reference in "[a-zA-Z0-9._/:@-]{1,24}") {
        if ImageRef::parse(&reference).is_ok() {
            prop_assert!(reference.parse::<oci_spec::distribution::Reference>().is_ok(), "{}", reference);
        }
    }
}
