//! The handshake: what its messages do to the keys of both directions.
//!
//! Owns the order of epochs. A direction that has entered one whose secret is not known is blocked
//! until the key log tells it.

use super::derive::{self, Agreed};
use super::half::Epoch;
use super::hello::{ClientHello, EncryptedExtensions, Message, ServerHello, Version};
use super::opener::Opener;
use super::suite::Suite;
use super::{Connection, EarlyData, Plaintext};
use crate::context::Context;
use crate::flow::Direction;
use crate::keylog::{KeyLog, Label, Secret};
use crate::reassembly::GapCause;
use crate::{Anomaly, Timestamp};

impl Connection {
    pub(super) fn handle(
        &mut self,
        direction: Direction,
        message: Message,
        at: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let is_tls13 = self.is_tls13();
        let epoch = self.halves[direction as usize].epoch;
        match (message, direction) {
            (Message::ClientHello(hello), Direction::ToServer) => self.client_hello(hello),
            (Message::ServerHello(hello), Direction::ToClient) => self.server_hello(hello, cx, out),
            (Message::EncryptedExtensions(extensions), Direction::ToClient) if is_tls13 => {
                self.encrypted_extensions(extensions, at, cx, out);
            }
            (Message::EndOfEarlyData, Direction::ToServer) if epoch == Epoch::Early => {
                self.enter(direction, Epoch::Handshake, cx.keys);
            }
            (Message::Finished, _) if epoch == Epoch::Handshake => {
                self.enter(direction, Epoch::Traffic, cx.keys);
            }
            (Message::KeyUpdate, _) if is_tls13 && epoch == Epoch::Traffic => {
                let half = &self.halves[direction as usize];
                let next = self.following(direction, epoch, half.secret.as_ref(), cx.keys);
                if let Some((_, Some(secret))) = next {
                    self.install(direction, Some(secret), cx.keys);
                }
            }
            (Message::Malformed, _) => self.give_up(Anomaly::TlsUnsupported, cx, out),
            _ => {}
        }
    }

    pub(super) fn client_hello(&mut self, hello: ClientHello) {
        let ClientHello { random, server_name, alpn, early_data } = hello;
        let half = &mut self.halves[Direction::ToServer as usize];
        if early_data && self.early == EarlyData::None && half.epoch == Epoch::Clear {
            self.early = EarlyData::Offered;
            half.epoch = Epoch::Early;
        }
        self.settled.client_random = Some(random);
        self.settled.server_name = server_name;
        self.settled.alpn = alpn;
    }

    fn server_hello(&mut self, hello: ServerHello, cx: &mut Context<'_>, out: &mut impl Plaintext) {
        if hello.retry {
            // RFC 8446 §4.1.2: another ClientHello comes, without early data.
            return self.refuse_early_data();
        }
        let Some(version) = hello.version.zip(Suite::of(hello.suite)) else {
            return self.give_up(Anomaly::TlsUnsupported, cx, out);
        };
        self.settled.version = Some(version);
        self.settled.server_random = hello.random;
        self.settled.encrypt_then_mac = hello.encrypt_then_mac;
        self.settled.compressed = hello.compressed;
        if version.0 == Version::Tls13 {
            self.enter(Direction::ToClient, Epoch::Handshake, cx.keys);
            if self.early != EarlyData::Offered {
                self.enter(Direction::ToServer, Epoch::Handshake, cx.keys);
            }
        } else {
            self.refuse_early_data();
            if let Some(alpn) = hello.alpn {
                out.protocol(&alpn);
                self.settled.alpn = Some(alpn);
            }
        }
    }

    fn refuse_early_data(&mut self) {
        if self.early == EarlyData::Offered {
            self.early = EarlyData::Settled;
            self.halves[Direction::ToServer as usize].epoch = Epoch::Clear;
        }
    }

    fn encrypted_extensions(
        &mut self,
        extensions: EncryptedExtensions,
        at: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        if let Some(alpn) = extensions.alpn {
            out.protocol(&alpn);
            self.settled.alpn = Some(alpn);
        }
        if self.early != EarlyData::Offered {
            return;
        }
        self.early = EarlyData::Settled;
        if extensions.early_data {
            self.enter(Direction::ToServer, Epoch::Early, cx.keys);
            if self.halves[Direction::ToServer as usize].opener.is_some() {
                return;
            }
            // Its secret is not in the log, though others of the session are.
            self.miss(Direction::ToServer, 1, at, GapCause::Missing, cx, out);
        }
        self.enter(Direction::ToServer, Epoch::Handshake, cx.keys);
        self.halves[Direction::ToServer as usize].refused = true;
    }

