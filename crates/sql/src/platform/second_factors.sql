-- What second factors need to know beyond Supabase Auth's tables. Written and read by Mainstay itself: nothing here is
-- granted to the roles of requests.
CREATE SCHEMA IF NOT EXISTS _mainstay;
-- Wrong codes in a row, by user and by what was guessed at.
CREATE TABLE _mainstay.second_factors (
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    what text NOT NULL,
    failures bigint NOT NULL,
    failed_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, what)
);
-- The time step of the last code that was accepted (RFC 6238 §5.2).
CREATE TABLE _mainstay.totp_steps (
    factor_id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    step bigint NOT NULL
);
CREATE INDEX totp_steps_user_id_idx ON _mainstay.totp_steps (user_id);
-- A user's recovery codes: one set, and of each code a digest until it is used.
CREATE TABLE _mainstay.recovery_code_sets (
    user_id uuid NOT NULL PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
    id uuid NOT NULL UNIQUE,
    friendly_name text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE TABLE _mainstay.recovery_codes (
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    digest text NOT NULL,
    PRIMARY KEY (user_id, digest)
);
