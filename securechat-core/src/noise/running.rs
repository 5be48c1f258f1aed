//! The token loop (Noise section 5.3).

use super::keys::{Keys, RemoteKeys, RemoteStatic, Role, StaticKey};
use super::pattern::{Pattern, Token};
use super::symmetric::SymmetricState;
use crate::codec::Reader;
use crate::crypto::aead::Cipher;
use crate::crypto::label::Label;
use crate::crypto::secret::{Secret, SecretVec};
use crate::crypto::{ed25519, mlkem, rsa, x25519};
use crate::error::{ApiMisuse, Error, InvalidMessage, PeerMisbehaved};
use crate::limits;
use crate::suite::{KeyExchange, Suite};
use rand_core::CryptoRng;

/// Length of what the token `sig` carries: an identity key and a signature.
const SIG_LEN: usize = 32 + 64;
/// What stands between label and identity key in the signature of `sig`.
const SIG_SEPARATOR: &[u8] = &[0];

/// A handshake that has not failed.
pub(super) struct Running {
    pub(super) pattern: &'static Pattern,
    pub(super) suite: Suite,
    pub(super) role: Role,
    pub(super) symmetric: SymmetricState,
    /// The index of the next message.
    pub(super) next: usize,
    /// A static key or signature came in whose bundle has not been confirmed.
    unconfirmed: bool,
    psks: std::vec::IntoIter<Secret<32>>,

    local_static: Option<StaticKey>,
    local_identity: Option<ed25519::SigningKey>,
    local_ephemeral: Option<x25519::PrivateKey>,
    local_mlkem: Option<mlkem::DecapsulationKey>,

    remote_x25519: Option<x25519::PublicKey>,
    /// SHA-256 of the remote RSA key's DER, as `s` brought it.
    remote_rsa_id: Option<[u8; 32]>,
    remote_rsa: Option<rsa::PublicKey>,
    remote_signer: Option<ed25519::VerifyingKey>,
    remote_ephemeral: Option<x25519::PublicKey>,
    remote_mlkem: Option<mlkem::EncapsulationKey>,
}

impl Running {
    pub(super) fn new(
        pattern: &'static Pattern,
        suite: Suite,
        role: Role,
        prologue: &[u8],
        keys: Keys,
    ) -> Result<Self, Error> {
        let mut symmetric = SymmetricState::new(suite.cipher, &protocol_name(pattern, suite));
        symmetric.mix_hash(prologue);
        let (remote_x25519, remote_rsa) = match keys.remote_static {
            Some(RemoteStatic::X25519(key)) => (Some(key), None),
            Some(RemoteStatic::Rsa(key)) => (None, Some(key)),
            None => (None, None),
        };
        let mut running = Self {
            pattern,
            suite,
            role,
            symmetric,
            next: 0,
            unconfirmed: false,
            psks: keys.psks.into_iter(),
            local_static: keys.local_static,
            local_identity: keys.local_identity,
            local_ephemeral: keys.local_prekey,
            local_mlkem: keys.local_prekey_mlkem,
            remote_x25519,
            remote_rsa_id: remote_rsa.as_ref().map(rsa::PublicKey::id),
            remote_rsa,
            remote_signer: None,
            remote_ephemeral: keys.remote_prekey,
            remote_mlkem: keys.remote_prekey_mlkem,
        };
        for token in pattern.initiator_known {
            running.mix_known(*token, role == Role::Initiator)?;
        }
        for token in pattern.responder_known {
            running.mix_known(*token, role == Role::Responder)?;
        }
        Ok(running)
    }

    /// A token of a pre-message: a public key that both sides know.
    fn mix_known(&mut self, token: Token, ours: bool) -> Result<(), Error> {
        match (token, ours) {
            /* e */
            (Token::E, true) => self.mix_ephemeral(&needed(&self.local_ephemeral)?.public()),
            (Token::E, false) => {
                let key = *needed(&self.remote_ephemeral)?;
                self.mix_ephemeral(&key);
            }
            /* s */
            (Token::S, true) => {
                let public = self.local_static_public()?;
                self.symmetric.mix_hash(&public);
            }
            (Token::S, false) => match self.suite.key_exchange {
                KeyExchange::Rsa => self.symmetric.mix_hash(needed(&self.remote_rsa_id)?),
                _ => self.symmetric.mix_hash(needed(&self.remote_x25519)?.as_bytes()),
            },
            /* e1 */
            (Token::E1, true) => self.symmetric.mix_hash(needed(&self.local_mlkem)?.encapsulation_key().as_bytes()),
            (Token::E1, false) => self.symmetric.mix_hash(needed(&self.remote_mlkem)?.as_bytes()),
            _ => return Err(ApiMisuse::WrongState.into()),
        }
        Ok(())
    }