    /// TLS 1.2 and before: the keys last settled are in use from here on.
    pub(super) fn change_cipher(&mut self, direction: Direction, keys: &KeyLog) {
        if self.settled.version.is_some_and(|(version, _)| version != Version::Tls13) {
            self.enter(direction, Epoch::Master, keys);
            let inflater = self.settled.compressed.then(Box::default);
            self.halves[direction as usize].inflater = inflater;
        }
    }

    /// A direction goes on with other keys.
    fn enter(&mut self, direction: Direction, epoch: Epoch, keys: &KeyLog) {
        let half = &mut self.halves[direction as usize];
        half.epoch = epoch;
        half.opener = None;
        half.secret = None;
        half.messages.reset();
        let secret = self.secret(direction, epoch, keys).cloned();
        if secret.is_some() {
            self.install(direction, secret, keys);
        }
    }

    /// Directions that wait for a key look for it.
    pub(super) fn find_keys(&mut self, keys: &KeyLog) {
        for direction in Direction::BOTH {
            let half = &self.halves[direction as usize];
            let undecided = half.epoch == Epoch::Early && self.early == EarlyData::Offered;
            if half.is_blocked() && !undecided {
                let secret = self.secret(direction, half.epoch, keys).cloned();
                if secret.is_some() {
                    self.install(direction, secret, keys);
                }
            }
        }
    }

    fn install(&mut self, direction: Direction, secret: Option<Secret>, keys: &KeyLog) {
        let epoch = self.halves[direction as usize].epoch;
        let opener = self.opener(direction, epoch, secret.as_ref(), keys);
        let half = &mut self.halves[direction as usize];
        half.opener = opener.map(Box::new);
        half.secret = secret;
        half.messages.reset();
    }

    pub(super) fn opener(
        &self,
        direction: Direction,
        epoch: Epoch,
        secret: Option<&Secret>,
        keys: &KeyLog,
    ) -> Option<Opener> {
        let (version, suite) = self.settled.version?;
        let keys = match epoch {
            Epoch::Clear => return None,
            Epoch::Master => derive::master_keys(
                &Agreed {
                    version,
                    suite,
                    master: self.secret(direction, epoch, keys)?,
                    client_random: self.settled.client_random.as_ref()?,
                    server_random: &self.settled.server_random,
                },
                direction,
            ),
            Epoch::Early | Epoch::Handshake | Epoch::Traffic => {
                derive::traffic_keys(suite, secret?)
            }
        };
        Opener::new(version, suite, self.settled.encrypt_then_mac, &keys)
    }

    /// What the key log has for an epoch of a direction.
    pub(super) fn secret<'k>(
        &self,
        direction: Direction,
        epoch: Epoch,
        keys: &'k KeyLog,
    ) -> Option<&'k Secret> {
        let label = match (epoch, direction) {
            (Epoch::Clear, _) => return None,
            (Epoch::Master, _) => Label::Master,
            (Epoch::Early, _) => Label::ClientEarly,
            (Epoch::Handshake, Direction::ToServer) => Label::ClientHandshake,
            (Epoch::Handshake, Direction::ToClient) => Label::ServerHandshake,
            (Epoch::Traffic, Direction::ToServer) => Label::ClientTraffic,
            (Epoch::Traffic, Direction::ToClient) => Label::ServerTraffic,
        };
        keys.secret(self.settled.client_random.as_ref()?, label)
    }

    /// The epoch after `epoch`, and its secret.
    pub(super) fn following(
        &self,
        direction: Direction,
        epoch: Epoch,
        secret: Option<&Secret>,
        keys: &KeyLog,
    ) -> Option<(Epoch, Option<Secret>)> {
        let (version, suite) = self.settled.version?;
        let next = match (version, epoch) {
            (Version::Tls13, Epoch::Clear | Epoch::Early) => Epoch::Handshake,
            (Version::Tls13, Epoch::Handshake) => Epoch::Traffic,
            (Version::Tls13, _) => {
                return Some((Epoch::Traffic, Some(derive::next_secret(suite, secret?)?)));
            }
            (_, Epoch::Clear) => return Some((Epoch::Master, None)),
            _ => return None,
        };
        Some((next, Some(self.secret(direction, next, keys)?.clone())))
    }
}
