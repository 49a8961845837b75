//! Certificates: those of an authority's own issuers, and the windows in which the issuers of a trusted root count.

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use serde_json::{Value, json};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::signature::cut;

const MAX_CERTIFICATES: usize = 16;
/// 1.3.6.1.5.5.7.3.3, for signing code.
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
const FOR_SOMETHING_ELSE: &str = "its certificate is not for signing code";

/// The issuers whose certificates sign for an authority.
#[derive(Debug)]
pub(super) struct Issuers {
    anchors: Vec<Anchor>,
    intermediates: Vec<CertificateDer<'static>>,
    /// The name that the signing certificate has to carry.
    subject: Option<String>,
    /// All of them, for a trusted root.
    all: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Anchor {
    anchor: TrustAnchor<'static>,
    window: Window,
}

/// When a certificate is valid, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    start: i64,
    end: i64,
}

impl Window {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self { start: validity.not_before.timestamp(), end: validity.not_after.timestamp() }
    }

    fn holds(self, moment: Timestamp) -> bool {
        self.start <= moment.as_second() && moment.as_second() <= self.end
    }

    fn within(self, other: Self) -> Self {
        Self { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    fn json(self) -> Value {
        let text = |second| Timestamp::from_second(second).map(|moment| moment.to_string()).ok();
        json!({ "start": text(self.start), "end": text(self.end) })
    }
}

impl Issuers {
    /// Reads the certificates of an authority. The self-signed ones are believed; where there is none, all are.
    ///
    /// # Errors
    /// What is wrong with them, as a clause.
    pub(super) fn compile(pem: &str, subject: Option<&str>) -> Result<Self, String> {
        let mut out = Self {
            anchors: Vec::new(),
            intermediates: Vec::new(),
            subject: subject.map(str::to_owned),
            all: Vec::new(),
        };
        if pem.contains("PRIVATE KEY") {
            return Err("caPem holds a private key: it must be replaced and revoked".to_owned());
        }
        let mut others = Vec::new();
        for block in x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()) {
            let block = block.map_err(|_| "caPem is no list of PEM blocks \"CERTIFICATE\"")?;
            if block.label != "CERTIFICATE" {
                return Err(format!("caPem holds a block {:?}, which is no certificate", cut(&block.label)));
            }
            if out.all.len() >= MAX_CERTIFICATES {
                return Err(format!("caPem holds more than {MAX_CERTIFICATES} certificates"));
            }
            let (_, certificate) = X509Certificate::from_der(&block.contents)
                .map_err(|_| "caPem holds a certificate that cannot be read")?;
            if !certificate.is_ca() {
                return Err(format!("{:?} of caPem may not issue certificates", name(&certificate)));
            }
            let own = certificate.subject() == certificate.issuer();
            let window = Window::of(&certificate);
            let anchor = anchor(&block.contents)?;
            if own {
                out.anchors.push(Anchor { anchor, window });
            } else {
                out.intermediates.push(CertificateDer::from(block.contents.clone()));
                others.push(Anchor { anchor, window });
            }
            out.all.push(block.contents.clone());
        }
        if out.anchors.is_empty() {
            out.anchors = others;
        }
        if out.anchors.is_empty() { Err("caPem holds no certificate".to_owned()) } else { Ok(out) }
    }

    /// A trusted root in which these are the only issuers and the logs are those of `logs`.
    ///
    /// # Errors
    /// That `logs` is no trusted root.
    pub(super) fn trusted_root(&self, logs: &str) -> Result<String, String> {
        let mut root: Value =
            serde_json::from_str(logs).map_err(|_| "the trusted root cannot be read".to_owned())?;
        if !root.is_object() {
            return Err("the trusted root cannot be read".to_owned());
        }
        let authorities: Vec<_> = self.all.iter().filter_map(|der| authority(der, None)).collect();
        root["certificateAuthorities"] = json!(authorities);
        root["ctlogs"] = json!([]);
        Ok(root.to_string())
    }

    /// Whether the certificate of a signature was issued by one of these for signing code, was valid at `moment` with all
    /// of its issuers, and carries the right name.
    ///
    /// # Errors
    /// A clause that completes "a signature does not count: ...".
    pub(super) fn check(&self, certificates: &[Vec<u8>], moment: Timestamp) -> Result<(), String> {
        let (leaf, given) =
            certificates.split_first().ok_or("it was made with a key, not with a certificate")?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| "its certificate cannot be read")?;
        if !Window::of(&parsed).holds(moment) {
            let end = parsed.validity().not_after;
            return Err(format!("its certificate was not valid at {moment}; it ends on {end}"));
        }
        let anchors: Vec<_> = self.anchors.iter().filter(|a| a.window.holds(moment)).collect();
        if anchors.is_empty() {
            return Err(format!("no issuer of the authority is valid at {moment}"));
        }
        let anchors: Vec<_> = anchors.into_iter().map(|anchor| anchor.anchor.clone()).collect();
        let given = given.iter().map(|der| CertificateDer::from(der.as_slice()));
        let intermediates: Vec<_> = self.intermediates.iter().cloned().chain(given).collect();
        let leaf = CertificateDer::from(leaf.as_slice());
        let end = EndEntityCert::try_from(&leaf).map_err(|_| "its certificate cannot be read")?;
        let second = u64::try_from(moment.as_second()).map_err(|_| "it was made before 1970")?;
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(second));
        // Issuers need not say what they issue for, the signer has to.
        let usage = KeyUsage::required_if_present(CODE_SIGNING);
        end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &intermediates, time, usage, None, None)
            .map_err(|error| describe(&error, moment))?;
        let usages = parsed.extended_key_usage().map_err(|_| "its certificate cannot be read")?;
        if !usages.is_some_and(|usages| usages.value.code_signing) {
            return Err(FOR_SOMETHING_ELSE.to_owned());
        }
        match &self.subject {
            Some(wanted) if !carries(&parsed, wanted) => {
                Err(format!("its certificate is for {:?}", cut(&name(&parsed))))
            }
            _ => Ok(()),
        }
    }
}