    pub(super) fn write(&mut self, payload: &[u8], rng: &mut dyn CryptoRng, out: &mut Vec<u8>) -> Result<(), Error> {
        let tokens = self.begin(true)?;
        let start = out.len();
        for token in tokens {
            self.write_token(*token, rng, out)?;
        }
        self.symmetric.encrypt_and_hash(payload, out);
        if out.len() - start > limits::FRAME_MAX {
            return Err(ApiMisuse::TooLarge.into());
        }
        self.next += 1;
        Ok(())
    }

    pub(super) fn read(&mut self, message: &[u8], rng: &mut dyn CryptoRng) -> Result<SecretVec, Error> {
        let tokens = self.begin(false)?;
        if message.len() > limits::FRAME_MAX {
            return Err(InvalidMessage::OutOfBounds.into());
        }
        let mut reader = Reader::new(message);
        for token in tokens {
            self.read_token(*token, &mut reader, rng)?;
        }
        let payload = self.symmetric.decrypt_and_hash(reader.rest())?;
        self.next += 1;
        Ok(payload)
    }

    fn write_token(&mut self, token: Token, rng: &mut dyn CryptoRng, out: &mut Vec<u8>) -> Result<(), Error> {
        match token {
            /* e */
            Token::E => {
                let key = x25519::PrivateKey::generate(rng);
                let public = key.public();
                out.extend_from_slice(public.as_bytes());
                self.mix_ephemeral(&public);
                self.local_ephemeral = Some(key);
            }
            /* s */
            Token::S => {
                let public = self.local_static_public()?;
                self.symmetric.encrypt_and_hash(&public, out);
            }
            /* e1 */
            Token::E1 => {
                let key = mlkem::DecapsulationKey::generate(rng);
                self.symmetric.encrypt_and_hash(key.encapsulation_key().as_bytes(), out);
                self.local_mlkem = Some(key);
            }
            /* ekem1 */
            Token::Ekem1 => {
                let (ciphertext, secret) = needed(&self.remote_mlkem)?.encapsulate(rng);
                self.symmetric.encrypt_and_hash(&ciphertext, out);
                self.symmetric.mix_key(secret.as_bytes());
            }
            /* skem */
            Token::Skem => {
                let (ciphertext, secret) = needed(&self.remote_rsa)?.encapsulate(rng);
                self.symmetric.encrypt_and_hash(&ciphertext, out);
                self.symmetric.mix_key(secret.as_bytes());
            }
            /* sig */
            Token::Sig => {
                let key = needed(&self.local_identity)?;
                let identity = key.verifying_key();
                let signature =
                    key.sign(Label::HANDSHAKE, &[SIG_SEPARATOR, identity.as_bytes(), self.symmetric.hash()]);
                self.symmetric.encrypt_and_hash(&[identity.as_bytes().as_slice(), &signature].concat(), out);
            }
            Token::Ee | Token::Es | Token::Se | Token::Ss | Token::Psk => self.mix_secret(token)?,
        }
        Ok(())
    }

