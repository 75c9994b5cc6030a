"""What outlives the process: sessions, turns, messages, accounts' use and the journals, in one database.

    database = await Database.open("sqlite:////var/lib/qpty/qpty.db")
    await database.writer.write(writes.insert_session(row))
    page = await database.sessions(owner="local", limit=50, after=None)
    await database.close()

Reads are methods of `database.Database`. Writes are values, built by `writes` and given to the process's only `Writer`,
which commits what waits together (`writer`). What differs between SQLite and PostgreSQL is in one file each.
"""