fn describe(error: &webpki::Error, moment: Timestamp) -> String {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => {
            format!("an issuer of its certificate was not valid at {moment}")
        }
        Error::RequiredEkuNotFoundContext(_) => FOR_SOMETHING_ELSE.to_owned(),
        Error::UnknownIssuer => "its certificate is by none of the authority's issuers".to_owned(),
        _ => "the chain of its certificate cannot be verified".to_owned(),
    }
}

fn anchor(der: &[u8]) -> Result<TrustAnchor<'static>, String> {
    let der = CertificateDer::from(der);
    let anchor = webpki::anchor_from_trusted_cert(&der)
        .map_err(|_| "caPem holds a certificate that cannot be used as an issuer")?;
    Ok(anchor.to_owned())
}

/// Its common name, or the whole name where it has none.
fn name(certificate: &X509Certificate<'_>) -> String {
    let common = certificate.subject().iter_common_name().find_map(|name| name.as_str().ok());
    common.map_or_else(|| certificate.subject().to_string(), str::to_owned)
}

/// Whether a certificate is for exactly this name: the common name or one of the alternative ones.
fn carries(certificate: &X509Certificate<'_>, wanted: &str) -> bool {
    let common = certificate.subject().iter_common_name().any(|name| name.as_str() == Ok(wanted));
    let alternative = certificate.subject_alternative_name().ok().flatten().is_some_and(|names| {
        names.value.general_names.iter().any(|name| match name {
            GeneralName::RFC822Name(text) | GeneralName::DNSName(text) | GeneralName::URI(text) => {
                *text == wanted
            }
            _ => false,
        })
    });
    common || alternative
}

/// Bounds each issuer of a trusted root by its own validity and that of those above it: the issuers are believed as they
/// stand there, and an expired one would otherwise go on vouching.
///
/// # Errors
/// That it is no trusted root.
pub(super) fn bound(root: &str) -> Result<String, String> {
    let mut root: Value =
        serde_json::from_str(root).map_err(|_| "the trusted root cannot be read".to_owned())?;
    let Some(authorities) = root["certificateAuthorities"].as_array() else { return Ok(root.to_string()) };
    let mut bounded = Vec::new();
    for entry in authorities {
        let chain = entry["certChain"]["certificates"].as_array().map_or(&[][..], Vec::as_slice);
        let stated = stated(&entry["validFor"])
            .ok_or("the trusted root holds an issuer whose validFor cannot be read")?;
        let mut window = Some(stated);
        // The root stands last.
        for certificate in chain.iter().rev() {
            let der = certificate["rawBytes"].as_str().and_then(decode);
            let narrowed = der.as_deref().and_then(|der| authority(der, window));
            let narrowed = narrowed.ok_or("the trusted root holds an issuer that cannot be read")?;
            window = der.and_then(|der| {
                let (_, certificate) = X509Certificate::from_der(&der).ok()?;
                Some(Window::of(&certificate).within(window?))
            });
            // An issuer that never counted is no reason to disbelieve the others.
            if window.is_some_and(|window| window.start <= window.end) {
                bounded.push(narrowed);
            }
        }
        if chain.is_empty() {
            return Err("the trusted root holds an issuer without certificates".to_owned());
        }
    }
    root["certificateAuthorities"] = json!(bounded);
    Ok(root.to_string())
}

/// The time that the root itself gives an issuer. `None` where it says one that cannot be read: what ends at a time that
/// nobody understands must not go on for ever.
fn stated(valid_for: &Value) -> Option<Window> {
    if !valid_for.is_object() && !valid_for.is_null() {
        return None;
    }
    let second = |key: &str, open: i64| match &valid_for[key] {
        Value::Null => Some(open),
        Value::String(text) => text.parse::<Timestamp>().ok().map(Timestamp::as_second),
        _ => None,
    };
    Some(Window { start: second("start", 0)?, end: second("end", i64::MAX)? })
}

/// An issuer as a trusted root names it, within its own validity and `window`.
fn authority(der: &[u8], window: Option<Window>) -> Option<Value> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let own = Window::of(&certificate);
    let window = window.map_or(own, |window| own.within(window));
    Some(json!({
        "subject": { "commonName": name(&certificate) },
        "uri": "",
        "validFor": window.json(),
        "certChain": { "certificates": [{ "rawBytes": encode(der) }] },
    }))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
