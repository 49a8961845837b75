//! Whether the definitions that the API server serves know all fields that this program knows: after an upgrade of the image
//! alone they are older, and what does not fit them cannot be written.

use std::collections::BTreeMap;

use hyper::Request;
use kube::Client;
use serde::Deserialize;

use crate::api::common::{GROUP, VERSION};
use crate::api::crds::FIELDS;
use crate::policy::facts::EnforcementFault;

/// What brings a definition up to date.
const FIX: &str = "helm upgrade brings the definitions of its version; where crds.install is false: \
                   portcullis crds | kubectl apply --server-side -f -";

/// What is described, of each group, and where; the address changes with what is described.
#[derive(Debug, Deserialize)]
struct Index {
    paths: BTreeMap<String, Place>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    #[serde(rename = "serverRelativeURL")]
    url: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Description {
    components: Components,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Components {
    schemas: BTreeMap<String, Schema>,
}

/// A schema, as far as it says which fields there are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Schema {
    properties: BTreeMap<String, Schema>,
    items: Option<Box<Schema>>,
    additional_properties: Option<Box<Below>>,
    #[serde(rename = "x-kubernetes-group-version-kind")]
    kinds: Vec<Kind>,
    #[serde(rename = "x-kubernetes-preserve-unknown-fields")]
    open: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Below {
    Any(#[expect(dead_code, reason = "tells it from a schema")] bool),
    Each(Schema),
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: String,
}

/// What is known of the definitions that are served.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    /// Where they were described when they were looked at last.
    seen: Option<String>,
    older: Vec<EnforcementFault>,
}

impl Definitions {
    /// The definitions that are older than this program. What cannot be read now is as it was.
    pub(super) async fn older(&mut self, client: &Client) -> Vec<EnforcementFault> {
        if let Err(error) = self.look(client).await {
            tracing::debug!(%error, "the definitions cannot be looked at");
        }
        self.older.clone()
    }

    async fn look(&mut self, client: &Client) -> Result<(), kube::Error> {
        let mut index: Index = client.request(asking("/openapi/v3")?).await?;
        let place = index.paths.remove(&format!("apis/{GROUP}/{VERSION}")).map(|place| place.url);
        if place != self.seen {
            // Large, and read again only when something in it is another.
            self.older = match &place {
                Some(url) => older(&client.request::<Description>(asking(url)?).await?.components.schemas),
                None => Vec::new(),
            };
            self.seen = place;
        }
        Ok(())
    }
}

fn asking(url: &str) -> Result<Request<Vec<u8>>, kube::Error> {
    Request::get(url).body(Vec::new()).map_err(kube::Error::HttpError)
}

/// A definition that is older than this program, if one of `faults` is.
pub(super) fn first_older(faults: &[EnforcementFault]) -> Option<&EnforcementFault> {
    faults.iter().find(|fault| fault.fix == FIX)
}

/// Which definitions lack something, by what is `served`. One that is not served at all is told of elsewhere.
fn older(served: &BTreeMap<String, Schema>) -> Vec<EnforcementFault> {
    let mut faults: BTreeMap<&str, EnforcementFault> = BTreeMap::new();
    for (kind, path) in FIELDS.lines().filter_map(|line| line.split_once(' ')) {
        let theirs = served.values().find(|schema| schema.kinds.iter().any(|known| known.kind == kind));
        let Some(field) = theirs.and_then(|theirs| lacking(theirs, path)) else { continue };
        faults.entry(kind).or_insert_with(|| EnforcementFault {
            object: format!("CustomResourceDefinition of {kind}"),
            detail: format!(
                "is older than this program: it does not know {field}, so that nothing with it can be written"
            ),
            fix: FIX,
        });
    }
    faults.into_values().collect()
}

/// The beginning of `path`, up to the first field that the schema does not know.
fn lacking<'p>(schema: &Schema, path: &'p str) -> Option<&'p str> {
    let mut at = schema;
    let mut rest = path;
    while !rest.is_empty() && !at.open {
        rest = rest.trim_start_matches('.');
        if let Some(inside) = rest.strip_prefix("[]") {
            at = match (&at.items, at.additional_properties.as_deref()) {
                (Some(items), _) => items,
                (None, Some(Below::Each(each))) => each,
                // What it says of this is not said in fields.
                _ => return None,
            };
            rest = inside;
            continue;
        }
        let (name, below) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
        let Some(known) = at.properties.get(name) else { return path.get(..path.len() - below.len()) };
        (at, rest) = (known, below);
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::crds::all_crds;

    /// What the API server describes where our definitions stand as they are.
    fn described() -> Value {
        let of = |crd| {
            let crd = serde_json::to_value(crd).unwrap();
            let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
            let kind = &crd["spec"]["names"]["kind"];
            schema["x-kubernetes-group-version-kind"] =
                json!([{"group": GROUP, "kind": kind, "version": VERSION}]);
            schema["properties"]["metadata"] = json!({"allOf": [{"$ref": "#/components/schemas/meta"}]});
            (format!("dev.portcullis.v1alpha1.{}", kind.as_str().unwrap()), schema)
        };
        Value::Object(all_crds().unwrap().into_iter().map(of).collect())
    }

    fn said(described: Value) -> Vec<String> {
        let served = serde_json::from_value(described).unwrap();
        older(&served).into_iter().map(|fault| format!("{} {}", fault.object, fault.detail)).collect()
    }

    #[test]
    fn a_definition_that_lacks_a_field_is_older_than_the_program() {
        let mut all = described();
        assert_eq!(said(all.clone()), [""; 0]);
        let row = &mut all["dev.portcullis.v1alpha1.AICompliance"]["properties"]["status"];
        let chains = row["properties"]["chains"].take();
        row["properties"].as_object_mut().unwrap().remove("chains");
        let wanted = "CustomResourceDefinition of AICompliance is older than this program: it does not \
                      know status.chains, so that nothing with it can be written";
        assert_eq!(said(all.clone()), [wanted]);
        // What lies inside a list is looked at too, and a field that it knows beside ours is none of our business.
        let row = &mut all["dev.portcullis.v1alpha1.AICompliance"]["properties"]["status"];
        row["properties"]["chains"] = chains;
        row["properties"]["later"] = json!({"type": "string"});
        assert_eq!(said(all.clone()), [""; 0]);
        let row = &mut all["dev.portcullis.v1alpha1.AICompliance"]["properties"]["status"];
        row["properties"]["chains"]["items"]["properties"].as_object_mut().unwrap().remove("head");
        assert!(said(all.clone())[0].contains("status.chains[].head"), "{:?}", said(all));
    }

    #[test]
    fn an_older_definition_is_told_from_other_faults() {
        let fault = |fix| EnforcementFault { object: "o".to_owned(), detail: "d".to_owned(), fix };
        assert_eq!(first_older(&[fault("another")]), None);
        assert!(first_older(&[fault("another"), fault(FIX)]).is_some());
    }
}
