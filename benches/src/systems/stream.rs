//! A client's side of TLS 1.3 on a socket: what the peers run over.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name that the certificate is for.
pub const NAME: &str = "relay";

/// A self-signed certificate with its key, in files for servers, and what its clients need.
pub struct Certificate {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    client: Arc<ClientConfig>,
}

impl Certificate {
    /// Makes one in a folder.
    pub fn new(folder: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { certificate, key, client: crate::tls::client(made.cert.der().clone()) }
    }
}

/// Plain text in and out.
pub struct Tls {
    connection: ClientConnection,
    /// What is to be sent: one record of all that gathers until it is flushed.
    pub output: Vec<u8>,
    /// What came and is not read yet.
    pub input: Vec<u8>,
}

impl Tls {
    /// The handshake, on a socket that blocks.
    pub fn connect(mut socket: &TcpStream, certificate: &Certificate) -> Self {
        let name = ServerName::try_from(NAME).unwrap();
        let mut connection = ClientConnection::new(certificate.client.clone(), name).unwrap();
        connection.set_buffer_limit(None);
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).unwrap();
        }
        Self { connection, output: Vec::new(), input: Vec::new() }
    }

    /// Sends what gathered and waits until `done` finds what it needs in the answer; for a socket that blocks.
    pub fn exchange(&mut self, mut socket: &TcpStream, done: impl Fn(&[u8]) -> bool) {
        let (mut wire, mut bytes) = (Vec::new(), [0; 4096]);
        self.flush(&mut wire);
        socket.write_all(&wire).unwrap();
        while !done(&self.input) {
            let count = socket.read(&mut bytes).unwrap();
            assert!(count > 0, "the server ended the connection: {:?}", String::from_utf8_lossy(&self.input));
            self.receive(&bytes[..count]);
        }
    }

    /// Takes bytes from the socket.
    pub fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.connection.read_tls(&mut bytes).unwrap();
            self.connection.process_new_packets().unwrap();
            match self.connection.reader().read_to_end(&mut self.input) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    /// Seals what gathered.
    pub fn flush(&mut self, wire: &mut Vec<u8>) {
        if !self.output.is_empty() {
            self.connection.writer().write_all(&self.output).unwrap();
            self.output.clear();
        }
        while self.connection.wants_write() {
            self.connection.write_tls(wire).unwrap();
        }
    }
}

/// Waits until a server listens.
pub fn connect(port: u16) -> TcpStream {
    for _ in 0..500 {
        if let Ok(socket) = TcpStream::connect(("127.0.0.1", port)) {
            return socket;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("nothing listens on port {port}");
}
