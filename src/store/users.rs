//! Users.

use super::failure::DbError;
use super::op::Op;
use super::statement::{Row, Statement};
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
        let insert = Statement::new(INSERT).bind(new.name.as_str()).bind(new.email.as_str()).bind(now());
        self.db.one(&CREATE, insert, read).await
    }

    /// The user with this id, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self, id: i64) -> Result<Option<User>, StoreError> {
        self.db.row(&GET, Statement::new(SELECT_ONE).bind(id), read).await
    }

    /// One page of users, by id.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, page: PageQuery) -> Result<Page<User>, StoreError> {
        // One row more than asked for tells whether there is a next page.
        let select = Statement::new(SELECT_PAGE).bind(page.after).bind(page.limit.saturating_add(1));
        let rows = self.db.page_rows(&LIST, select, read, size).await?;
        Ok(rows.into_page(page, |user| user.id))
    }
}

/// About what a user takes in an answer.
fn size(user: &User) -> usize {
    user.name.len() + user.email.len() + 100
}

fn read(row: &Row<'_>) -> Result<User, DbError> {
    Ok(User { id: row.get(0)?, name: row.get(1)?, email: row.get(2)?, created_at: row.get(3)? })
}
