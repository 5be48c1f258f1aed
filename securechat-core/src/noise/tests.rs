//! Whole handshakes, every pattern in every suite, and what must not work in them.

mod bounds;
mod later;

use super::symmetric::SymmetricState;
use super::*;
use crate::crypto::secret::Secret;
use crate::crypto::secret::SecretVec;
use crate::crypto::{ed25519, mlkem, rsa, test_keys, x25519};
use crate::error::{ApiMisuse, Decrypt, Error, InvalidMessage, PeerMisbehaved};
use crate::suite::{KeyExchange, Suite};
use crate::vectors::LOW_ORDER;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::{Arc, LazyLock};

const PAYLOADS: [&[u8]; 4] = [b"one", b"", b"a third payload, longer than a block of AES", b"four"];

static PARTIES: LazyLock<[Party; 3]> = LazyLock::new(|| [10, 11, 12].map(Party::new));

fn patterns(suite: Suite) -> [&'static Pattern; 3] {
    [Pattern::relay_link, Pattern::peer_link, Pattern::session].map(|of| of(suite.key_exchange))
}

/// What one side has.
struct Party {
    identity: ed25519::SigningKey,
    x25519: x25519::PrivateKey,
    rsa: Arc<rsa::PrivateKey>,
    prekey: x25519::PrivateKey,
    mlkem: mlkem::DecapsulationKey,
}

impl Party {
    fn new(seed: u64) -> Self {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        // Of different lengths, so that neither is taken for the other.
        let der = if seed.is_multiple_of(2) { test_keys::RSA_2048 } else { test_keys::RSA_3072 };
        Self {
            identity: ed25519::SigningKey::generate(rng),
            x25519: x25519::PrivateKey::generate(rng),
            rsa: Arc::new(rsa::PrivateKey::from_der(der).unwrap()),
            prekey: x25519::PrivateKey::generate(rng),
            mlkem: mlkem::DecapsulationKey::generate(rng),
        }
    }

    fn static_key(&self, suite: Suite) -> StaticKey {
        match suite.key_exchange {
            KeyExchange::Rsa => StaticKey::Rsa(self.rsa.clone()),
            _ => StaticKey::X25519(self.x25519.duplicate()),
        }
    }

    fn keys(&self, suite: Suite) -> Keys {
        Keys {
            local_static: Some(self.static_key(suite)),
            local_identity: Some(ed25519::SigningKey::from_bytes(self.identity.as_bytes())),
            ..Keys::default()
        }
    }

    fn confirm(&self, other: &mut Handshake) -> Result<(), Error> {
        other.confirm(&RemoteKeys {
            identity: &self.identity.verifying_key(),
            x25519: &self.x25519.public(),
            rsa: Some(self.rsa.public()),
        })
    }
}

/// Both ends of a handshake and the keys behind them.
struct Run {
    parties: &'static [Party; 3],
    ends: [Handshake; 2],
    rng: ChaCha20Rng,
}

impl Run {
    fn new(pattern: &'static Pattern, suite: Suite) -> Self {
        let parties: &'static [Party; 3] = &PARTIES;
        let [initiator, responder, _] = parties;
        let mut keys = [initiator.keys(suite), responder.keys(suite)];
        if pattern.responder_known.contains(&Token::E) {
            keys[0].remote_static = Some(match suite.key_exchange {
                KeyExchange::Rsa => RemoteStatic::Rsa(responder.rsa.public().clone()),
                _ => RemoteStatic::X25519(responder.x25519.public()),
            });
            keys[0].remote_prekey = Some(responder.prekey.public());
            keys[0].remote_prekey_mlkem = Some(responder.mlkem.encapsulation_key());
            keys[1].local_prekey = Some(responder.prekey.duplicate());
            keys[1].local_prekey_mlkem = Some(mlkem::DecapsulationKey::from_seed(responder.mlkem.seed()));
        }
        let mut roles = [Role::Initiator, Role::Responder].into_iter();
        let ends = keys.map(|keys| Handshake::new(pattern, suite, roles.next().unwrap(), b"prologue", keys).unwrap());
        Self { parties, ends, rng: ChaCha20Rng::seed_from_u64(7) }
    }

    /// One message, changed on its way; the error is the reader's.
    fn exchange(&mut self, index: usize, change: impl FnOnce(&mut Vec<u8>)) -> Result<SecretVec, Error> {
        let (writer, reader) = (index % 2, (index + 1) % 2);
        assert!(self.ends[writer].is_my_turn() && !self.ends[reader].is_my_turn());
        let carries_identity = self.ends[writer].carries_identity();
        assert_eq!(carries_identity, self.ends[reader].carries_identity());
        let mut message = Vec::new();
        self.ends[writer].write(PAYLOADS[index], &mut self.rng, &mut message)?;
        change(&mut message);
        let payload = self.ends[reader].read(&message, &mut self.rng)?;
        if carries_identity {
            self.parties[writer].confirm(&mut self.ends[reader])?;
        }
        Ok(payload)
    }

