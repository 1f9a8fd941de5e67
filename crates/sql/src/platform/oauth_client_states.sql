-- Sign-ins that are on their way to a provider: what proves, when somebody comes back, that they left from here.
CREATE TABLE auth.oauth_client_states (
    id uuid NOT NULL PRIMARY KEY,
    provider_type text NOT NULL,
    code_verifier text,
    created_at timestamptz NOT NULL
);
CREATE INDEX idx_oauth_client_states_created_at ON auth.oauth_client_states (created_at);

ALTER TABLE auth.oauth_client_states ENABLE ROW LEVEL SECURITY;
