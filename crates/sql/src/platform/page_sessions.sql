-- What the ready pages need to know beyond Supabase Auth's tables. Written and read by Mainstay itself: nothing here is
-- granted to the roles of requests.
CREATE SCHEMA IF NOT EXISTS _mainstay;
-- Browsers that are signed in on the pages: of each cookie a digest, and the session it stands for. It goes with the session.
CREATE TABLE _mainstay.page_sessions (
    digest text NOT NULL PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES auth.sessions (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX page_sessions_session_id_idx ON _mainstay.page_sessions (session_id);
CREATE INDEX page_sessions_expires_at_idx ON _mainstay.page_sessions (expires_at);
-- Flows whose codes hand over a session that has begun. A database that Supabase Auth has made need not have the flows' table.
CREATE TABLE _mainstay.page_flows (
    flow_id uuid NOT NULL PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES auth.sessions (id) ON DELETE CASCADE
);
CREATE INDEX page_flows_session_id_idx ON _mainstay.page_flows (session_id);
