//! TLS 1.3 as rustls has it, over AWS-LC.

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::Arc;

/// The key exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// X25519.
    X25519,
    /// X25519 with ML-KEM-768.
    Hybrid,
}

/// A client and a server of AES-256-GCM, whose certificate is self-signed with P-256. Sessions are not resumed.
pub struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Ends {
    /// Ends that will use this key exchange.
    pub fn new(group: Group) -> Self {
        let group: &'static dyn SupportedKxGroup = match group {
            Group::X25519 => aws_lc_rs::kx_group::X25519,
            Group::Hybrid => aws_lc_rs::kx_group::X25519MLKEM768,
        };
        let provider = provider(group);
        let certified = rcgen::generate_simple_self_signed(["relay".to_owned()]).unwrap();
        let certificate: CertificateDer<'static> = certified.cert.der().clone();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let client = client_with(provider.clone(), certificate.clone());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(TLS_13)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        server.send_tls13_tickets = 0;
        Self { client, server: Arc::new(server) }
    }

    /// A handshake from the first byte to the last.
    pub fn open(&self) -> (ClientConnection, ServerConnection) {
        let name = ServerName::try_from("relay").unwrap();
        let mut client = ClientConnection::new(self.client.clone(), name).unwrap();
        let mut server = ServerConnection::new(self.server.clone()).unwrap();
        client.set_buffer_limit(None);
        server.set_buffer_limit(None);
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            feed(&mut server, &wire);
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut rest = &wire[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
            }
            wire.clear();
        }
        (client, server)
    }
}

const TLS_13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

fn provider(group: &'static dyn SupportedKxGroup) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![group],
        ..aws_lc_rs::default_provider()
    })
}

/// A client that trusts this certificate alone.
pub fn client(certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
    client_with(provider(aws_lc_rs::kx_group::X25519), certificate)
}

fn client_with(provider: Arc<CryptoProvider>, certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(TLS_13).unwrap();
    let mut client = client.with_root_certificates(roots).with_no_client_auth();
    client.resumption = rustls::client::Resumption::disabled();
    Arc::new(client)
}

/// Seals `data` into `wire`, in as many records as it takes.
pub fn seal(from: &mut ClientConnection, data: &[u8], wire: &mut Vec<u8>) {
    wire.clear();
    from.writer().write_all(data).unwrap();
    while from.wants_write() {
        from.write_tls(wire).unwrap();
    }
}

/// Opens all of `wire` into `data`, which has that length.
pub fn open(to: &mut ServerConnection, wire: &[u8], data: &mut [u8]) {
    let mut filled = 0;
    let mut rest = wire;
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets().unwrap();
        while filled < data.len() {
            match to.reader().read(&mut data[filled..]) {
                Ok(length) => filled += length,
                Err(_) => break,
            }
        }
    }
    assert_eq!(filled, data.len());
}

fn feed(to: &mut ServerConnection, mut wire: &[u8]) {
    while !wire.is_empty() {
        to.read_tls(&mut wire).unwrap();
        to.process_new_packets().unwrap();
    }
}
