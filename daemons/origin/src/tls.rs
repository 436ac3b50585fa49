//! TLS: the certificate and key of two files, read again when they change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at. A change is taken when they are the same twice, so that a pair that
/// is being written is not judged half-way.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The protocols offered, the preferred one first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where the certificate is.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsSettings {
    /// Serve TLS too, with the certificate chain of this PEM file; read again when it changes
    #[arg(long, env = "MOBZ_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, a PEM file
    #[arg(long, env = "MOBZ_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no certificate in the file, or something else.
    #[error("no certificate chain in PEM form in {path}: {cause}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// There is no key in the file.
    #[error("no private key in PEM form in {path}: {cause}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// They are no pair, or of a kind that TLS does not have.
    #[error("the certificate in {certificate} and the key in {key} cannot be used together: {cause}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        cause: rustls::Error,
    },
}

/// The certificate in use.
pub(crate) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    used: RwLock<Arc<ServerConfig>>,
}

/// The bytes of both files.
#[derive(PartialEq)]
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// The certificate that the settings name; `None` when they name none.
    pub(crate) fn open(settings: &TlsSettings) -> Result<Option<Arc<Self>>, TlsError> {
        let (Some(certificate), Some(key)) = (settings.tls_cert.clone(), settings.tls_key.clone()) else {
            return Ok(None);
        };
        let used = Pair::read(&certificate, &key)?.config(&certificate, &key)?;
        Ok(Some(Arc::new(Self { certificate, key, used: RwLock::new(used) })))
    }

    /// What a new connection is served with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.used.read())
    }

    /// Looks at the files until `shutdown`. One that is no good any more is warned of once, and the
    /// certificate before it stays in use.
    pub(crate) async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let mut interval = interval(LOOK_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut judged = Pair::read(&self.certificate, &self.key).ok();
        let mut seen = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = interval.tick() => {}
            }
            let read = Pair::read(&self.certificate, &self.key);
            if let Err(error) = &read
                && judged.take().is_some()
            {
                tracing::warn!(%error, cause = std::error::Error::source(error), "the old certificate stays in use");
            }
            let Ok(read) = read else { continue };
            if judged.as_ref() == Some(&read) {
                continue;
            }
            if seen.as_ref() != Some(&read) {
                seen = Some(read);
                continue;
            }
            match read.config(&self.certificate, &self.key) {
                Ok(config) => {
                    *self.used.write() = config;
                    tracing::info!(certificate = %self.certificate.display(), "a new certificate is in use");
                }
                Err(error) => tracing::warn!(%error, "the old certificate stays in use"),
            }
            judged = Some(read);
        }
    }
}

impl Pair {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read =
            |path: &Path| fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source });
        Ok(Self { certificate: read(certificate)?, key: read(key)? })
    }

    fn config(&self, certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
        let no_certificate = |cause: String| TlsError::Certificate { path: certificate.to_owned(), cause };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.map_err(|error| no_certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(no_certificate("it has none".to_owned()));
        }
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| TlsError::Key { path: key.to_owned(), cause: error.to_string() })?;
        let no_pair =
            |cause| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), cause };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(no_pair)?.with_no_client_auth();
        let mut config = config.with_single_cert(chain, private).map_err(no_pair)?;
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config))
    }
}
