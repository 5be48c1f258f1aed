//! A client of mosquitto: MQTT 3.1.1 with QoS 1 over TLS, in a session that outlives its connection.

use super::TEXT;
use super::load::{Connection, Messenger};
use super::process::{Process, free_port};
use super::stream::{Certificate, Tls, connect};
use std::path::Path;

const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const QOS_1: u8 = 0x02;

/// A running mosquitto.
pub struct Server {
    /// Its process.
    pub process: Process,
    port: u16,
}

impl Server {
    /// Starts it with persistence; none where it is not installed.
    pub fn start(folder: &Path, certificate: &Certificate) -> Option<Self> {
        let port = free_port();
        let configuration = folder.join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\ncertfile {}\nkeyfile {}\npersistence true\n\
             persistence_location {}/\nmax_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\nuser root\n",
            certificate.certificate.display(),
            certificate.key.display(),
            folder.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let process = Process::start(Process::silent("mosquitto").arg("-c").arg(configuration))?;
        Some(Self { process, port })
    }

    /// A connection that publishes to `to`, and has what is published to `from`.
    pub fn connect(&self, certificate: &Certificate, name: &str, to: &str, from: &str) -> Connection {
        let socket = connect(self.port);
        let mut tls = Tls::connect(&socket, certificate);
        packet(&mut tls.output, CONNECT, &[&text("MQTT"), &[4, 0, 0, 0], &text(name)]);
        tls.exchange(&socket, |input| input.len() >= 4);
        assert_eq!(std::mem::take(&mut tls.input), [0x20, 2, 0, 0]);
        packet(&mut tls.output, SUBSCRIBE, &[&[0, 1], &text(from), &[1]]);
        tls.exchange(&socket, |input| input.len() >= 5);
        assert_eq!(std::mem::take(&mut tls.input), [0x90, 3, 0, 1, 1]);
        Connection::new(socket, Client { tls, topic: text(to), last_id: 0 })
    }
}

struct Client {
    tls: Tls,
    topic: Vec<u8>,
    last_id: u16,
}

impl Messenger for Client {
    fn publish(&mut self, number: u64) {
        let mut text = [b'x'; TEXT];
        text[..8].copy_from_slice(&number.to_be_bytes());
        self.last_id = self.last_id.wrapping_add(1).max(1);
        packet(&mut self.tls.output, PUBLISH | QOS_1, &[&self.topic, &self.last_id.to_be_bytes(), &text]);
    }

    fn receive(&mut self, bytes: &[u8], delivered: &mut Vec<u64>) {
        self.tls.receive(bytes);
        let mut read = 0;
        while let Some((kind, body)) = next(&self.tls.input[read..]) {
            let begin = read + body.start;
            read += body.end;
            if kind & 0xF0 == PUBLISH {
                let body = &self.tls.input[begin..read];
                let (_, rest) = body.split_at(2 + usize::from(u16::from_be_bytes([body[0], body[1]])));
                delivered.push(u64::from_be_bytes(rest[2..10].try_into().unwrap()));
                packet(&mut self.tls.output, PUBACK, &[&rest[..2]]);
            }
        }
        self.tls.input.drain(..read);
    }

    fn flush(&mut self, wire: &mut Vec<u8>) {
        self.tls.flush(wire);
    }
}

/// The kind of the first packet, and where its body lies; none while it is not whole.
fn next(input: &[u8]) -> Option<(u8, std::ops::Range<usize>)> {
    let (kind, rest) = input.split_first()?;
    let (mut length, mut begin) = (0, 1);
    for (place, byte) in rest.iter().enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * place);
        begin += 1;
        if byte & 0x80 == 0 {
            return (input.len() >= begin + length).then(|| (*kind, begin..begin + length));
        }
    }
    None
}

fn packet(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    out.push(kind);
    let mut length: usize = parts.iter().map(|part| part.len()).sum();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}
