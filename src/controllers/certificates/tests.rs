//! Real certificates through observation and planning, step by step, as the controller would write them.

use super::issue::Issued;
use super::plan::{Flaw, Signer};
use super::*;

const NOW: i64 = 1_800_000_000;

fn names() -> Vec<String> {
    vec!["portcullis-webhook.ns.svc".to_owned(), "portcullis-webhook.ns.svc.cluster.local".to_owned()]
}

fn secret(content: &[(&str, &str)]) -> Secret {
    let data = content.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
    Secret { data: Some(data.collect()), ..Secret::default() }
}

fn pair(issued: &Issued) -> Vec<(&str, &str)> {
    vec![("tls.crt", &issued.certificate), ("tls.key", &issued.key)]
}

fn leaf_of(read: &Read) -> Result<plan::Leaf, Flaw> {
    let authority = observe::authority(read.authority.as_ref()).ok();
    let previous = previous(read);
    observe::leaf(
        read.serving.as_ref(),
        authority.as_ref().map(|(cert, _)| cert),
        previous.as_ref(),
        &names(),
    )
}

#[test]
fn what_is_issued_is_what_the_plan_expects() {
    let authority = issue::authority(NOW).unwrap();
    let leaf = issue::serving(&authority, &names(), NOW, i64::MAX).unwrap();
    let read = Read { authority: Some(secret(&pair(&authority))), serving: Some(secret(&pair(&leaf))) };
    let (_, validity) = observe::authority(read.authority.as_ref()).unwrap();
    assert_eq!((validity.not_before, validity.not_after), (NOW - 3600, NOW + issue::AUTHORITY_LIFE));
    let observed = leaf_of(&read).unwrap();
    assert_eq!(observed.signer, Signer::Current);
    assert!(observed.names_fit);
    assert_eq!(observed.validity.not_after, NOW + issue::LEAF_LIFE);
    let capped = issue::serving(&authority, &names(), NOW, NOW + 5).unwrap();
    let read = Read { serving: Some(secret(&pair(&capped))), ..read };
    assert_eq!(leaf_of(&read).unwrap().validity.not_after, NOW + 5);
}

#[test]
fn a_rotation_keeps_what_signed_the_certificate_in_use() {
    let (old, new) = (issue::authority(NOW).unwrap(), issue::authority(NOW + 1).unwrap());
    let leaf = issue::serving(&old, &names(), NOW, i64::MAX).unwrap();
    let before = Read { authority: Some(secret(&pair(&old))), serving: Some(secret(&pair(&leaf))) };
    let kept = still_trusted(&before, NOW + 10).unwrap();
    assert_eq!(pem(&kept).trim(), old.certificate.replace('\r', "").trim());
    assert_eq!(still_trusted(&before, NOW + issue::AUTHORITY_LIFE), None);

    let previous = pem(&kept);
    let mut content = pair(&new);
    content.push(("previous.crt", &previous));
    let after = Read { authority: Some(secret(&content)), serving: before.serving.clone() };
    assert_eq!(leaf_of(&after).unwrap().signer, Signer::Previous);
    // A second rotation before the switch keeps the one that counts.
    assert_eq!(still_trusted(&after, NOW + 10), Some(kept.clone()));

    // The Secret of the authority is lost: the serving Secret still names it.
    let mut content = pair(&leaf);
    content.push(("ca.crt", &previous));
    let lost = Read { authority: None, serving: Some(secret(&content)) };
    assert_eq!(still_trusted(&lost, NOW + 10), Some(kept));
    let unrelated = issue::authority(NOW + 2).unwrap();
    let mut content = pair(&leaf);
    content.push(("ca.crt", &unrelated.certificate));
    let unrelated = Read { authority: None, serving: Some(secret(&content)) };
    assert_eq!(still_trusted(&unrelated, NOW + 10), None);
}

#[test]
fn damaged_secrets_are_told_apart() {
    let authority = issue::authority(NOW).unwrap();
    let other = issue::authority(NOW).unwrap();
    let leaf = issue::serving(&authority, &names(), NOW, i64::MAX).unwrap();
    let flaw = |content: &[(&str, &str)]| observe::authority(Some(&secret(content))).unwrap_err();
    assert_eq!(observe::authority(None).unwrap_err(), Flaw::Missing);
    assert_eq!(flaw(&[]), Flaw::Missing);
    assert_eq!(flaw(&[("tls.crt", ""), ("tls.key", "")]), Flaw::Missing);
    assert_eq!(flaw(&[("tls.crt", "x"), ("tls.key", &authority.key)]), Flaw::Unreadable);
    assert_eq!(flaw(&[("tls.crt", &authority.certificate), ("tls.key", "x")]), Flaw::Unreadable);
    assert_eq!(flaw(&[("tls.crt", &authority.certificate), ("tls.key", &other.key)]), Flaw::OtherKey);
    assert_eq!(flaw(&pair(&leaf)), Flaw::NotAnAuthority);
    let read = Read { authority: Some(secret(&pair(&other))), serving: Some(secret(&pair(&leaf))) };
    assert_eq!(leaf_of(&read).unwrap().signer, Signer::Unknown);
    let elsewhere = issue::serving(&authority, &["x.y.svc".to_owned()], NOW, i64::MAX).unwrap();
    let read = Read { authority: Some(secret(&pair(&authority))), serving: Some(secret(&pair(&elsewhere))) };
    let leaf = leaf_of(&read).unwrap();
    assert_eq!((leaf.signer, leaf.names_fit), (Signer::Current, false));
}

#[test]
fn the_newest_time_of_the_api_server_is_the_witness() {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
    let time = |second| Time(Timestamp::from_second(second).unwrap());
    let mut secret = secret(&[]);
    assert_eq!(observe::witnessed(&secret), None);
    secret.metadata.creation_timestamp = Some(time(100));
    let entry = |second| ManagedFieldsEntry { time: Some(time(second)), ..ManagedFieldsEntry::default() };
    secret.metadata.managed_fields = Some(vec![entry(300), entry(200)]);
    assert_eq!(observe::witnessed(&secret), Some(300));
}
