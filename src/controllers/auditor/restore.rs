//! What a new leader begins with: the rows and statuses that earlier terms have written, and the profiles shown.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::json;

use super::stored::Packed;
use super::{AuditError, Auditor, Kept, Pulse, Stored, Written, lock};
use crate::api::common::{LABEL_MANAGED_BY, MANAGER};
use crate::api::{AICompliance, AIProfile, AIWorkload};
use crate::controllers::compliance::CATALOGUE;
use crate::controllers::compliance::rows::Told;
use crate::controllers::status::list_all;
use crate::controllers::trouble::Trouble;
use crate::policy::decide::BUILT_IN;

/// Between two tries to read what was written.
const PAUSE: Duration = Duration::from_secs(2);

impl Auditor {
    /// What earlier terms have written, however long it takes to be read.
    pub(super) async fn restored(&self, pulse: &Pulse) -> Written {
        let mut trouble = Trouble::default();
        loop {
            match self.restore().await {
                Ok(written) => {
                    if trouble.is_over() {
                        tracing::info!("the rows of the audit can be read again");
                    }
                    self.repeat(&written, pulse).await;
                    return written;
                }
                Err(error) => {
                    self.failing(&error, &mut trouble);
                }
            }
            pulse.beat();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What earlier terms have written.
    pub(super) async fn restore(&self) -> Result<Written, AuditError> {
        let mut written = Written::default();
        let each = |row: AICompliance| {
            let name = row.name_any();
            let uid = row.owner_references().first().map(|owner| owner.uid.clone());
            let row = row.status.unwrap_or_default();
            if name == "cluster" {
                written.cluster = row;
                return;
            }
            if let Some(blocked) = &row.blocked {
                lock(&self.book).restore((name.clone(), None), blocked.clone());
            }
            let (told, row) = (Told::of(&row), Packed::of(&row));
            written.namespaces.insert(name, Kept { row, told, uid, ..Kept::default() });
        };
        list_all(&self.client, each).await.map_err(AuditError::List)?;
        let each = |workload: AIWorkload| {
            let key = (workload.namespace().unwrap_or_default(), workload.name_any());
            let uid = workload.uid();
            let status = workload.status.unwrap_or_default();
            if let Some(blocked) = &status.blocked {
                lock(&self.book).restore((key.0.clone(), Some(key.1.clone())), blocked.clone());
            }
            written.workloads.insert(key, Stored::of(uid, status));
        };
        list_all(&self.client, each).await.map_err(AuditError::List)?;
        Ok(written)
    }

    /// Shows the built-in profiles as objects, so that people can read them and name them as a base.
    /// Returns whether all are shown.
    pub(super) async fn show_profiles(&self, trouble: &mut Trouble) -> bool {
        let mut failed = Vec::new();
        let api: Api<AIProfile> = Api::all(self.client.clone());
        for name in BUILT_IN {
            let object = json!({
                "apiVersion": AIProfile::api_version(&()), "kind": AIProfile::kind(&()),
                "metadata": {"name": name, "labels": {LABEL_MANAGED_BY: MANAGER}},
                "spec": {"base": name, "catalogueVersion": CATALOGUE},
            });
            if let Err(error) =
                api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object)).await
            {
                failed.push(format!("{name}: {error}"));
            }
        }
        if failed.is_empty() {
            if trouble.is_over() {
                tracing::info!("the built-in profiles are shown");
            }
        } else if trouble.is_to_be_said() {
            tracing::warn!(profiles = failed.join("; "), "built-in profiles cannot be shown yet");
        }
        failed.is_empty()
    }
}
