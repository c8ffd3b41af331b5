//! TLS with AES-128-GCM between the client and the server of rustls, and the keys they agree on.
//!
//! Their randomness is the system's: captures of one recipe differ in every byte that is encrypted,
//! not in what it says.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    CipherSuite, ClientConfig, ClientConnection, KeyLog, RootCertStore, ServerConfig,
    ServerConnection,
};

use crate::speech::Flight;
use crate::wire::Sender;

/// Whom the certificate names.
const HOST: &str = "shop.example.com";

/// Version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// TLS 1.2, with ECDHE.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What all connections of a capture share.
#[derive(Debug)]
pub(crate) struct Party {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    keys: Arc<Keys>,
}

impl Party {
    /// With a certificate of its own making.
    ///
    /// # Errors
    ///
    /// When rustls finds fault with it.
    pub(crate) fn new(version: Version) -> io::Result<Self> {
        let (protocol, suite) = match version {
            Version::Tls12 => (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
            Version::Tls13 => (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
        };
        let mut provider: CryptoProvider = ring::default_provider();
        provider.cipher_suites.retain(|known| known.suite() == suite);
        let provider = Arc::new(provider);
        let made =
            rcgen::generate_simple_self_signed([HOST.to_owned()]).map_err(io::Error::other)?;
        let mut trusted = RootCertStore::empty();
        trusted.add(made.cert.der().clone()).map_err(io::Error::other)?;
        let keys = Arc::new(Keys::default());
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[protocol])
            .map_err(io::Error::other)?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        client.key_log = Arc::clone(&keys) as Arc<dyn KeyLog>;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[protocol])
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .map_err(io::Error::other)?;
        Ok(Self { client: Arc::new(client), server: Arc::new(server), keys })
    }

    /// The key log of all connections so far, in SSLKEYLOGFILE format.
    pub(crate) fn key_log(&self) -> String {
        self.keys.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One connection: both ends.
#[derive(Debug)]
pub(crate) struct Session {
    client: ClientConnection,
    server: ServerConnection,
    text: Vec<u8>,
}

impl Session {
    /// Opens one, with its whole handshake.
    ///
    /// # Errors
    ///
    /// When the ends do not understand one another.
    pub(crate) fn open(party: &Party) -> io::Result<(Self, Vec<Flight>)> {
        let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
        let mut client =
            ClientConnection::new(Arc::clone(&party.client), name).map_err(io::Error::other)?;
        let mut server =
            ServerConnection::new(Arc::clone(&party.server)).map_err(io::Error::other)?;
        // What is sealed is taken at once: an answer of any size fits.
        client.set_buffer_limit(None);
        server.set_buffer_limit(None);
        let mut flights = Vec::new();
        loop {
            let mut flight = Vec::new();
            let sender = if client.wants_write() {
                while client.wants_write() {
                    client.write_tls(&mut flight)?;
                }
                let mut rest = &flight[..];
                while !rest.is_empty() {
                    server.read_tls(&mut rest)?;
                    server.process_new_packets().map_err(io::Error::other)?;
                }
                Sender::Client
            } else if server.wants_write() {
                while server.wants_write() {
                    server.write_tls(&mut flight)?;
                }
                let mut rest = &flight[..];
                while !rest.is_empty() {
                    client.read_tls(&mut rest)?;
                    client.process_new_packets().map_err(io::Error::other)?;
                }
                Sender::Server
            } else {
                break;
            };
            flights.push((sender, flight));
        }
        if client.is_handshaking() || server.is_handshaking() {
            return Err(io::Error::other("the bench's own ends found no handshake"));
        }
        Ok((Self { client, server, text: Vec::new() }, flights))
    }

    /// Where the next message is written before it is sealed: empty.
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        self.text.clear();
        &mut self.text
    }

    /// Appends the text as records of `sender`. The other end need not read them: nothing it writes
    /// depends on them.
    ///
    /// # Errors
    ///
    /// What rustls says.
    pub(crate) fn seal(&mut self, sender: Sender, out: &mut Vec<u8>) -> io::Result<()> {
        match sender {
            Sender::Client => {
                self.client.writer().write_all(&self.text)?;
                while self.client.wants_write() {
                    self.client.write_tls(out)?;
                }
            }
            Sender::Server => {
                self.server.writer().write_all(&self.text)?;
                while self.server.wants_write() {
                    self.server.write_tls(out)?;
                }
            }
        }
        Ok(())
    }

    /// What was sealed last.
    pub(crate) fn sealed(&self) -> &[u8] {
        &self.text
    }
}

/// Keeps what browsers and Envoy write into a key log.
#[derive(Debug, Default)]
struct Keys {
    lines: Mutex<String>,
}

impl KeyLog for Keys {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_str(label);
        for bytes in [client_random, secret] {
            lines.push(' ');
            for byte in bytes {
                // Into memory: it cannot fail.
                let _ = write!(lines, "{byte:02x}");
            }
        }
        lines.push('\n');
    }
}
