//! A model, a dataset or a prompt, whichever it is.

use crate::api;

/// A model, a dataset or a prompt.
#[derive(Clone, Copy, Debug)]
pub enum Asset<'a> {
    /// A model.
    Model(&'a api::AIModel),
    /// A dataset.
    Dataset(&'a api::AIDataset),
    /// A prompt.
    Prompt(&'a api::AIPrompt),
}

impl<'a> Asset<'a> {
    /// Its kind and name.
    #[must_use]
    pub fn named(&self) -> (&'static str, &'a str) {
        let (kind, metadata) = match self {
            Self::Model(o) => ("AIModel", &o.metadata),
            Self::Dataset(o) => ("AIDataset", &o.metadata),
            Self::Prompt(o) => ("AIPrompt", &o.metadata),
        };
        (kind, metadata.name.as_deref().unwrap_or_default())
    }
}
