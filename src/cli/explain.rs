//! `portcullis explain`: what a control or a provision asks, why, and how to keep it.

use std::process::ExitCode;

use clap::Args;

use super::out;
use crate::policy::ALL;
use crate::render::explain::{self, Subject};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Control or provision, such as image-signature-trusted or CoP-5.2; all controls unless stated
    name: Option<String>,
    /// Show how to ask for an exemption from the control
    #[arg(long, requires = "name")]
    exempt: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Some(name) = &arguments.name else {
        out::print(&explain::list(ALL));
        return ExitCode::SUCCESS;
    };
    match explain::find(name, ALL) {
        Ok(Subject::Control(control)) if arguments.exempt => out::print(&explain::exemption(control)),
        Ok(Subject::Control(control)) => out::print(&explain::control(control)),
        Ok(Subject::Provision(provision)) if !arguments.exempt => {
            out::print(&explain::provision(provision, ALL));
        }
        Ok(Subject::Provision(_)) => {
            out::error(&format!("{name} is a provision: exemptions are for controls; name the control\n"));
            return ExitCode::FAILURE;
        }
        Err(near) => {
            let hint = if near.is_empty() {
                "`portcullis explain` lists the controls".to_owned()
            } else {
                format!("did you mean {}?", near.join(", "))
            };
            out::error(&format!("there is no control or provision {name:?}; {hint}\n"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
