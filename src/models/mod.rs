//! What the files of a model are: their formats, seen in their bytes, and the manifests that are signed over them. Pure:
//! bytes come in through readers, nothing here opens a file.

pub mod basis;
pub mod bom;
pub mod format;
pub mod job;
pub mod libraries;
pub mod manifest;
pub mod tar;
