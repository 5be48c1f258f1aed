//! ATTACKS.md A2: who recorded a handshake and gets the RSA keys afterwards.

use super::*;
use crate::codec::Reader;
use crate::crypto::aead::Cipher;

/// Reads a recorded handshake again with both static RSA keys, token by token. Of the secrets between ephemeral keys
/// there is only what `ephemeral`, the initiator's, gives; without it that token is passed over. Gives the payloads, and
/// what the first record of the initiator says.
fn read_later(
    pattern: &Pattern,
    suite: Suite,
    recorded: &[Vec<u8>],
    record: &[u8],
    ephemeral: Option<&x25519::PrivateKey>,
) -> Result<(Vec<Vec<u8>>, Vec<u8>), Error> {
    let rng = &mut ChaCha20Rng::seed_from_u64(9);
    let cipher = if suite.cipher == Cipher::AesGcm { "AESGCM" } else { "AESCBCHMAC" };
    let mut symmetric =
        SymmetricState::new(suite.cipher, &format!("Noise_{}_25519+RSAOAEP_{cipher}_SHA256", pattern.name));
    symmetric.mix_hash(b"prologue");
    let mut responders = None;
    for token in pattern.responder_known {
        if *token == Token::E {
            responders = Some(PARTIES[1].prekey.public());
            symmetric.mix_hash(PARTIES[1].prekey.public().as_bytes());
        } else {
            symmetric.mix_hash(&PARTIES[1].rsa.public().id());
        }
    }
    let mut payloads = Vec::new();
    for (index, (tokens, message)) in pattern.messages.iter().zip(recorded).enumerate() {
        let mut reader = Reader::new(message);
        for token in *tokens {
            match token {
                Token::E => {
                    let key = x25519::PublicKey::from_bytes(reader.array()?);
                    symmetric.mix_hash(key.as_bytes());
                    responders = if index == 1 { Some(key) } else { responders };
                }
                Token::Ee => {
                    if let (Some(private), Some(public)) = (ephemeral, &responders) {
                        symmetric.mix_key(private.agree(public)?.as_bytes());
                    }
                }
                Token::S => drop(symmetric.decrypt_and_hash(reader.take(symmetric.sealed_len(32))?)?),
                Token::Sig => drop(symmetric.decrypt_and_hash(reader.take(symmetric.sealed_len(96))?)?),
                Token::Skem => {
                    let key = &PARTIES[(index + 1) % 2].rsa;
                    let sealed = reader.take(symmetric.sealed_len(key.public().ciphertext_len()))?;
                    let ciphertext = symmetric.decrypt_and_hash(sealed)?;
                    symmetric.mix_key(key.decapsulate(&ciphertext, rng).as_bytes());
                }
                other => panic!("{other:?} is in no RSA pattern"),
            }
        }
        payloads.push(symmetric.decrypt_and_hash(reader.rest())?.to_vec());
    }
    let (initiators, ..) = symmetric.split();
    Ok((payloads, initiators.open(0, &[], record)?.to_vec()))
}

#[test]
fn a2_the_rsa_key_alone_opens_no_recorded_handshake() {
    for suite in [Suite::ALL[2], Suite::ALL[3]] {
        for pattern in patterns(suite) {
            let mut run = Run::new(pattern, suite);
            let mut recorded = Vec::new();
            for index in 0..pattern.messages.len() {
                run.exchange(index, |message| recorded.push(message.clone())).unwrap();
            }
            let [initiator, _] = run.ends;
            let record = seal(&mut initiator.into_transport().unwrap().sealer, b"said later");
            let later = read_later(pattern, suite, &recorded, &record, None);
            assert!(later.is_err(), "{} {suite}: {later:?}", pattern.name);
            // The first thing that a run draws is the initiator's ephemeral key. With that, everything opens.
            let ephemeral = x25519::PrivateKey::generate(&mut ChaCha20Rng::seed_from_u64(7));
            let (payloads, said) = read_later(pattern, suite, &recorded, &record, Some(&ephemeral)).unwrap();
            assert_eq!(payloads, PAYLOADS[..recorded.len()].iter().map(|payload| payload.to_vec()).collect::<Vec<_>>());
            assert_eq!(said, b"said later");
        }
    }
}
