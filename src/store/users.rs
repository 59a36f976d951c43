//! Users.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::session::Op;
use super::{Db, StoreError};
use crate::api::{NewUser, Page, PageQuery, User, now};

const INSERT: &str =
    "INSERT INTO users (name, email, created_at) VALUES ($1, $2, $3) RETURNING id, name, email, created_at";
const SELECT_ONE: &str = "SELECT id, name, email, created_at FROM users WHERE id = $1";
const SELECT_PAGE: &str = "SELECT id, name, email, created_at FROM users WHERE id > $1 ORDER BY id LIMIT $2";

static CREATE: Op = Op::traced("INSERT", "users", &[INSERT]).or_conflict("email is already in use");
static GET: Op = Op::traced("SELECT", "users", &[SELECT_ONE]);
static LIST: Op = Op::traced("SELECT", "users", &[SELECT_PAGE]);

/// The users of user-service.
#[derive(Clone)]
pub struct Users {
    db: Db,
}

impl Users {
    /// Users in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Stores a user and gives it an id that no user ever had.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the email, whatever its case, belongs to a user already.
    pub async fn create(&self, new: &NewUser) -> Result<User, StoreError> {
        let mut session = self.db.session(&CREATE).await?;
        let insert = sqlx::query(INSERT).bind(&new.name).bind(&new.email).bind(now());
        session.one(insert, read).await
    }

    /// The user with this id, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self, id: i64) -> Result<Option<User>, StoreError> {
        let mut session = self.db.session(&GET).await?;
        session.row(sqlx::query(SELECT_ONE).bind(id), read).await
    }

    /// One page of users, by id.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, page: PageQuery) -> Result<Page<User>, StoreError> {
        let mut session = self.db.session(&LIST).await?;
        // One row more than asked for tells whether there is a next page.
        let select = sqlx::query(SELECT_PAGE).bind(page.after).bind(page.limit.saturating_add(1));
        let rows = session.rows(select, read).await?;
        Ok(super::page(rows, page, |user| user.id))
    }
}

fn read(row: &AnyRow) -> sqlx::Result<User> {
    Ok(User {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
        created_at: row.try_get("created_at")?,
    })
}
