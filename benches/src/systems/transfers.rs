//! Files as others move them: curl from nginx over TLS 1.3, and scp.

use super::process::{Process, free_port};
use super::stream::{Certificate, NAME, connect};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A running nginx that serves a folder.
pub struct Nginx {
    _process: Process,
    port: u16,
    certificate: PathBuf,
}

impl Nginx {
    /// Starts it; none where it is not installed.
    pub fn start(folder: &Path, certificate: &Certificate) -> Option<Self> {
        let port = free_port();
        let configuration = folder.join("nginx.conf");
        let place = folder.display();
        let text = format!(
            "daemon off; master_process off; user root; pid {place}/nginx.pid; error_log {place}/nginx.log;\n\
             events {{}}\nhttp {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port} ssl; root {place};\n\
             ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3; }} }}\n",
            certificate.certificate.display(),
            certificate.key.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let process = Process::start(Process::silent("nginx").arg("-c").arg(configuration))?;
        drop(connect(port));
        Some(Self { _process: process, port, certificate: certificate.certificate.clone() })
    }

    /// Has curl fetch a file.
    pub fn fetch(&self, name: &str, to: &Path) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--tlsv1.3", "--tls13-ciphers", "TLS_AES_256_GCM_SHA384", "--cacert"]);
        curl.arg(&self.certificate).args(["--resolve", &format!("{NAME}:{}:127.0.0.1", self.port), "--output"]);
        let status = curl.arg(to).arg(format!("https://{NAME}:{}/{name}", self.port)).status();
        assert!(status.unwrap().success(), "curl");
    }
}

/// A running sshd for this user alone.
pub struct Sshd {
    _process: Process,
    port: u16,
    key: PathBuf,
}

impl Sshd {
    /// Starts it; none where it is not installed.
    pub fn start(folder: &Path) -> Option<Self> {
        let program = "/usr/sbin/sshd";
        let port = free_port();
        let (host, key) = (folder.join("host"), folder.join("key"));
        for file in [&host, &key] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status();
            assert!(made.ok()?.success());
        }
        // Privilege separation wants it to be there.
        let _ = std::fs::create_dir_all("/run/sshd");
        let (host, public) = (host.display(), key.with_extension("pub"));
        let options = [
            format!("Port={port}"),
            "ListenAddress=127.0.0.1".into(),
            format!("HostKey={host}"),
            format!("AuthorizedKeysFile={}", public.display()),
            "StrictModes=no".into(),
            "PidFile=none".into(),
            "Subsystem=sftp internal-sftp".into(),
        ];
        let mut command = Process::silent(program);
        command.args(["-D", "-f", "/dev/null"]);
        options.iter().for_each(|option| _ = command.args(["-o", option]));
        let process = Process::start(&mut command)?;
        drop(connect(port));
        Some(Self { _process: process, port, key })
    }

    /// Has scp fetch a file.
    pub fn fetch(&self, from: &Path, to: &Path) {
        let mut scp = Command::new("scp");
        scp.args(["-q", "-c", "aes256-gcm@openssh.com", "-P", &self.port.to_string(), "-i"]).arg(&self.key);
        scp.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
        let status = scp.arg(format!("127.0.0.1:{}", from.display())).arg(to).stdout(Stdio::null()).status();
        assert!(status.unwrap().success(), "scp");
    }
}
