//! A client in a process of its own, told what to do by lines and telling what happens by lines.

use super::process::Process;
use super::relay::SUITE;
use securechat_client::{Chat, State, StateOptions, Update};
use securechat_core::event::{Event, MessageBody};
use securechat_core::identity::{RelayAddress, UserName};
use securechat_core::suite::Policy;
use std::io::{BufRead, BufReader, Write, stdin};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// A client that runs.
pub struct Person {
    /// Its process.
    pub process: Process,
    lines: BufReader<ChildStdout>,
}

impl Person {
    /// Starts this program again as a client ([`run`]) with a state in `folder`.
    pub fn start(folder: &Path, name: &str, relay: &RelayAddress) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("client").arg(folder).arg(name).arg(relay.to_string());
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
        let lines = BufReader::new(process.child().stdout.take().unwrap());
        Self { process, lines }
    }

    /// Has it do something: `register`, `text NAME`, `file NAME PATH`.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.process.child().stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits until something happened: `open`, `logged in`, `text`, `saved`, `sent`.
    pub fn wait_for(&mut self, what: &str) {
        let mut line = String::new();
        while line.trim() != what {
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the client ended before {what:?}");
            assert!(!line.starts_with("fault"), "{line}");
        }
    }

    /// Lets it end in order.
    pub fn end(mut self) {
        drop(self.process.child().stdin.take());
        self.process.child().wait().unwrap();
    }
}

/// Runs a client in this process until its input ends. Files that are offered are taken into `folder`.
pub fn run(folder: &Path, name: &str, relay: &str) {
    let mut options = StateOptions::new(folder.join("state"), Zeroizing::new("a passphrase".to_owned()));
    options.user = Some(UserName::new(name).unwrap());
    options.policy = Policy::new(vec![SUITE]).unwrap();
    let chat: Arc<Mutex<Option<Chat>>> = Arc::default();
    let (offers, offered) = std::sync::mpsc::channel();
    let sink = move |update| {
        let line = match update {
            Update::Event(Event::LinkOpen { .. }) => "open",
            Update::Event(Event::LoggedIn { .. }) => "logged in",
            Update::Event(Event::Message(message)) if matches!(message.body, MessageBody::Text(_)) => "text",
            Update::Event(Event::FileOffered { file, name, size, .. }) => {
                return offers.send((file, name, size)).unwrap();
            }
            Update::Event(Event::FileSent { .. }) => "sent",
            Update::Saved { .. } => "saved",
            Update::Event(Event::Failed { .. } | Event::FileFailed { .. } | Event::Refused { .. })
            | Update::TransferFailed { .. } => return println!("fault: {update:?}"),
            _ => return,
        };
        println!("{line}");
    };
    *chat.lock().unwrap() = Some(Chat::start(State::open(options).unwrap(), sink).unwrap());
    let with = |act: &dyn Fn(&Chat)| act(chat.lock().unwrap().as_ref().unwrap());
    std::thread::spawn({
        let (chat, folder) = (chat.clone(), folder.to_owned());
        move || {
            for (file, name, size) in offered {
                chat.lock().unwrap().as_ref().unwrap().accept_file(file, name, size, &folder).unwrap();
            }
        }
    });
    with(&|chat| chat.connect(relay.parse().unwrap()).unwrap());
    for line in stdin().lines() {
        let line = line.unwrap();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let to = || UserName::new(&words[1]).unwrap();
        with(&|chat| match words[0].as_str() {
            "register" => chat.call(|client, now| client.register("a password", now)).unwrap(),
            "text" => {
                let to = to();
                chat.call(move |client, now| client.send_text(&to, "hello", now).map(drop)).unwrap();
            }
            _ => drop(chat.send_file(to(), &words[2]).unwrap()),
        });
    }
    let chat = chat.lock().unwrap().take();
    chat.unwrap().stop();
}
