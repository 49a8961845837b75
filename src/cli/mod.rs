//! The command line: arguments in, one subcommand a file.

mod controller;
mod serving;
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
}

/// Reads the process's arguments, runs the subcommand and says how it ended.
#[must_use]
pub fn run() -> ExitCode {
    crate::webhook::tls::install_provider();
    match Arguments::parse().command {
        Command::Webhook(arguments) => webhook::run(&arguments),
        Command::Controller(arguments) => controller::run(&arguments),
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
