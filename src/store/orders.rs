//! Orders. An order and the message that tells of it are one transaction.

use std::sync::Arc;

use tokio::sync::Notify;

use super::failure::DbError;
use super::op::Op;
use super::statement::{Row, Statement};
use super::tx::Tx;
use super::{Db, Outbox, StoreError, outbox};
use crate::api::{Cents, NewOrder, Order, Page, PageQuery, Status, now};
use crate::queue::Message;

macro_rules! columns {
    () => {
        "id, user_id, items, total_cents, status, created_at, updated_at"
    };
}

const INSERT: &str = "INSERT INTO orders (user_id, items, total_cents, status, created_at, updated_at, idempotency_key) \
     VALUES ($1, $2, $3, $4, $5, $5, $6) ON CONFLICT (idempotency_key) DO NOTHING RETURNING id";
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

/// What an attempt to change a status found.
enum Changed {
    Now(Order),
    /// The order as it is, if there is one: nothing was changed.
    Not(Option<Order>),
}

/// The orders of order-service.
#[derive(Clone)]
pub struct Orders {
    pub(super) db: Db,
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
    /// was used before it stores nothing and finds the order made then. `message` may be called on
    /// another thread, where nothing is known of the request; and so may `stored`, with an order that is
    /// new, also where the commit answers too late for the caller to hear of it. Not called where
    /// PostgreSQL's connection is lost between a commit and its answer: then nobody knows.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the key was used for a different order; the database's.
    pub async fn create(
        &self,
        new: &NewOrder,
        idempotency_key: Option<&str>,
        message: impl FnOnce(&Order) -> Message + Send + 'static,
        stored: impl FnOnce(&Order) + Send + 'static,
    ) -> Result<Created, StoreError> {
        let key = idempotency_key.map(str::to_owned);
        let order = order(new);
        let relay = self.committed.clone();
        let committed = move |created: &Created| {
            if let Created::Now(order) = created {
                relay.notify_one();
                stored(order);
            }
        };
        let create = self.db.transaction_and(
            &CREATE,
            |mut tx| {
                Box::pin(async move {
                    let Some(order) = insert(&mut tx, order, key.clone()).await? else {
                        let select = Statement::new(SELECT_KEY).bind(key);
                        return Ok(Created::Before(tx.one(select, read).await?));
                    };
                    outbox::insert(&mut tx, message(&order)).await?;
                    Ok(Created::Now(order))
                })
            },
            committed,
        );
        let created = create.await?;
        if let Created::Before(old) = &created {
            let same = (old.user_id, &old.items, old.total) == (new.user_id, &new.items, new.total);
            if !same {
                return Err(StoreError::Conflict(KEY_TAKEN));
            }
        }
        Ok(created)
    }

    /// The order with this id, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self, id: i64) -> Result<Option<Order>, StoreError> {
        self.db.row(&GET, Statement::new(SELECT_ONE).bind(id), read).await
    }

    /// One page of orders, by id.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, query: PageQuery) -> Result<Page<Order>, StoreError> {
        let select = Statement::new(SELECT_PAGE).bind(query.after).bind(query.limit.saturating_add(1));
        let rows = self.db.page_rows(&LIST, select, read, size).await?;
        Ok(rows.into_page(query, |order| order.id))
    }

    /// Changes an order's status and stores the message that `message` makes of the changed order:
    /// both, or neither. Of several changes at once exactly one happens. `message` may be called on
    /// another thread, as for [`Orders::create`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Transition`] where the status does not allow it.
    pub async fn set_status(
        &self,
        id: i64,
        to: Status,
        message: impl FnOnce(&Order) -> Message + Send + 'static,
    ) -> Result<Order, StoreError> {
        let changed = self.db.transaction(&SET_STATUS, move |mut tx| {
            Box::pin(async move {
                if Status::Pending.may_become(to) {
                    let update = Statement::new(UPDATE).bind(to.as_str()).bind(now()).bind(id);
                    if let Some(order) = tx.row(update, read).await? {
                        outbox::insert(&mut tx, message(&order)).await?;
                        return Ok(Changed::Now(order));
                    }
                }
                Ok(Changed::Not(tx.row(Statement::new(SELECT_ONE).bind(id), read).await?))
            })
        });
        match changed.await? {
            Changed::Now(order) => {
                self.committed.notify_one();
                Ok(order)
            }
            Changed::Not(Some(order)) => Err(StoreError::Transition { from: order.status, to }),
            Changed::Not(None) => Err(StoreError::NotFound),
        }
    }
}

/// About what an order takes in an answer, whose JSON writes a control character in six bytes.
fn size(order: &Order) -> usize {
    let written = |byte: u8| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    order.items.iter().map(|item| item.bytes().map(written).sum::<usize>() + 3).sum::<usize>() + 200
}

/// The order as it will be stored; its id is not known yet.
fn order(new: &NewOrder) -> Order {
    let now = now();
    Order {
        id: 0,
        user_id: new.user_id,
        items: new.items.clone(),
        total: new.total,
        status: Status::Pending,
        created_at: now.clone(),
        updated_at: now,
    }
}

/// Stores `order` and gives it its id; `None` where the key was used before.
async fn insert(tx: &mut Tx<'_>, mut order: Order, key: Option<String>) -> Result<Option<Order>, DbError> {
    let items = serde_json::to_string(&order.items).map_err(|e| DbError::Internal(e.to_string()))?;
    let insert = Statement::new(INSERT)
        .bind(order.user_id)
        .bind(items)
        .bind(order.total.0)
        .bind(order.status.as_str())
        .bind(order.created_at.as_str())
        .bind(key);
    let id = tx.row(insert, |row| row.get(0)).await?;
    Ok(id.map(|id| {
        order.id = id;
        order
    }))
}

fn read(row: &Row<'_>) -> Result<Order, DbError> {
    let items: String = row.get(2)?;
    let status: String = row.get(4)?;
    Ok(Order {
        id: row.get(0)?,
        user_id: row.get(1)?,
        items: serde_json::from_str(&items).map_err(|e| DbError::unreadable("items", e))?,
        total: Cents(row.get(3)?),
        status: Status::parse(&status).ok_or_else(|| DbError::unreadable("status", "not a status"))?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}
