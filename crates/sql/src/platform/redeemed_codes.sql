-- Codes of applications that were redeemed, and the session that each gave: brought a second time, it ends that session
-- (RFC 6749 §4.1.2). Written and read by Mainstay itself: nothing here is granted to the roles of requests.
CREATE SCHEMA IF NOT EXISTS _mainstay;
CREATE TABLE _mainstay.redeemed_codes (
    -- As the code was kept.
    digest text NOT NULL PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES auth.sessions (id) ON DELETE CASCADE
);
CREATE INDEX redeemed_codes_session_id_idx ON _mainstay.redeemed_codes (session_id);
