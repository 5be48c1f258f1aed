//! A chat client for the terminal: the engine of `securechat-core`, a state on the disk, and one line at a time.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod act;
mod app;
mod args;
mod command;
mod complete;
mod connect;
mod form;
mod groups;
mod past;
mod place;
mod progress;
mod screen;
mod secrets;
mod sentence;
mod show;
mod terminal;

use app::{App, Exit, Input, Waiting};
use args::Args;
use clap::Parser;
use complete::Names;
use screen::{Out, Screen, Tone};
use secrets::{Secret, Secrets};
use securechat_client::{Chat, Error, State, StateOptions};
use securechat_core::suite::Policy;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::mpsc;
use terminal::{Terminal, Typed, ask_secret};
use zeroize::Zeroizing;

fn main() -> ExitCode {
    let exit = match start(Args::parse()) {
        Ok(exit) => exit,
        Err(error) => {
            let sentence = error.core().map_or_else(|| error.to_string(), sentence::error);
            Screen::new(Out::Plain).say(Tone::Error, &sentence);
            match error {
                Error::Listen { .. } => Exit::NotConnected,
                _ => Exit::State,
            }
        }
    };
    ExitCode::from(exit as u8)
}

fn start(args: Args) -> Result<Exit, Error> {
    let secrets = Secrets {
        passphrase: args.passphrase_file,
        new_passphrase: args.new_passphrase_file,
        archive_passphrase: args.archive_passphrase_file,
        password: args.password_file,
        new_password: args.new_password_file,
        server_password: args.server_password_file,
    };
    let folder = place::state(args.state, args.user.as_ref())?;
    if let Some(task) = args.task {
        return past::perform(&task, &secrets, folder, args.user);
    }
    let passphrase = passphrase(&secrets, !State::exists(&folder))?;
    let mut options = StateOptions::new(folder, passphrase);
    options.user = args.user;
    if !args.suites.is_empty() {
        options.policy = Policy::new(args.suites).map_err(securechat_core::error::Error::from)?;
    }
    let state = State::open(options)?;
    let me = state.client().user().clone();
    let registered = state.client().is_registered();
    let untold = state.has_untold();
    // Peers on the command line mean that this time there is no relay, unless one is named too.
    let direct = args.listen.is_some() || !args.peer.is_empty();
    let relay = match args.relay {
        None if !direct => state.relay()?,
        named => named,
    };

    let (inbox, inputs) = mpsc::channel();
    let names = Names::default();
    for user in state.client().contacts() {
        names.add(user.as_str());
    }
    let typed = inbox.clone();
    // The loop ends only with the program: nobody misses what comes after it.
    let typed = move |line: Typed| _ = typed.send(Input::Typed(line));
    let (terminal, out) =
        Terminal::start(names.clone(), typed).map_err(|reason| Error::File { path: "the terminal".into(), reason })?;
    let screen = Screen::new(out);
    let chat = Chat::start(state, move |update| _ = inbox.send(Input::Update(update)))?;
    if untold {
        screen.say(Tone::Warning, past::UNTOLD);
    }
    if let Some(address) = &args.listen {
        let address = chat.listen(address)?;
        let own = chat.call(|client, _| Ok(client.fingerprint()))?;
        screen.say(Tone::Note, &format!("others reach you at --peer {address}#{own}"));
    }
    let waits = relay.is_some() || !args.peer.is_empty();
    for peer in args.peer {
        chat.connect_peer(peer)?;
    }
    if let Some(relay) = &relay {
        chat.connect(relay.clone())?;
    }
    if !waits && args.listen.is_none() {
        screen.say(Tone::Warning, "no relay yet: give --relay ADDRESS, as its operator hands it out");
    }
    let downloads = place::downloads(args.downloads);
    let mut app = App::new(chat, me, screen, terminal, names, secrets, downloads, args.trust, registered, args.lobby);
    if waits {
        app.wait_for(Waiting::Connection);
    }
    Ok(app.run(&inputs))
}

/// The passphrase from where the user said, or typed: twice for a new state.
fn passphrase(secrets: &Secrets, new: bool) -> Result<Zeroizing<String>, Error> {
    if let Some(found) = secrets.find(Secret::Passphrase)? {
        return Ok(found);
    }
    if !new {
        return ask("passphrase: ").ok_or(Error::NoPassphrase);
    }
    ask_twice("choose a passphrase for this device's keys: ")
}

/// What is typed at the terminal, if there is one.
fn ask(prompt: &str) -> Option<Zeroizing<String>> {
    if std::io::stderr().is_terminal() { ask_secret(prompt) } else { None }
}

/// A new passphrase: a mistake in it would be noticed too late.
fn ask_twice(prompt: &str) -> Result<Zeroizing<String>, Error> {
    let first = ask(prompt).ok_or(Error::NoPassphrase)?;
    let second = ask("the same again: ").ok_or(Error::NoPassphrase)?;
    if *first == *second { Ok(first) } else { Err(Error::PassphrasesDiffer) }
}
