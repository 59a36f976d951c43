//! Credentials that are asked for again before they expire, and not for each call.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_types::error::display::DisplayErrorContext;
use tokio::sync::Mutex;

/// How long before their end credentials are renewed: longer than a call takes.
const MARGIN: Duration = Duration::from_secs(10);
/// How long credentials are kept that name no end, as the SDK does: a file may change.
const UNLIMITED: Duration = Duration::from_secs(15 * 60);

/// Cache of what the SDK's chain of providers found.
pub(super) struct CredentialCache {
    provider: Option<SharedCredentialsProvider>,
    /// The lock is held while the provider is asked, so that only one call asks.
    found: Mutex<Option<CachedCredentials>>,
}

struct CachedCredentials {
    credentials: Credentials,
    renew_at: SystemTime,
}

impl CredentialCache {
    pub(super) fn new(provider: Option<SharedCredentialsProvider>) -> Self {
        Self { provider, found: Mutex::default() }
    }

    /// Credentials that are good for a call.
    ///
    /// # Errors
    /// Why there are none, for the log.
    pub(super) async fn get(&self) -> Result<Credentials, String> {
        let provider = self.provider.as_ref().ok_or("no credentials are configured")?;
        let mut found = self.found.lock().await;
        let now = SystemTime::now();
        if let Some(cached) = found.as_ref().filter(|cached| cached.renew_at > now) {
            return Ok(cached.credentials.clone());
        }
        let asked = provider.provide_credentials().await;
        let credentials = asked.map_err(|error| DisplayErrorContext(error).to_string())?;
        let renew_at = match credentials.expiry() {
            Some(end) => end.checked_sub(MARGIN).unwrap_or(now),
            None => now + UNLIMITED,
        };
        *found = Some(CachedCredentials { credentials: credentials.clone(), renew_at });
        Ok(credentials)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::provider::future;

    use super::*;

    #[derive(Debug, Clone)]
    struct CountedCredentials(Arc<AtomicUsize>, Option<Duration>);

    impl ProvideCredentials for CountedCredentials {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.0.fetch_add(1, Ordering::SeqCst);
            let end = self.1.map(|left| SystemTime::now() + left);
            future::ProvideCredentials::ready(Ok(Credentials::new("id", "secret", None, end, "test")))
        }
    }

    #[tokio::test]
    async fn credentials_are_asked_for_again_only_when_they_are_about_to_end() {
        for (left, expected) in
            [(None, 1), (Some(Duration::from_secs(3600)), 1), (Some(Duration::from_secs(5)), 3)]
        {
            let asked = Arc::<AtomicUsize>::default();
            let provider = SharedCredentialsProvider::new(CountedCredentials(asked.clone(), left));
            let cache = CredentialCache::new(Some(provider));
            for _ in 0..3 {
                assert_eq!(cache.get().await.unwrap().access_key_id(), "id");
            }
            assert_eq!(asked.load(Ordering::SeqCst), expected, "{left:?}");
        }
        assert!(CredentialCache::new(None).get().await.is_err());
    }
}
