//! What is wrong with a key or an identity is said, and disables only the authority that has it.

use super::*;

fn key(pem: &str, algorithm: Option<&str>) -> Option<String> {
    let spec = AuthoritySpec {
        name: "a".to_owned(),
        proof: ProofSpec::Key { pem: pem.to_owned(), algorithm: algorithm.map(str::to_owned) },
        not_before: None,
        not_after: None,
        require_log: false,
        trusted_root: RootSpec::Public,
        formats: Vec::new(),
    };
    Authority::compile(&spec, Arc::default()).problem().map(str::to_owned)
}

fn generated(algorithm: &'static rcgen::SignatureAlgorithm) -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(algorithm).unwrap()
}

#[test]
fn good_keys_are_taken_and_may_say_what_they_are() {
    for (algorithm, name) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, "ecdsa-p256"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "ecdsa-p384"),
        (&rcgen::PKCS_ED25519, "ed25519"),
    ] {
        let pem = generated(algorithm).public_key_pem();
        assert_eq!(key(&pem, None), None);
        assert_eq!(key(&format!("\n{pem}\n\n"), Some(name)), None);
        let wanted = format!("the key is {name}, but the policy says rsa");
        assert_eq!(key(&pem, Some("RSA")), Some(wanted));
    }
}

#[test]
fn bad_keys_are_refused_with_the_reason() {
    let private = generated(&rcgen::PKCS_ECDSA_P256_SHA256).serialize_pem();
    let wanted = "the key is a private key: it must be replaced and revoked";
    assert_eq!(key(&private, None).as_deref(), Some(wanted));

    let wanted = "the key is no PEM block \"PUBLIC KEY\"";
    for pem in [
        "",
        "ssh-ed25519 AAAA",
        "-----BEGIN PUBLIC KEY-----\n",
        "-----BEGIN RSA PUBLIC KEY-----\nMAA=\n-----END RSA PUBLIC KEY-----",
    ] {
        assert_eq!(key(pem, None).as_deref(), Some(wanted), "{pem}");
    }
    let garbage = "-----BEGIN PUBLIC KEY-----\nAAECAw==\n-----END PUBLIC KEY-----";
    assert_eq!(key(garbage, None).as_deref(), Some("the key is no valid public key"));

    let curve = generated(&rcgen::PKCS_ECDSA_P521_SHA512).public_key_pem();
    assert_eq!(
        key(&curve, None).as_deref(),
        Some("the key is none of ecdsa-p256, ecdsa-p384, ed25519 and rsa")
    );

    let weak = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let wanted = "the RSA key has 2048 bits; at least 3072 are needed";
    assert_eq!(key(&weak.public_key_pem(), None).as_deref(), Some(wanted));
    assert_eq!(key(&"A".repeat(20_000), None).as_deref(), Some("the key is longer than any public key"));
}

fn identity(issuer: MatchSpec, subject: MatchSpec) -> Result<Identity, String> {
    compile_identities(&[IdentitySpec { issuer, subject }]).map(|mut all| all.remove(0))
}

#[test]
fn abuse_046_identities_match_whole_or_not_at_all() {
    let exact = |text: &str| MatchSpec::Exact(text.to_owned());
    let pattern = |text: &str| MatchSpec::Pattern(text.to_owned());
    let issuer = "https://issuer.example";
    let one = identity(exact(issuer), pattern("https://ci\\.example/team/[a-z]+")).unwrap();
    assert!(one.matches(issuer, "https://ci.example/team/app"));
    assert!(!one.matches(issuer, "https://ci.example/team/app.evil"));
    assert!(!one.matches(issuer, "x https://ci.example/team/app"));
    assert!(!one.matches(issuer, "https://ci.example/team/app\n"));
    assert!(!one.matches("https://issuer.example.evil", "https://ci.example/team/app"));
    let either = identity(exact(issuer), pattern("a|b")).unwrap();
    assert!(either.matches(issuer, "a") && !either.matches(issuer, "ax") && !either.matches(issuer, "xb"));
    // A pattern cannot close the group that anchors it.
    for broken in ["a)|(.*", "(", "[", "(?x)a #", "a{99999}{99999}"] {
        let wanted = format!("{broken:?} is no usable regular expression");
        assert_eq!(identity(exact(issuer), pattern(broken)).unwrap_err(), wanted);
    }
    assert_eq!(identity(exact(issuer), pattern(".*")).unwrap_err(), "\".*\" matches the empty text");
    for anybody in [".+", "(?s).+", "[^ ]+", "\\S{2,}", "^.+$", ".+@.*|.+", "[\\x00-\\x7f]+"] {
        let wanted =
            format!("{anybody:?} matches whatever the issuer vouches for: write the part that is yours");
        assert_eq!(identity(exact(issuer), pattern(anybody)).unwrap_err(), wanted);
    }
    for somebody in [".+@acme\\.example", "https://github\\.com/acme/.+", "[a-z]+@b"] {
        assert!(identity(exact(issuer), pattern(somebody)).is_ok(), "{somebody}");
    }
    assert_eq!(identity(exact(""), exact("x")).unwrap_err(), "an identity has an empty part");
    assert_eq!(compile_identities(&[]).unwrap_err(), "a keyless authority needs at least one identity");
}

#[test]
fn trusted_roots_are_read_or_refused() {
    assert!(compile_root(&RootSpec::Public).unwrap().has_ct_logs);
    assert_eq!(
        compile_root(&RootSpec::Inline("{".to_owned())).unwrap_err(),
        "the trusted root cannot be read"
    );
    let empty = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
    let wanted = "the trusted root names no transparency log";
    assert_eq!(compile_root(&RootSpec::Inline(empty.to_owned())).unwrap_err(), wanted);
}

#[test]
fn a_root_that_is_no_object_disables_an_authority_by_certificate_too() {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = params.self_signed(&generated(&rcgen::PKCS_ECDSA_P256_SHA256)).unwrap();
    for root in ["[]", "null", "\"x\"", "1", ""] {
        let inline = RootSpec::Inline(root.to_owned());
        let wrong = compile_issuers(&issuer.pem(), None, true, &inline).unwrap_err();
        assert_eq!(wrong, "the trusted root cannot be read", "{root}");
        assert!(compile_issuers(&issuer.pem(), None, false, &inline).is_ok(), "no log is asked");
    }
}
