//! The console host's command line.

fn main() {
    eprintln!("tipstaff-console: no command yet");
    std::process::exit(2);
}
