//! Which entry is for which image, and what is said of files that hold none.

use super::*;

/// Names of the users whose credentials would be sent for an image, in the order of trying.
fn users(config: &str, image: &str) -> Vec<String> {
    let keyring = Keyring::from_config_json(config.as_bytes()).unwrap();
    let image = ImageRef::parse(image).unwrap();
    let found = keyring.of_image(&image);
    assert!(found.iter().all(|credentials| credentials.is_for(image.registry())), "bound to their host");
    let decode = |credentials: &RegistryCredentials| {
        let header = credentials.basic().unwrap();
        let text = STANDARD.decode(header.to_str().unwrap().trim_start_matches("Basic ")).unwrap();
        String::from_utf8(text).unwrap().split_once(':').unwrap().0.to_owned()
    };
    found.iter().map(decode).collect()
}

fn config(entries: &[(&str, &str)]) -> String {
    let entries: Vec<_> = entries
        .iter()
        .map(|(key, user)| format!("{key:?}:{{\"auth\":\"{}\"}}", STANDARD.encode(format!("{user}:pw:x"))))
        .collect();
    format!("{{\"auths\":{{{}}}}}", entries.join(","))
}

#[test]
fn abuse_081_an_entry_is_for_its_host_and_path_only() {
    for (key, image, wanted) in [
        ("registry.example", "registry.example/team/app", true),
        ("https://registry.example", "registry.example/team/app", true),
        ("https://registry.example/v2/", "registry.example/team/app", true),
        ("REGISTRY.example", "registry.example/team/app", true),
        ("registry.example:5000", "registry.example:5000/a", true),
        ("registry.example", "registry.example:5000/a", false),
        ("registry.example:5000", "registry.example/a", false),
        ("registry.example", "registry.example.evil/a", false),
        ("registry.example", "evil.registry.example/a", false),
        ("registry.example/team", "registry.example/team/app", true),
        ("registry.example/team", "registry.example/team", true),
        ("registry.example/team/", "registry.example/team/app", true),
        ("registry.example/team", "registry.example/teammate/app", false),
        ("registry.example/team/app", "registry.example/team", false),
        ("https://index.docker.io/v1/", "nginx", true),
        ("https://index.docker.io/v1/", "docker.io/library/nginx", true),
        ("https://index.docker.io/v1/", "registry.example/nginx", false),
        ("*.registry.example", "eu.registry.example/a", true),
        ("*.registry.example", "a.b.registry.example/a", false),
        ("*.registry.example", "registry.example/a", false),
        ("*.registry.example", "eu.registry.example:5000/a", false),
        ("*.registry.example:5000", "eu.registry.example:5000/a", true),
        ("eu-*.registry.example", "eu-1.registry.example/a", true),
        ("eu-*.registry.example", "us-1.registry.example/a", false),
        ("*", "registry.example/a", false),
        ("registry .example", "registry.example/a", false),
        ("", "nginx", false),
    ] {
        let found = users(&config(&[(key, "u")]), image);
        assert_eq!(!found.is_empty(), wanted, "{key:?} for {image}");
    }
}

#[test]
fn the_most_specific_entry_is_tried_first() {
    let config = config(&[
        ("*.example", "star"),
        ("registry.example", "host"),
        ("registry.example/team", "team"),
        ("registry.example/team/app", "app"),
        ("other.example", "other"),
    ]);
    assert_eq!(users(&config, "registry.example/team/app"), ["app", "team", "host", "star"]);
    assert_eq!(users(&config, "registry.example/else"), ["host", "star"]);
}

#[test]
fn both_forms_and_both_ways_to_write_a_password_are_read() {
    let image = ImageRef::parse("registry.example/a").unwrap();
    let old = Keyring::from_dockercfg(br#"{"registry.example":{"username":"u","password":"p"}}"#).unwrap();
    assert_eq!(old.of_image(&image).len(), 1);
    let none = br#"{"auths":{"registry.example":{"identitytoken":"t"}},"credsStore":"x"}"#;
    assert!(Keyring::from_config_json(none).unwrap().is_empty(), "no name and password");
    let broken = br#"{"auths":{"registry.example":{"auth":"!!"},"b.example":{"auth":"dTpw"}}}"#;
    let keyring = Keyring::from_config_json(broken).unwrap();
    assert!(keyring.of_image(&image).is_empty());
    assert_eq!(keyring.of_image(&ImageRef::parse("b.example/a").unwrap()).len(), 1);
}

#[test]
fn nonsense_is_named_without_its_content() {
    let read = |bytes: &[u8]| Keyring::from_config_json(bytes).unwrap_err();
    for bytes in [b"secret".as_slice(), b"[]", b"{\"auths\":3}", b"", b"\xff"] {
        assert_eq!(read(bytes), KeyringError::Unreadable);
    }
    assert_eq!(read(&vec![b' '; MAX_BYTES + 1]), KeyringError::TooLong);
    let many: Vec<_> = (0..=MAX_ENTRIES).map(|number| (format!("r{number}.example"), "u")).collect();
    let many: Vec<_> = many.iter().map(|(key, user)| (key.as_str(), *user)).collect();
    assert_eq!(read(config(&many).as_bytes()), KeyringError::TooMany);
    let shown = format!("{:?}", Keyring::from_config_json(config(&[("a.example", "u")]).as_bytes()).unwrap());
    assert_eq!(shown, "Keyring { entries: 1 }");
}
