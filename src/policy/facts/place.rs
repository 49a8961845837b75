//! Where a finding stands: an object, a field of it, and the value.

/// Where a finding stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Another object than the one judged, e.g. `AIWorkload chat-prod/chat`.
    pub object: Option<String>,
    /// Path of the field from that object's root.
    pub path: Option<String>,
    /// The offending value as text.
    pub value: Option<String>,
}

impl Place {
    /// A whole object.
    #[must_use]
    pub fn object(object: impl Into<String>) -> Self {
        Self { object: Some(object.into()), path: None, value: None }
    }

    /// A field of an object other than the one judged.
    #[must_use]
    pub fn field(object: impl Into<String>, path: impl Into<String>) -> Self {
        Self { object: Some(object.into()), path: Some(path.into()), value: None }
    }

    /// Adds the offending value, cut to a readable length.
    #[must_use]
    pub fn value(mut self, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        self.value = Some(match value.char_indices().nth(200) {
            Some((end, _)) => format!("{}...", &value[..end]),
            None => value.to_owned(),
        });
        self
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut gap = "";
        if let Some(object) = &self.object {
            f.write_str(object)?;
            gap = " ";
        }
        if let Some(path) = &self.path {
            write!(f, "{gap}{path}")?;
            gap = " ";
        }
        if let Some(value) = &self.value {
            write!(f, "{gap}{value:?}")?;
        }
        Ok(())
    }
}
