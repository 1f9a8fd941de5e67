-- Mails and text messages that are to be sent. Each is written in the transaction of what it tells of, and removed once
-- it was handed over. Written and read by Mainstay itself: nothing here is granted to the roles of requests.
CREATE SCHEMA IF NOT EXISTS _mainstay;
CREATE TABLE _mainstay.messages (
    id uuid NOT NULL PRIMARY KEY,
    -- What it is about: `confirmation`, `recovery` and so on.
    kind text NOT NULL,
    -- `mail`, `sms` or `whatsapp`.
    channel text NOT NULL,
    -- An address or a number. Empty: there is nobody, and it is only removed.
    recipient text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    -- When it is tried next.
    due_at timestamptz NOT NULL DEFAULT now(),
    -- After this it says nothing that still holds.
    expires_at timestamptz NOT NULL
);
CREATE INDEX messages_due_at_idx ON _mainstay.messages (due_at);
