//! Reloads the catalog when the database says so.
//!
//! Source: PostgREST documentation, "Schema Cache Reloading": `NOTIFY pgrst`, payload empty or `reload schema`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::backend::Inner;
use crate::render::sql::quoted;
use crate::wire::{Connection, Notification};

/// How often the listening connection is asked whether it is still there.
const ALIVE_EVERY: Duration = Duration::from_secs(30);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Listens until the backend is closed; reconnects with growing pauses, and reloads then, for what was missed.
pub async fn listen(inner: Arc<Inner>, channel: String) {
    let mut pause = RETRY_FIRST;
    let mut missed = false;
    while !inner.closing.load(Ordering::Acquire) {
        let (sender, receiver) = mpsc::unbounded_channel();
        match Connection::open(&inner.target, false, Some(sender)).await {
            Ok(connection) => {
                let sql = format!("LISTEN {}", quoted(&channel));
                let listening = match connection.send_simple(&sql) {
                    Ok(reply) => reply.wait().await.is_ok_and(|parsed| parsed.error.is_none()),
                    Err(_) => false,
                };
                if listening {
                    pause = RETRY_FIRST;
                    if std::mem::replace(&mut missed, true) {
                        reload(&inner).await;
                    }
                    follow(&inner, &connection, receiver).await;
                }
                connection.close();
            }
            Err(error) => tracing::debug!(%error, "cannot listen for catalog changes"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = inner.stopped.notified() => {}
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// Handles notifications until the connection ends or the backend is closed.
async fn follow(inner: &Arc<Inner>, connection: &Connection, mut receiver: mpsc::UnboundedReceiver<Notification>) {
    loop {
        tokio::select! {
            message = receiver.recv() => {
                let Some(message) = message else { return };
                let mut wanted = is_reload(&message);
                // A migration often notifies more than once; one reload serves all that have come.
                while let Ok(further) = receiver.try_recv() {
                    wanted |= is_reload(&further);
                }
                if wanted {
                    reload(inner).await;
                }
            }
            () = tokio::time::sleep(ALIVE_EVERY) => {
                let Ok(reply) = connection.send_simple("SELECT 1") else { return };
                if reply.wait().await.is_err() {
                    return;
                }
            }
            () = inner.stopped.notified() => return,
        }
        if connection.is_closed() {
            return;
        }
    }
}

fn is_reload(message: &Notification) -> bool {
    tracing::debug!(channel = message.channel, payload = message.payload, "notified");
    matches!(message.payload.trim(), "" | "reload schema" | "reload config")
}

async fn reload(inner: &Inner) {
    if let Err(error) = inner.reload().await {
        tracing::warn!(%error, "the catalog could not be reloaded");
    }
}
