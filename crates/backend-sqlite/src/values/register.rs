pub fn register(_: &rusqlite::Connection) -> rusqlite::Result<()> {
    Ok(())
}