    fn complete(mut self, pattern: &Pattern) -> [Handshake; 2] {
        for (index, payload) in PAYLOADS.iter().enumerate().take(pattern.messages.len()) {
            assert!(!self.ends[0].is_finished() && !self.ends[1].is_finished());
            assert_eq!(self.exchange(index, |_| ()).unwrap().as_slice(), *payload);
        }
        assert!(self.ends[0].is_finished() && self.ends[1].is_finished());
        self.ends
    }

    fn transports(pattern: &'static Pattern, suite: Suite) -> [Transport; 2] {
        Run::new(pattern, suite).complete(pattern).map(|end| end.into_transport().unwrap())
    }
}

fn seal(sealer: &mut Sealer, text: &[u8]) -> Vec<u8> {
    let mut buffer = [b"front", text].concat();
    sealer.seal(&mut buffer, 5).unwrap();
    assert!(buffer.starts_with(b"front"));
    buffer.split_off(5)
}

#[test]
fn every_pattern_in_every_suite_gives_both_sides_the_same_keys() {
    for suite in Suite::ALL {
        for pattern in patterns(suite) {
            let [mut initiator, mut responder] = Run::transports(pattern, suite);
            assert_eq!(initiator.hash, responder.hash);
            for text in [&b"hello"[..], b"", &[9; 5_000]] {
                let mut sealed = seal(&mut initiator.sealer, text);
                assert_eq!(responder.opener.open(&mut sealed).unwrap(), text);
                let mut sealed = seal(&mut responder.sealer, text);
                assert_eq!(initiator.opener.open(&mut sealed).unwrap(), text);
            }
            let [one, other] = Run::new(pattern, suite).complete(pattern).map(|end| end.into_session().unwrap());
            assert_eq!((one.0.as_bytes(), one.1), (other.0.as_bytes(), other.1));
            // AWS-LC draws randomness of its own for RSA and ML-KEM.
            let replays = cfg!(not(feature = "aws-lc")) || suite.key_exchange == KeyExchange::X25519;
            assert!(!replays || one.1 == initiator.hash, "the run replays from its seed");
        }
    }
}

/// Every place of a short message; of one that is long by a KEM's key or ciphertext, every eleventh.
fn step(length: usize) -> usize {
    if length < 200 { 1 } else { 11 }
}

#[test]
fn a6_b9_any_byte_changed_in_any_message_fails_a_reader() {
    for suite in [Suite::ALL[0], Suite::ALL[3], Suite::ALL[4]] {
        for pattern in patterns(suite) {
            for target in 0..pattern.messages.len() {
                let mut length = 1;
                let mut place = 0;
                while place < length {
                    let mut run = Run::new(pattern, suite);
                    let outcome = (0..pattern.messages.len()).try_for_each(|index| {
                        run.exchange(index, |message| {
                            if index == target {
                                length = message.len();
                                message[place] ^= 1 << (place % 8);
                            }
                        })
                        .map(drop)
                    });
                    assert!(outcome.is_err(), "{} message {target} byte {place}", pattern.name);
                    place += step(length);
                }
            }
        }
    }
}

#[test]
fn b9_a_message_cut_at_any_byte_fails() {
    for suite in [Suite::ALL[1], Suite::ALL[2], Suite::ALL[4]] {
        for pattern in patterns(suite) {
            for target in 0..pattern.messages.len() {
                let mut length = 1;
                let mut end = 0;
                while end < length {
                    let mut run = Run::new(pattern, suite);
                    let outcome = (0..pattern.messages.len()).try_for_each(|index| {
                        run.exchange(index, |message| {
                            if index == target {
                                length = message.len();
                                message.truncate(end);
                            }
                        })
                        .map(drop)
                    });
                    assert!(outcome.is_err(), "{} message {target} cut at {end}", pattern.name);
                    end += step(length);
                }
            }
        }
    }
}

