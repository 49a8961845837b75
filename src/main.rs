//! Portcullis makes the AI cyber-security Code of Practice enforceable on a Kubernetes cluster.
//! Arguments to a subcommand, and nothing else.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    portcullis::cli::run()
}
