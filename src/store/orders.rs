//! Orders. An order and the message that tells of it are one transaction.

use std::sync::Arc;

use sqlx::Row;
use sqlx::any::AnyRow;
use tokio::sync::Notify;

use super::session::{Op, Session};
use super::{Db, Outbox, StoreError, outbox, page, unreadable};
use crate::api::{Cents, NewOrder, Order, Page, PageQuery, Status, now};
use crate::queue::Message;

macro_rules! columns {
    () => {
        "id, user_id, items, total_cents, status, created_at, updated_at"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO orders (user_id, items, total_cents, status, created_at, updated_at, idempotency_key) ",
    "VALUES ($1, $2, $3, $4, $5, $5, $6) ON CONFLICT (idempotency_key) DO NOTHING RETURNING ",
    columns!()
);
// The condition decides between two changes at once: the second waits for the first one's row lock
// and then finds the order settled.
const UPDATE: &str = concat!(
    "UPDATE orders SET status = $1, updated_at = $2 WHERE id = $3 AND status = 'pending' RETURNING ",
    columns!()
);
const SELECT_KEY: &str = concat!("SELECT ", columns!(), " FROM orders WHERE idempotency_key = $1");
const SELECT_ONE: &str = concat!("SELECT ", columns!(), " FROM orders WHERE id = $1");
const SELECT_PAGE: &str = concat!("SELECT ", columns!(), " FROM orders WHERE id > $1 ORDER BY id LIMIT $2");

const KEY_TAKEN: &str = "the Idempotency-Key was used for a different order";

static CREATE: Op = Op::traced("INSERT", "orders", &[INSERT, outbox::INSERT]);
static SET_STATUS: Op = Op::traced("UPDATE", "orders", &[UPDATE, outbox::INSERT]);
static GET: Op = Op::traced("SELECT", "orders", &[SELECT_ONE]);
static LIST: Op = Op::traced("SELECT", "orders", &[SELECT_PAGE]);

/// What [`Orders::create`] found.
#[derive(Clone, Debug)]
pub enum Created {
    /// The order is new.
    Now(Order),
    /// A request with the same idempotency key made it before; it may have changed since.
    Before(Order),
}

#[cfg(test)]
impl Created {
    /// The order, whichever request made it.
    pub(super) fn into_order(self) -> Order {
        match self {
            Self::Now(order) | Self::Before(order) => order,
        }
    }
}

/// The orders of order-service.
#[derive(Clone)]
pub struct Orders {
    db: Db,
    committed: Arc<Notify>,
}

impl Orders {
    /// Orders in `db`.
    pub fn new(db: Db) -> Self {
        Self { db, committed: Arc::default() }
    }

    /// The outbox of these orders: it is woken by their commits.
    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.db.clone(), self.committed.clone())
    }

    /// Stores an order and the message that `message` makes of it: both, or neither. With a key that
    /// was used before it stores nothing and finds the order made then.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the key was used for a different order; the database's.
    pub async fn create(
        &self,
        new: &NewOrder,
        idempotency_key: Option<&str>,
        message: impl FnOnce(&Order) -> Message,
    ) -> Result<Created, StoreError> {
        let items = serde_json::to_string(&new.items).map_err(|e| StoreError::Internal(e.to_string()))?;
        let mut session = self.db.session(&CREATE).await?;
        session.begin().await?;
        let insert = sqlx::query(INSERT)
            .bind(new.user_id)
            .bind(items)
            .bind(new.total.0)
            .bind(Status::Pending.as_str())
            .bind(now())
            .bind(idempotency_key);
        if let Some(order) = session.row(insert, read).await? {
            self.commit_with(session, message(&order)).await?;
            return Ok(Created::Now(order));
        }
        let order = session.one(sqlx::query(SELECT_KEY).bind(idempotency_key), read).await?;
        session.roll_back().await?;
        let same = (order.user_id, &order.items, order.total) == (new.user_id, &new.items, new.total);
        if same { Ok(Created::Before(order)) } else { Err(StoreError::Conflict(KEY_TAKEN)) }
    }

    /// The order with this id, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self, id: i64) -> Result<Option<Order>, StoreError> {
        let mut session = self.db.session(&GET).await?;
        session.row(sqlx::query(SELECT_ONE).bind(id), read).await
    }

    /// One page of orders, by id.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, query: PageQuery) -> Result<Page<Order>, StoreError> {
        let mut session = self.db.session(&LIST).await?;
        let select = sqlx::query(SELECT_PAGE).bind(query.after).bind(query.limit.saturating_add(1));
        let rows = session.rows(select, read).await?;
        Ok(page(rows, query, |order| order.id))
    }

    /// Changes an order's status and stores the message that `message` makes of the changed order:
    /// both, or neither. Of several changes at once exactly one happens.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Transition`] where the status does not allow it.
    pub async fn set_status(
        &self,
        id: i64,
        to: Status,
        message: impl FnOnce(&Order) -> Message,
    ) -> Result<Order, StoreError> {
        let mut session = self.db.session(&SET_STATUS).await?;
        session.begin().await?;
        if Status::Pending.may_become(to) {
            let update = sqlx::query(UPDATE).bind(to.as_str()).bind(now()).bind(id);
            if let Some(order) = session.row(update, read).await? {
                self.commit_with(session, message(&order)).await?;
                return Ok(order);
            }
        }
        let found = session.row(sqlx::query(SELECT_ONE).bind(id), read).await?;
        session.roll_back().await?;
        match found {
            Some(order) => Err(StoreError::Transition { from: order.status, to }),
            None => Err(StoreError::NotFound),
        }
    }

    async fn commit_with(&self, mut session: Session, message: Message) -> Result<(), StoreError> {
        outbox::insert(&mut session, message).await?;
        session.commit().await?;
        self.committed.notify_one();
        Ok(())
    }
}

fn read(row: &AnyRow) -> sqlx::Result<Order> {
    let items: String = row.try_get("items")?;
    let status: String = row.try_get("status")?;
    Ok(Order {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        items: serde_json::from_str(&items).map_err(|e| unreadable("items", e))?,
        total: Cents(row.try_get("total_cents")?),
        status: Status::parse(&status).ok_or_else(|| unreadable("status", "not a status"))?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
