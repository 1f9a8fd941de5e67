-- Messages that wallets have signed and that somebody has signed in by: each is good for one session. Written and read by
-- Mainstay itself: nothing here is granted to the roles of requests.
CREATE SCHEMA IF NOT EXISTS _mainstay;
CREATE TABLE _mainstay.wallet_messages (
    -- SHA-256 of chain and message, in hexadecimal digits.
    digest text NOT NULL PRIMARY KEY,
    -- After this it would be refused as too old.
    expires_at timestamptz NOT NULL
);
CREATE INDEX wallet_messages_expires_at_idx ON _mainstay.wallet_messages (expires_at);
