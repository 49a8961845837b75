//! Reads the uid from the first bytes of a review, and writes the answers that need nothing but the uid.

use serde_json::json;

/// The longest uid that is echoed; the API server's are 36 characters.
const UID_MAX: usize = 128;

/// The `request.uid` of a review of which only the beginning may be there.
///
/// Returns nothing when the bytes end before the uid, when the text is not JSON so far, or when the uid has characters
/// that no uid has. Only a direct member of the top-level `request` counts: the object under review, which a tenant
/// writes, cannot pretend to be one.
#[must_use]
pub fn uid_of_prefix(prefix: &[u8]) -> Option<&str> {
    let mut scanner = Scanner { rest: prefix };
    scanner.enter(b'{')?;
    loop {
        if scanner.key()? == b"request" {
            scanner.enter(b'{')?;
            loop {
                if scanner.key()? == b"uid" {
                    let uid = std::str::from_utf8(scanner.string()?).ok()?;
                    return is_uid(uid).then_some(uid);
                }
                scanner.skip_value()?;
                scanner.enter(b',')?;
            }
        }
        scanner.skip_value()?;
        scanner.enter(b',')?;
    }
}

fn is_uid(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= UID_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Walks JSON without keeping it: enough to pass over values and to read keys, nothing more.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn enter(&mut self, expected: u8) -> Option<()> {
        self.spaces();
        self.rest = self.rest.strip_prefix(&[expected])?;
        Some(())
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.string()?;
        self.enter(b':')?;
        Some(key)
    }

    /// The raw bytes between the quotes, escapes unresolved.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.enter(b'"')?;
        let mut at = 0;
        loop {
            match self.rest.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        let text = self.rest.get(..at)?;
        self.rest = self.rest.get(at + 1..)?;
        Some(text)
    }

    fn skip_value(&mut self) -> Option<()> {
        self.spaces();
        let mut depth = 0_usize;
        loop {
            match self.rest.first()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.rest = self.rest.get(1..)?;
                }
                b'}' | b']' => {
                    // At depth 0 this closes what the value stands in: the value has ended before.
                    if depth == 0 {
                        return Some(());
                    }
                    depth -= 1;
                    self.rest = self.rest.get(1..)?;
                    if depth == 0 {
                        return Some(());
                    }
                    continue;
                }
                b',' if depth == 0 => return Some(()),
                _ => self.rest = self.rest.get(1..)?,
            }
            if depth == 0 && self.next_is_end() {
                return Some(());
            }
        }
    }

    fn next_is_end(&self) -> bool {
        matches!(self.rest.trim_ascii_start().first(), Some(b',' | b'}' | b']'))
    }
}

/// Why a review is refused although nobody looked at its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// The review is larger than what any legal request can grow to.
    Oversized {
        /// Bytes of the review.
        length: u64,
        /// Bytes that are read at most.
        limit: u64,
    },
    /// No verdict within the time the API server gives.
    Late {
        /// The time that was there, in milliseconds.
        milliseconds: u128,
    },
}

impl Unjudged {
    fn status(self) -> serde_json::Value {
        let (code, reason, message) = match self {
            Self::Oversized { length, limit } => (
                403,
                "Forbidden",
                format!(
                    "portcullis: the review of this request has {length} bytes and at most {limit} are read, so it is \
                     refused; fix: make the object smaller, large or unusual texts belong into a volume or an image"
                ),
            ),
            Self::Late { milliseconds } => (
                504,
                "Timeout",
                format!(
                    "portcullis: no verdict within {milliseconds} ms, so the request is refused; nothing is wrong \
                     with the object as far as is known; fix: try again"
                ),
            ),
        };
        json!({"status": "Failure", "code": code, "reason": reason, "message": message})
    }
}

/// A review answer that refuses `uid`, in the wire form.
#[must_use]
pub fn refuse(uid: &str, why: Unjudged) -> Vec<u8> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": uid, "allowed": false, "status": why.status()},
    });
    review.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_uid_is_found_in_what_the_api_server_sends() {
        let text = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"0df28fbd-5f5f","kind":{"grou"#;
        assert_eq!(uid_of_prefix(text), Some("0df28fbd-5f5f"));
    }

    #[test]
    fn the_uid_is_found_behind_other_members() {
        let text = br#" { "a" : [1,{"request":{"uid":"no"}}], "b":"\"request\":{", "n":null, "request" : { "object":{"uid":"no"}, "x":-1.5e3, "uid" : "yes-1" "#;
        assert_eq!(uid_of_prefix(text), Some("yes-1"));
    }

    #[test]
    fn what_the_tenant_wrote_is_never_the_uid() {
        for text in [
            r#"{"request":{"object":{"metadata":{"uid":"no"}}}}"#,
            r#"{"object":{"request":{"uid":"no"}}}"#,
            r#"{"request":{"name":"\",\"uid\":\"no\""}}"#,
            r#"{"request":{"uid":"ab\"c"}}"#,
            r#"{"request":{"uid":""}}"#,
            r#"{"request":{"uid":7}}"#,
            r#"{"request":{"uid":"cut off"#,
            r#"{"request":["uid","no"]}"#,
            r#"["request",{"uid":"no"}]"#,
            "",
            "uid",
        ] {
            assert_eq!(uid_of_prefix(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_refusal_echoes_the_uid_and_says_why() {
        let bytes = refuse("u-1", Unjudged::Oversized { length: 50, limit: 40 });
        let review: kube::core::admission::AdmissionReview<kube::core::DynamicObject> =
            serde_json::from_slice(&bytes).unwrap();
        let response = review.response.unwrap();
        assert_eq!(response.uid, "u-1");
        assert!(!response.allowed);
        assert_eq!(response.result.code, 403);
        assert!(
            response.result.message.starts_with("portcullis: the review of this request has 50 bytes"),
            "{}",
            response.result.message
        );
    }

    proptest! {
        #[test]
        fn a_prefix_never_gives_another_uid_than_the_whole(
            before in proptest::collection::vec(("[a-z\"\\\\{}:,]{0,6}", any::<Option<u8>>()), 0..4),
            cut in 0_usize..400,
        ) {
            let mut request = serde_json::Map::new();
            for (key, value) in before {
                request.insert(format!("k{key}"), json!({"uid": "no", "v": value, key: [value]}));
            }
            request.insert("uid".to_owned(), json!("the-uid"));
            let text = json!({"kind": "AdmissionReview", "request": request}).to_string();
            prop_assert_eq!(uid_of_prefix(text.as_bytes()), Some("the-uid"));
            let cut = cut.min(text.len());
            let seen = uid_of_prefix(&text.as_bytes()[..cut]);
            prop_assert!(seen.is_none() || seen == Some("the-uid"));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = uid_of_prefix(&bytes);
        }
    }
}
