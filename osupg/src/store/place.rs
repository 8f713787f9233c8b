//! Where a library lies, as its address says: a folder, a bucket of an S3-compatible store, a
//! container of Azure, or memory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Prefix;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::text;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long one request may take: a piece of 8 MiB at 30 KiB/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// Times a request is made anew when the store is busy or away.
const RETRIES: usize = 6;
/// How long that may take altogether.
const RETRY_TIMEOUT: Duration = Duration::from_secs(120);

/// An S3-compatible store: a section of the configuration. What is left out comes from the usual
/// variables, such as `AWS_ACCESS_KEY_ID`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct S3Settings {
    /// The address of the service, such as `https://minio.example:9000`; that of Amazon when left
    /// out.
    pub endpoint: Option<String>,
    /// The region, such as `eu-central-1`.
    pub region: Option<String>,
    /// The name of the key.
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<Secret>,
    /// Whether an endpoint without TLS is taken.
    pub allow_http: bool,
}

/// An Azure Blob store: a section of the configuration. What is left out comes from the usual
/// variables, such as `AZURE_STORAGE_ACCOUNT_NAME`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AzureSettings {
    /// The storage account.
    pub account: Option<String>,
    /// Its key.
    pub access_key: Option<Secret>,
    /// The address of the service, if it is not Microsoft's.
    pub endpoint: Option<String>,
    /// Whether an endpoint without TLS is taken.
    pub allow_http: bool,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The means to reach stores.
#[derive(Debug, Clone, Default)]
pub struct Means {
    /// For `s3://`.
    pub s3: S3Settings,
    /// For `azure://`.
    pub azure: AzureSettings,
}

/// Where objects lie.
#[derive(Debug, Clone)]
pub struct Place {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The folder, if it is one of this machine.
    pub folder: Option<PathBuf>,
}

impl Place {
    /// Opens the place with this address: a folder (which is made if need be),
    /// `s3://bucket/prefix`, `azure://container/prefix` or `memory://`.
    ///
    /// # Errors
    /// When the address or what is configured for it is wrong, or a folder cannot be made. Whether
    /// a store elsewhere can be reached shows only when it is used.
    pub fn open(address: &str, means: &Means) -> Result<Self> {
        let Some((scheme, rest)) = address.split_once("://") else {
            return Self::folder(Path::new(address));
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let store: Arc<dyn ObjectStore> = match scheme {
            "file" => return Self::folder(Path::new(rest)),
            "memory" => Arc::new(InMemory::new()),
            "s3" => with_prefix(s3(named(address, name)?, &means.s3)?, address, prefix)?,
            "azure" => with_prefix(azure(named(address, name)?, &means.azure)?, address, prefix)?,
            _ => {
                return Err(wrong(address, "no such kind of store").advise(
                    "a store is a folder, s3://bucket/prefix or azure://container/prefix",
                ));
            }
        };
        Ok(Self { store, folder: None })
    }

    /// A local folder, which is made if need be.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn folder(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)
            .map_err(|error| Error::file("make the library folder", root, &error))?;
        let store = LocalFileSystem::new_with_prefix(root)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: Some(root.to_path_buf()) })
    }
}

fn named<'a>(address: &str, name: &'a str) -> Result<&'a str> {
    match name {
        "" => Err(wrong(address, "it names no bucket or container")),
        name => Ok(name),
    }
}

fn wrong(address: &str, why: &str) -> Error {
    Error::usage(format!("{:?} is no address of a store: {why}", text::clean(address)))
}

fn with_prefix<S: ObjectStore>(
    store: S,
    address: &str,
    prefix: &str,
) -> Result<Arc<dyn ObjectStore>> {
    let prefix = Prefix::parse(prefix).map_err(|error| wrong(address, &error.to_string()))?;
    Ok(match prefix.as_ref() {
        "" => Arc::new(store),
        _ => Arc::new(PrefixStore::new(store, prefix)),
    })
}

fn s3(bucket: &str, settings: &S3Settings) -> Result<impl ObjectStore + use<>> {
    use_ring();
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(client(settings.allow_http))
        .with_retry(retry());
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    if let Some(id) = &settings.access_key_id {
        builder = builder.with_access_key_id(id);
    }
    if let Some(key) = &settings.secret_access_key {
        builder = builder.with_secret_access_key(key.reveal());
    }
    builder.build().map_err(|error| {
        Error::usage(format!("the S3 store cannot be used: {error}"))
            .advise("look at the section [s3] of the configuration and the AWS_ variables")
    })
}

fn azure(container: &str, settings: &AzureSettings) -> Result<impl ObjectStore + use<>> {
    use_ring();
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(container)
        .with_client_options(client(settings.allow_http))
        .with_retry(retry());
    if let Some(account) = &settings.account {
        builder = builder.with_account(account);
    }
    if let Some(key) = &settings.access_key {
        builder = builder.with_access_key(key.reveal());
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    builder.build().map_err(|error| {
        Error::usage(format!("the Azure store cannot be used: {error}"))
            .advise("look at the section [azure] of the configuration and the AZURE_ variables")
    })
}

fn client(allow_http: bool) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(allow_http)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT)
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() }
}

/// TLS needs to be told once which cryptography to use; whoever is first decides.
fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        let means = Means::default();
        for (address, says) in [
            ("ftp://host/x", "no such kind"),
            ("s3://", "names no bucket"),
            ("s3:///prefix", "names no bucket"),
            ("azure:///x", "names no bucket"),
        ] {
            let error = Place::open(address, &means).unwrap_err();
            assert!(error.to_string().contains(says), "{address}: {error}");
        }
        assert!(Place::open("memory://", &means).unwrap().folder.is_none());
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("a/b");
        let place = Place::open(inside.to_str().unwrap(), &means).unwrap();
        assert_eq!(place.folder.as_deref(), Some(&*inside));
        assert!(inside.is_dir());
    }

    #[test]
    fn keys_are_read_and_never_shown() {
        let settings: S3Settings = toml::from_str(
            "endpoint = 'http://localhost:9'\naccess-key-id = 'id'\nsecret-access-key = 'hush'",
        )
        .unwrap();
        assert_eq!(settings.secret_access_key.as_ref().unwrap().reveal(), "hush");
        assert!(!format!("{settings:?}").contains("hush"));
        assert!(toml::from_str::<S3Settings>("endpiont = 'x'").is_err());
    }
}
