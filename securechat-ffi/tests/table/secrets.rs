//! ATTACKS.md C5: what is said of failures has no secret in it: no password, no key, in no spelling.

use crate::driver::*;
use crate::states;

const PASSWORD: &str = "correct-horse-battery";

fn hides(text: &str, secrets: &[&[u8]], context: &str) {
    let lower = text.to_lowercase();
    for secret in secrets {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{secret:?}");
        let as_text = String::from_utf8_lossy(secret).to_lowercase();
        for spelling in [hex, list.trim_matches(['[', ']']).to_owned(), as_text] {
            assert!(!lower.contains(&spelling), "{context}: {text}");
        }
    }
}

#[test]
fn c5_errors_say_no_secret() {
    let (relay, connection, mut carol) = states::relay_and_client();
    let secret_key = [0x5A; 32];
    let secrets: [&[u8]; 3] = [PASSWORD.as_bytes(), &secret_key, b"a long password"];
    let client = carol.client;
    let error = |context: &str| {
        let text = text_of(unsafe { securechat_client_error(client) });
        hides(text, &secrets, context);
    };
    unsafe {
        let (password, length) = (PASSWORD.as_ptr().cast(), PASSWORD.len());
        securechat_client_register(client, password, length, NOW);
        error("register");
        securechat_client_log_in(client, password, length, 123_456, NOW);
        error("log_in");
        securechat_client_change_password(client, password, length, password, length, NOW);
        error("change_password");
        securechat_client_set_up_code(client, password, length, 1, NOW);
        error("set_up_code");
        securechat_client_enter(client, password, length, NOW);
        error("enter");
        // A secret where a name, an address or a record should be.
        securechat_client_look_up(client, password, length, NOW);
        error("look_up");
        let mut link = 0;
        securechat_client_connect_relay(client, password, length, NOW, &raw mut link);
        error("connect_relay");
        let mut size = 0;
        securechat_client_open(client, password, length, secret_key.as_ptr(), 32, null_mut(), 0, &raw mut size);
        error("open");
        let mut id = [0; 16];
        let (key, now) = (secret_key.as_ptr(), NOW);
        securechat_client_send(client, password, length, 99, null(), key, 32, now, id.as_mut_ptr());
        error("send");

        let mut job: securechat_job = std::mem::zeroed();
        securechat_relay_next_job(relay, &raw mut job, size_of_val(&job));
        assert_eq!(job.kind, SECURECHAT_JOB_HASH);
        for outcome in [0, 1, 99] {
            securechat_relay_complete_job(relay, job.id, outcome, secret_key.as_ptr(), 0, NOW);
            hides(text_of(securechat_relay_error(relay)), &secrets, "complete_job");
        }
        // Numbers and pointers are all that shows of a job; what they point to is not followed.
        hides(&format!("{job:?}"), &secrets, "job");
        assert_eq!(securechat_relay_end(relay, connection, NOW), SECURECHAT_OK);
        while let Some(told) = carol.next_event() {
            hides(&format!("{:?}", told.event), &secrets, "event");
        }
        securechat_relay_free(relay);
    }
}

/// A bare link's errors: neither its keys, nor what is sent, nor what somebody put in the place of a fingerprint.
#[test]
fn c5_errors_of_links_say_no_secret() {
    let identity = identity(NOW);
    let (keys, public) = (export(identity), bundle_of(identity));
    // Everything in the export that the bundle does not show.
    let private = keys.windows(8).filter(|part| !public.windows(8).any(|shown| shown == *part));
    let secrets: Vec<&[u8]> = private.chain([PASSWORD.as_bytes()]).collect();
    assert!(secrets.len() > 64, "an export has its private keys");

    let mut seen = std::collections::BTreeSet::new();
    let mut expect = |link: *mut securechat_link, status: securechat_status, context: &str| {
        let text = text_of(unsafe { securechat_link_error(link) });
        assert!(status != SECURECHAT_OK && !text.is_empty(), "{context}: {status:?}, {text}");
        hides(text, &secrets, context);
        seen.insert(text.to_owned());
    };
    unsafe {
        // Before it is open, with keys where bytes of the protocol, a fingerprint or a code should be.
        let [initiator, responder] = link_pair(identity, NOW);
        expect(initiator, securechat_link_send(initiator, keys.as_ptr(), keys.len()), "send before open");
        expect(initiator, securechat_link_accept(initiator, keys.as_ptr(), NOW), "accept");
        expect(initiator, securechat_link_close(initiator, u32::MAX), "close");
        expect(initiator, securechat_link_output_consume(initiator, usize::MAX), "output_consume");
        expect(responder, securechat_link_input(responder, keys.as_ptr(), keys.len(), NOW), "input");
        expect(initiator, securechat_link_end(initiator), "end");
        free_both([initiator, responder]);

        // Open: data that is too much, and a record that was changed on its way.
        let [from, to] = open_pair(identity, NOW);
        let much = PASSWORD.repeat(4_000);
        expect(from, securechat_link_send(from, much.as_ptr(), much.len()), "send");
        assert_eq!(securechat_link_send(from, PASSWORD.as_ptr(), PASSWORD.len()), SECURECHAT_OK);
        let mut wire = vec![0; 4_096];
        let mut length = 0;
        assert_eq!(securechat_link_read_output(from, wire.as_mut_ptr(), wire.len(), &raw mut length), SECURECHAT_OK);
        wire[length - 1] ^= 1;
        expect(to, securechat_link_input(to, wire.as_ptr(), length, NOW), "a changed record");
        assert_eq!(securechat_link_close(from, 0), SECURECHAT_OK);
        expect(from, securechat_link_send(from, PASSWORD.as_ptr(), PASSWORD.len()), "send after close");
        free_both([from, to]);
        securechat_identity_free(identity);
    }
    assert!(seen.len() >= 7, "few of the errors were met: {seen:?}");
}

unsafe fn free_both(ends: [*mut securechat_link; 2]) {
    ends.into_iter().for_each(|end| unsafe { securechat_link_free(end) });
}
