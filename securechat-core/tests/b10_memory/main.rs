//! ATTACKS.md B10: what the process's own memory holds of secrets that are over.
//!
//! Every scenario runs in a process of its own, on its only thread. It looks for secrets in every writable mapping of
//! that process: heap, statics, thread-locals and whatever the C library mapped, but not the main thread's stack.
//! The allocator of this program gives no memory back and reuses none, so that nothing that was freed is hidden by what
//! came after it: each scan sees all that was ever left on the heap.
//!
//! The secrets are known apart from the engines: what their generators gave is noted by [`recorder`], and what is derived
//! from that is computed anew in [`model`] from the formulas of PROTOCOL.md. Each scan that must find nothing stands beside
//! one that must find: the same secret while it is in use, or its successor.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(unreachable_pub)] // The modules of one program.

mod clients;
mod control;
mod files;
mod keep;
mod links;
mod model;
mod recorder;
mod scan;
mod sessions;

use std::process::{Command, ExitCode};

#[global_allocator]
static KEEP: keep::Keep = keep::Keep;

type Scenario = fn();

const SCENARIOS: &[(&str, Scenario)] = &[
    ("b10_the_scan_finds_what_is_left", control::b10_the_scan_finds_what_is_left),
    ("b10_what_wipes_itself_is_gone", control::b10_what_wipes_itself_is_gone),
    ("b10_link_keys_end_with_the_link", links::b10_link_keys_end_with_the_link),
    ("b10_old_link_keys_end_with_a_rekey", links::b10_old_link_keys_end_with_a_rekey),
    ("b10_handshake_secrets_end_with_the_handshake", links::b10_handshake_secrets_end_with_the_handshake),
    ("b10_a_failed_handshake_leaves_nothing", links::b10_a_failed_handshake_leaves_nothing),
    ("b10_generators_keep_nothing_of_what_they_gave", links::b10_generators_keep_nothing_of_what_they_gave),
    ("b10_session_keys_end_with_message_and_turn", sessions::b10_session_keys_end_with_message_and_turn),
    ("b10_skipped_keys_end_with_use_and_with_age", sessions::b10_skipped_keys_end_with_use_and_with_age),
    ("b10_superseded_sessions_end", sessions::b10_superseded_sessions_end),
    ("b10_identity_keys_end_with_the_device", sessions::b10_identity_keys_end_with_the_device),
    ("b10_file_keys_end_with_the_transfer", files::b10_file_keys_end_with_the_transfer),
    ("b10_the_vault_key_ends_with_the_vault", files::b10_the_vault_key_ends_with_the_vault),
    ("b10_passwords_end_with_their_request", clients::b10_passwords_end_with_their_request),
    ("b10_the_relay_keeps_no_password", clients::b10_the_relay_keeps_no_password),
    ("b10_a_client_that_is_dropped_leaves_no_key", clients::b10_a_client_that_is_dropped_leaves_no_key),
];

/// Set for the process that runs one scenario.
const ONE: &str = "SECURECHAT_B10_SCENARIO";

fn main() -> ExitCode {
    if cfg!(not(target_os = "linux")) {
        println!("no memory is scanned: this needs /proc/self/mem");
        return ExitCode::SUCCESS;
    }
    if let Ok(name) = std::env::var(ONE) {
        let (_, scenario) = SCENARIOS.iter().find(|(other, _)| *other == name).expect("a scenario");
        scenario();
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let chosen: Vec<_> = SCENARIOS.iter().filter(|(name, _)| filter.is_none_or(|part| name.contains(part))).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for (name, _) in &chosen {
        let program = std::env::current_exe().expect("the path of this program");
        let status = Command::new(program).env(ONE, name).status().expect("a process of its own");
        println!("test {name} ... {}", if status.success() { "ok" } else { "FAILED" });
        failed += usize::from(!status.success());
    }
    let (passed, filtered) = (chosen.len() - failed, SCENARIOS.len() - chosen.len());
    let outcome = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {outcome}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered} filtered out\n"
    );
    ExitCode::from(u8::from(failed > 0))
}