#[test]
fn a8_messages_out_of_turn_twice_or_after_the_end_are_one_sticky_error() {
    let suite = Suite::ALL[0];
    let misuse = Err(Error::from(ApiMisuse::WrongState));
    let new = || Run::new(Pattern::peer_link(suite.key_exchange), suite);
    let rng = &mut ChaCha20Rng::seed_from_u64(1);

    // The first message reflected to its writer's own turn, and read before it was written.
    let mut run = new();
    assert_eq!(run.ends[0].read(&[0; 48], rng).map(drop), misuse);
    assert_eq!(run.ends[0].write(b"", rng, &mut Vec::new()), misuse, "the error stays");
    assert!(!run.ends[0].is_my_turn() && !run.ends[0].is_finished() && !run.ends[0].carries_identity());

    // Twice.
    let mut run = new();
    let mut first = Vec::new();
    run.ends[0].write(b"", rng, &mut first).unwrap();
    assert_eq!(run.ends[0].write(b"", rng, &mut Vec::new()), misuse);
    run.ends[1].read(&first, rng).unwrap();
    assert_eq!(run.ends[1].read(&first, rng).map(drop), misuse);

    // A failed tag is as final, and is the error of every later call.
    let mut run = new();
    run.exchange(0, |_| ()).unwrap();
    let decrypt = Err(Error::from(Decrypt));
    assert_eq!(run.exchange(1, |message| *message.last_mut().unwrap() ^= 1).map(drop), decrypt);
    assert_eq!(run.ends[0].read(&[0; 48], rng).map(drop), decrypt);
    let [initiator, responder] = run.ends;
    assert_eq!(initiator.into_transport().map(drop), decrypt);
    assert_eq!(responder.into_session().map(drop), misuse, "not finished");

    // After the end.
    let pattern = Pattern::peer_link(suite.key_exchange);
    let [mut initiator, mut responder] = new().complete(pattern);
    assert_eq!(initiator.read(&[0; 48], rng).map(drop), misuse);
    assert_eq!(responder.write(b"", rng, &mut Vec::new()), misuse);
    assert_eq!(responder.into_transport().map(drop), misuse);
}

#[test]
fn nothing_goes_on_before_the_keys_that_came_in_are_confirmed() {
    for suite in [Suite::ALL[0], Suite::ALL[2]] {
        let unconfirmed = || {
            let mut run = Run::new(Pattern::peer_link(suite.key_exchange), suite);
            run.exchange(0, |_| ()).unwrap();
            let mut message = Vec::new();
            run.ends[1].write(b"bundle", &mut run.rng, &mut message).unwrap();
            assert_eq!(run.ends[0].read(&message, &mut run.rng).unwrap().as_slice(), b"bundle");
            run
        };
        let mut run = unconfirmed();
        let written = run.ends[0].write(b"", &mut run.rng, &mut Vec::new());
        assert_eq!(written, Err(ApiMisuse::WrongState.into()));

        // The keys of somebody else.
        let mut run = unconfirmed();
        let outcome = PARTIES[2].confirm(&mut run.ends[0]);
        assert_eq!(outcome, Err(PeerMisbehaved::StaticKeyMismatch.into()));
        assert_eq!(run.parties[1].confirm(&mut run.ends[0]), outcome);
    }
    let suite = Suite::ALL[0];
    let pattern = Pattern::session(suite.key_exchange);
    let mut run = Run::new(pattern, suite);
    let mut message = Vec::new();
    run.ends[0].write(b"bundle", &mut run.rng, &mut message).unwrap();
    run.ends[1].read(&message, &mut run.rng).unwrap();
    let [_, responder] = run.ends;
    assert!(!responder.is_finished());
    assert_eq!(responder.into_session().map(drop), Err(ApiMisuse::WrongState.into()));
}

#[test]
fn a12_a_signature_by_another_identity_than_the_bundles_is_refused() {
    let suite = Suite::ALL[2];
    let mut run = Run::new(Pattern::session(suite.key_exchange), suite);
    let mut message = Vec::new();
    run.ends[0].write(b"somebody's bundle", &mut run.rng, &mut message).unwrap();
    run.ends[1].read(&message, &mut run.rng).unwrap();
    assert_eq!(PARTIES[2].confirm(&mut run.ends[1]), Err(PeerMisbehaved::IdentityMismatch.into()));
}

/// Each of them, and each with the top bit that X25519 does not look at.
fn low_order() -> impl Iterator<Item = [u8; 32]> {
    let decode =
        |hex: &&str| core::array::from_fn(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap());
    LOW_ORDER.iter().map(decode).flat_map(|point: [u8; 32]| {
        let mut with_top_bit = point;
        with_top_bit[31] |= 0x80;
        [point, with_top_bit]
    })
}

