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
