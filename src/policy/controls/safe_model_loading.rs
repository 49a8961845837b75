//! `safe-model-loading`: reading a model never runs what is in it, and nothing is fetched on the way.

use crate::api;
use crate::api::common::VerificationState;
use crate::api::model::{ModelFormat, ModelSourceKind};
use crate::models::format::Format;
use crate::policy::containers::Role;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, ServedFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::servers::{self, Loaded, Switch, Wrong};

/// Formats hold data only, and no switch lets a model run code or a server fetch one.
pub(super) const CONTROL: Control = Control {
    id: "safe-model-loading",
    title: "models come in formats that cannot run code, no switch turns remote code on, and nothing is fetched at start",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-2.7", "CoP-2.6-n1", "CoP-2.7-n1"],
    why: "some model formats are programs, and loading one hands it the pod",
    remedy: "convert the model to safetensors or gguf, drop switches such as --trust-remote-code, and load from a mounted \
        model by its path",
    gaps: &[],
    limits: &[
        "what the image itself sets, by its entry point, its variables or its code, is not seen; a file from an object of the cluster that \
         takes its place is known by its path, its name or its mode, and what containers write into a shared folder and run is not",
        "of large layers in a registry the parts that tell a format are read ahead, of packed ones the beginning; what the status names as not seen counts by its declared format",
        "what a pod fetches from a bucket or a hub counts by its declared format; model-signature-trusted calls such a model unknown",
    ],
    check: Check::Rule(check),
};

/// Formats that hold data and nothing that is run.
const SAFE: &[ModelFormat] = &[ModelFormat::Safetensors, ModelFormat::Gguf, ModelFormat::Onnx];
/// Endings of files that run code when they are read, or are code.
const CODE: &[&str] = &[
    "pt", "pth", "bin", "pkl", "pickle", "ckpt", "joblib", "dill", "h5", "hdf5", "keras", "pb", "mar",
    "nemo", "py", "pyc", "so", "dll", "npy", "npz", "sh",
];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Model(model) => of_model(facts, model, report),
        Subject::Served(served) => of_served(facts, served, report),
        Subject::Pod(_) => {
            let Some((_, workload)) = facts.ai_pod() else { return };
            for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name))
            {
                of_model(facts, model, report);
            }
            of_pod(facts, report);
        }
        _ => {}
    }
}

fn of_model(facts: &Facts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    let spec = &model.spec;
    // Without a source nobody knows what is loaded; model-digest-pinned says so. Behind an interface nothing is.
    if spec.source.as_ref().is_none_or(|source| source.kind == ModelSourceKind::Api) {
        return;
    }
    let object = || {
        format!(
            "AIModel {}/{}",
            model.metadata.namespace.as_deref().unwrap_or_default(),
            model.metadata.name.as_deref().unwrap_or_default()
        )
    };
    let convert = || {
        Fix::Text(
            "convert the weights to safetensors, register them as a new version, and set spec.format and spec.files; \
             where no such form exists, ask for an AIExemption"
                .to_owned(),
        )
    };
    match spec.format {
        Some(format) if SAFE.contains(&format) => {}
        Some(format) => {
            report
                .violated(
                    Place::field(object(), "spec.format").value(format.as_str()),
                    format!("is no format that holds data only, as {} are", names(SAFE)),
                )
                .under(&["CoP-2.7-n1"])
                .fix(convert())
                .in_declaration(facts);
        }
        None if spec.files.is_empty() && seen(facts, model) != Some(VerificationState::Verified) => {
            report
                .unknown(
                    Place::field(object(), "spec.format"),
                    "is not set and spec.files lists no file, so nobody knows whether loading the model runs code",
                )
                .under(&["CoP-2.7-n1"])
                .fix(Fix::Text(format!("set spec.format to what the files are: {}", names(SAFE))))
                .in_declaration(facts);
        }
        None => {}
    }
    in_files(facts, &object(), model, convert, report);
    of_formats(facts, &object(), model, convert, report);
    for (index, file) in spec.files.iter().enumerate() {
        let end = file.path.rsplit_once('.').map_or("", |(_, end)| end);
        if CODE.iter().any(|code| end.eq_ignore_ascii_case(code)) {
            report
                .violated(
                    Place::field(object(), format!("spec.files[{index}].path")).value(&file.path),
                    "is a file that can run code when it is loaded",
                )
                .under(&["CoP-2.7-n1"])
                .fix(convert())
                .in_declaration(facts);
        }
    }
}

/// Formats of KServe that are read by running what is in them.
const SERVED_CODE: &[&str] = &[
    "sklearn",
    "pytorch",
    "torch",
    "torchscript",
    "tensorflow",
    "keras",
    "mlflow",
    "pickle",
    "joblib",
    "cloudpickle",
    "nemo",
    "spacy",
];

/// What a serving object names is a declared model at its pinned state, and in no format that runs code.
fn of_served(facts: &Facts<'_>, served: &ServedFacts<'_>, report: &mut Report<'_>) {
    let at = |(path, value): &(String, String)| {
        Place { object: None, path: Some(path.clone()), value: None }.value(value)
    };
    for model in served.models {
        if let Some(format) = &model.format
            && SERVED_CODE.iter().any(|code| format.1.eq_ignore_ascii_case(code))
        {
            report
                .violated(at(format), "is a format that runs what is in it when it is loaded")
                .under(&["CoP-2.7-n1"])
                .fix(Fix::Text(
                    "convert the model to safetensors, gguf or onnx and name a runtime for that format"
                        .to_owned(),
                ));
        }
        // Without a declaration nothing is known to compare with; declared-workloads-only refuses the pods.
        let (Some(address), Some(workload)) = (&model.address, served.workload) else { continue };
        if let Err(why) = servers::served(facts, workload, &address.1) {
            report.violated(at(address), why).under(&["CoP-2.7-n1"]).fix(Fix::Text(format!(
                "name the claim, artifact or commit of an AIModel that {} declares",
                Facts::name_of(workload)
            )));
        }
    }
}

