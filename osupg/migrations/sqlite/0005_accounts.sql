-- Who may do what, and who did what.

CREATE TABLE account (
    id          INTEGER PRIMARY KEY NOT NULL,
    name        TEXT    NOT NULL,
    -- The name in small letters: names differ in more than capitals.
    name_key    TEXT    NOT NULL UNIQUE,
    -- Argon2id, as a PHC string.
    password    TEXT    NOT NULL,
    -- read, operate or administer.
    role        TEXT    NOT NULL,
    -- A JSON list of security scopes; empty for all.
    scopes      TEXT    NOT NULL,
    disabled    BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    changed_at  BIGINT  NOT NULL
);

CREATE TABLE token (
    -- The part of the token that may be shown.
    id          TEXT    PRIMARY KEY NOT NULL,
    name        TEXT    NOT NULL,
    -- token, made by an administrator, or session, made by logging in.
    kind        TEXT    NOT NULL,
    -- Whose token it is: it can do no more than the account, and ends with it.
    account_id  BIGINT  REFERENCES account (id) ON DELETE CASCADE,
    -- SHA-256 of the whole token.
    hash        BLOB    NOT NULL,
    role        TEXT    NOT NULL,
    scopes      TEXT    NOT NULL,
    created_by  TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT,
    used_at     BIGINT,
    revoked_at  BIGINT
);
CREATE INDEX token_account ON token (account_id);
CREATE INDEX token_expiry ON token (kind, expires_at);

CREATE TABLE audit (
    id          INTEGER PRIMARY KEY NOT NULL,
    at          BIGINT  NOT NULL,
    -- The account or token, or the user of the system who ran the command.
    who         TEXT    NOT NULL,
    -- Where the request came from; empty for the command line.
    address     TEXT    NOT NULL,
    operation   TEXT    NOT NULL,
    -- The package it is about; empty where it is about none.
    subject     TEXT    NOT NULL,
    -- done, accepted, failed or refused.
    outcome     TEXT    NOT NULL,
    -- The error, or the number of the job.
    detail      TEXT    NOT NULL,
    -- What was asked for, as JSON without its secrets.
    request     TEXT    NOT NULL
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_subject ON audit (subject, id);
CREATE INDEX audit_who ON audit (who, id);