#[test]
fn a5_an_ephemeral_key_of_low_order_fails_whoever_reads_it() {
    let weak = Err(Error::from(PeerMisbehaved::WeakKey));
    for suite in [Suite::ALL[0], Suite::ALL[2], Suite::ALL[4]] {
        for point in low_order() {
            let put = |message: &mut Vec<u8>| message[..32].copy_from_slice(&point);
            let mut run = Run::new(Pattern::peer_link(suite.key_exchange), suite);
            run.exchange(0, put).unwrap();
            assert_eq!(run.exchange(1, |_| ()).map(drop), weak, "the responder");

            let mut run = Run::new(Pattern::peer_link(suite.key_exchange), suite);
            run.exchange(0, |_| ()).unwrap();
            assert_eq!(run.exchange(1, put).map(drop), weak, "the initiator");

            let mut run = Run::new(Pattern::session(suite.key_exchange), suite);
            assert_eq!(run.exchange(0, put).map(drop), weak, "the responder of a session");
        }
    }
}

#[test]
fn a5_a_static_key_of_low_order_fails_the_initiator() {
    let suite = Suite::ALL[0];
    for point in low_order() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let mut run = Run::new(Pattern::relay_link(suite.key_exchange), suite);
        let mut first = Vec::new();
        run.ends[0].write(b"", rng, &mut first).unwrap();
        // A responder that has no private key for its static one: the secret of `es` would be known to anybody.
        let mut symmetric = SymmetricState::new(suite.cipher, "Noise_NX_25519_AESGCM_SHA256");
        symmetric.mix_hash(b"prologue");
        symmetric.mix_hash(&first);
        symmetric.mix_hash(b"");
        let ephemeral = x25519::PrivateKey::generate(rng);
        let mut answer = ephemeral.public().as_bytes().to_vec();
        symmetric.mix_hash(&answer);
        let remote = x25519::PublicKey::from_bytes(*first.first_chunk().unwrap());
        symmetric.mix_key(ephemeral.agree(&remote).unwrap().as_bytes());
        symmetric.encrypt_and_hash(&point, &mut answer);
        symmetric.mix_key(&[0; 32]);
        symmetric.encrypt_and_hash(b"", &mut answer);
        assert_eq!(run.ends[0].read(&answer, rng).map(drop), Err(PeerMisbehaved::WeakKey.into()));
    }
}

#[test]
fn an_encapsulation_key_that_is_not_reduced_is_refused() {
    let suite = Suite::ALL[4];
    let mut run = Run::new(Pattern::relay_link(suite.key_exchange), suite);
    let outcome = run.exchange(0, |message| message[32..35].fill(0xFF));
    assert_eq!(outcome.map(drop), Err(InvalidMessage::PublicKey.into()));
}

#[test]
fn the_prologue_is_part_of_the_transcript() {
    let suite = Suite::ALL[0];
    let mut run = Run::new(Pattern::relay_link(suite.key_exchange), suite);
    let keys = run.parties[1].keys(suite);
    run.ends[1] =
        Handshake::new(Pattern::relay_link(suite.key_exchange), suite, Role::Responder, b"other", keys).unwrap();
    run.exchange(0, |_| ()).unwrap();
    assert_eq!(run.exchange(1, |_| ()).map(drop), Err(Decrypt.into()));
}

#[test]
fn psk_patterns_run_from_data_and_need_equal_secrets() {
    use Token::{E, Ee, Es, Psk, S, Se};
    const NN: Pattern = Pattern {
        name: "NNpsk0+psk2",
        initiator_known: &[],
        responder_known: &[],
        messages: &[&[Psk, E], &[E, Ee, Psk]],
    };
    const XX: Pattern = Pattern {
        name: "XXpsk3",
        initiator_known: &[],
        responder_known: &[],
        messages: &[&[E], &[E, Ee, S, Es], &[S, Se, Psk]],
    };
    let suite = Suite::ALL[0];
    let run = |pattern: &'static Pattern, psks: [[u8; 2]; 2]| {
        let mut run = Run::new(pattern, suite);
        for (index, role) in [Role::Initiator, Role::Responder].into_iter().enumerate() {
            let mut keys = run.parties[index].keys(suite);
            keys.psks = psks[index].iter().map(|byte| Secret::from_bytes(&[*byte; 32])).collect();
            run.ends[index] = Handshake::new(pattern, suite, role, b"", keys).unwrap();
        }
        (0..pattern.messages.len()).try_for_each(|index| run.exchange(index, |_| ()).map(drop))
    };
    assert_eq!(run(&NN, [[1, 2], [1, 2]]), Ok(()));
    assert_eq!(run(&NN, [[1, 2], [1, 3]]), Err(Decrypt.into()));
    assert_eq!(run(&NN, [[2, 1], [1, 2]]), Err(Decrypt.into()));
    assert_eq!(run(&XX, [[1, 2], [1, 9]]), Ok(()));
    assert_eq!(run(&XX, [[1, 2], [2, 2]]), Err(Decrypt.into()));
}

