-- The roles and the database of Staffetta on PostgreSQL 15 or later. Run it once as an administrator of the server, and again to
-- change passwords:
--
--     STAFFETTA_OWNER_PASSWORD=... STAFFETTA_INGEST_PASSWORD=... (and so on) psql -X -f deploy/postgres/roles.sql
--
-- `staffetta` owns the schemas and is used by `staffetta migrate` alone. Each service has a role that sees its own schema and
-- no other; `staffetta migrate` gives it its rights. See docs/how-to/set-up-postgresql.md.

\set ON_ERROR_STOP on
-- A password that is not given is an empty one, which the table below refuses by name: psql's own complaint about it would
-- print all the others.
\set owner ''
\set ingest ''
\set iuv ''
\set render ''
\set protocol ''
\set dispatch ''
\set status ''
\getenv owner STAFFETTA_OWNER_PASSWORD
\getenv ingest STAFFETTA_INGEST_PASSWORD
\getenv iuv STAFFETTA_IUV_PASSWORD
\getenv render STAFFETTA_RENDER_PASSWORD
\getenv protocol STAFFETTA_PROTOCOL_PASSWORD
\getenv dispatch STAFFETTA_DISPATCH_PASSWORD
\getenv status STAFFETTA_STATUS_PASSWORD

-- Passwords are in the statements below: no log keeps them.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET password_encryption = 'scram-sha-256';

CREATE TEMPORARY TABLE wanted (name text, password text NOT NULL CHECK (password <> ''));
INSERT INTO wanted VALUES
    ('staffetta', :'owner'), ('ingest', :'ingest'), ('iuv', :'iuv'), ('render', :'render'),
    ('protocol', :'protocol'), ('dispatch', :'dispatch'), ('status', :'status');

SELECT format('CREATE ROLE %I', name) FROM wanted
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
SELECT format(
    'ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %L', name, password
) FROM wanted \gexec

SELECT 'CREATE DATABASE staffetta OWNER staffetta ENCODING ''UTF8'' TEMPLATE template0'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'staffetta') \gexec

-- Only these roles come in, and none of them makes anything outside the schemas.
REVOKE ALL ON DATABASE staffetta FROM PUBLIC;
SELECT format('GRANT CONNECT ON DATABASE staffetta TO %I', name) FROM wanted \gexec
DROP TABLE wanted;
\connect staffetta
REVOKE ALL ON SCHEMA public FROM PUBLIC;
