//! The store in SQLite: one file beside its write-ahead log.
//!
//! What [`Store::commit`] says is written has been synced to the disk, so it is there after `kill -9` and after
//! a power cut. Records lie as JSON, by subject, so a change of what they hold needs no migration.
//!
//! | table | holds |
//! |---|---|
//! | `record` | all records as they are |
//! | `change` | the last 10,000 changes by number |
//! | `secret` | the mesh's keys |

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection as _, Row as _};
use zeroize::Zeroizing;

use super::record::Change;
use super::store::{Batch, Outcome, Secrets, Snapshot, Store, StoreError};

/// What makes the database of each version into that of the next. Only ever add to these.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE record (subject TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE change (version INTEGER PRIMARY KEY, subject TEXT NOT NULL, body TEXT) STRICT;
    CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"];
/// Changes that are kept for coordinators that follow and nodes that come back.
const KEPT: i64 = 10_000;

/// A store in a file.
#[derive(Debug)]
pub struct SqliteStore(SqliteConnection);

impl SqliteStore {
    /// Opens the database in the file `path`, or makes it; its directory, too, which nobody else may enter.
    ///
    /// # Errors
    /// When the file is no database of ours, is of a later version, or cannot be read and written.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let fail = |error: &dyn core::fmt::Display| {
            StoreError(format!("cannot open {}: {error}", path.display()))
        };
        if let Some(directory) = path.parent() {
            let made = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory);
            made.map_err(|error| fail(&error))?;
        }
        // SQLite gives the log the permissions of the database.
        let mut file = OpenOptions::new();
        let file = file.create(true).append(true).mode(0o600).open(path);
        file.map_err(|error| fail(&error))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(core::time::Duration::from_secs(5));
        let connection = SqliteConnection::connect_with(&options).await;
        let mut connection = connection.map_err(|error| fail(&error))?;
        migrate(&mut connection)
            .await
            .map_err(|error| fail(&error))?;
        Ok(Self(connection))
    }

    async fn write(&mut self, batch: &Batch) -> Result<Outcome, sqlx::Error> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let (first, last) = bounds(&mut transaction).await?;
        let base = batch.base as i64;
        if last != base {
            if base + 1 < first || base > last {
                return Ok(Outcome::Failed(too_far(base)));
            }
            let missed = changes_after(&mut transaction, base).await?;
            return Ok(Outcome::Behind(missed));
        }
        for (version, change) in (base + 1..).zip(&batch.changes) {
            let (subject, body) = (change.subject().to_string(), change.to_json());
            sqlx::query("INSERT INTO change (version, subject, body) VALUES (?, ?, ?)")
                .bind(version)
                .bind(&subject)
                .bind(&body)
                .execute(&mut *transaction)
                .await?;
            let query = match &body {
                Some(_) => sqlx::query(
                    "INSERT INTO record (subject, body) VALUES (?1, ?2)
                     ON CONFLICT (subject) DO UPDATE SET body = ?2",
                ),
                None => sqlx::query("DELETE FROM record WHERE subject = ?1"),
            };
            let query = query.bind(&subject).bind(&body);
            query.execute(&mut *transaction).await?;
        }
        sqlx::query("DELETE FROM change WHERE version <= ?")
            .bind(base + batch.changes.len() as i64 - KEPT)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Outcome::Written)
    }

    async fn read(&mut self) -> Result<Snapshot, sqlx::Error> {
        let mut transaction = self.0.begin().await?;
        let (_, last) = bounds(&mut transaction).await?;
        let records = sqlx::query("SELECT subject, body FROM record ORDER BY subject");
        let records = records.fetch_all(&mut *transaction).await?;
        let records = records.iter().map(|row| change(row, 0));
        let records = records.collect::<Result<_, _>>()?;
        let recent = sqlx::query("SELECT version, subject, body FROM change ORDER BY version");
        let recent = recent.fetch_all(&mut *transaction).await?;
        let recent = recent.iter().map(|row| {
            let number: i64 = row.try_get(0)?;
            Ok::<_, sqlx::Error>((number as u64, change(row, 1)?.subject()))
        });
        Ok(Snapshot {
            version: last as u64,
            records,
            recent: recent.collect::<Result<_, _>>()?,
        })
    }

    async fn keep_secrets(&mut self, fresh: Secrets) -> Result<Secrets, sqlx::Error> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let mut kept = Vec::new();
        for (name, value) in [("control", fresh.control), ("signing", fresh.signing)] {
            sqlx::query("INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
                .bind(name)
                .bind(&value[..])
                .execute(&mut *transaction)
                .await?;
            let row = sqlx::query("SELECT value FROM secret WHERE name = ?").bind(name);
            let row = row.fetch_one(&mut *transaction).await?;
            let bytes = Zeroizing::new(row.try_get::<Vec<u8>, _>(0)?);
            let secret: [u8; 32] = bytes.as_slice().try_into().map_err(|_| {
                sqlx::Error::Decode(format!("secret {name} has not 32 bytes").into())
            })?;
            kept.push(Zeroizing::new(secret));
        }
        transaction.commit().await?;
        let [control, signing] = kept.try_into().expect("two were asked for");
        Ok(Secrets { control, signing })
    }
}

