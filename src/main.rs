//! Arguments to a subcommand, and nothing else.

fn main() {}
