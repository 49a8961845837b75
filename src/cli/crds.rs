//! `portcullis crds`: the definitions of all kinds as YAML, for `kubectl apply -f -`.

use std::process::ExitCode;

use super::out;
use crate::api::crds::{CrdError, files};

pub(super) fn run() -> ExitCode {
    match all() {
        Ok(text) => {
            out::print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            out::error(&format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn all() -> Result<String, CrdError> {
    let documents: Vec<String> = files()?
        .into_iter()
        .map(|(_, text)| format!("---\n{}", text.split_once('\n').map_or("", |t| t.1)))
        .collect();
    Ok(documents.concat())
}

#[cfg(test)]
mod tests {
    use crate::gather::files::documents::Documents;

    #[test]
    fn every_kind_is_a_document_of_its_own() {
        let mut documents = Documents::default();
        documents.text("crds", &super::all().unwrap());
        assert_eq!(documents.problems, []);
        assert_eq!(documents.objects.len(), 11);
        assert!(documents.objects.iter().all(|(_, o)| o["kind"] == "CustomResourceDefinition"));
    }
}