/// What the operator saw in the stored files of this very digest.
fn seen(facts: &Facts<'_>, model: &api::AIModel) -> Option<VerificationState> {
    facts.verified_model(model)?.formats_verified
}

/// The format is what the bytes are, whatever the declaration calls them.
fn in_files(
    facts: &Facts<'_>,
    object: &str,
    model: &api::AIModel,
    convert: impl Fn() -> Fix,
    report: &mut Report<'_>,
) {
    let Some(state) = seen(facts, model) else { return };
    let known = facts.verified_model(model);
    let message = known.and_then(|known| known.message.as_deref()).unwrap_or_default();
    let said: Vec<&str> = message.split("; ").filter_map(|part| part.strip_prefix("formats: ")).collect();
    let why = if said.is_empty() { "kubectl get the AIModel for more".to_owned() } else { said.join("; ") };
    let place = Place::field(object, "spec.digest").value(model.spec.digest.as_deref().unwrap_or_default());
    match state {
        VerificationState::Failed => {
            report
                .violated(place, format!("has files that can run code when they are loaded: {why}"))
                .under(&["CoP-2.7-n1"])
                .fix(convert())
                .in_declaration(facts);
        }
        // Where not even the bytes could be read, others say so.
        VerificationState::Unknown
            if matches!(
                known.and_then(|k| k.bytes_verified),
                Some(VerificationState::Verified | VerificationState::NotRequired)
            ) =>
        {
            report
                .unknown(place, format!("has files of which nobody can tell what loading them runs: {why}"))
                .under(&["CoP-2.7-n1"])
                .fix(convert())
                .in_declaration(facts);
        }
        _ => {}
    }
}

/// A kind of file that can carry code is not loaded, even where a scan of this one found none.
fn of_formats(
    facts: &Facts<'_>,
    object: &str,
    model: &api::AIModel,
    convert: impl Fn() -> Fix,
    report: &mut Report<'_>,
) {
    let Some(known) = facts.verified_model(model) else { return };
    if known.formats_verified == Some(VerificationState::Failed) {
        return;
    }
    for seen in &known.formats_seen {
        let Some(format) = Format::carrier(&seen.format) else { continue };
        let files = if seen.files == 1 { "a file".to_owned() } else { format!("{} files", seen.files) };
        report
            .violated(
                Place::field(object, "spec.digest").value(model.spec.digest.as_deref().unwrap_or_default()),
                format!("holds {files} of format {format}, which can carry code"),
            )
            .under(&["CoP-2.7-n1"])
            .fix(convert())
            .in_declaration(facts);
    }
}

fn names(formats: &[ModelFormat]) -> String {
    formats.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", ")
}

fn of_pod(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some((pod, _)) = facts.ai_pod() else { return };
    for (container, Loaded { faults, .. }) in facts.loaded() {
        for fault in &faults.all {
            let place = pod.at(container.path(&fault.field));
            let place =
                fault.value.as_ref().map_or_else(|| place.clone(), |value| place.clone().value(value));
            let finding = match fault.wrong {
                // Which model it is, is the matter of model-digest-pinned.
                Wrong::Undeclared => continue,
                Wrong::Unreadable => report.unknown(place, &fault.detail),
                Wrong::Fetched | Wrong::Switched(_) => report.violated(place, &fault.detail),
            };
            let mended = faults.mend.fix(container, pod.prefix).filter(|_| fault.mended);
            // What only fetches before the others start can go where the model is mounted.
            let dropped = || {
                let fetches = matches!(fault.wrong, Wrong::Fetched | Wrong::Switched(Switch::Script));
                (fetches && container.role == Role::Init).then(|| {
                    Fix::remove_at(&pod.at(container.path("")))
                        .after("mount the model as an image volume, and do without this container")
                })
            };
            finding.under(&["CoP-2.7-n1"]).fix(
                mended
                    .or_else(dropped)
                    .or_else(|| fault.fix.clone())
                    .unwrap_or_else(|| Fix::Text(otherwise(fault.wrong).to_owned())),
            );
        }
    }
}

/// The way out where no change of the pod can be computed.
const fn otherwise(wrong: Wrong) -> &'static str {
    match wrong {
        Wrong::Fetched | Wrong::Undeclared => {
            "mount the model as an image volume and load it from there, or declare an AIModel with source.kind \
             huggingface and its commit in source.revision, and pass that commit as --revision"
        }
        Wrong::Unreadable => "write it in the pod itself, so that it can be judged",
        Wrong::Switched(Switch::Fetch) => "remove it, and load the model from a mounted volume",
        Wrong::Switched(Switch::Downloaded | Switch::Install) => {
            "build it into the image, sign that image, and take this command out"
        }
        Wrong::Switched(Switch::Script) => "take this code out, and load the model from a mounted volume",
        Wrong::Switched(_) => "remove it",
    }
}

#[cfg(test)]
#[path = "tests/safe_model_loading.rs"]
mod tests;

#[cfg(test)]
#[path = "tests/mounted_programs.rs"]
mod mounted_programs;