impl Store for SqliteStore {
    async fn secrets(&mut self, fresh: Secrets) -> Result<Secrets, StoreError> {
        self.keep_secrets(fresh).await.map_err(error)
    }

    async fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.read().await.map_err(error)
    }

    async fn commit(&mut self, batch: &Batch) -> Outcome {
        match self.write(batch).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    async fn changes_since(&mut self, version: u64) -> Result<Vec<Change>, StoreError> {
        let base = version as i64;
        let (first, _) = bounds(&mut self.0).await.map_err(error)?;
        if base + 1 < first {
            return Err(StoreError(too_far(base)));
        }
        changes_after(&mut self.0, base).await.map_err(error)
    }
}

fn too_far(base: i64) -> String {
    format!("change {base} is not among the last {KEPT}: restart this coordinator")
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let row = sqlx::query("PRAGMA user_version");
    let row = row.fetch_one(&mut *transaction).await?;
    let version: i64 = row.try_get(0)?;
    let Some(missing) = MIGRATIONS.get(version as usize..) else {
        let text = format!(
            "it was written by a later version of meshvpn (format {version}, known are {})",
            MIGRATIONS.len()
        );
        return Err(sqlx::Error::Configuration(text.into()));
    };
    for migration in missing {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
    }
    let pragma = format!("PRAGMA user_version = {}", MIGRATIONS.len());
    let pragma = sqlx::AssertSqlSafe(pragma);
    sqlx::raw_sql(pragma).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// The numbers of the first change that is kept and of the last; zero when there is none.
async fn bounds(connection: &mut SqliteConnection) -> Result<(i64, i64), sqlx::Error> {
    let row =
        sqlx::query("SELECT coalesce(min(version), 0), coalesce(max(version), 0) FROM change");
    let row = row.fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

async fn changes_after(
    connection: &mut SqliteConnection,
    version: i64,
) -> Result<Vec<Change>, sqlx::Error> {
    let rows = sqlx::query("SELECT subject, body FROM change WHERE version > ? ORDER BY version");
    let rows = rows.bind(version).fetch_all(connection).await?;
    rows.iter().map(|row| change(row, 0)).collect()
}

/// The change in a row whose columns are, from the given one on, subject and body.
fn change(row: &SqliteRow, first: usize) -> Result<Change, sqlx::Error> {
    let subject: String = row.try_get(first)?;
    let body: Option<String> = row.try_get(first + 1)?;
    Change::parse(&subject, body.as_deref()).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn error(error: sqlx::Error) -> StoreError {
    StoreError(error.to_string())
}
