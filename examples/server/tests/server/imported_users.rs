//! Users from another system log in with their old passwords, whose hashes are replaced by then.

use crate::support::*;
use rusqlite::Connection;
use securechat_core::wire::{RefusalCode, Reply};
use securechat_server::{Imported, Server, ServerError, import};
use std::path::Path;
use std::time::{Duration, Instant};

/// bcrypt of "U*U", from the tests of crypt_blowfish.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn hash_of(folder: &Path, user: &str) -> String {
    let database = Connection::open(config(folder).database()).unwrap();
    database.query_row("SELECT password FROM users WHERE name = ?", [user], |row| row.get(0)).unwrap()
}

#[test]
fn a_bcrypt_user_logs_in_and_the_hash_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.txt");
    std::fs::write(
        &file,
        format!("# from the old server\nalice:{BCRYPT}\n{{\"name\":\"bob\",\"hash\":\"{BCRYPT}\"}}\n"),
    )
    .unwrap();
    let config = config(folder.path());
    assert_eq!(import(&config, &file).unwrap(), Imported { new: 2, known: 0 });
    assert_eq!(import(&config, &file).unwrap(), Imported { new: 0, known: 2 });
    let server = Server::start(config.clone()).unwrap();
    assert!(matches!(import(&config, &file), Err(ServerError::FolderInUse(_))));
    let alice = Device::new("alice", 1);
    for attempt in 0..2 {
        let mut client = Client::connect(server.address());
        let wrong = alice.log_in("U*V", &client);
        assert_eq!(client.refused(&wrong), RefusalCode::Credentials);
        let right = alice.log_in("U*U", &client);
        assert!(matches!(client.request(&right), Ok(Reply::LogIn(_))), "attempt {attempt}");
        // The answer does not wait for the new hash.
        let start = Instant::now();
        while !hash_of(folder.path(), "alice").starts_with("$argon2id$v=19$m=19456,t=2,p=1$") {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    server.shutdown().unwrap();
    assert_eq!(hash_of(folder.path(), "bob"), BCRYPT);
}

#[test]
fn a_file_with_a_mistake_imports_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.txt");
    std::fs::write(&file, format!("alice:{BCRYPT}\nbob:5f4dcc3b5aa765d61d8327deb882cf99\n")).unwrap();
    let error = import(&config(folder.path()), &file).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("nothing was imported"), "{error}");
    assert!(
        import(&config(folder.path()), &folder.path().join("missing"))
            .unwrap_err()
            .to_string()
            .contains("check the path")
    );
}
