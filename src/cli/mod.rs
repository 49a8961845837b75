//! The command line: arguments in, one subcommand a file.

mod audit;
pub mod check;
mod controller;
mod crds;
mod explain;
mod generate;
mod init;
mod out;
mod plan;
mod report;
mod role;
mod serving;
mod verify;
mod verify_model;
mod webhook;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Makes the AI cyber-security Code of Practice enforceable on a Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the validating admission webhook
    Webhook(webhook::Arguments),
    /// Run the controllers, one leader among several replicas
    Controller(controller::Arguments),
    /// Judge manifests as the webhook would, without a cluster
    Check(check::Arguments),
    /// List what would not come back under a profile, from a cluster or from manifests
    Plan(plan::Arguments),
    /// Show the audit to somebody without access to the cluster
    Report(report::Arguments),
    /// Write a first declaration from what runs already
    Init(init::Arguments),
    /// Print the least Role of each declared workload
    Role(role::Arguments),
    /// Check the exported audit trail
    Audit(audit::Arguments),
    /// Verify one artifact against the trust policies of a file
    Verify(verify::Arguments),
    /// Verify a model on a volume, in the pod of a Job that the controller made
    #[command(hide = true)]
    VerifyModel(verify_model::Arguments),
    /// Explain a control or a provision
    Explain(explain::Arguments),
    /// Print the definitions of all kinds
    Crds,
    /// Write the generated files of the repository
    #[command(hide = true)]
    Generate(generate::Arguments),
}

/// Reads the process's arguments, runs the subcommand and says how it ended.
#[must_use]
pub fn run() -> ExitCode {
    crate::webhook::tls::install_provider();
    match Arguments::parse().command {
        Command::Webhook(arguments) => webhook::run(&arguments),
        Command::Controller(arguments) => controller::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Role(arguments) => role::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::VerifyModel(arguments) => verify_model::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Crds => crds::run(),
        Command::Generate(arguments) => generate::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
