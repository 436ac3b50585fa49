//! Redis over TLS, with an authority of the operator's own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics where something is wrong")]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use mobz_store::testing::Redis;

/// Where the test finds the server when it runs itself as a process that trusts the authority.
const URL: &str = "MOBZ_TEST_TLS_URL";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_tls_is_reached_where_its_authority_is_trusted() {
    if let Ok(url) = std::env::var(URL) {
        let store = mobz_store::open(Some(&url)).await.unwrap();
        store.ping().await.unwrap();
        let node = "node".parse().unwrap();
        let mut subscription = store.listen(&node).await.unwrap();
        assert!(store.send(&node, "x".into()).await.unwrap());
        assert!(subscription.next().await.is_some());
        assert_eq!(store.describe(), url);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.path().join(name));
    make_certificate(&certificate, &key);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let [certificate, key] = [certificate, key].map(|path| path.to_str().unwrap().to_owned());
    let tls = ["--tls-port", &port.to_string(), "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let redis = Redis::start_with(&[&tls[..], &["--tls-auth-clients", "no"]].concat()).unwrap();
    let url = format!("rediss://localhost:{port}");

    let refused = mobz_store::open(Some(&url)).await.err().unwrap().to_string();
    assert!(refused.contains("certificate"), "{refused}");

    let trusting = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_with_tls_is_reached_where_its_authority_is_trusted"])
        .env(URL, &url)
        .env("SSL_CERT_FILE", &certificate)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&trusting.stdout);
    assert!(trusting.status.success() && said.contains("1 passed"), "{said}");
    drop(redis);
}

fn make_certificate(certificate: &Path, key: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()
        .unwrap_or_else(|error| panic!("cannot run openssl (install it?): {error}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
