//! Which operations a trace shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::cases::{message, order, user};
use super::open;
use crate::queue::relay::RelayedOutbox as _;
use crate::schema::Role;
use crate::store::{Notifications, Orders, StoreError, Users};

type SpanFields = BTreeMap<&'static str, String>;

/// Keeps the fields of every span, in the order of their beginning.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(u64, SpanFields)>>>);

struct Into<'a>(&'a mut SpanFields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Kept {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut fields = SpanFields::new();
        attributes.record(&mut Into(&mut fields));
        self.0.lock().unwrap().push((id.into_u64(), fields));
    }
    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut spans = self.0.lock().unwrap();
        if let Some((_, fields)) = spans.iter_mut().rev().find(|(known, _)| *known == id.into_u64()) {
            values.record(&mut Into(fields));
        }
    }
}

impl Kept {
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, f)| f["otel.name"].clone()).collect()
    }
    fn last(&self) -> SpanFields {
        self.0.lock().unwrap().last().unwrap().1.clone()
    }
}

#[tokio::test]
async fn requests_make_one_span_each_and_bookkeeping_makes_none() {
    let kept = Kept::default();
    let ours = tracing_subscriber::filter::filter_fn(|meta| meta.target().starts_with("o11y_lab"));
    let subscriber = tracing_subscriber::registry().with(kept.clone().with_filter(ours));
    let _guard = tracing::subscriber::set_default(subscriber);

    let folder = tempfile::tempdir().unwrap();
    let users = Users::new(open(Role::User, folder.path()).await);
    users.create(&user("a@example.com")).await.unwrap();
    users.get(1).await.unwrap();
    let orders = Orders::new(open(Role::Order, folder.path()).await);
    orders.create(&order(), None, message("m"), |_| {}).await.unwrap().into_order();
    let fields = kept.last();
    assert_eq!(fields["otel.kind"], "client");
    assert_eq!(fields["db.system.name"], "sqlite");
    assert_eq!(fields["db.namespace"], "orders.db");
    assert_eq!(fields["db.collection.name"], "orders");
    assert_eq!(fields["db.operation.name"], "INSERT");
    let text = &fields["db.query.text"];
    assert!(text.contains("INTO orders") && text.contains("; INSERT INTO outbox"), "{text}");
    assert!(!text.contains("book"), "values are not part of it: {text}");

    let outbox = orders.outbox();
    outbox.lease("me", std::time::Duration::from_secs(9)).await.unwrap();
    outbox.pending(9).await.unwrap();
    outbox.count().await.unwrap();
    let notifications = Notifications::new(open(Role::Notify, folder.path()).await);
    assert!(!notifications.exists("m").await.unwrap());
    assert_eq!(kept.names(), ["INSERT users", "SELECT users", "INSERT orders"]);
}

#[tokio::test]
async fn a_conflict_is_no_error_of_the_span_and_a_failure_is() {
    let kept = Kept::default();
    let ours = tracing_subscriber::filter::filter_fn(|meta| meta.target().starts_with("o11y_lab"));
    let subscriber = tracing_subscriber::registry().with(kept.clone().with_filter(ours));
    let _guard = tracing::subscriber::set_default(subscriber);

    let folder = tempfile::tempdir().unwrap();
    let db = open(Role::User, folder.path()).await;
    let users = Users::new(db.clone());
    users.create(&user("a@example.com")).await.unwrap();
    let refused = users.create(&user("a@example.com")).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert!(!kept.last().contains_key("error.type"), "{:?}", kept.last());
    // SQLITE_CONSTRAINT_UNIQUE: what the database said is there all the same.
    assert_eq!(kept.last()["db.response.status_code"], "2067");
    db.close().await;
    let refused = users.get(1).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(kept.last()["otel.status_code"], "ERROR");
    assert!(kept.last().contains_key("error.type"));
}