#[test]
fn a_missing_key_fails_the_message_that_needs_it() {
    for suite in [Suite::ALL[0], Suite::ALL[2]] {
        let missing = Err(Error::from(ApiMisuse::MissingKey));
        let session = Pattern::session(suite.key_exchange);
        let keys = Keys::default();
        assert_eq!(Handshake::new(session, suite, Role::Initiator, b"", keys).map(drop), missing);
        // A static key of the other family.
        let other = if suite.key_exchange == KeyExchange::Rsa { Suite::ALL[0] } else { Suite::ALL[2] };
        let mut run = Run::new(Pattern::relay_link(suite.key_exchange), suite);
        let keys = PARTIES[1].keys(other);
        run.ends[1] =
            Handshake::new(Pattern::relay_link(suite.key_exchange), suite, Role::Responder, b"prologue", keys).unwrap();
        run.exchange(0, |_| ()).unwrap();
        let mut out = b"kept".to_vec();
        assert_eq!(run.ends[1].write(b"", &mut run.rng, &mut out), missing);
        assert_eq!(out, b"kept", "nothing of a failed message is left");
    }
}

#[test]
fn b4_rekey_keeps_both_sides_together_and_counters_never_repeat() {
    for suite in [Suite::ALL[0], Suite::ALL[1]] {
        let pattern = Pattern::relay_link(suite.key_exchange);
        let [plain, _] = Run::transports(pattern, suite);
        let [initiator, responder] = Run::transports(pattern, suite);
        let (mut initiator, mut responder) = (initiator.rekey_after(3), responder.rekey_after(3));
        let mut never = plain.sealer;
        for record in 0..20 {
            let mut sealed = seal(&mut initiator.sealer, b"text");
            let same = sealed == seal(&mut never, b"text");
            assert_eq!(same, record < 3, "record {record}: equal until the first rekey, never after");
            assert_eq!(responder.opener.open(&mut sealed).unwrap(), b"text");
        }
    }
}

#[test]
fn b2_a_record_that_does_not_open_moves_no_counter_and_is_wiped() {
    let suite = Suite::ALL[0];
    let [mut initiator, mut responder] = Run::transports(Pattern::relay_link(suite.key_exchange), suite);
    let genuine = seal(&mut initiator.sealer, b"text");
    let mut forged = genuine.clone();
    forged[0] ^= 1;
    assert_eq!(responder.opener.open(&mut forged), Err(Decrypt.into()));
    assert!(forged.iter().all(|byte| *byte == 0));
    assert_eq!(responder.opener.open(&mut genuine.clone()).unwrap(), b"text");
    assert_eq!(responder.opener.open(&mut genuine.clone()), Err(Decrypt.into()), "once only");
}

#[test]
fn b9_a_record_with_any_bit_changed_or_cut_at_any_byte_does_not_open() {
    for suite in [Suite::ALL[0], Suite::ALL[1]] {
        let [mut initiator, mut responder] = Run::transports(Pattern::relay_link(suite.key_exchange), suite);
        let genuine = seal(&mut initiator.sealer, b"a text of more than one block");
        for bit in 0..8 * genuine.len() {
            let mut forged = genuine.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(responder.opener.open(&mut forged), Err(Decrypt.into()), "bit {bit}");
        }
        for end in 0..genuine.len() {
            assert_eq!(responder.opener.open(&mut genuine[..end].to_vec()), Err(Decrypt.into()), "cut at {end}");
        }
        assert_eq!(responder.opener.open(&mut genuine.clone()).unwrap(), b"a text of more than one block");
    }
}

#[test]
fn b7_records_of_another_suite_direction_or_handshake_do_not_open() {
    let suite = Suite::ALL[0];
    let pattern = Pattern::relay_link(suite.key_exchange);
    let [mut initiator, mut responder] = Run::transports(pattern, suite);
    let genuine = seal(&mut initiator.sealer, b"text");
    assert!(initiator.opener.open(&mut genuine.clone()).is_err(), "the other direction");
    for other in Suite::ALL {
        for pattern in patterns(other) {
            if other != suite || pattern.name != "NX" {
                let [_, mut other] = Run::transports(pattern, other);
                assert!(other.opener.open(&mut genuine.clone()).is_err());
            }
        }
    }
    assert!(responder.opener.open(&mut genuine.clone()).is_ok());
}
