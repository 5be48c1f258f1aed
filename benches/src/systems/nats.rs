//! A client of nats-server: its text protocol over TLS, which begins behind the server's first line.

use super::TEXT;
use super::load::{Connection, Messenger};
use super::process::{Process, free_port};
use super::stream::{Certificate, Tls, connect};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A running nats-server.
pub struct Server {
    /// Its process.
    pub process: Process,
    port: u16,
}

impl Server {
    /// Starts it; none where it is not installed.
    pub fn start(folder: &Path, certificate: &Certificate) -> Option<Self> {
        let port = free_port();
        let configuration = folder.join("nats.conf");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\ntls {{ cert_file: {:?}, key_file: {:?} }}\n",
            certificate.certificate, certificate.key
        );
        std::fs::write(&configuration, text).unwrap();
        let process = Process::start(Process::silent("nats-server").arg("-c").arg(configuration))?;
        Some(Self { process, port })
    }

    /// A connection that publishes to `to`, and has what is published to `from`.
    pub fn connect(&self, certificate: &Certificate, to: &str, from: &str) -> Connection {
        let socket = connect(self.port);
        let mut line = String::new();
        BufReader::with_capacity(1, &socket).read_line(&mut line).unwrap();
        assert!(line.starts_with("INFO "), "{line}");
        let mut tls = Tls::connect(&socket, certificate);
        tls.output.extend_from_slice(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true}\r\n");
        tls.output.extend_from_slice(format!("SUB {from} 1\r\nPING\r\n").as_bytes());
        tls.exchange(&socket, |input| input.ends_with(b"PONG\r\n"));
        tls.input.clear();
        Connection::new(socket, Client { tls, head: format!("PUB {to} {TEXT}\r\n").into_bytes() })
    }
}

struct Client {
    tls: Tls,
    head: Vec<u8>,
}

impl Messenger for Client {
    fn publish(&mut self, number: u64) {
        let mut text = [b'x'; TEXT];
        text[..8].copy_from_slice(&number.to_be_bytes());
        self.tls.output.extend_from_slice(&self.head);
        self.tls.output.extend_from_slice(&text);
        self.tls.output.extend_from_slice(b"\r\n");
    }

    fn receive(&mut self, bytes: &[u8], delivered: &mut Vec<u64>) {
        self.tls.receive(bytes);
        let mut rest = &self.tls.input[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(end + 1);
            if line.starts_with(b"MSG ") {
                let Some(text) = behind.get(..TEXT + 2) else { break };
                delivered.push(u64::from_be_bytes(text[..8].try_into().unwrap()));
                rest = &behind[TEXT + 2..];
            } else {
                assert!(!line.starts_with(b"-ERR"), "{}", String::from_utf8_lossy(line));
                if line == b"PING\r\n" {
                    self.tls.output.extend_from_slice(b"PONG\r\n");
                }
                rest = behind;
            }
        }
        let read = self.tls.input.len() - rest.len();
        self.tls.input.drain(..read);
    }

    fn flush(&mut self, wire: &mut Vec<u8>) {
        self.tls.flush(wire);
    }
}
