//! One form of statements, values and rows for both engines.

use std::borrow::Cow;

use rusqlite::types::{FromSql, ToSql, ToSqlOutput, Value as SqliteValue, ValueRef};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row as _, SqlSafeStr};

use super::connect::PgSession;
use super::failure::DbError;

/// A statement with its arguments. `$1`, `$2` … stand for them in both engines.
pub(super) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

/// What both engines can store. Booleans are integers, times are text.
pub(super) enum Value {
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// The only columns that may be empty hold text, and PostgreSQL wants to know the type.
    NoText,
    /// For `= ANY($1)` on PostgreSQL, `json_each($1)` on SQLite.
    Integers(Vec<i64>),
}

impl Statement {
    pub(super) fn new(sql: &'static str) -> Self {
        Self { sql: Cow::Borrowed(sql), values: Vec::new() }
    }

    /// A text put together at run time, of names that are our own.
    pub(super) fn assembled(sql: String) -> Self {
        Self { sql: Cow::Owned(sql), values: Vec::new() }
    }

    /// The next argument.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Prepared for SQLite, which numbers parameters as they appear and takes `$1` for a name.
    pub(super) fn on_sqlite<'c>(
        &self,
        connection: &'c rusqlite::Connection,
    ) -> Result<rusqlite::CachedStatement<'c>, DbError> {
        let mut prepared = connection.prepare_cached(&self.sql)?;
        for place in 1..=prepared.parameter_count() {
            let number = prepared.parameter_name(place).and_then(|name| name.get(1..)?.parse().ok());
            let value = number.and_then(|number: usize| self.values.get(number.checked_sub(1)?));
            let value = value.ok_or_else(|| DbError::Internal(format!("no value for parameter {place}")))?;
            prepared.raw_bind_parameter(place, value)?;
        }
        Ok(prepared)
    }

    /// Kept under a name where the session is the connection's own.
    pub(super) fn on_postgres(self, session: PgSession) -> Query<'static, Postgres, PgArguments> {
        let sql = match self.sql {
            Cow::Borrowed(text) => text.into_sql_str(),
            Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
        };
        let query = sqlx::query(sql).persistent(session == PgSession::Own);
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Integer(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::NoText => query.bind(None::<String>),
            Value::Integers(numbers) => query.bind(numbers),
        })
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Integer(number) => (*number).into(),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::NoText => ToSqlOutput::Owned(SqliteValue::Null),
            Self::Integers(numbers) => {
                let list: Vec<_> = numbers.iter().map(i64::to_string).collect();
                ToSqlOutput::Owned(SqliteValue::Text(format!("[{}]", list.join(","))))
            }
        })
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::NoText, Self::Text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<i64>> for Value {
    fn from(numbers: Vec<i64>) -> Self {
        Self::Integers(numbers)
    }
}

/// A row of an answer; columns are counted from 0, in the order in which the statement names them.
pub(super) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a PgRow),
}

/// Makes something of a row.
pub(super) type Read<T> = fn(&Row<'_>) -> Result<T, DbError>;

/// What a column can be read as.
pub(super) trait Column: FromSql + for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres> {}
impl<T: FromSql + for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>> Column for T {}

impl Row<'_> {
    pub(super) fn get<T: Column>(&self, column: usize) -> Result<T, DbError> {
        match self {
            Self::Sqlite(row) => Ok(row.get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}
