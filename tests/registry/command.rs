//! `portcullis verify` as people run it: exit codes and the account.

use std::io::Write as _;
use std::process::Command;

use super::public;
use super::server::Registry;

fn policy(host: &str, key: &str, more: &str) -> tempfile::NamedTempFile {
    let pem = public(key).trim().replace('\n', "\n        ");
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    write!(
        file,
        "apiVersion: portcullis.dev/v1alpha1\nkind: AITrustPolicy\nmetadata: {{name: default}}\nspec:\n  registries:\n  - \
         {{host: \"{host}\", plainHTTP: true, allowPrivateAddresses: true}}\n  authorities:\n  - name: ci\n    key:\n      \
         pem: |\n        {pem}\n  rules:\n  - match: {{artifact: image}}\n    authorities: [ci]\n{more}"
    )
    .unwrap();
    file
}

async fn verify(image: String, trust: &tempfile::NamedTempFile) -> (i32, String) {
    let path = trust.path().to_owned();
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let output = command.arg("verify").arg(&image).arg("--trust").arg(path).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text.replace(&image, "IMAGE"))
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

const NOT_CHECKED: &str = "not checked
  layers and platforms: the digest binds their bytes, and whoever pulls them checks those
  what is inside: no scan for vulnerabilities, malware or unsafe model formats
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_says_what_was_checked_and_what_was_not() {
    let registry = Registry::start(true).await;
    let digest = registry.load("stated-v3");
    let image = format!("{}/team/stated-v3@{digest}", registry.host());
    let asks = "    attestations: [{predicateType: \"https://slsa.dev/provenance/v1\"}]\n";
    let (code, text) = verify(image.clone(), &policy(&registry.host(), "ecdsa-p256", asks)).await;
    let wanted = format!(
        "IMAGE\nverified\nchecked\n  signed by: ci\n  signed at: when is not proven: no transparency log or timestamp was \
         asked for\n  attached as: bundle\n  attested: https://slsa.dev/provenance/v1 by ci, built by \
         https://builder.example/ci\n{NOT_CHECKED}"
    );
    assert_eq!((code, text), (0, wanted));
    let (code, text) = verify(image.clone(), &policy(&registry.host(), "other", "")).await;
    let wanted = "IMAGE\nrefused\n  no signature by authority \"ci\"\n  a signature does not count for \"ci\": it was made \
                  with another key\n";
    assert_eq!(code, 1, "{text}");
    assert!(text.starts_with(wanted), "{text}");
    let (code, text) = verify(image, &policy("registry.example", "other", "")).await;
    assert_eq!(code, 1);
    let refused = format!("registry \"{}\" is not on the list of allowed registries", registry.host());
    assert_eq!(text, format!("IMAGE\nrefused, and no registry was asked\n  {refused}\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_and_what_cannot_be_found_out_have_codes_of_their_own() {
    let nobody = "127.0.0.1:9";
    let digest = format!("sha256:{}", "a".repeat(64));
    let (code, text) = verify(format!("{nobody}/a@{digest}"), &policy(nobody, "other", "")).await;
    assert_eq!(code, 3);
    assert_eq!(
        text,
        format!("IMAGE\nunknown\n  registry {nobody:?} cannot be reached: the connection was refused\n")
    );
    let (code, text) = verify("A B".to_owned(), &policy(nobody, "other", "")).await;
    assert_eq!(code, 2);
    assert!(text.contains("is no image reference"), "{text}");
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let (code, text) = verify(format!("{nobody}/a@{digest}"), &file).await;
    let nothing = format!("{}: holds no object; did what renders it fail?\n", file.path().display());
    assert_eq!((code, text), (2, nothing));
    std::fs::write(file.path(), "{apiVersion: v1, kind: Namespace, metadata: {name: a}}").unwrap();
    let (code, text) = verify(format!("{nobody}/a@{digest}"), &file).await;
    assert_eq!((code, text), (2, format!("{}: no AITrustPolicy in it\n", file.path().display())));
}
