-- Answers to requests with an idempotency key, for the next request with the same key. Written and read by Mainstay
-- itself: nothing here is granted to the roles of requests.
CREATE SCHEMA IF NOT EXISTS _mainstay;
CREATE TABLE _mainstay.kept_answers (
    -- A digest of the caller and the key.
    key bytea NOT NULL PRIMARY KEY,
    answer bytea NOT NULL,
    -- Seconds since 1970.
    expires_at bigint NOT NULL
);
CREATE INDEX kept_answers_expires_at_idx ON _mainstay.kept_answers (expires_at);