    fn read_token(&mut self, token: Token, reader: &mut Reader<'_>, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        match token {
            /* e */
            Token::E => {
                let key = x25519::PublicKey::from_bytes(reader.array()?);
                self.mix_ephemeral(&key);
                self.remote_ephemeral = Some(key);
            }
            /* s */
            Token::S => {
                let bytes = *self.open(reader, 32)?.first_chunk::<32>().ok_or(InvalidMessage::Truncated)?;
                match self.suite.key_exchange {
                    KeyExchange::Rsa => self.remote_rsa_id = Some(bytes),
                    _ => self.remote_x25519 = Some(x25519::PublicKey::from_bytes(bytes)),
                }
                self.unconfirmed = true;
            }
            /* e1 */
            Token::E1 => {
                let bytes = self.open(reader, mlkem::ENCAPSULATION_KEY_LEN)?;
                self.remote_mlkem = Some(mlkem::EncapsulationKey::from_bytes(&bytes)?);
            }
            /* ekem1 */
            Token::Ekem1 => {
                let ciphertext = self.open(reader, mlkem::CIPHERTEXT_LEN)?;
                let secret = needed(&self.local_mlkem)?.decapsulate(&ciphertext)?;
                self.symmetric.mix_key(secret.as_bytes());
            }
            /* skem */
            Token::Skem => {
                let Some(StaticKey::Rsa(key)) = &self.local_static else { return Err(ApiMisuse::MissingKey.into()) };
                let key = key.clone();
                let ciphertext = self.open(reader, key.public().ciphertext_len())?;
                self.symmetric.mix_key(key.decapsulate(&ciphertext, rng).as_bytes());
            }
            /* sig */
            Token::Sig => {
                let hash = *self.symmetric.hash();
                let bytes = self.open(reader, SIG_LEN)?;
                let mut parts = Reader::new(&bytes);
                let identity = ed25519::VerifyingKey::from_bytes(parts.array()?);
                identity.verify(Label::HANDSHAKE, &[SIG_SEPARATOR, identity.as_bytes(), &hash], &parts.array()?)?;
                self.remote_signer = Some(identity);
                self.unconfirmed = true;
            }
            Token::Ee | Token::Es | Token::Se | Token::Ss | Token::Psk => self.mix_secret(token)?,
        }
        Ok(())
    }

    /// The tokens that put nothing on the wire and are the same for writer and reader.
    fn mix_secret(&mut self, token: Token) -> Result<(), Error> {
        let initiator = self.role == Role::Initiator;
        let (local_is_static, remote_is_static) = match token {
            Token::Psk => {
                let psk = self.psks.next().ok_or(ApiMisuse::MissingKey)?;
                self.symmetric.mix_key_and_hash(psk.as_bytes());
                return Ok(());
            }
            /* ee */
            Token::Ee => (false, false),
            /* es */
            Token::Es => (!initiator, initiator),
            /* se */
            Token::Se => (initiator, !initiator),
            /* ss */
            _ => (true, true),
        };
        let local = match (&self.local_static, local_is_static) {
            (Some(StaticKey::X25519(key)), true) => key,
            (_, true) => return Err(ApiMisuse::MissingKey.into()),
            (_, false) => needed(&self.local_ephemeral)?,
        };
        let remote = needed(if remote_is_static { &self.remote_x25519 } else { &self.remote_ephemeral })?;
        let secret = local.agree(remote)?;
        self.symmetric.mix_key(secret.as_bytes());
        Ok(())
    }

    fn mix_ephemeral(&mut self, public: &x25519::PublicKey) {
        self.symmetric.mix_hash(public.as_bytes());
        if self.pattern.has_psk() {
            self.symmetric.mix_key(public.as_bytes());
        }
    }

    /// What our `s` carries: the X25519 key, or the SHA-256 of the RSA key's DER.
    fn local_static_public(&self) -> Result<[u8; 32], Error> {
        match (&self.local_static, self.suite.key_exchange) {
            (Some(StaticKey::Rsa(key)), KeyExchange::Rsa) => Ok(key.public().id()),
            (Some(StaticKey::X25519(key)), KeyExchange::X25519 | KeyExchange::Hybrid) => Ok(*key.public().as_bytes()),
            _ => Err(ApiMisuse::MissingKey.into()),
        }
    }

    /// Reads and opens a field of `length` bytes.
    fn open(&mut self, reader: &mut Reader<'_>, length: usize) -> Result<SecretVec, Error> {
        Ok(self.symmetric.decrypt_and_hash(reader.take(self.symmetric.sealed_len(length))?)?)
    }

    pub(super) fn confirm(&mut self, remote: &RemoteKeys<'_>) -> Result<(), Error> {
        if self.remote_x25519.is_some_and(|key| key != *remote.x25519) {
            return Err(PeerMisbehaved::StaticKeyMismatch.into());
        }
        if let Some(id) = self.remote_rsa_id {
            let key = remote.rsa.filter(|key| key.id() == id).ok_or(PeerMisbehaved::StaticKeyMismatch)?;
            self.remote_rsa = Some(key.clone());
        }
        if self.remote_signer.is_some_and(|signer| signer != *remote.identity) {
            return Err(PeerMisbehaved::IdentityMismatch.into());
        }
        self.unconfirmed = false;
        Ok(())
    }

    /// The tokens of the next message.
    pub(super) fn tokens(&self) -> Option<&'static [Token]> {
        self.pattern.messages.get(self.next).copied()
    }

    pub(super) fn is_my_turn(&self) -> bool {
        (self.role == Role::Initiator) == self.next.is_multiple_of(2)
    }

    /// The tokens of the next message, if it is the right one to write or read now.
    fn begin(&self, writing: bool) -> Result<&'static [Token], Error> {
        self.tokens().filter(|_| self.is_my_turn() == writing && !self.unconfirmed).ok_or(ApiMisuse::WrongState.into())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.tokens().is_none() && !self.unconfirmed
    }

    pub(super) fn finished(self: Box<Self>) -> Result<Box<Self>, Error> {
        if self.is_finished() { Ok(self) } else { Err(ApiMisuse::WrongState.into()) }
    }
}

/// A key without which the pattern cannot go on.
fn needed<T>(key: &Option<T>) -> Result<&T, Error> {
    key.as_ref().ok_or(ApiMisuse::MissingKey.into())
}

/// `Noise_PATTERN_DH_CIPHER_HASH`.
pub(super) fn protocol_name(pattern: &Pattern, suite: Suite) -> String {
    let key_exchange = match suite.key_exchange {
        KeyExchange::X25519 => "25519",
        KeyExchange::Rsa => "25519+RSAOAEP",
        KeyExchange::Hybrid => "25519+MLKEM768",
    };
    let cipher = match suite.cipher {
        Cipher::AesGcm => "AESGCM",
        Cipher::AesCbcHmac => "AESCBCHMAC",
    };
    format!("Noise_{}_{key_exchange}_{cipher}_SHA256", pattern.name)
}
